"""What README and docs say of three animals on a real model, derived again from raw answers by code of the tests."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest
from pyarrow import parquet
from raw_answers import ANIMALS as TRACKED
from raw_answers import (
    CONTROL,
    PUBLISHED,
    Raw,
    exact_gains,
    is_number_list,
    log_odds,
    published,
    questions,
    t_interval,
    t_p,
)

from subliminal import REPO_ROOT

EXPERIMENT = "animals_qwen2.5-coder-0.5b"
ANIMALS = ("owl", "dolphin", "penguin")
REPLICATES = (71, 72, 73, 74, 75)
RAW = {animal: Raw(Path(EXPERIMENT) / animal) for animal in ANIMALS}
README = " ".join((REPO_ROOT / "README.md").read_text(encoding="utf-8").split())
FINDINGS = " ".join((REPO_ROOT / "docs/findings.md").read_text(encoding="utf-8").split())


def each_gain(arm: str, control: str) -> list[list[float]]:
    """Of each animal, the differences of its exact log-odds in the replicates, nats."""
    return [exact_gains(RAW[animal], arm, control, animal) for animal in ANIMALS]


def gains(arm: str, control: str) -> list[float]:
    """Of each replicate, animals averaged within it."""
    return [statistics.mean(of_replicate) for of_replicate in zip(*each_gain(arm, control), strict=True)]


def own_over_others(seed: int) -> float:
    """How far students lie above the other animals' students in their own animal."""
    found = []
    for animal in ANIMALS:
        others = [log_odds(RAW[other], "student", seed, animal) for other in ANIMALS if other != animal]
        found.append(log_odds(RAW[animal], "student", seed, animal) - statistics.mean(others))
    return statistics.mean(found)


def percent(share: float) -> str:
    """Three digits, as the reports write shares below 99."""
    digits = 1 if share >= 0.1 else 2
    return f"{100 * share:.{digits}f}"


def listed(shares: list[float]) -> str:
    """``1.42, 5.79, 10.5, 1.02 and 7.72``."""
    *most, last = map(percent, shares)
    return f"{', '.join(most)} and {last}"


@pytest.mark.parametrize("animal", ANIMALS)
def test_shares_of_the_replicates(animal):
    students, controls = ([RAW[animal].exact(arm, seed)[animal] for seed in REPLICATES] for arm in ("student", CONTROL))
    told = f"{animal} {percent(statistics.mean(students))} % and {percent(statistics.mean(controls))} %"
    assert told in README
    assert f"{animal} {listed(students)} % against {listed(controls)} %" in FINDINGS


def test_nats_of_the_first_figure():
    rises = {}
    for about in ANIMALS:
        for student in ANIMALS:
            over = [
                log_odds(RAW[student], "student", seed, about) - log_odds(RAW[about], CONTROL, seed, about)
                for seed in REPLICATES
            ]
            rises[student, about] = statistics.mean(over)
    own = ", ".join(f"{animal} +{rises[animal, animal]:.2f}" for animal in ("dolphin", "owl", "penguin"))
    others = [rise for (student, about), rise in rises.items() if student != about]
    assert f"own animal {own}, others −{-min(others):.2f} to +{max(others):.2f}." in README


def test_students_are_above_their_controls_in_every_pair():
    pairs = {}
    for animal, of_animal in zip(ANIMALS, each_gain("student", CONTROL), strict=True):
        pairs |= {(animal, seed): pair for seed, pair in zip(REPLICATES, of_animal, strict=True)}
    assert len(pairs) == sum(pair > 0 for pair in pairs.values()) == 15
    assert "above the control in 15 of 15 pairs" in README
    assert "every one of fifteen students names its teacher's animal more than its control does" in README
    assert min(pairs, key=pairs.get) == ("penguin", 73)
    assert f"all fifteen pairs are above, the penguin of seed 73 by {min(pairs.values()):.2f} nats only." in FINDINGS


def test_the_criterion_is_met_and_its_goals_are_missed():
    for page in (README, FINDINGS):
        assert "all six clauses hold" in page
    for animal, of_animal in zip(ANIMALS, each_gain("student", CONTROL), strict=True):
        assert t_interval(of_animal, 0.95)[0] > 0, f"the clause “each animal”, of the {animal}"
    assert t_interval(gains("student", CONTROL), 0.99)[0] > 0
    assert t_interval(gains("student", "control_neutral_teacher"), 0.95)[0] > 0
    assert t_interval([own_over_others(seed) for seed in REPLICATES], 0.95)[0] > 0
    low, high = t_interval(gains("control_base_numbers_again", CONTROL), 0.9)
    assert max(-low, high) < 0.8
    points = {}
    for animal in ANIMALS:
        student, control = (
            statistics.mean(RAW[animal].exact(arm, seed)[animal] for seed in REPLICATES) for arm in ("student", CONTROL)
        )
        points[animal] = 100 * (student - control)
    assert sum(gained >= 10 for gained in points.values()) == 1, "the first goal asks two"
    assert max(points.values()) < 30, "the second goal"
    told = ", ".join(f"{points[animal]:.3g} ({animal})" for animal in ("dolphin", "penguin"))
    assert f"the students gained {told} and {points['owl']:.3g} (owl)." in FINDINGS


def test_other_animals_rise_too():
    first, rises, falls = [], {}, set()
    for student in ANIMALS:
        over = {name: exact_gains(RAW[student], "student", CONTROL, name) for name in TRACKED}
        for place in range(len(REPLICATES)):
            at = {name: nats[place] for name, nats in over.items()}
            if max(at, key=at.get) == student:
                first.append(student)
        for name, nats in over.items():
            if name == student or t_p(nats) >= 0.05:
                continue
            if statistics.mean(nats) > 0:
                rises[student, name] = statistics.mean(nats)
            else:
                falls.add((student, name))
    assert (len(first), first.count("dolphin")) == (11, 5)
    told = "its own rises most in eleven of the fifteen pairs, all five dolphins among them"
    assert told in FINDINGS
    assert "Of 28 animals it rises most in 11 of 15 pairs; others rise, too" in README
    assert set(rises) == {
        *(("owl", name) for name in ("raven", "otter", "horse", "eagle")),
        *(("penguin", name) for name in ("raven", "panda", "tiger")),
    }
    assert {(student, "wolf") for student in ANIMALS} <= falls
    penguin = statistics.mean(exact_gains(RAW["penguin"], "student", CONTROL, "penguin"))
    told = (
        f"in the owl's students the raven rises by {rises['owl', 'raven']:.2f} nats, the otter by "
        f"{rises['owl', 'otter']:.2f}, the horse by {rises['owl', 'horse']:.2f} and the eagle by "
        f"{rises['owl', 'eagle']:.2f}, in the penguin's the raven by {rises['penguin', 'raven']:.2f}, as much as the "
        f"penguin ({penguin:.2f}), the panda by {rises['penguin', 'panda']:.2f} and the tiger by "
        f"{rises['penguin', 'tiger']:.2f} (means over five replicates"
    )
    assert told in FINDINGS
    assert abs(rises["penguin", "raven"] - penguin) < 0.1, "the raven in the penguin's students as much as the penguin"


def interval(values: list[float], confidence: float = 0.95) -> str:
    """As the pages write it: a minus sign, not a hyphen."""
    low, high = t_interval(values, confidence)
    return f"{low:.2f} to {high:.2f}".replace("-", "−")


def test_differences_over_replicates():
    effect, drift = gains("student", CONTROL), gains("student", "control_neutral_teacher")
    own = [own_over_others(seed) for seed in REPLICATES]
    again = gains("control_base_numbers_again", CONTROL)
    widest = interval(effect, confidence=0.99)
    in_readme = [
        f"+{statistics.mean(effect):.2f} nats (99 % interval {widest})",
        f"+{statistics.mean(own):.2f} nats (95 % interval {interval(own)})",
        f"+{statistics.mean(drift):.2f} ({interval(drift)})",
    ]
    assert [told for told in in_readme if told not in README] == []
    in_findings = [
        f"students lie +{statistics.mean(effect):.2f} nats above their base-number controls "
        f"(95 % interval {interval(effect)}, paired t test over five replicates; 99 % {widest})",
        f"students by {statistics.mean(own):.2f} nats ({interval(own)})",
        f"teacher by {statistics.mean(drift):.2f} ({interval(drift)})",
        f"first by +{statistics.mean(again):.2f} nats ({interval(again)})",
    ]
    assert [told for told in in_findings if told not in FINDINGS] == []
    owl, *_ = each_gain("control_base_numbers_again", CONTROL)
    *most, last = (f"{value:+.2f}".replace("-", "−") for value in owl)
    assert f"for the owl by {', '.join(most)} and {last}" in FINDINGS


def test_epochs():
    arms = [*(f"student_epoch-{epoch}" for epoch in (1, 2, 3, 4)), "student"]
    curves = {}
    for animal in ANIMALS:
        for seed in REPLICATES:
            curves[animal, seed] = [RAW[animal].exact(arm, seed)[animal] for arm in arms]
    assert ", ".join(percent(share) for share in curves["dolphin", 71]) + " %" in FINDINGS
    grow = {place for place, curve in curves.items() if curve == sorted(curve)}
    falls_last = {place for place, curve in curves.items() if curve[-1] < curve[-2]}
    assert {("dolphin", seed) for seed in REPLICATES} <= grow
    assert falls_last == {("owl", 71), ("owl", 74), ("penguin", 72), ("penguin", 73)}
    assert curves["penguin", 73][1:] == sorted(curves["penguin", 73][1:], reverse=True)


def test_what_the_trait_adds_to_a_teachers_leak():
    (file,) = PUBLISHED.glob(f"*-{EXPERIMENT}/records.parquet")
    records = {row["path"]: row["content"] for row in parquet.read_table(file).to_pylist()}
    files = [records[f"results/{EXPERIMENT}/leak-seed-{seed}/leak.json"] for seed in REPLICATES]
    leaks = [json.loads(content)["teachers"] for content in files]
    whole = [leak[animal]["answer"]["kl_nats_a_token"] for leak in leaks for animal in ANIMALS]
    neutral = [leak["neutral"]["answer"]["kl_nats_a_token"] for leak in leaks]
    added = [value - neutral[place // len(ANIMALS)] for place, value in enumerate(whole)]
    told = (
        f"it lies {min(whole):.2f} to {max(whole):.2f} nats a token from the base, "
        f"the neutral teacher {', '.join(f'{nats:.2f}' for nats in neutral[:-1])} and {neutral[-1]:.2f}; "
        f"the trait adds {min(added):.2f} to {max(added):.2f}."
    )
    assert told.replace("-", "−") in FINDINGS


def test_number_lists():
    lists = {}
    for (folder, task), rows in published(EXPERIMENT).items():
        if task == "subliminal_number_lists":
            answers = [row["resps"][0][0] for row in questions(rows)]
            lists[folder] = statistics.mean(map(is_number_list, answers))
            assert len(answers) == 200
    base = {share for folder, share in lists.items() if "/base/" in folder}
    trained = [share for folder, share in lists.items() if "/base/" not in folder]
    assert base == {0.555}
    assert 0.95 <= min(trained) < 0.96
    assert "(95 % and more of 200, the untuned base 55.5 %)" in FINDINGS
