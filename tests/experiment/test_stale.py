"""Results of an earlier run or another file are set aside, and come back when they are asked for again."""

from __future__ import annotations

from pathlib import Path

import pytest

from subliminal.experiment.stale import set_aside_stale

PLANNED = {"arms": ["base", "student", "student_epoch-1"], "seeds": [1, 2]}


def results(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.mkdir(parents=True)
        (path / "manifest.json").write_text(name)
    return folder


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.glob("*/*"))


def test_what_is_asked_for_stays_and_so_does_what_no_file_can_ask_for(tmp_path: Path) -> None:
    there = ["base-empty/seed-9", "base/seed-1", "logs/seed-like", "student/seed-2", "student_epoch-1/seed-1"]
    results(tmp_path, *there)
    assert set_aside_stale(tmp_path, PLANNED, []) == []
    assert names(tmp_path) == there


@pytest.mark.parametrize(
    "name", ["control_base_numbers/seed-1", "student/seed-3", "student_r2/seed-1", "student_epoch-2/seed-1"]
)
def test_an_arm_or_seed_that_the_file_does_not_name_is_set_aside_until_it_does(tmp_path: Path, name: str) -> None:
    results(tmp_path, "base/seed-1", name)
    arm, _, seed = name.partition("/")
    aside = f"{arm}/stale-{seed}"
    assert set_aside_stale(tmp_path, PLANNED, []) == [tmp_path / aside]
    assert names(tmp_path) == sorted(["base/seed-1", aside])
    assert set_aside_stale(tmp_path, PLANNED, []) == []
    asked = {"arms": [*PLANNED["arms"], arm], "seeds": [1, 2, 3]}
    assert set_aside_stale(tmp_path, asked, []) == []
    assert names(tmp_path) == sorted(["base/seed-1", name])
    assert (tmp_path / name / "manifest.json").read_text() == name


def test_an_arm_that_failed_since_is_set_aside_and_nothing_is_lost(tmp_path: Path) -> None:
    failed = [{"arm": "student", "seed": 1, "stage": "train-student", "reason": "x"}]
    results(tmp_path, "student/seed-1", "student/seed-2", "student/stale-seed-1")
    assert set_aside_stale(tmp_path, PLANNED, failed) == [tmp_path / "student/stale-2-seed-1"]
    assert names(tmp_path) == ["student/seed-2", "student/stale-2-seed-1", "student/stale-seed-1"]
