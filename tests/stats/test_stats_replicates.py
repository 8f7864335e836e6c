"""Statistics over replicates: against scipy, statsmodels and arithmetic by hand, and in simulated experiments."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats
from scipy.special import expit, logit
from statsmodels.stats.descriptivestats import sign_test as statsmodels_sign_test
from statsmodels.stats.weightstats import DescrStatsW, ttost_paired

from subliminal.core.errors import UserError
from subliminal.stats.replicates import (
    EFFECT_CONFIDENCE,
    LEAST,
    bootstrap_interval,
    equivalence,
    over_replicates,
    replicates,
    replicates_needed,
    sign_test,
    t_interval,
)

CONTROL = np.array([0.010, 0.014, 0.012, 0.011, 0.015, 0.009, 0.013, 0.012])
STUDENT = np.array([0.035, 0.050, 0.012, 0.041, 0.030, 0.044, 0.010, 0.048])
NULL = np.array([0.011, 0.013, 0.012, 0.012, 0.014, 0.010, 0.012, 0.0125])


def test_the_table_by_hand() -> None:
    # Odds 1/9, 1/4, 1/3 and 3/7 against 1/99: factors 11, 24.75, 33 and 42.43; a replicate without a rise is no rise.
    student, control = [0.1, 0.2, 0.25, 0.01], [0.01, 0.01, 0.01, 0.01]
    table = replicates(student, control)
    assert list(table) == [
        *("replicates", "above", "p_sign", "log_odds", "p", "ci95", "ci99", "ci99_bootstrap", "odds_ratio"),
        *("odds_ratio_ci99", "median", "mean", "mean_ci99"),
    ]
    assert (table["replicates"], table["above"]) == (4, 3), "a tie is not above"
    assert table["p_sign"] == pytest.approx(0.25), "three of three, the tie left out: 2 / 2^3"
    gains = np.log([11, 24.75, 33, 1])
    assert table["log_odds"] == pytest.approx(gains.mean())
    assert table["odds_ratio"] == pytest.approx((11 * 24.75 * 33) ** 0.25)
    # Student's t with 3 degrees of freedom: 5.8409 at 99 %, 3.1824 at 95 %.
    error = gains.std(ddof=1) / 2
    for key, quantile in (("ci99", 5.8409), ("ci95", 3.1824)):
        assert table[key] == pytest.approx((gains.mean() - quantile * error, gains.mean() + quantile * error), abs=1e-3)
    assert table["odds_ratio_ci99"] == pytest.approx(tuple(np.exp(table["ci99"])))
    assert (table["median"], table["mean"]) == pytest.approx(((0.09 + 0.19) / 2, (0.09 + 0.19 + 0.24) / 4))


def test_sampled_answers_get_half_an_answer_on_each_side() -> None:
    table = replicates([0.1, 0.2, 0.3], [0.0, 0.0, 0.01], answers=100)
    gains = np.log([10.5 / 90.5, 20.5 / 80.5, 30.5 / 70.5]) - np.log([0.5 / 100.5, 0.5 / 100.5, 1.5 / 99.5])
    assert table["log_odds"] == pytest.approx(gains.mean())
    exact = replicates([0.1, 0.2, 0.3], [0.0, 0.0, 0.01])
    assert exact["log_odds"] > table["log_odds"], "an exact 0 is held at a probability of 1e-9"


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
    expected = scipy_stats.ttest_rel(logit(STUDENT), logit(CONTROL))
    assert (result.statistic, result.p) == pytest.approx((expected.statistic, expected.pvalue))
    assert result.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert (result.unit, result.n, result.scale) == ("replicates", (8, 8), "nats")
    equal = over_replicates(expit(logit(CONTROL) + 2), CONTROL)
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
    assert bootstrap_interval(np.full(8, 0.2)) == pytest.approx((0.2, 0.2))


@pytest.mark.parametrize("count", range(2, 12))
def test_a_bootstrap_is_given_where_it_can_reach_its_level(count: int) -> None:
    # No resample has a mean beyond the differences, so where all of them lie on one side the true mean is missed.
    most = 1 - 2 * 0.5**count
    assert (bootstrap_interval(np.arange(count)) is not None) == (most >= EFFECT_CONFIDENCE)
    if count >= LEAST:
        table = replicates([0.1 + 0.01 * index for index in range(count)], [0.01] * count)
        assert (table["ci99_bootstrap"] is not None) == (most >= EFFECT_CONFIDENCE)


def test_equivalence_is_the_usual_pair_of_tests_of_log_odds() -> None:
    found = equivalence(CONTROL, NULL, margin=0.1)
    expected, *_ = ttost_paired(logit(NULL), logit(CONTROL), -0.1, 0.1)
    assert found["p"] == pytest.approx(expected)
    assert found["ci90"] == pytest.approx(DescrStatsW(logit(NULL) - logit(CONTROL)).tconfint_mean(0.1))
    assert found["difference"] == pytest.approx((NULL - CONTROL).mean())


@pytest.mark.parametrize("margin", [0.01, 0.05, 0.1, 0.3])
def test_equivalent_is_what_the_interval_says(margin: float) -> None:
    found = equivalence(CONTROL, NULL, margin)
    low, high = found["ci90"]
    assert found["equivalent"] == (-margin < low and high < margin)


def test_controls_without_a_spread_are_not_shown_to_be_equivalent() -> None:
    assert not equivalence(CONTROL, CONTROL)["equivalent"]
    assert replicates(STUDENT, CONTROL, CONTROL)["null"]["p"] == 1.0


@pytest.mark.parametrize(
    ("arms", "words"),
    [
        (([0.1, 0.2], [0.1, 0.2]), "2 replicate(s) show no spread"),
        (([0.1, 0.2, 0.3], [0.1, 0.2]), "student has 3, control has 2 replicates"),
        (([0.1, 0.2, 4.1], [0.1, 0.2, 0.1]), "student[2] is 4.1, not a number from 0 to 1. Rates are fractions"),
        (([0.1, 0.2, None], [0.1, 0.2, 0.1]), "student[2] is None"),
        ((0.1, [0.1, 0.2, 0.1]), "student is not a list"),
        (([0.1] * 3, [0.1] * 3, [0.1] * 2), "null has 2 replicates"),
        (([0.1] * 3, [0.1] * 3, [0.1] * 3, 10), "The margin is 10. Give nats"),
    ],
)  # fmt: skip
def test_wrong_input_is_a_sentence(arms: tuple, words: str) -> None:
    with pytest.raises(UserError) as error:
        replicates(*arms)
    assert words in str(error.value)


# --- simulated experiments: their tables are in docs/error_rates.md, checked in test_simulation.py ---


def test_sign_test_keeps_its_level_whatever_the_distribution() -> None:
    rng = np.random.default_rng(1)
    low = sum(sign_test(rng.standard_cauchy(20)) < 0.05 for _ in range(1_000))
    assert low / 1_000 < 0.06, "its level at 20 replicates is 0.041"
    assert low / 1_000 > 0.02
