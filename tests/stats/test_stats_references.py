"""Statistics against published worked examples and exact enumeration."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from scipy import stats as scipy_stats
from scipy.special import expit, logit
from statsmodels.regression.mixed_linear_model import MixedLM, VCSpec

from subliminal import stats
from subliminal.core.errors import UserError
from subliminal.stats import questions as stats_questions

# Student, Biometrika 6, 1908: extra hours of sleep of ten patients after two drugs (R's data set `sleep`). Moved into 0
# to 1, which leaves t and p as they are and divides the interval by ten.
SLEEP = np.array(
    [[0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0], [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]]
)
FIRST_DRUG, SECOND_DRUG = (SLEEP + 2) / 10


def test_paired_t_gives_students_sleep_example():
    """R 4: t.test(extra ~ group, paired = TRUE) has t = -4.0621, p = 0.002833, interval -2.4598858 to -0.7001142."""
    result = stats.over_questions(FIRST_DRUG, SECOND_DRUG, "t")
    assert result.statistic == pytest.approx(-4.0621, abs=5e-5)
    assert result.p == pytest.approx(0.002833, abs=5e-7)
    assert (result.unit, result.n) == ("questions", (10, 10))
    low, high = result.interval
    assert low <= -0.24598858 + 1e-8  # the t interval, made longer on the side of the tail
    assert high == pytest.approx(-0.07001142, abs=1e-8)


def test_welch_gives_students_sleep_example():
    """R 4: t.test(extra ~ group) has t = -1.8608, difference -1.58; 2 * pt(-1.8608, 9) = 0.09570.

    The hours of sleep are the log-odds of the runs here; the degrees of freedom are those of ten patients.
    """
    arms = (np.repeat(expit(10 * drug), 2).reshape(10, 2) for drug in (FIRST_DRUG, SECOND_DRUG))
    result = stats.over_runs(*arms)
    assert result.statistic == pytest.approx(-1.8608, abs=5e-5)
    assert result.p == pytest.approx(0.09570, abs=5e-5)
    assert result.interval == pytest.approx((-1.58 - 2.2622 * 1.58 / 1.8608, -1.58 + 2.2622 * 1.58 / 1.8608), abs=1e-3)
    assert (result.unit, result.n, result.scale) == ("training runs", (10, 10), "nats")


def test_paired_runs_give_students_sleep_example_too():
    """R 4: t.test(extra ~ group, paired = TRUE) has t = -4.0621, p = 0.002833, interval -2.4598858 to -0.7001142."""
    arms = (np.repeat(expit(10 * drug), 2).reshape(10, 2) for drug in (FIRST_DRUG, SECOND_DRUG))
    result = stats.over_runs(*arms, paired=True)
    assert (result.statistic, result.p) == pytest.approx((-4.0621, 0.002833), abs=5e-5)
    assert result.interval == pytest.approx((-2.4598858, -0.7001142), abs=1e-6)
    with pytest.raises(UserError, match="Pairs need the same seeds"):
        stats.over_runs([RUN] * 3, [RUN] * 2, paired=True)


def test_wilcoxon_gives_hollander_and_wolfe():
    """M. Hollander & D. A. Wolfe, 1973, depression scores (R's ?wilcox.test): V = 40, one-sided p = 0.01953."""
    before = np.array([1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30])
    after = np.array([0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29])
    result = stats.over_questions(before / 10, after / 10, "wilcoxon")
    assert result.statistic == 45 - 40  # scipy gives the smaller of the two rank sums
    assert result.p == pytest.approx(2 * 0.01953125)


def test_permutation_gives_fishers_enumeration_of_darwins_maize():
    """R. A. Fisher, The Design of Experiments, 1935, section 21: 863 of the 32,768 patterns in each direction."""
    eighths = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48])
    result = stats.over_questions(0.5 + eighths / 400, 0.5 - eighths / 400, "permutation")
    assert result.p == 2 * 863 / 32768
    assert result.statistic == result.estimate == pytest.approx(eighths.mean() / 200)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_newcombes_table(successes, n, low, high):
    """R. G. Newcombe, Stat. Med. 17, 1998, table I, method 3."""
    assert stats.wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


def children(both, treatment_only, control_only, neither):
    """Right and wrong per problem from the four counts of a table."""
    pairs = (1, 1), (1, 0), (0, 1), (0, 0)
    counts = both, treatment_only, control_only, neither
    return zip(*(pair for pair, count in zip(pairs, counts, strict=True) for _ in range(count)), strict=True)


def test_mcnemar_gives_fagerlands_example():
    """Fagerland, Lydersen & Laake, 2013: airway responsiveness of 21 children; exact p = 0.070, mid-p = 0.039."""
    before, after = map(list, children(1, 1, 7, 12))
    exact, mid = stats.mcnemar(before, after), stats.mcnemar(before, after, mid_p=True)
    assert exact.p == pytest.approx(2 * 9 / 256)
    assert mid.p == pytest.approx((2 * 9 - 8) / 256)
    assert (exact.statistic, exact.unit, exact.n) == (1, "questions", (21, 21))
    assert exact.estimate == pytest.approx(-6 / 21)
    low, high = exact.interval
    assert low < -6 / 21 < high


@pytest.mark.parametrize(("ours", "theirs"), [(0, 0), (1, 1), (0, 5), (3, 4), (6, 6)])
def test_mid_p_counts_half_of_the_observed_table(ours, theirs):
    """By enumeration: tables less likely than the observed one count whole, equally likely ones half."""
    chances = scipy_stats.binom.pmf(np.arange(ours + theirs + 1), ours + theirs, 0.5)
    equal = np.isclose(chances, chances[ours])
    expected = chances[(chances < chances[ours]) & ~equal].sum() + chances[equal].sum() / 2
    result = stats.mcnemar(*map(list, children(3, ours, theirs, 2)), mid_p=True)
    assert result.p == pytest.approx(expected if ours + theirs else 1.0)


def test_holm_is_that_of_statsmodels():
    from statsmodels.stats.multitest import multipletests

    rng = np.random.default_rng(5)
    for count in (1, 2, 28, 60):
        values = rng.beta(0.3, 1, count).round(2)  # some are small, some are alike, some are 0 or 1
        expected = multipletests(values, method="holm")[1]
        assert list(stats.holm(dict(enumerate(values))).values()) == pytest.approx(list(expected), abs=0)


def test_specificity_is_the_paired_test_against_the_mean_of_the_others():
    own, others = FIRST_DRUG, {"cat": SECOND_DRUG, "dog": SECOND_DRUG[::-1]}
    mean = (SECOND_DRUG + SECOND_DRUG[::-1]) / 2
    assert stats.specificity(own, others) == stats.over_questions(own, mean)


def test_specificity_over_runs_takes_each_other_animal_as_one_unit():
    runs = np.repeat(expit(10 * FIRST_DRUG), 3).reshape(10, 3)
    others = {str(index): [[rate] * 3] * (1 + index) for index, rate in enumerate(expit(10 * SECOND_DRUG))}
    result = stats.specificity_over_runs(runs, others)
    assert (result.statistic, result.p) == pytest.approx((-1.8608, 0.09570), abs=5e-5)
    assert (result.unit, result.n) == ("training runs", (10, 10))


# -- Oracles: two other ways to ask the same of training runs ----------------------------------------------------------


def arms_with_spread(runs, questions, seed=0):
    """Rates near 30 %, where the log-odds of a run are all but linear in its rate."""
    rng = np.random.default_rng(seed)
    rates = 0.3 + rng.normal(0, 0.05, (2 * runs, 1)) + rng.normal(0, 0.1, questions)
    return np.split((rates + rng.normal(0, 0.02, rates.shape)).clip(0, 1), 2)


def test_over_runs_finds_what_a_mixed_model_of_runs_and_questions_finds():
    """statsmodels' linear mixed model, runs and questions both random and crossed (R. H. Baayen et al., 2008)."""
    student, control = arms_with_spread(4, 6)
    rates = np.vstack([student, control])
    run, question = np.divmod(np.arange(48), 6)
    design = np.column_stack([np.ones(48), run < 4]).astype(float)
    names = [["run", "question"], [[list("01234567")], [list("012345")]], [[np.eye(8)[run]], [np.eye(6)[question]]]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = MixedLM(rates.ravel() / rates.std(), design, np.ones(48), exog_vc=VCSpec(*names)).fit(reml=True)
    result = stats.over_runs(student, control)
    assert result.statistic == pytest.approx(fit.tvalues[1], rel=0.05)
    slope = 1 / (rates.mean() * (1 - rates.mean()))  # nats of log-odds for a unit of rate
    assert result.estimate == pytest.approx(slope * rates.std() * fit.params[1], rel=0.05)


def test_over_runs_has_the_interval_of_a_bootstrap_of_runs():
    """All 256 x 256 draws of four runs an arm, their percentiles expanded to t's reach (T. C. Hesterberg, 2015)."""
    student, control = np.array([0.2, 0.25, 0.3, 0.45]), np.array([0.1, 0.1, 0.15, 0.2])
    draws = [np.array(list(itertools.product(logit(arm), repeat=4))).mean(axis=1) for arm in (student, control)]
    tail = scipy_stats.norm.sf(np.sqrt(4 / 3) * scipy_stats.t.ppf(0.975, 3))
    expected = np.quantile(np.subtract.outer(*draws).ravel(), [tail, 1 - tail], method="inverted_cdf")
    result = stats.over_runs(*(np.repeat(arm, 5).reshape(4, 5) for arm in (student, control)))
    assert result.interval == pytest.approx(tuple(expected), abs=0.12)
    assert result.estimate == pytest.approx(logit(student).mean() - logit(control).mean())


# -- No spread, and misuse ---------------------------------------------------------------------------------------------


def test_runs_that_are_all_equal_give_no_p_and_no_interval():
    result = stats.over_runs([[0.0, 0.5]] * 3, [[0.0, 0.2]] * 3)
    assert result.estimate == pytest.approx(np.log(0.25 / 0.75) - np.log(0.1 / 0.9))
    assert (result.statistic, result.p, result.interval) == (None, None, None)
    assert "cannot be estimated" in result.method


def test_a_single_arm_without_spread_still_gives_welchs_test():
    result = stats.over_runs([[0.2, 0.2], [0.3, 0.3], [0.4, 0.4]], [[0.1, 0.1]] * 3)
    expected = scipy_stats.ttest_1samp(logit([0.2, 0.3, 0.4]), logit(0.1))
    assert (result.statistic, result.p) == pytest.approx((expected.statistic, expected.pvalue))


RUN = [0.1, 0.2, 0.0]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: stats.over_runs(RUN, RUN),
            r"treatment\[0\] is 0.1, not a list of rates.*compares two models",
        ),
        (lambda: stats.over_questions([RUN, RUN], [RUN, RUN]), r"treatment\[0\] is a list.*comparison over runs"),
        (lambda: stats.over_questions(np.array([RUN, RUN]), np.array([RUN, RUN])), r"treatment\[0\] is a list"),
        (lambda: stats.over_runs([RUN], [RUN]), r"treatment has 1 training run\(s\), and this method needs at least 2"),
        (lambda: stats.over_runs([RUN] * 2, [RUN]), r"control has 1 training run"),
        (lambda: stats.over_runs([RUN, RUN[:2]], [RUN] * 2), "runs of treatment do not have the same number"),
        (lambda: stats.over_runs([RUN] * 2, [RUN[:2]] * 2), "treatment has 3 questions and control has 2"),
        (lambda: stats.over_runs([RUN, [0.1, 20, 0]], [RUN] * 2), r"treatment\[1\]\[1\] is 20.*not per cent"),
        (lambda: stats.over_runs(0.1, [RUN] * 2), "treatment is not a list. Give one list of rates per training run"),
        (lambda: stats.over_questions(RUN, RUN, "welch"), "no method 'welch'.*permutation, t, wilcoxon"),
        (lambda: stats.specificity(RUN, {}), "others names no student of another animal"),
        (lambda: stats.specificity(RUN, {"cat": RUN[:2]}), r"target has 3 questions and others\['cat'\] has 2"),
        (lambda: stats.specificity_over_runs([RUN] * 2, {"cat": [RUN]}), "fewer than two other animals"),
        (lambda: stats.specificity_over_runs([RUN], {"cat": [RUN], "dog": [RUN]}), r"target has 1 training run"),
        (lambda: stats.mcnemar([1, 0], [1, 0.5]), r"control\[1\] is 0.5, neither true"),
        (lambda: stats.mcnemar([1, 0], [1]), r"control has 1 problem"),
        (lambda: stats.mcnemar([1, 0, 1], [1, 0]), "treatment has 3 problems and control has 2"),
        (lambda: stats.wilson(0.5, 2), "0.5 successes in 2 trials are impossible. Give whole numbers"),
        (lambda: stats.wilson("1", 2), "'1' successes in 2 trials"),
        (lambda: stats.holm({}), "no p-value to adjust"),
        (lambda: stats.holm({"owl": 1.2}), "p-value of owl is 1.2"),
    ],
)
def test_misuse_gets_a_sentence(call, sentence):
    with pytest.raises(UserError, match=sentence):
        call()


def test_a_result_without_a_unit_cannot_be_made():
    with pytest.raises(ValueError, match="none of questions, training runs, replicates"):
        stats.Result(0.0, None, 0.5, None, "samples", (2, 2), "t")


def test_random_flips_agree_with_exact_ones(monkeypatch):
    differences = np.array([0.1, -0.05, 0.2, 0.05, 0.15, -0.1, 0.3, 0.05, 0.1, -0.2])
    exact = stats.sign_flip_test(differences)
    monkeypatch.setattr(stats_questions, "EXACT_UP_TO", 5)
    assert stats.sign_flip_test(differences) == pytest.approx(exact, abs=0.005)
