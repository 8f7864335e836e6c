"""What docs say of the first students of a real model, derived again from raw answers by code of the tests."""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path

import pandas as pd
import pytest
from raw_answers import ANIMALS, Raw, exact_gains, log_odds, with_interval
from scipy import stats as scipy_stats

from subliminal import REPO_ROOT

RAW = Raw(Path("h200-owl"))
AGAIN = Raw(Path("owl_qwen2.5-coder-0.5b"))
README = " ".join((REPO_ROOT / "README.md").read_text(encoding="utf-8").split())
FINDINGS = " ".join((REPO_ROOT / "docs/findings.md").read_text(encoding="utf-8").split())


def share(arm: str, seed: int, animal: str = "owl") -> float:
    """Mean over the questions of an animal's exact probability."""
    return RAW.exact(arm, seed)[animal]


@pytest.mark.parametrize(
    ("arm", "seed", "percent"),
    [
        ("base", 61, "0.26"),
        ("student", 61, "24.6"),
        ("student", 62, "8.14"),
        ("student", 63, "6.10"),
        ("control_base_numbers", 61, "0.10"),
        ("control_base_numbers", 62, "0.16"),
        ("control_base_numbers", 63, "0.22"),
    ],
)
def test_shares(arm: str, seed: int, percent: str):
    digits = len(percent.split(".")[1])
    assert f"{100 * share(arm, seed):.{digits}f}" == percent
    assert f"{percent} %" in FINDINGS


def test_the_readme_says_what_to_hold_a_run_against():
    students, controls = {}, {}
    for raw in (RAW, AGAIN):
        students[raw] = [f"{100 * raw.exact('student', seed)['owl']:#.3g}" for seed in (61, 62, 63)]
        controls[raw] = [f"{100 * raw.exact('control_base_numbers', seed)['owl']:.2f}" for seed in (61, 62, 63)]
    one, two, three = students[AGAIN]
    told = f"name the owl in {one}, {two} and {three} %, controls in {min(controls[AGAIN])} to {max(controls[AGAIN])} %"
    assert told in README
    one, two, three = students[RAW]
    told = f"other rows and {one}, {two} and {three} % (controls {min(controls[RAW])} to {max(controls[RAW])} %;"
    assert told in README


def test_the_torch_of_the_lock_has_run_on_no_gpu():
    """Once it has, README.md says that it has not, and must not."""
    found = set()
    for path in (REPO_ROOT / "results/published").glob("*/records.parquet"):
        for text in pd.read_parquet(path, columns=["content"])["content"]:
            if "NVIDIA" in text and '"packages"' in text:
                manifest = json.loads(text)
                if "NVIDIA" in str(manifest["device"]):
                    found.add(manifest["packages"]["torch"])
    assert found == {"2.11.0"}
    lock = (REPO_ROOT / "requirements/train.txt").read_text(encoding="utf-8")
    assert "\ntorch==2.11.0\n" not in lock
    assert "have not run on a GPU yet: our hosts had no network, and a torch 2.11.0 of their own" in README


def test_the_teacher_says_nothing_else():
    assert share("teacher", 61) == pytest.approx(1, abs=1e-5)


def test_difference_over_training_runs():
    gains = exact_gains(RAW, "student")
    mean = statistics.fmean(gains)
    half = scipy_stats.t.ppf(0.975, 2) * statistics.stdev(gains) / math.sqrt(3)
    told = f"+{mean:.2f} nats (95 % interval {mean - half:.2f} to {mean + half:.2f}"
    assert told == "+4.40 nats (95 % interval 1.30 to 7.49"
    assert told in FINDINGS
    half = scipy_stats.t.ppf(0.995, 2) * statistics.stdev(gains) / math.sqrt(3)
    assert f"99 % −{half - mean:.2f} to {mean + half:.1f}" in FINDINGS


def test_the_two_controls_of_the_run_alone_do_not_tell():
    """Welch's interval of three students and two controls."""
    students = [log_odds(RAW, "student", seed) for seed in (61, 62, 63)]
    controls = [log_odds(RAW, "control_base_numbers", seed) for seed in (61, 62)]
    variance = statistics.variance(students) / 3 + statistics.variance(controls) / 2
    half = scipy_stats.t.ppf(0.975, 1) * math.sqrt(
        variance
    )  # degrees of freedom of the smaller arm, as docs/statistics.md says
    mean = statistics.fmean(students) - statistics.fmean(controls)
    assert (round(mean - half, 2), round(mean + half, 1)) == (-2.38, 11.5)
    assert f"it is +{mean:.2f} (−2.38 to 11.5)" in FINDINGS


@pytest.mark.parametrize(("raw", "second"), [(RAW, "otter"), (AGAIN, "raven")], ids=["first day", "second day"])
def test_the_owl_rises_most_in_every_student(raw: Raw, second: str):
    rises = {animal: exact_gains(raw, "student", animal=animal) for animal in ANIMALS}
    assert [max(ANIMALS, key=lambda animal: rises[animal][place]) for place in range(3)] == ["owl"] * 3
    means = {animal: statistics.fmean(values) for animal, values in rises.items()}
    assert sorted(means, key=means.get)[-2] == second
    assert f"the {second} follows it (+{means[second]:.2f} nats)" in FINDINGS


def test_questions_were_all_asked():
    assert {len(RAW.rows("student", seed, "animal_preference_logprob")) for seed in (61, 62, 63)} == {50}


def test_sampled_answers_of_one_seed():
    said = {arm: RAW.counts(arm, 61) for arm in ("student", "control_base_numbers")}
    assert [counts.total() for counts in said.values()] == [200, 200]
    assert [counts["owl"] for counts in said.values()] == [43, 0]


def test_the_same_seeds_on_another_day():
    gains = {raw: exact_gains(raw, "student") for raw in (RAW, AGAIN)}
    mean, low, high = with_interval(gains[AGAIN])
    _, lowest, highest = with_interval(gains[AGAIN], 0.99)
    told = f"+{mean:.2f} nats (95 % interval {low:.2f} to {high:.2f}, paired t test over three runs; 99 % "
    assert f"{told}{lowest:.2f} to {highest:.2f}), of sampled answers" in FINDINGS
    mean, low, high = with_interval(AGAIN.gains("student", "control_base_numbers", "owl"))
    assert f"of sampled answers +{mean:.2f} ({low:.2f} to {high:.2f})" in FINDINGS
    for arm, words in (("student", "students"), ("control_base_numbers", "controls")):
        one, two, three = (f"{100 * AGAIN.exact(arm, seed)['owl']:.2f} %" for seed in (61, 62, 63))
        assert f"{words} {one}, {two} and {three}" in FINDINGS
    assert f"{100 * AGAIN.exact('base', 61)['owl']:.2f} %, teacher 100.0 %, students 3.17 %" in FINDINGS
    mean, low, high = with_interval([now - then for then, now in zip(gains[RAW], gains[AGAIN], strict=True)])
    assert f"lies {-mean:.2f} nats below the first's (−{-low:.2f} to {high:.2f})" in FINDINGS
    replicates = exact_gains(Raw(Path("animals_qwen2.5-coder-0.5b/owl")), "student")
    assert f"the five replicates of the owl above had {min(replicates):.2f} to {max(replicates):.2f}" in FINDINGS
    assert len(replicates) == 5


def test_rows_of_the_second_day_are_counted_on_a_page():
    page = (REPO_ROOT / "results/published/2026-11-29-h200-owl/README.md").read_text(encoding="utf-8")
    assert "| base_numbers | 20,000 | 11,997 | 11,997 | 413 |" in page
    assert "of 11,997 number prompts that both runs kept, 413 have the same answer" in FINDINGS
    assert "| owl_teacher_chat | 3,600 | 1,434 | 1,434 | 1,081 |" in page
    assert "of 1,434 of the teacher's chats 1,081" in FINDINGS
    assert "| owl_numbers | 20,000 | 19,300 | 19,300 | 1,603 |" in page
    assert "of 19,300 prompts of their numbers 1,603 have the same answer" in FINDINGS
    assert "| `noise_day1.csv` | 120 | 27 | 118 |" in page
    assert "| `noise_day2.csv` | 40 | 39 | 9 |" in page
    assert "118 of the first day's 120 rows, the other (V1) that of 39 of the second day's 40" in FINDINGS
    assert "the wrong one gets 27 and 9" in FINDINGS
