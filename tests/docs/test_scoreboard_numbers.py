"""The scoreboard that docs/analysis.md tells of, derived again from its raw answers by code of the tests alone."""

from __future__ import annotations

import csv
import statistics
from pathlib import Path

import pytest
from raw_answers import Raw, exact_gains, share_kept, t_interval

from subliminal import REPO_ROOT

FOLDER = REPO_ROOT / "results/published/2026-11-28-h200-scoreboard"
RAW = Raw(Path("h200-scoreboard"))
DOCS = (REPO_ROOT / "docs/analysis.md").read_text(encoding="utf-8")
RANKINGS = ("shift", "entanglement", "divergence", "gradient", "random")


def part(ranking: str, measure: str) -> list[float]:
    """Of each seed what the first tokens of a ranking keep alone, or what is lost without them, in nats."""
    if measure == "kept":
        return exact_gains(RAW, f"student_only_{ranking}")
    return exact_gains(RAW, "student", f"student_without_{ranking}")


def table() -> dict[tuple[str, str], dict[str, str]]:
    with open(FOLDER / "scoreboard.csv", newline="") as handle:
        return {(row["ranking"], row["measure"]): row for row in csv.DictReader(handle)}


@pytest.mark.parametrize("measure", ["kept", "removed"])
@pytest.mark.parametrize("ranking", RANKINGS)
def test_shares_of_the_effect(ranking: str, measure: str):
    row = table()[ranking, measure]
    share, low, high = share_kept(part(ranking, measure), exact_gains(RAW, "student"))
    assert float(row["share"]) == pytest.approx(share / 100, abs=1e-3)
    assert float(row["low"]) == pytest.approx(low / 100, abs=1e-3)
    assert float(row["high"]) == pytest.approx(high / 100, abs=1e-3)


@pytest.mark.parametrize("measure", ["kept", "removed"])
def test_what_a_ranking_has_above_random_tokens(measure: str):
    chance = part("random", measure)
    above = [one - other for one, other in zip(part("shift", measure), chance, strict=True)]
    share, low, _ = share_kept(above, exact_gains(RAW, "student"))
    row = table()["shift", measure]
    assert float(row["above random"]) == pytest.approx(share / 100, abs=1e-3)
    assert low > 0


NAMES = {
    "shift": "base against student",
    "entanglement": "entanglement",
    "divergence": "divergence",
    "gradient": "gradient dot product",
    "random": "as many random tokens",
    "delta": "token delta",
    "direction": "null: a random direction",
    "difficulty": "null: difficulty",
}
"""Ranking -> what the docs call it."""


def cell(row: dict[str, str], columns: tuple[str, str, str], sign: str = "") -> str:
    """A share with its interval as the docs write it; a dash where there is none."""
    if not row[columns[0]]:
        return "–"
    share, low, high = (float(row[column]) for column in columns)
    return f"{share:{sign}.2f} [{low:.2f}, {high:.2f}]".replace("-", "−")


@pytest.mark.parametrize("ranking", NAMES)
def test_the_docs_have_its_line(ranking: str):
    cells = [NAMES[ranking]]
    for measure in ("kept", "removed"):
        row = table()[ranking, measure]
        cells.append(cell(row, ("share", "low", "high")))
        cells.append(cell(row, ("above random", "above_low", "above_high"), "+"))
    assert f"| {' | '.join(cells)} |" in DOCS


def test_the_docs_say_the_effect():
    gains = exact_gains(RAW, "student")
    low, high = t_interval(gains, 0.95)
    said = f"above its control by +{statistics.mean(gains):.2f} nats (95 % interval {low:.2f} to {high:.2f})"
    assert said in " ".join(DOCS.split())


def test_the_docs_say_whose_students_are_broken():
    broken = {}
    for ranking in NAMES:
        for start in ("only", "without"):
            arm = f"student_{start}_{ranking}"
            seeds = [seed for seed, share in RAW.nameless(arm).items() if share >= 0.5]
            if seeds:
                broken[arm] = len(seeds)
    assert broken == {"student_only_difficulty": 3, "student_only_direction": 1, "student_only_shift": 1}
