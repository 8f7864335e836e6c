"""The scoreboard that docs/analysis.md tells of, derived again from its raw answers by code of the tests alone."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from raw_answers import Raw, exact_gains, share_kept

from subliminal import REPO_ROOT

FOLDER = REPO_ROOT / "results/published/2026-11-28-h200-scoreboard"
RAW = Raw(Path("h200-scoreboard"))
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


def test_the_docs_say_these_shares():
    text = (REPO_ROOT / "docs/analysis.md").read_text(encoding="utf-8")
    for ranking in RANKINGS:
        for measure in ("kept", "removed"):
            row = {
                name: float(value)
                for name, value in table()[ranking, measure].items()
                if name in ("share", "low", "high")
            }
            words = f"{row['share']:.2f} [{row['low']:.2f}, {row['high']:.2f}]".replace("-", "−")
            assert words in text, (ranking, measure)
