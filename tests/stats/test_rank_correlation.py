"""Rank correlations over replicates: known answers, intervals that cover, and what chance is paid for."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from subliminal.stats import transfer
from subliminal.stats.transfer import choose, pool, rank, rho_interval


def test_rho_is_spearmans_and_order_alone_counts() -> None:
    rng = np.random.default_rng(0)
    predictor, effect = rng.normal(size=12), rng.normal(size=12)
    found = rank(predictor, effect)
    assert found.rho == pytest.approx(stats.spearmanr(predictor, effect).statistic)
    assert rank(np.exp(predictor), effect) == found

    def spearmans(values: np.ndarray, axis: int) -> np.ndarray:
        """Of many orders at once, which scipy's function does not take: Pearson's correlation of ranks."""
        return stats.pearsonr(stats.rankdata(predictor), stats.rankdata(values, axis=axis), axis=axis).statistic

    assert spearmans(effect, axis=-1) == pytest.approx(found.rho)
    exact = stats.permutation_test(
        (effect,), spearmans, vectorized=True, permutation_type="pairings", n_resamples=9_999, random_state=1
    )
    assert found.p == pytest.approx(exact.pvalue, abs=0.03)


def test_a_predictor_that_orders_all_is_found_either_way_round() -> None:
    effect = np.arange(10.0) ** 2
    for direction in (1, -1):
        found = rank(direction * np.arange(10.0), effect)
        assert found.rho == pytest.approx(direction)
        assert found.left_out == pytest.approx(1)  # the direction is learned from the others
        assert found.lowest == found.highest == pytest.approx(direction)
        assert found.p < 0.002
        assert found.p_left_out < 0.002


def test_effects_shifted_by_one_replicate_break_it() -> None:
    effect = np.array([3.0, 0.2, 5.1, 1.7, 0.9, 4.4, 2.2, 6.0, 0.4, 3.6])
    assert rank(effect, effect).rho == pytest.approx(1)
    shifted = rank(effect, np.roll(effect, 1))
    assert shifted.rho < 0.3
    assert shifted.p > 0.05


def test_left_out_values_are_those_without_each_replicate() -> None:
    predictor = np.array([1.0, 2, 3, 4, 5, 100])
    effect = np.array([2.0, 1, 4, 3, 5, 0])
    found = rank(predictor, effect)
    without = [stats.spearmanr(np.delete(predictor, i), np.delete(effect, i)).statistic for i in range(6)]
    assert (found.lowest, found.highest) == pytest.approx((min(without), max(without)))
    # One replicate alone turns the direction: what the others foretell of it is wrong.
    assert found.lowest < 0 < found.highest
    assert found.left_out < 0


def test_the_interval_covers() -> None:
    """The rank correlation of two normal variables with correlation 0.6 is 0.58; 95 % of intervals hold it."""
    rng, true, n, drawn = np.random.default_rng(5), 6 / np.pi * np.arcsin(0.3), 20, 2000
    covered = 0
    for _ in range(drawn):
        first = rng.normal(size=n)
        second = 0.6 * first + 0.8 * rng.normal(size=n)
        low, high = rho_interval(stats.spearmanr(first, second).statistic, n)
        covered += low <= true <= high
    assert 0.93 < covered / drawn < 0.97


def test_the_best_of_many_predictors_without_any_link_is_no_find(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chosen on all replicates, the best of twenty looks good; p counts the choice and stays uniform."""
    monkeypatch.setattr(transfer, "PERMUTATIONS", 99)
    rng, small = np.random.default_rng(8), 0
    best = []
    for _ in range(60):
        predictors = {str(index): list(rng.normal(size=10)) for index in range(20)}
        effect = rng.normal(size=10)
        best.append(max(abs(stats.spearmanr(values, effect).statistic) for values in predictors.values()))
        small += choose(predictors, effect).p <= 0.05
    assert np.mean(best) > 0.6
    assert small <= stats.binom.ppf(0.999, 60, 0.05)


def test_the_one_predictor_that_counts_is_chosen() -> None:
    rng = np.random.default_rng(2)
    effect = rng.normal(size=15)
    predictors = {"noise": rng.normal(size=15), "it": effect + 0.05 * rng.normal(size=15), "flat": np.ones(15)}
    found = choose(predictors, effect)
    assert set(found.names) == {"it"}
    assert found.p < 0.01


def test_too_few_or_equal_replicates_say_nothing() -> None:
    assert rank([1, 2, 3, 4], [1, 2, 3, 4]) is None
    assert rank([1, 1, 1, 1, 1], [1, 2, 3, 4, 5]) is None
    assert choose({"one": [1, 2, 3, 4, 5]}, [1, 2, 3, 4, 5]) is None


def test_sets_are_ranked_within_themselves() -> None:
    """Two experiments whose levels differ: over both at once the order would turn."""
    first = ([1.0, 2, 3, 4, 5, 6], [11.0, 12, 13, 14, 16, 15])
    second = ([11.0, 12, 13, 14, 15, 16], [1.0, 2, 3, 4, 6, 5])
    found = pool([first, second])
    assert found.n == 12
    assert found.rho == pytest.approx(stats.spearmanr(*first).statistic)
    assert found.p < 0.01
    assert stats.spearmanr(first[0] + second[0], first[1] + second[1]).statistic < 0
    assert pool([first]) is None
