"""The scoreboard of docs/analysis.md, derived again from the raw answers of both runs by code of the tests alone."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from raw_answers import Raw, exact_gains, not_as_stated, share_kept, t_p, with_interval

from subliminal import REPO_ROOT

NOW, FIRST = Raw(Path("owl_pocket_scoreboard")), Raw(Path("h200-scoreboard"))
FIRST_FOLDER = REPO_ROOT / "results/published/2026-11-28-h200-scoreboard"
DOCS = " ".join((REPO_ROOT / "docs/analysis.md").read_text(encoding="utf-8").split())
RANKINGS = {
    "shift": "base against student",
    "entanglement": "entanglement",
    "divergence": "divergence",
    "gradient": "gradient dot product",
    "delta": "token delta",
}
"""Ranking -> what the docs call it."""
NULLS = {
    "difficulty": "null: difficulty",
    "direction": "null: a random direction",
    "other_trait": "null: the gradient of another animal",
}
RANDOM = "random"
NAMES = {**RANKINGS, **NULLS, RANDOM: "as many random tokens"}
MEASURES = ("kept", "removed")


def part(raw: Raw, ranking: str, measure: str) -> list[float]:
    """Of each seed what the first tokens of a ranking keep alone, or what is lost without them, in nats."""
    if measure == "kept":
        return exact_gains(raw, f"student_only_{ranking}")
    return exact_gains(raw, "student", f"student_without_{ranking}")


def above(raw: Raw, ranking: str, other: str, measure: str) -> list[float]:
    """Of each seed by how many nats a ranking keeps, or removes, more than another."""
    pairs = zip(part(raw, ranking, measure), part(raw, other, measure), strict=True)
    return [ours - theirs for ours, theirs in pairs]


def cell(raw: Raw, nats: list[float], sign: str = "") -> str:
    """Nats as a share of the effect, with Fieller's interval, as the docs write it."""
    share, low, high = (per_cent / 100 for per_cent in share_kept(nats, exact_gains(raw, "student")))
    return f"{share:{sign}.2f} [{low:.2f}, {high:.2f}]".replace("-", "−")


def beside_random(raw: Raw, ranking: str, measure: str) -> str:
    return cell(raw, above(raw, ranking, RANDOM, measure), "+")


def board_line(ranking: str) -> str:
    """The line of a ranking in the docs' table."""
    cells = [NAMES[ranking]]
    for measure in MEASURES:
        cells.append(cell(NOW, part(NOW, ranking, measure)))
        if ranking == RANDOM:
            cells.append("–")
        else:
            cells.append(beside_random(NOW, ranking, measure))
    return f"| {' | '.join(cells)} |"


@pytest.mark.parametrize("ranking", NAMES)
def test_the_docs_have_its_line(ranking: str):
    assert board_line(ranking) in DOCS


FOUND_IN_A_RUN = [
    ("shift", "removed"),
    ("shift", "kept"),
    ("entanglement", "kept"),
    ("gradient", "removed"),
    ("divergence", "removed"),
]
"""What is above random tokens by an interval above nothing in one of the two runs."""


@pytest.mark.parametrize(("ranking", "measure"), FOUND_IN_A_RUN)
def test_the_docs_hold_the_two_runs_together(ranking: str, measure: str):
    then, now = (beside_random(raw, ranking, measure) for raw in (FIRST, NOW))
    assert f"| {NAMES[ranking]}, {measure} | {then} | {now} |" in DOCS


def seen(raw: Raw, others: list[str], rankings: list[str]) -> set[tuple[str, str, str]]:
    """(ranking, other, measure) where a ranking is above another by an interval above nothing."""
    found = set()
    for measure in MEASURES:
        for other in others:
            for ranking in rankings:
                if with_interval(above(raw, ranking, other, measure))[1] > 0:
                    found.add((ranking, other, measure))
    return found


def test_the_docs_say_what_is_above_random_tokens():
    with_nulls = [*RANKINGS, *NULLS]
    assert seen(NOW, [RANDOM], with_nulls) == {("shift", RANDOM, "removed"), ("divergence", RANDOM, "removed")}
    in_first = [name for name in with_nulls if name != "other_trait"]
    wanted = {(ranking, RANDOM, measure) for ranking, measure in FOUND_IN_A_RUN if ranking != "divergence"}
    assert seen(FIRST, [RANDOM], in_first) == wanted


def test_the_docs_say_which_nulls_a_ranking_is_above():
    assert seen(NOW, list(NULLS), list(RANKINGS)) == {
        ("shift", "direction", "kept"),
        ("shift", "direction", "removed"),
        ("entanglement", "direction", "kept"),
    }
    for ranking, other, measure in [
        ("shift", "direction", "kept"),
        ("shift", "direction", "removed"),
        ("entanglement", "direction", "kept"),
        ("shift", "difficulty", "removed"),
        ("shift", "other_trait", "removed"),
    ]:
        assert cell(NOW, above(NOW, ranking, other, measure), "+") in DOCS


def adjusted(p_of: dict[tuple[str, str], float]) -> dict[tuple[str, str], float]:
    """p adjusted for all that were looked at (Holm)."""
    found: dict[tuple[str, str], float] = {}
    for place, name in enumerate(sorted(p_of, key=p_of.__getitem__)):
        times = len(p_of) - place
        found[name] = min(1.0, max([times * p_of[name], *found.values()]))
    return found


def of_both_runs(ranking: str, other: str, measure: str) -> list[float]:
    return above(FIRST, ranking, other, measure) + above(NOW, ranking, other, measure)


def test_the_docs_say_what_is_left_after_adjustment():
    here, both = {}, {}
    for measure in MEASURES:
        for ranking in RANKINGS:
            here[ranking, measure] = t_p(above(NOW, ranking, RANDOM, measure))
            both[ranking, measure] = t_p(of_both_runs(ranking, RANDOM, measure))
    numbers = {
        "the smallest p is {}, adjusted {}.": (min(here.values()), min(adjusted(here).values())),
        "base against student removes {} nats more than random tokens ({} to {}; adjusted p {})": (
            *with_interval(of_both_runs("shift", RANDOM, "removed")),
            adjusted(both)["shift", "removed"],
        ),
        "{} more than difficulty ({} to {})": with_interval(of_both_runs("shift", "difficulty", "removed")),
        "{} more than the random direction ({} to {})": with_interval(of_both_runs("shift", "direction", "removed")),
        "gradients remove {} nats more than random tokens ({} to {}; adjusted p {})": (
            *with_interval(of_both_runs("gradient", RANDOM, "removed")),
            adjusted(both)["gradient", "removed"],
        ),
        "but not more than difficulty ({}, {} to {})": with_interval(of_both_runs("gradient", "difficulty", "removed")),
    }
    assert not not_as_stated(numbers, DOCS, {})
    assert min(adjusted(here).values()) > 0.05
    assert {name for name, p in adjusted(both).items() if p < 0.05} == {("shift", "removed"), ("gradient", "removed")}


def test_the_docs_say_the_effect():
    numbers = {
        "is above its control by {} nats (95 % interval {} to {}), and the criterion is met": with_interval(
            exact_gains(NOW, "student")
        ),
        "The first student is above its control by {} nats ({} to {})": with_interval(exact_gains(FIRST, "student")),
    }
    assert not not_as_stated(numbers, DOCS, {})


def broken(raw: Raw, names: list[str]) -> dict[str, list[int]]:
    """Arm -> seeds in which half or more of its answers name no animal."""
    found = {}
    for ranking in names:
        for start in ("only", "without"):
            arm = f"student_{start}_{ranking}"
            seeds = [seed for seed, share in raw.nameless(arm).items() if share >= 0.5]
            if seeds:
                found[arm] = seeds
    return found


def test_the_docs_say_whose_students_are_broken():
    assert broken(NOW, list(NAMES)) == {
        "student_only_difficulty": [240],
        "student_only_gradient": [240],
        "student_only_delta": [240],
    }
    in_first = [name for name in NAMES if name != "other_trait"]
    assert {arm: len(seeds) for arm, seeds in broken(FIRST, in_first).items()} == {
        "student_only_difficulty": 3,
        "student_only_direction": 1,
        "student_only_shift": 1,
    }


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("ranking", [*RANKINGS, RANDOM])
def test_the_table_of_the_first_run(ranking: str, measure: str):
    with open(FIRST_FOLDER / "scoreboard.csv", newline="") as handle:
        row = {(line["ranking"], line["measure"]): line for line in csv.DictReader(handle)}[ranking, measure]
    share = share_kept(part(FIRST, ranking, measure), exact_gains(FIRST, "student"))
    assert [float(row[column]) for column in ("share", "low", "high")] == pytest.approx(
        [per_cent / 100 for per_cent in share], abs=1e-3
    )
