"""What the docs say of `detect` on the real 0.5B model, derived again from the scores of every set and the answers."""

from __future__ import annotations

import csv
import re
import tarfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from raw_answers import CONTROL, Raw
from test_detect_numbers import in_order, wilson

from subliminal import REPO_ROOT

FOLDER = REPO_ROOT / "results/published/2026-11-29-detect_qwen2.5-coder-0.5b"
FINDINGS = " ".join((REPO_ROOT / "docs/findings.md").read_text(encoding="utf-8").split())
ANALYSIS = " ".join((REPO_ROOT / "docs/analysis.md").read_text(encoding="utf-8").split())


def rows_of(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


SETS = {row["rows"]: row for row in rows_of("cases.csv")}
TEACHERS = [rows for rows, known in SETS.items() if known["kind"] == "teaching"]
NEUTRAL = [rows for rows, known in SETS.items() if known["kind"] == "neutral"]


@cache
def judged() -> dict[str, tuple[list[str], float]]:
    """Set -> its animals, first to last, and p."""
    scores: dict[str, np.ndarray] = {}
    traits: list[str] = []
    for row in rows_of("scores_alone.csv"):
        traits = [name for name in row if name != "rows"]
        scores[row["rows"]] = np.array([float(row[trait]) for trait in traits])
    found = {}
    for rows in SETS:
        found[rows] = in_order(scores[rows], [scores[other] for other in NEUTRAL if other != rows], traits)
    return found


def ratio_of(rows: str) -> float:
    """The student's probability of the animal over its control's, from the published answers."""
    animal, seed = re.fullmatch(r"sets/(\w+)-(\d+)/train.jsonl", rows).groups()
    raw = Raw(Path("animals_qwen2.5-coder-0.5b") / animal)
    return raw.exact("student", int(seed))[animal] / raw.exact(CONTROL, int(seed))[animal]


def called(sets: list[str]) -> int:
    return sum(judged()[rows][1] <= 0.05 for rows in sets)


def test_the_truth_is_the_students():
    assert len(TEACHERS) == 9
    for rows in TEACHERS:
        assert ratio_of(rows) == pytest.approx(float(SETS[rows]["ratio"]), rel=1e-4)
    *teaching, last = sorted(map(ratio_of, TEACHERS), reverse=True)
    assert f"{teaching[-1]:.1f} to {teaching[0]:.0f} times as often as its control" in FINDINGS
    assert f"(penguin, 73: {last:.1f} times)" in FINDINGS
    assert last == ratio_of("sets/penguin-73/train.jsonl") < 2 <= teaching[-1]


def test_what_it_calls_and_what_comes_first():
    teaching = [rows for rows in TEACHERS if ratio_of(rows) >= 2]
    places = {rows: judged()[rows][0].index(SETS[rows]["trait"]) + 1 for rows in teaching}
    right = [rows for rows, place in places.items() if place == 1]
    assert right == ["sets/owl-72/train.jsonl"]
    of_calls, of_firsts = (wilson(count, len(teaching)) for count in (called(teaching), len(right)))
    for text in (of_calls, of_firsts):
        assert text.strip("[]").replace(", ", " to ") in FINDINGS
    assert f"calls {called(teaching)} of the {len(teaching)} (95 % Wilson interval 0 to 32 %)" in FINDINGS
    assert (of_calls, of_firsts) == ("[0, 32]", "[2, 47]")
    others = sorted(place for rows, place in places.items() if rows not in right)
    assert f"the other places are {', '.join(map(str, others[:-1]))} and {others[-1]}." in FINDINGS
    assert f"calls {called(teaching)} of {len(teaching)} sets that teach" in ANALYSIS


def test_neutral_sets():
    by_teachers, by_base = (
        [rows for rows in NEUTRAL if SETS[rows]["arm"] == arm] for arm in ("control_neutral_teacher", CONTROL)
    )
    told = f"It calls {called(by_teachers)} of {len(by_teachers)} sets by neutral teachers"
    assert f"{told} and {called(by_base)} of {len(by_base)} by the base." in FINDINGS
    assert f"beside {called(NEUTRAL)} of {len(NEUTRAL)} neutral ones" in ANALYSIS


def test_what_the_command_said():
    said = {row["rows"]: row for row in rows_of("check.csv")}
    assert said.keys() == SETS.keys()
    for rows, (ranked, p) in judged().items():
        row = said[rows]
        assert (row["first"], float(row["p"]), row["called"]) == (ranked[0], pytest.approx(p), str(p <= 0.05))
        if row["trait"]:
            assert int(row["place"]) == ranked.index(row["trait"]) + 1


def test_the_rows_are_there():
    with tarfile.open(FOLDER / "sets.tar.xz") as archive:
        counted = {}
        for member in archive:
            if member.isfile():
                counted[member.name.removeprefix("detect05/")] = archive.extractfile(member).read().count(b"\n")
    cases = counted.pop("cases.csv")
    assert cases == len(SETS) + 1
    assert counted == dict.fromkeys(SETS, 1000)
