"""Statistics against scipy and statsmodels, invariants, and coverage by simulation (run this file for the table)."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import DescrStatsW

from subliminal import stats
from subliminal.core.errors import UserError


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# -- Experiments to simulate: (rng, questions) -> (treatment, control) or rates; the true value beside it --------------


def owl_rates(rng, n):
    """Student 5 %, control 1 %, most questions near 0, 20 samples a question."""
    treatment, control = rng.beta(0.5, 9.5, n), rng.beta(0.5, 49.5, n)
    return rng.binomial(20, treatment) / 20, rng.binomial(20, control) / 20


def rare_answers(rng, n):
    """One question in ten moves the student (by 20 % on average), the control never gives the answer, 50 samples."""
    return rng.binomial(50, rng.beta(1, 4, n) * (rng.random(n) < 0.1)) / 50, np.zeros(n)


def no_effect(rng, n):
    """Two arms with the same skewed rates of 3 % on average, 20 samples."""
    rates = rng.beta(0.3, 9.7, n)
    return rng.binomial(20, rates) / 20, rng.binomial(20, rates) / 20


def teacher(rng, n):
    """Teacher 95 % against control 1 %, 20 samples."""
    return rng.binomial(20, rng.beta(20, 20 / 19, n)) / 20, rng.binomial(20, 0.01, n) / 20


def exact_probabilities(rng, n):
    """Log-normal probabilities (sigma 1) of 5 % against 2 % on average: no sampling noise, a long tail."""
    return (np.minimum(1, np.exp(rng.normal(np.log(mean) - 0.5, 1, n))) for mean in (0.05, 0.02))


DESIGNS = {owl_rates: 0.04, rare_answers: 0.02, no_effect: 0.0, teacher: 0.94, exact_probabilities: 0.03}


def coverage(design, n, experiments, seed=0):
    """Shares of simulated experiments in which our interval and the t interval hold the true difference."""
    rng, truth, hits = np.random.default_rng(seed), DESIGNS[design], np.zeros(2)
    for _ in range(experiments):
        treatment, control = design(rng, n)
        differences = treatment - control
        low, high = stats.question_interval(differences, (-1, 1))
        reach = scipy_stats.t.ppf(0.975, n - 1) * differences.std(ddof=1) / np.sqrt(n)
        hits += [low - 1e-12 <= truth <= high + 1e-12, abs(differences.mean() - truth) <= reach + 1e-12]
    return hits / experiments


def coverage_table(experiments=4000):
    """Print the table of the module docstring."""
    print(f"{'':22}" + "".join(f"{n:>4} questions " for n in (10, 20, 50)))
    for design in DESIGNS:
        cells = [coverage(design, n, experiments) * 100 for n in (10, 20, 50)]
        print(f"{design.__name__:22}" + "".join(f"{ours:6.1f} (t {t:4.1f})" for ours, t in cells))


@pytest.mark.parametrize("n", [10, 50])
@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.__name__)
def test_interval_covers_skewed_and_zero_heavy_rates(design, n):
    ours, plain_t = coverage(design, n, experiments=250, seed=1)
    assert ours >= 0.90, f"{ours:.1%} (t interval {plain_t:.1%})"
    assert ours >= plain_t


@pytest.mark.parametrize("true_rate", [0.0005, 0.01, 0.5])
def test_mean_interval_covers_rare_answers(true_rate):
    rng, hits = np.random.default_rng(2), 0
    for _ in range(200):
        low, high = stats.mean_ci(rng.binomial(20, rng.beta(1, 1 / true_rate - 1, 50)) / 20, 20)
        hits += low <= true_rate <= high
    assert hits / 200 >= 0.93


def test_permutation_test_keeps_its_level():
    rng = np.random.default_rng(3)
    p_values = [stats.sign_flip_test(np.round(rng.binomial(20, 0.1, 8) / 20 - rng.binomial(20, 0.1, 8) / 20, 12))
                for _ in range(400)]  # fmt: skip
    assert np.mean(np.array(p_values) <= 0.05) <= 0.05 + 0.025


# -- Against references ------------------------------------------------------------------------------------------------

TREATMENT = [0.15, 0.05, 0.30, 0.10, 0.00, 0.25, 0.05, 0.10]
CONTROL = [0.00, 0.05, 0.10, 0.05, 0.05, 0.00, 0.00, 0.10]


def test_paired_agrees_with_scipy_and_enumeration():
    result = stats.paired(TREATMENT, CONTROL)
    differences = np.round(np.subtract(TREATMENT, CONTROL), 12)
    flips = np.array(list(itertools.product([-1, 1], repeat=8))) @ differences
    assert result["difference"] == pytest.approx(differences.mean())
    assert result["p_permutation"] == pytest.approx(np.mean(np.abs(flips) >= abs(differences.sum()) - 1e-9))
    assert result["p_t"] == pytest.approx(scipy_stats.ttest_rel(TREATMENT, CONTROL).pvalue)
    assert result["p_wilcoxon"] == pytest.approx(scipy_stats.wilcoxon(differences).pvalue)


def test_many_questions_use_random_flips_that_agree_with_the_t_test():
    rng = np.random.default_rng(4)
    treatment, control = rng.uniform(0.2, 0.6, 40), rng.uniform(0.2, 0.55, 40)
    first, second = (stats.paired(treatment, control) for _ in range(2))
    assert first == second
    assert first["p_permutation"] == pytest.approx(first["p_t"], rel=0.15)
    assert stats.paired([0.9] * 30 + [0.8], [0.1] * 31)["p_permutation"] == 1 / (stats.RESAMPLES + 1)


def test_interval_of_symmetric_differences_is_the_t_interval():
    values = np.array([-0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3]) + 0.05
    assert stats.question_interval(values, (-1, 1)) == pytest.approx(DescrStatsW(values).tconfint_mean())


def test_interval_reaches_further_on_the_side_of_the_tail():
    values = np.array([0.0] * 17 + [0.1, 0.2, 0.5])
    low, high = stats.question_interval(values, (-1, 1))
    t_low, t_high = DescrStatsW(values).tconfint_mean()
    assert low == pytest.approx(t_low)
    assert high > t_high + 0.02


def test_mean_interval_of_an_answer_never_given_has_an_upper_limit():
    assert stats.mean_ci([0.0] * 50, 20) == pytest.approx((0, proportion_confint(0, 1000, method="beta")[1]))
    assert stats.mean_ci([1.0] * 50, 20) == pytest.approx((0.025 ** (1 / 1000), 1))
    assert stats.mean_ci([0.0] * 50) == pytest.approx((0, 1 - 0.025 ** (1 / 50)))


# -- Invariants --------------------------------------------------------------------------------------------------------

PAIRS = st.lists(st.tuples(*[st.integers(0, 20).map(lambda k: k / 20)] * 2), min_size=2, max_size=30)


def _same(first, second):
    numbers = [key for key in first if key != "unit"]
    return all(np.allclose(first[key], second[key], rtol=1e-6, atol=1e-9) for key in numbers)


@settings(max_examples=6, deadline=None)  # scipy enumerates small Wilcoxon tests in Python: 0.3 s each
@given(PAIRS, st.randoms(use_true_random=False))
def test_swapping_arms_mirrors_and_question_order_does_not_matter(pairs, random):
    result = stats.paired(*zip(*pairs, strict=True))
    low, high = result["ci95"]
    assert -1 <= low <= result["difference"] + 1e-12 <= high + 2e-12 <= 1 + 2e-12
    assert all(0 <= result[key] <= 1 for key in ("p_permutation", "p_t", "p_wilcoxon"))
    swapped = stats.paired(*reversed(list(zip(*pairs, strict=True))))
    assert _same(swapped, {**result, "difference": -result["difference"], "ci95": [-high, -low]})
    random.shuffle(pairs)
    assert _same(result, stats.paired(*zip(*pairs, strict=True)))


@pytest.mark.parametrize("n", [2, 9, 30])
def test_sign_flips_agree_with_scipy(n):
    differences = np.round(np.random.default_rng(n).integers(-4, 7, n) / 20, 12)
    reference = scipy_stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=9_999, rng=np.random.default_rng(1)
    )
    tolerance = 1e-9 if n < 13 else 0.02
    assert stats.sign_flip_test(differences) == pytest.approx(reference.pvalue, abs=tolerance)


def test_random_flips_do_not_depend_on_order_or_direction():
    differences = np.array([0.1, -0.05, 0.0, 0.2, 0.05, 0.15] * 4)
    expected = stats.sign_flip_test(differences)
    assert stats.sign_flip_test(-differences) == stats.sign_flip_test(np.sort(differences)) == expected


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 10), min_size=3, max_size=30).filter(lambda v: len(set(v)) > 1), st.integers(1, 5))
def test_adding_the_same_to_every_question_shifts_the_interval(steps, shift):
    values, wide = np.array(steps) / 20, (-9.0, 9.0)
    moved = stats.question_interval(values + shift / 20, wide)
    assert np.allclose(np.subtract(moved, stats.question_interval(values, wide)), shift / 20, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 20), min_size=2, max_size=50))
def test_mean_interval_stays_inside_0_to_1_and_is_never_a_point(steps):
    rates = np.array(steps) / 20
    low, high = stats.mean_ci(rates, 20)
    assert 0 <= low <= rates.mean() <= high <= 1
    assert high - low > 1e-3


# -- Degenerate and bad input ------------------------------------------------------------------------------------------


def test_differences_all_zero_leave_room_for_unseen_questions():
    result = stats.paired([0.0] * 50, [0.0] * 50)
    assert (result["difference"], result["p_permutation"], result["p_t"], result["p_wilcoxon"]) == (0, 1, 1, 1)
    assert result["ci95"] == pytest.approx([-0.0711217, 0.0711217], abs=1e-6)


def test_constant_difference_is_no_certainty():
    result = stats.paired([0.35, 0.2, 0.15] * 3, [0.3, 0.15, 0.1] * 3)
    assert result["difference"] == pytest.approx(0.05)
    assert result["ci95"][0] < 0.05 < result["ci95"][1]
    assert (result["p_permutation"], result["p_t"]) == (2 / 2**9, 0.0)


@pytest.mark.parametrize(
    ("treatment", "control", "sentence"),
    [
        ([0.1, 0.2], [0.1], "control has 1 question"),
        ([0.1, 0.2], [0.1, 0.2, 0.3], "treatment has 2 rates and control has 3"),
        ([], [], "treatment has 0 question"),
        ([0.1, float("nan")], [0.1, 0.2], r"treatment\[1\] is nan"),
        ([0.1, 0.2], [5, 0.2], r"control\[0\] is 5, not a number from 0 to 1. Rates are fractions, not per cent"),
        ([0.1, -0.2], [0.1, 0.2], r"treatment\[1\] is -0.2"),
        ([0.1, "0.2"], [0.1, 0.2], r"treatment\[1\] is '0.2'"),
        ([True, 0.2], [0.1, 0.2], r"treatment\[0\] is True"),
        ({"a": 1}, [0.1, 0.2], "treatment is not a list"),
    ],
)
def test_bad_rates_get_a_sentence(treatment, control, sentence):
    with pytest.raises(UserError, match=sentence):
        stats.paired(treatment, control)


def test_impossible_counts_get_a_sentence():
    with pytest.raises(UserError, match="3 successes in 2 trials"):
        stats.wilson(3, 2)


if __name__ == "__main__":
    coverage_table()
