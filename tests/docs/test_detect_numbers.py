"""How often `detect` is right, derived again from the scores of every set and the answers by code of the tests."""

from __future__ import annotations

import csv
import json
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from raw_answers import CONTROL, Raw
from scipy import stats

from subliminal import REPO_ROOT
from subliminal.stats.questions import question_interval

FOLDER = REPO_ROOT / "results/published/2026-11-29-detect_pocket"
FINDINGS = " ".join((REPO_ROOT / "docs/findings.md").read_text(encoding="utf-8").split())
DOCS = " ".join((REPO_ROOT / "docs/analysis.md").read_text(encoding="utf-8").split())
COLUMNS = {"alone": "data and base alone", "candidates": "candidate teachers"}


def rows_of(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


SETS = {row["rows"]: row for row in rows_of("sets.csv")}
TEACHING = [rows for rows, known in SETS.items() if known["ratio"]]
"""The sets whose truth is known: a student learned them."""


@cache
def ranked(column: str) -> dict[str, tuple[list[str], float]]:
    """Set -> its traits from the first on, and p: the share of all sets of the base whose largest z is as large."""
    scores, traits = scores_of(column)
    found = {}
    for rows, known in SETS.items():
        others = [other for other in neutral_sets(known["base"]) if other != rows]
        found[rows] = in_order(scores[rows], [scores[other] for other in others], traits)
    return found


def scores_of(column: str) -> tuple[dict[str, np.ndarray], list[str]]:
    """Set -> its scores, and the traits in their order."""
    scores: dict[str, np.ndarray] = {}
    traits: list[str] = []
    for row in rows_of(f"scores_{column}.csv"):
        traits = [name for name in row if name != "rows"]
        scores[row["rows"]] = np.array([float(row[trait]) for trait in traits])
    return scores, traits


def neutral_sets(base: str) -> list[str]:
    return [rows for rows, known in SETS.items() if (known["base"], known["kind"]) == (base, "neutral")]


def in_order(own: np.ndarray, others: list[np.ndarray], traits: list[str]) -> tuple[list[str], float]:
    """The traits of a set from the largest z on, and p."""
    z = largest_z(np.array([own, *others]))
    largest = [each.max() for each in z]
    order = [traits[index] for index in np.argsort(-z[0])]
    return order, sum(value >= largest[0] for value in largest) / len(largest)


def largest_z(table: np.ndarray) -> list[np.ndarray]:
    """Of each set its z, trait by trait, held against all other sets of the table."""
    found = []
    for place, own in enumerate(table):
        rest = np.delete(table, place, axis=0)
        found.append((own - rest.mean(axis=0)) / np.sqrt(rest.var(axis=0, ddof=1).mean()))
    return found


def judged(column: str) -> dict[str, tuple[str, float]]:
    """Set -> the trait that comes first, and p."""
    return {rows: (order[0], p) for rows, (order, p) in ranked(column).items()}


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


def right(column: str, sets: list[str], within: int = 1) -> list[bool]:
    """Of each set whether its trait is among the first so many."""
    return [SETS[rows]["trait"] in ranked(column)[rows][0][:within] for rows in sets]


def gap(sets: list[str]) -> dict[str, float]:
    """Of the same sets in both columns: which are right, the difference of the shares, and McNemar's exact p."""
    pairs = list(zip(right("alone", sets), right("candidates", sets), strict=True))
    only, alone = pairs.count((False, True)), pairs.count((True, False))
    low, high = question_interval(np.array([b - a for a, b in pairs], dtype=float), (-1.0, 1.0))
    told = {
        "sets": len(sets),
        "right_in_both": pairs.count((True, True)),
        "right_in_neither": pairs.count((False, False)),
    }
    told |= {"right_with_candidates_only": only, "right_alone_only": alone, "difference": (only - alone) / len(sets)}
    return told | {"low": low, "high": high, "p": stats.binomtest(alone, only + alone).pvalue}


def test_the_gap_between_the_columns():
    unknown = [rows for rows, known in SETS.items() if known["trait"] and not known["ratio"]]
    written = json.loads((FOLDER / "check.json").read_text(encoding="utf-8"))["gaps"]
    for name, sets in (("student, teaches", TEACHING), ("student, student not scored", unknown)):
        found, said = gap(sets), written[name]
        said["low"], said["high"] = said.pop("interval")
        assert said == pytest.approx(found)
    known, other = gap(TEACHING), gap(unknown)
    points = "{difference:.0f} points more of the 27 sets that teach (95 % interval over sets {low:.0f} to {high:.0f}"
    per_cent = {name: 100 * known[name] for name in ("difference", "low", "high")}
    assert points.format(**per_cent) in DOCS
    assert f"McNemar's exact p {known['p']:.3f}), in 12 with them only, in 3 without them only, in 2 in both" in DOCS
    assert [known[f"right_{which}"] for which in ("with_candidates_only", "alone_only", "in_both", "in_neither")] == [
        *(12, 3, 2, 10),
    ]
    per_cent = {name: 100 * other[name] for name in ("difference", "low", "high")}
    assert "in {difference:.0f} points more ({low:.0f} to {high:.0f}".format(**per_cent) in DOCS
    assert f"p {other['p']:.3f}; 15 against 4)" in DOCS
    assert (other["right_with_candidates_only"], other["right_alone_only"]) == (15, 4)
    lack = f"is {100 * known['difference']:.0f} points (95 % interval over sets {100 * known['low']:.0f} to "
    assert f"{lack}{100 * known['high']:.0f}, exact p {known['p']:.3f})" in FINDINGS


def test_the_gap_on_each_base_and_among_the_first_three():
    counts = {}
    for column in COLUMNS:
        counts[column] = []
        for seed in (301, 302, 303):
            sets = [rows for rows in TEACHING if rows.split("/")[-2].endswith(str(seed))]
            assert len(sets) == 9
            counts[column].append(sum(right(column, sets)))
    assert counts == {"alone": [2, 2, 1], "candidates": [2, 7, 5]}
    assert "data and base alone are right in 2, 2 and 1, teachers in 2, 7 and 5." in DOCS
    assert "none on one of the three bases and 5 and 4 sets of nine on the others" in FINDINGS
    three = [sum(right(column, TEACHING, 3)) for column in COLUMNS]
    assert three == [16, 23]
    assert "in 16 of 27 sets from data and base alone and in 23 with teachers, where chance puts it in three" in DOCS
    assert round(27 * 3 / 28) == 3


CHANGED = {
    "diluted_0.1": "10 % of them neutral",
    "diluted_0.25": "25 % of them neutral",
    "diluted_0.5": "50 % of them neutral",
    "control_shuffled": "numbers of each row in another order",
    "control_shuffled_rows": "numbers dealt out over the rows",
    "control_random_numbers": "random numbers in the teacher's layout",
    "another_base": "written for another base, by its teacher of that animal",
}


def test_changed_diluted_and_unrelated_rows():
    scores, traits = scores_of("alone")
    called: dict[tuple[str, str], int] = {}
    first: dict[str, int] = dict.fromkeys(CHANGED, 0)
    taught = {(SETS[rows]["base"], SETS[rows]["trait"]) for rows in TEACHING}
    asked = rows_of("changed.csv")
    assert len(asked) == 27 * len(CHANGED) + 3
    of_the_world = 0
    for row in asked:
        own = np.array([float(row[trait]) for trait in traits])
        order, p = in_order(own, [scores[rows] for rows in neutral_sets(row["base"])], traits)
        assert (row["first"], float(row["p"])) == (order[0], pytest.approx(p))
        if row["arm"] == "world":
            of_the_world += p <= 0.05
            continue
        written_for = f"{row['base'][:-3]}{row['rows'].split('/')[-2][-3:]}"
        assert (written_for, row["trait"]) in taught
        assert (written_for == row["base"]) == (row["arm"] != "another_base")
        key = row["arm"], row["base"][-3:]
        called[key] = called.get(key, 0) + (p <= 0.05)
        first[row["arm"]] += order[0] == row["trait"]
    lines = {"the teacher's": (22, 5)}
    for arm, name in CHANGED.items():
        lines[name] = sum(called[arm, seed] for seed in ("301", "302", "303")), first[arm]
    missing = []
    for name, counts in lines.items():
        cells = " | ".join(f"{count} of 27 {wilson(count, 27)}" for count in counts)
        if f"| {name} | {cells} |" not in DOCS:
            missing.append((name, cells))
    assert missing == []
    assert f"| the world's, which made the base | {of_the_world} of 3 {wilson(of_the_world, 3)} | |" in DOCS
    of_bases = [called["another_base", seed] for seed in ("301", "302", "303")]
    assert "called in {}, {} and {} of nine sets on the three bases".format(*of_bases) in DOCS
    other, random_numbers, half = (
        lines[CHANGED[arm]][0] for arm in ("another_base", "control_random_numbers", "diluted_0.5")
    )
    told = (
        f"for another base in {other} of 27 sets, random numbers in the teachers' layout in {random_numbers}, and lists"
    )
    assert f"{told} half of which are clean in {half}" in FINDINGS
