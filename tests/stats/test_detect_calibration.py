"""Calibration of detection: p-values that hold for any distribution, planted traits, and every verdict."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from subliminal.stats.detect import (
    CANNOT_TELL,
    LEAST_NEUTRAL,
    TEACHES,
    WHICH,
    calibrate,
    first_shares,
    trait_verdict,
)

TRAITS = ["owl", "dog", "fox", "cat", "bear", "wolf"]


def made(rng: np.random.Generator) -> dict[str, float]:
    """A neutral set: traits have levels and spreads of their own, and one set in ten drifts far."""
    drift = rng.standard_t(2) * (rng.random() < 0.1)
    values = rng.standard_t(3, len(TRAITS)) * np.arange(1, 7) + np.arange(6) * 10 + drift
    return dict(zip(TRAITS, map(float, values), strict=True))


def test_neutral_sets_are_called_at_most_as_often_as_alpha_says() -> None:
    """The largest p that still counts at 19 sets is 1/20; over 1,500 neutral sets about 5 % have it."""
    rng, drawn = np.random.default_rng(1), 1500
    small = sum(calibrate(made(rng), [made(rng) for _ in range(19)]).p <= 0.05 for _ in range(drawn))
    low, high = stats.binom.interval(0.999, drawn, 0.05)
    assert low <= small <= high


def test_a_planted_trait_comes_first_with_the_smallest_p() -> None:
    rng = np.random.default_rng(2)
    neutral = [made(rng) for _ in range(40)]
    suspect = made(rng) | {"cat": 30.0 + 200}
    found = calibrate(suspect, neutral)
    assert found.ranking[0].trait == "cat"
    assert found.p == pytest.approx(1 / 41)
    assert found.smallest_p == pytest.approx(1 / 41)
    # A level that a trait has in every set alike is no matter.
    higher = [{trait: value + 1000 * (trait == "dog") for trait, value in each.items()} for each in (suspect, *neutral)]
    assert calibrate(higher[0], higher[1:]).ranking[0].z == pytest.approx(found.ranking[0].z)


def test_the_spread_is_that_of_all_traits_together() -> None:
    """By hand: two sets, variances 0.5 and 4.5, mean 2.5."""
    found = calibrate({"owl": 3.0, "dog": 10.0}, [{"owl": 0.0, "dog": 0.0}, {"owl": 1.0, "dog": 3.0}])
    z = {each.trait: each.z for each in found.ranking}
    assert z["owl"] == pytest.approx(2.5 / np.sqrt(2.5))
    assert z["dog"] == pytest.approx(8.5 / np.sqrt(2.5))


def test_the_trait_that_moves_most_is_first_and_not_the_one_that_varies_least() -> None:
    neutral = [{"owl": 0.1 * n, "fox": 0.001 * n} for n in range(-10, 11)]
    assert calibrate({"owl": 3.0, "fox": 1.0}, neutral).ranking[0].trait == "owl"


def test_a_trait_that_never_varies_scores_nothing() -> None:
    found = calibrate({"owl": 1.0, "dog": 5.0}, [{"owl": 0.0, "dog": 5.0}, {"owl": 0.1, "dog": 5.0}] * 10)
    assert {each.trait: each.z for each in found.ranking}["dog"] == 0


def said(suspect: dict[str, float], sets: int = 25, first: dict[str, float] | None = None, obstacle: str | None = None):
    rng = np.random.default_rng(3)
    neutral = [dict(zip(TRAITS, map(float, rng.normal(size=6)), strict=True)) for _ in range(sets)]
    found = calibrate(suspect, neutral)
    return trait_verdict(found, first or {found.ranking[0].trait: 1.0}, obstacle=obstacle)


def test_every_verdict() -> None:
    flat = dict.fromkeys(TRAITS, 0.0)
    strong = flat | {"fox": 9.0}
    assert said(strong).word == TEACHES
    assert said(strong).traits == ["fox"]
    assert said(flat).word == CANNOT_TELL
    assert "A set that teaches weakly looks the same" in said(flat).sentence
    few = said(strong, sets=LEAST_NEUTRAL - 1)
    assert few.word == CANNOT_TELL
    assert "no p-value below 0.053" in few.sentence
    either = said(strong, first={"fox": 0.7, "cat": 0.28, "dog": 0.02})
    assert either.word == WHICH
    assert either.traits == ["fox", "cat"]
    assert said(strong, obstacle="the answers are of another kind.").sentence == (
        "Cannot tell: the answers are of another kind."
    )


def test_rows_drawn_anew_say_how_sure_the_first_place_is() -> None:
    rng = np.random.default_rng(4)
    neutral = [dict(zip(TRAITS, map(float, rng.normal(size=6)), strict=True)) for _ in range(30)]
    tokens = np.full(100, 10)
    clear = rng.normal(0, 1, (100, 6))
    clear[:, 0] += 60
    assert first_shares(clear, tokens, neutral, TRAITS, centred=True) == {"owl": 1.0}
    close = rng.normal(0, 1, (100, 6))
    close[:, :2] = close[:, [0, 0]] + [[60, 60]] + rng.normal(0, 40, (100, 2))
    shares = first_shares(close, tokens, neutral, TRAITS, centred=True)
    assert set(shares) == {"owl", "dog"}
    assert all(share < 0.99 for share in shares.values())
