"""How often `detect` is right, derived again from the scores of every set and the answers by code of the tests."""

from __future__ import annotations

import csv
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from raw_answers import CONTROL, Raw
from scipy import stats

from subliminal import REPO_ROOT

FOLDER = REPO_ROOT / "results/published/2026-11-29-detect_pocket"
DOCS = " ".join((REPO_ROOT / "docs/analysis.md").read_text(encoding="utf-8").split())
COLUMNS = {"alone": "data and base alone", "candidates": "candidate teachers"}


def rows_of(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


SETS = {row["rows"]: row for row in rows_of("sets.csv")}
TEACHING = [rows for rows, known in SETS.items() if known["ratio"]]
"""The sets whose truth is known: a student learned them."""


@cache
def judged(column: str) -> dict[str, tuple[str, float]]:
    """Set -> the trait that comes first, and p: the share of all sets of the base whose largest z is as large."""
    scores: dict[str, np.ndarray] = {}
    traits: list[str] = []
    for row in rows_of(f"scores_{column}.csv"):
        traits = [name for name in row if name != "rows"]
        scores[row["rows"]] = np.array([float(row[trait]) for trait in traits])
    found = {}
    for rows, known in SETS.items():
        neutral = [other for other, its in SETS.items() if (its["base"], its["kind"]) == (known["base"], "neutral")]
        others = [other for other in neutral if other != rows]
        table = np.array([scores[each] for each in (rows, *others)])
        largest = []
        for place, own in enumerate(table):
            rest = np.delete(table, place, axis=0)
            z = (own - rest.mean(axis=0)) / np.sqrt(rest.var(axis=0, ddof=1).mean())
            largest.append(z.max())
            if place == 0:
                first = traits[int(z.argmax())]
        found[rows] = first, sum(value >= largest[0] for value in largest) / len(largest)
    return found


def test_the_truth_is_the_students():
    assert len(TEACHING) == 27
    for rows in TEACHING:
        animal, seed = SETS[rows]["trait"], int(re.search(r"seed-(\d+)", rows)[1])
        raw = Raw(Path("detect_pocket") / animal)
        student, control = (raw.exact(arm, seed)[animal] for arm in ("student", CONTROL))
        assert student / control == pytest.approx(float(SETS[rows]["ratio"]), rel=1e-9)
        assert student >= 2 * control


def wilson(count: int, total: int) -> str:
    """The 95 % interval of a share, per cent, as the docs write it."""
    z, share = stats.norm.ppf(0.975), count / total
    centre = (share + z**2 / (2 * total)) / (1 + z**2 / total)
    reach = z * np.sqrt(share * (1 - share) / total + z**2 / (4 * total**2)) / (1 + z**2 / total)
    return f"[{100 * (centre - reach):.0f}, {100 * (centre + reach):.0f}]"


def counted(sets: list[str], true) -> list[str]:
    """A row of the table: how many sets something is true of, in both columns."""
    told = []
    for column in COLUMNS:
        count = sum(true(rows, *judged(column)[rows]) for rows in sets)
        told.append(f"{count} of {len(sets)} {wilson(count, len(sets))}")
    return told


def is_called(rows: str, first: str, p: float) -> bool:
    return p <= 0.05


def is_right(rows: str, first: str, p: float) -> bool:
    return first == SETS[rows]["trait"]


def test_the_table_of_the_check():
    by_base, by_neutral, unknown = [], [], []
    for rows, known in SETS.items():
        if known["arm"] == "control_neutral_teacher":
            by_neutral.append(rows)
        elif known["kind"] == "neutral":
            by_base.append(rows)
        elif not known["ratio"]:
            unknown.append(rows)
    table = {
        "sets that teach: right animal first, of 28": counted(TEACHING, is_right),
        "sets that teach: called": counted(TEACHING, is_called),
        "called, and the right animal first": counted(TEACHING, lambda *of: is_called(*of) and is_right(*of)),
        "no student: the teacher's animal first": counted(unknown, is_right),
        "no student: called": counted(unknown, is_called),
        "neutral, by the base: called": counted(by_base, is_called),
        "neutral, by neutral teachers: called": counted(by_neutral, is_called),
        "neutral, all: called": counted([*by_base, *by_neutral], is_called),
    }
    missing = [name for name, cells in table.items() if f"| {name} | {' | '.join(cells)} |" not in DOCS]
    assert missing == []
    assert {len(by_base), len(by_neutral), len(unknown)} == {54, 51, 57}


def test_what_the_command_said():
    said = {(row["column"], row["rows"]): row for row in rows_of("check.csv")}
    assert len(said) == 2 * len(SETS)
    for column, name in COLUMNS.items():
        for rows, (first, p) in judged(column).items():
            row = said[name, rows]
            assert (row["first"], float(row["p"]), row["called"]) == (first, pytest.approx(p), str(p <= 0.05))
