"""Statistics over replicates: against scipy, statsmodels and arithmetic by hand, and in simulated experiments."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats as scipy_stats
from scipy.special import expit
from statsmodels.stats.descriptivestats import sign_test as statsmodels_sign_test
from statsmodels.stats.weightstats import DescrStatsW, ttost_paired

from subliminal.core.errors import UserError
from subliminal.stats.replicates import (
    bootstrap_interval,
    equivalence,
    over_replicates,
    ratio_interval,
    replicates,
    replicates_needed,
    sign_test,
    t_interval,
)

stats_replicates = sys.modules[replicates.__module__]
"""The module: as an attribute of the package the name stands for the function."""

CONTROL = np.array([0.010, 0.014, 0.012, 0.011, 0.015, 0.009, 0.013, 0.012])
STUDENT = np.array([0.035, 0.050, 0.012, 0.041, 0.030, 0.044, 0.010, 0.048])
NULL = np.array([0.011, 0.013, 0.012, 0.012, 0.014, 0.010, 0.012, 0.0125])


def test_the_table_by_hand() -> None:
    table = replicates([0.03, 0.05, 0.04, 0.04], [0.01, 0.01, 0.02, 0.04])
    assert list(table) == [
        *("replicates", "above", "p_sign", "difference", "ci99", "ci99_bootstrap", "ratio", "ratio_ci99"),
    ]
    assert (table["replicates"], table["above"]) == (4, 3), "a tie is not above"
    assert table["p_sign"] == pytest.approx(0.25), "three of three, the tie left out: 2 / 2^3"
    assert table["difference"] == pytest.approx(0.02)
    # Differences 2, 4, 2, 0 points: standard deviation sqrt(8 / 3), standard error half of it, t(0.995, 3) = 5.8409.
    assert table["ci99"] == pytest.approx((0.02 - 0.0476910, 0.02 + 0.0476910), abs=1e-6)
    assert table["ratio"] == pytest.approx(2.0)


def test_sign_test_agrees_with_statsmodels_and_arithmetic() -> None:
    for differences in (STUDENT - CONTROL, CONTROL - STUDENT, NULL - CONTROL):
        _, p = statsmodels_sign_test(differences)
        assert sign_test(differences) == pytest.approx(p)
    nineteen = np.array([1.0] * 19 + [-1.0])
    assert sign_test(nineteen) == pytest.approx(2 * (1 + 20) / 2**20)
    assert sign_test(np.zeros(5)) == 1.0


def test_t_interval_agrees_with_statsmodels() -> None:
    for confidence in (0.9, 0.99):
        expected = DescrStatsW(STUDENT - CONTROL).tconfint_mean(1 - confidence)
        assert t_interval(STUDENT - CONTROL, confidence) == pytest.approx(expected)


def test_the_paired_test_agrees_with_scipy_and_with_its_interval() -> None:
    result = over_replicates(STUDENT, CONTROL)
    expected = scipy_stats.ttest_rel(STUDENT, CONTROL)
    assert (result.statistic, result.p) == pytest.approx((expected.statistic, expected.pvalue))
    assert result.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert (result.unit, result.n) == ("replicates", (8, 8))
    equal = over_replicates(CONTROL + 0.02, CONTROL)
    assert (equal.p, equal.interval) == (None, None), "differences that are all equal have no known spread"


def test_replicates_needed_agree_with_simulation() -> None:
    n = replicates_needed(0.01, 0.02, 0.8, more_than=5, most=1_000)
    rng = np.random.default_rng(4)
    seen = scipy_stats.ttest_1samp(rng.normal(0.01, 0.02, (4_000, n)), 0, axis=1).pvalue < 0.05
    assert seen.mean() == pytest.approx(0.81, abs=0.02)
    assert replicates_needed(0.01, 0.02, 0.8, more_than=200, most=1_000) == 201
    assert replicates_needed(0.0001, 0.02, 0.8, more_than=5, most=1_000) is None


def test_bootstrap_is_near_t_and_leans_to_the_long_tail() -> None:
    symmetric = np.linspace(-1, 1, 20) + 0.3
    assert bootstrap_interval(symmetric) == pytest.approx(t_interval(symmetric), abs=0.05)
    skewed = np.exp(np.linspace(-1.5, 1.5, 20))
    (low, high), (t_low, t_high) = bootstrap_interval(skewed), t_interval(skewed)
    assert low > t_low
    assert high > t_high
    assert bootstrap_interval(skewed[::-1]) == (low, high)
    assert bootstrap_interval(np.full(5, 0.2)) == pytest.approx((0.2, 0.2))


def test_a_ratio_is_inside_as_long_as_a_t_test_does_not_reject_it() -> None:
    low, high = ratio_interval(STUDENT, CONTROL)
    assert low < STUDENT.mean() / CONTROL.mean() < high
    for end in (low, high):
        assert scipy_stats.ttest_1samp(STUDENT - end * CONTROL, 0).pvalue == pytest.approx(0.01)
    assert ratio_interval(STUDENT, CONTROL - CONTROL.mean()) is None, "a mean that may be 0 bounds no ratio"
    assert ratio_interval(2 * CONTROL, CONTROL) == pytest.approx((2, 2))


def test_equivalence_with_a_constant_effect_is_the_usual_pair_of_tests() -> None:
    effect = 0.02
    found = equivalence(CONTROL + effect, CONTROL, NULL, margin=0.1)
    expected, *_ = ttost_paired(NULL, CONTROL, -0.1 * effect, 0.1 * effect)
    assert found["p"] == pytest.approx(expected)
    assert found["equivalent"]
    assert found["ci90"] == pytest.approx(DescrStatsW(NULL - CONTROL).tconfint_mean(0.1))
    assert found["share_ci90"] == pytest.approx(tuple(end / effect for end in found["ci90"]))


@pytest.mark.parametrize("margin", [0.02, 0.03, 0.05, 0.1, 0.3])
def test_equivalent_is_what_the_interval_of_the_share_says(margin: float) -> None:
    found = equivalence(STUDENT, CONTROL, NULL, margin)
    low, high = found["share_ci90"]
    assert found["equivalent"] == (-margin < low and high < margin)
    assert found["share"] == pytest.approx((NULL - CONTROL).mean() / (STUDENT - CONTROL).mean())


def test_without_an_effect_nothing_is_equivalent() -> None:
    assert not equivalence(CONTROL, CONTROL, CONTROL)["equivalent"]
    assert not equivalence(CONTROL, STUDENT, STUDENT)["equivalent"], "an effect below zero has no share to stay within"
    assert replicates(CONTROL, CONTROL, CONTROL)["null"]["p"] == 1.0


@pytest.mark.parametrize(
    ("arms", "words"),
    [
        (([0.1, 0.2], [0.1, 0.2]), "2 replicate(s) show no spread"),
        (([0.1, 0.2, 0.3], [0.1, 0.2]), "student has 3, control has 2 replicates"),
        (([0.1, 0.2, 4.1], [0.1, 0.2, 0.1]), "student[2] is 4.1, not a number from 0 to 1. Rates are fractions"),
        (([0.1, 0.2, None], [0.1, 0.2, 0.1]), "student[2] is None"),
        ((0.1, [0.1, 0.2, 0.1]), "student is not a list"),
        (([0.1] * 3, [0.1] * 3, [0.1] * 2), "null has 2 replicates"),
        (([0.1] * 3, [0.1] * 3, [0.1] * 3, 10), "The margin is 10"),
    ],
)  # fmt: skip
def test_wrong_input_is_a_sentence(arms: tuple, words: str) -> None:
    with pytest.raises(UserError) as error:
        replicates(*arms)
    assert words in str(error.value)


# --- simulated experiments ---

EFFECT = 0.03
LOGITS = (-1.4, 1.6)
"""Mean and standard deviation of the log-odds of :func:`wide`."""


def wide(rng: np.random.Generator, n: int) -> np.ndarray:
    """Effects from nearly nothing to nearly everything: nine in ten lie between 1.6 and 70 points."""
    return 0.9 * expit(rng.normal(*LOGITS, n))


WIDE_MEAN = 0.9 * float(scipy_stats.norm(*LOGITS).expect(expit))
DESIGNS = {
    "effects normal, spread a fifth of the mean": (lambda rng, n: rng.normal(EFFECT, EFFECT / 5, n), EFFECT),
    "effects log-normal, sigma 0.5": (lambda rng, n: EFFECT * np.exp(rng.normal(-0.125, 0.5, n)), EFFECT),
    "effects log-normal, sigma 0.8": (lambda rng, n: EFFECT * np.exp(rng.normal(-0.32, 0.8, n)), EFFECT),
    "students between 1 % and 90 %": (wide, WIDE_MEAN),
}
"""Design -> effects of n replicates, and their mean in truth."""


def experiment(rng: np.random.Generator, effects: np.ndarray, truth: float) -> tuple[np.ndarray, ...]:
    """Student, control and null rates: controls of 1 % that vary with their base; the null is off by the margin."""
    base = 0.01 * np.exp(rng.normal(-0.02, 0.2, effects.size))
    control, null = (base + rng.normal(0, 0.0005, effects.size) for _ in range(2))
    return base + effects, control, null + stats_replicates.MARGIN * truth


def simulated(design: str, repeats: int, *, n: int = 20) -> dict[str, float]:
    """Share of experiments whose intervals hold the truth, and whose null is called equivalent at the very margin."""
    rng, held = np.random.default_rng(5), {"t": 0, "bootstrap": 0, "ratio": 0, "equivalence": 0}
    draw, truth = DESIGNS[design]
    for _ in range(repeats):
        student, control, null = experiment(rng, draw(rng, n), truth)
        differences = student - control
        for name, (low, high), expected in (
            ("t", t_interval(differences), truth),
            ("bootstrap", bootstrap_interval(differences), truth),
            ("ratio", ratio_interval(student, control), (0.01 + truth) / 0.01),
        ):
            held[name] += low <= expected <= high
        held["equivalence"] += equivalence(student, control, null)["equivalent"]
    return {name: count / repeats for name, count in held.items()}


def without_effect(draw: Callable[[np.random.Generator, int], np.ndarray], repeats: int, *, n: int = 20) -> float:
    """Share of experiments that the paired t test calls different where student and control are drawn alike.

    Their difference is symmetric about 0 then, however skewed the rates are.
    """
    rng = np.random.default_rng(6)
    return sum(over_replicates(draw(rng, n), draw(rng, n)).p < 0.05 for _ in range(repeats)) / repeats


REPEATS, DRAWS = 1_000, 1_999


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats_replicates, "BOOTSTRAPS", DRAWS)


def _near(share: float, level: float) -> bool:
    low, high = scipy_stats.binom.interval(0.999, REPEATS, level)
    return low <= share * REPEATS <= high


@pytest.mark.usefixtures("_quick")
def test_twenty_replicates_cover_and_keep_their_level() -> None:
    alike, skewed, very, between = (simulated(design, REPEATS) for design in DESIGNS)
    for name in ("t", "bootstrap", "ratio"):
        assert _near(alike[name], 0.99), name
        assert skewed[name] > 0.97, name
        assert very[name] > 0.95, name
        assert between[name] > 0.96, name
    assert _near(alike["equivalence"], 0.05)
    assert max(arm["equivalence"] for arm in (skewed, very, between)) < 0.05, "skewed effects make it cautious"


def test_two_arms_drawn_alike_are_seldom_called_different() -> None:
    share = without_effect(wide, REPEATS)
    assert share < scipy_stats.binom.ppf(0.999, REPEATS, 0.05) / REPEATS
    assert share > 0.02


def test_sign_test_keeps_its_level_whatever_the_distribution() -> None:
    rng = np.random.default_rng(1)
    low = sum(sign_test(rng.standard_cauchy(20)) < 0.05 for _ in range(1_000))
    assert low / 1_000 < 0.06, "its level at 20 replicates is 0.041"
    assert low / 1_000 > 0.02


if __name__ == "__main__":
    stats_replicates.BOOTSTRAPS = DRAWS
    print(f"no effect, arms between 1 % and 90 %: different in {100 * without_effect(wide, 10 * REPEATS):.1f} %")
    for name in DESIGNS:
        shares = " | ".join(f"{100 * share:.1f}" for share in simulated(name, REPEATS).values())
        print(f"| {name} | {shares} |")
