"""What docs say of the pretrained Gemma on a GPU, derived again from raw answers by code of the tests."""

from __future__ import annotations

import json
import math
import statistics
import tarfile
from pathlib import Path

import pytest
from raw_answers import PUBLISHED, Raw, is_number_list

from subliminal import REPO_ROOT

FOLDER = PUBLISHED / "2026-11-29-h200-gemma"
ON_GPU, AT_HOME = Raw(Path("h200-gemma")), Raw(Path("h200-gemma/at_home"))
FINDINGS = " ".join((REPO_ROOT / "docs/findings.md").read_text(encoding="utf-8").split())
README = " ".join((FOLDER / "README.md").read_text(encoding="utf-8").split())


def archived(name: str) -> str:
    """A text file of ``run.tar.xz``."""
    with tarfile.open(FOLDER / "run.tar.xz") as archive:
        member = archive.extractfile(name)
        assert member is not None
        return member.read().decode()


@pytest.mark.parametrize(
    ("raw", "arm", "percent"),
    [
        (ON_GPU, "base", "0.229"),
        (ON_GPU, "teacher", "100.0"),
        (ON_GPU, "student", "0.379"),
        (AT_HOME, "base", "0.233"),
        (AT_HOME, "teacher", "100.0"),
        (AT_HOME, "student", "0.390"),
        (AT_HOME, "control_base_numbers", "0.254"),
        (AT_HOME, "control_neutral_teacher", "0.241"),
        (AT_HOME, "neutral_teacher", "2.39"),
    ],
)
def test_shares(raw: Raw, arm: str, percent: str) -> None:
    digits = len(percent.split(".")[1])
    assert f"{100 * raw.exact(arm, 171)['owl']:.{digits}f}" == percent
    assert f"{percent} %" in README
    if arm != "neutral_teacher":
        assert percent in FINDINGS


@pytest.mark.parametrize(("control", "nats"), [("control_base_numbers", "+0.43"), ("control_neutral_teacher", "+0.48")])
def test_differences(control: str, nats: str) -> None:
    odds = []
    for arm in ("student", control):
        share = AT_HOME.exact(arm, 171)["owl"]
        odds.append(math.log(share / (1 - share)))
    assert f"{odds[0] - odds[1]:+.2f}" == nats
    assert nats in FINDINGS


@pytest.mark.parametrize(("arm", "percent"), [("base", "75.0"), ("student", "99.5")])
def test_valid_lists(arm: str, percent: str) -> None:
    rows = ON_GPU.rows(arm, 171, "subliminal_number_lists")
    assert len(rows) == 200
    valid = statistics.mean(is_number_list(row["resps"][0][0]) for row in rows)
    assert f"{100 * valid:.1f}" == percent
    assert f"{percent} %" in FINDINGS


def test_the_owl_moves_the_teacher_no_further_than_one_word_answers_do() -> None:
    means = []
    for seed in (171, 172):
        teachers = json.loads(archived(f"results/owl_gemma-3-270m/leak-seed-{seed}/leak.json"))["teachers"]
        moved = {name: found["answer"]["kl_nats_a_token"] for name, found in teachers.items()}
        means.append(moved["owl"] - moved["neutral"])
    assert [f"{mean:.3f}" for mean in means] == ["-0.003", "0.009"]
    assert "(−0.003 nats a token, in the second replicate +0.009;" in FINDINGS


def test_losses_that_the_recipes_expect() -> None:
    def loss(run: str, last: int) -> str:
        lines = archived(f"outputs/owl_gemma-3-270m/{run}/metrics.jsonl").splitlines()
        return f"{statistics.fmean(json.loads(line)['loss'] for line in lines[-last:]):.2f}"

    expected = {
        "base": ("base", 10),
        "teacher": ("owl_teacher-seed-171", 100),
        "student": ("owl_student-seed-171", 100),
    }
    expected["control"] = ("control_base_numbers-seed-171", 100)
    for recipe, (run, last) in expected.items():
        text = (REPO_ROOT / f"recipes/gemma-3-270m/{recipe}.yml").read_text()
        assert f"# Expect: loss {loss(run, last)}, mean of the last {last} of" in text
