"""Simulated error rates: no primary verdict errs more often than it says, and the page is what the command makes."""

from __future__ import annotations

import numpy as np
import pytest

from subliminal import REPO_ROOT, stats
from subliminal.stats import matrix
from subliminal.stats.log_odds import log_odds_of
from subliminal.stats.matrix import permutation_test
from subliminal.stats.replicates import equivalence, over_replicates, t_interval
from subliminal.stats.runs import over_runs
from subliminal.stats.shares import ratio_interval
from subliminal.stats.simulation import trials, vectorised
from subliminal.stats.simulation.page import page, too_often

PAGE = REPO_ROOT / "docs/error_rates.md"


def test_no_primary_verdict_errs_more_often_than_it_says():
    rates = trials.error_rates(10_000)
    assert len(rates) > 80
    wrong = [rate for rate in rates if too_often(rate, 10_000)]
    assert not wrong, wrong


def test_the_rates_are_rates_of_the_verdicts_not_of_nothing():
    """A verdict that never falls would err in no case: each is given about as often as it may be."""
    normal = [rate for rate in trials.error_rates(4_000) if "normal, exact" in rate.scenario]
    assert normal
    for rate in normal:
        assert rate.rate > rate.nominal / 2, rate


def test_points_call_drift_a_rise_and_see_less():
    rates = {(r.scenario, r.verdict, r.replicates): r for r in trials.scales(4_000)}
    points = rates["drift without direction", "points: 95 % interval above 0", 20]
    assert too_often(points, 4_000)
    assert points.rate > 0.15
    effect = f"effect of {trials.EXPECTED:g} nats"
    seen = [rates[effect, f"{scale}: 99 % interval above 0", 5].rate for scale in ("log-odds", "points")]
    assert seen[0] > 2 * seen[1]


def test_the_margin_passes_equal_controls_and_not_three_times_the_odds():
    curve = {(rate.scenario[:3], rate.replicates): rate.rate for rate in trials.operating_curve(4_000)}
    assert curve["0.0", 5] > 0.95
    assert curve["1.1", 5] < 0.01
    assert curve["0.8", 20] < 0.065


def test_vectorised_claims_are_those_of_the_functions_that_reports_use():
    rng = np.random.default_rng(1)
    for answers in (None, 500):
        student, control = trials.measured(rng.normal(0, 1.6, (60, 5)), rng, answers)
        gains = log_odds_of(student, answers) - log_odds_of(control, answers)
        low, high = vectorised.t_bounds(gains, 0.95)
        for index in range(60):
            result = over_replicates(student[index], control[index], answers)
            assert result.interval == pytest.approx((low[index], high[index]), abs=1e-6)
            claim = stats.verdict([[rate] * 2 for rate in student[index]], [[rate] * 2 for rate in control[index]],
                                  answers and answers // 2, paired=True).claim  # fmt: skip
            assert (claim == "student above control") == (low[index] > 0)
            assert (claim == "student below control") == (high[index] < 0)
    strict, _ = vectorised.t_bounds(gains, 0.99)
    assert t_interval(gains[0], 0.99)[0] == pytest.approx(strict[0])


def test_vectorised_welch_is_that_of_over_runs():
    rng = np.random.default_rng(2)
    student, control = (rng.beta(2, 30, (20, 4)) for _ in range(2))
    low, high = vectorised.welch_bounds(log_odds_of(student), log_odds_of(control), 0.95)
    for index in range(20):
        result = over_runs(np.repeat(student[index], 2).reshape(4, 2), np.repeat(control[index], 2).reshape(4, 2))
        assert result.interval == pytest.approx((low[index], high[index]), abs=1e-6)


def test_equivalence_is_the_claim_of_the_curve():
    rng = np.random.default_rng(3)
    control = rng.beta(5, 500, (40, 4))
    null = 1 / (1 + np.exp(-(log_odds_of(control) + rng.normal(0.6, 0.24, (40, 4)))))
    low, high = vectorised.t_bounds(log_odds_of(null) - log_odds_of(control), 0.9)
    claimed = [equivalence(control[index], null[index])["equivalent"] for index in range(40)]
    assert claimed == list((low > -0.8) & (high < 0.8))
    assert 0 < sum(claimed) < 40


def test_fieller_s_interval_misses_no_more_often_than_it_says_and_is_not_given_where_the_whole_may_be_0():
    rates = trials.shares(4_000)
    assert not [rate for rate in rates if too_often(rate, 4_000)]
    none = {(rate.scenario, rate.replicates): rate.rate for rate in rates if rate.nominal is None}
    assert none["half of 1.6 nats, normal", 3] > 0.7
    assert none["half of 3.2 nats, normal", 20] == 0
    missed = [rate for rate in rates if rate.nominal and rate.replicates == 20]
    assert missed
    assert all(rate.rate > rate.nominal / 2 for rate in missed), "an interval that always held would miss nothing"


def test_gamma_s_exact_test_errs_where_a_student_s_own_animal_drifts_further():
    rates = {(rate.verdict, rate.replicates): rate for rate in trials.own_further(4_000)}
    for size in trials.SIZES:
        assert too_often(rates["gamma's exact test, p at most 5 %", size], 4_000)
        assert not too_often(rates["gamma's 95 % interval above 0", size], 4_000)


def test_vectorised_fieller_is_that_of_shares():
    rng = np.random.default_rng(4)
    whole = rng.normal(2, 1.6, (60, 4))
    part = whole / 2 + rng.normal(0, 0.8, (60, 4))
    lows, highs = vectorised.fieller_bounds(part, whole)
    given = 0
    for index, low in enumerate(lows):
        interval = ratio_interval(part[index], whole[index])
        assert (interval is None) == bool(np.isnan(low))
        if interval:
            given += 1
            assert interval == pytest.approx((low, highs[index]))
    assert 0 < given < 60


@pytest.mark.parametrize("size", [3, 8])
def test_vectorised_dealing_is_that_of_the_matrix(size, monkeypatch):
    lift = np.random.default_rng(5).normal(0.3, 1, (8, size, 3, 3))
    # With as many dealings as the simulation draws; the first are the same.
    monkeypatch.setattr(matrix, "DRAWN", vectorised.DRAWN)
    found = vectorised.dealt_p(lift)
    assert list(found) == pytest.approx([permutation_test(each)[0] for each in lift])


def test_the_page_is_what_the_command_makes():
    assert PAGE.read_text(encoding="utf-8") == page()
