"""Simulated experiments: every test keeps its level at its own unit, every interval covers, and misuse does not.

An experiment has two arms. A question's rate is Beta-distributed, the same in both arms under the null; a training run
multiplies its arm's rates by a log-normal factor with mean 1; answers are binomial. All seeds are fixed.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.special import logit
from scipy.stats import binom

from subliminal import stats
from subliminal.stats import questions as stats_questions

REPEATS = 200
RUN_SD = 0.25


@pytest.fixture(autouse=True)
def _quick_and_strict(monkeypatch):
    monkeypatch.setattr(stats_questions, "RESAMPLES", 1_999)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def question_rates(rng, mean, questions=50, icc=0.05):
    """True rates of the questions: Beta, many near 0 and a long tail."""
    return rng.beta(mean * (1 / icc - 1), (1 - mean) * (1 / icc - 1), questions)


def train(rng, rates, runs, samples, run_sd=RUN_SD):
    """Measured rates of some training runs, shape (runs, questions)."""
    factors = np.exp(rng.normal(-(run_sd**2) / 2, run_sd, (runs, 1)))
    return rng.binomial(samples, np.minimum(1, rates * factors)) / samples


def null_arms(rng, runs, samples=100, mean=0.03, questions=50, run_sd=RUN_SD):
    """Two students of one arm."""
    rates = question_rates(rng, mean, questions)
    return train(rng, rates, runs, samples, run_sd), train(rng, rates, runs, samples, run_sd)


def within(hits, repeats, level):
    """The binomial 99 % interval of a count at this level holds it."""
    low, high = binom.interval(0.99, repeats, level)
    return low <= hits <= high


# -- The null experiment: 5 % false alarms -----------------------------------------------------------------------------


def same_models(rng):
    """Two models with the same rates, one run each and no run-to-run noise: what differs is chance in the answers."""
    return (arm[0] for arm in null_arms(rng, 1, run_sd=0))


def same_specificity(rng):
    rates = question_rates(rng, 0.03)
    own, *others = (train(rng, rates, 1, 100, 0)[0] for _ in range(4))
    return stats.specificity(own, dict(zip("abc", others, strict=True))).p


def same_specificity_over_runs(rng):
    rates = question_rates(rng, 0.03)
    others = {animal: train(rng, rates, 1, 100) for animal in "abcd"}
    return stats.specificity_over_runs(train(rng, rates, 4, 100), others).p


def same_solvers(rng):
    difficulty = rng.beta(1, 1, 150)
    return stats.mcnemar(rng.random(150) < difficulty, rng.random(150) < difficulty, mid_p=True).p


NULL = {
    "questions, permutation": lambda rng: stats.over_questions(*same_models(rng), "permutation").p,
    "questions, t": lambda rng: stats.over_questions(*same_models(rng), "t").p,
    "questions, Wilcoxon": lambda rng: stats.over_questions(*same_models(rng), "wilcoxon").p,
    "questions, specificity": same_specificity,
    "questions, McNemar": same_solvers,
    "runs, paired, 3 runs": lambda rng: stats.over_runs(*null_arms(rng, 3), 5000, paired=True).p,
    "runs, paired, 8 runs": lambda rng: stats.over_runs(*null_arms(rng, 8), 5000, paired=True).p,
    "runs, paired, 2 samples": lambda rng: stats.over_runs(*null_arms(rng, 4, samples=2), 100, paired=True).p,
    "runs, Welch, 3 runs": lambda rng: stats.over_runs(*null_arms(rng, 3), 5000).p,
    "runs, Welch, 8 runs": lambda rng: stats.over_runs(*null_arms(rng, 8), 5000).p,
    "runs, Welch, 2 samples": lambda rng: stats.over_runs(*null_arms(rng, 4, samples=2), 100).p,
    "runs, specificity": same_specificity_over_runs,
}
CAUTIOUS = ("runs, Welch, 3 runs", "runs, Welch, 8 runs", "runs, Welch, 2 samples", "runs, specificity")
"""With the degrees of freedom of the smaller arm they err less often where the arms vary alike."""


@pytest.mark.parametrize("name", NULL)
def test_two_students_of_one_arm_are_called_different_in_5_per_cent(name):
    rng = np.random.default_rng(7)
    alarms = sum(NULL[name](rng) < 0.05 for _ in range(REPEATS))
    if name in CAUTIOUS:
        assert alarms <= binom.ppf(0.995, REPEATS, 0.05)
    else:
        assert within(alarms, REPEATS, 0.05), f"{alarms} of {REPEATS}"


def test_verdicts_on_two_students_of_one_arm_claim_a_difference_in_5_per_cent():
    rng = np.random.default_rng(8)
    claims = [stats.verdict(*null_arms(rng, 4), 100, paired=True).claim for _ in range(REPEATS)]
    assert within(sum(claim.startswith("student") for claim in claims), REPEATS, 0.05)


# -- Misuse, and what it costs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mean", "samples", "least"), [(0.03, 100, 0.45), (0.05, 1000, 0.75)])
def test_a_test_over_questions_takes_two_runs_of_one_arm_for_different_training_data(mean, samples, least):
    """The reason for the rule: chance between runs is significant over questions, the more so the more samples."""
    rng, alarms = np.random.default_rng(9), 0
    for _ in range(REPEATS):
        first, second = null_arms(rng, 1, samples, mean)
        alarms += stats.over_questions(first[0], second[0], "t").p < 0.05
    assert alarms / REPEATS > least
    assert stats.verdict(first, second, samples).claim == "cannot tell"


def test_averaging_three_runs_does_not_make_questions_the_right_unit():
    rng, alarms = np.random.default_rng(10), 0
    for _ in range(REPEATS):
        first, second = null_arms(rng, 3, samples=200, mean=0.05)
        alarms += stats.over_questions(first.mean(axis=0), second.mean(axis=0), "t").p < 0.05
    assert alarms / REPEATS > 0.3


def test_pooled_wilson_is_too_narrow_for_answers_of_the_same_questions():
    rng, hits = np.random.default_rng(12), 0
    for _ in range(REPEATS):
        answers = rng.binomial(200, question_rates(rng, 0.03))
        low, high = stats.wilson(int(answers.sum()), 50 * 200)
        hits += low <= 0.03 <= high
    assert 0.35 < hits / REPEATS < 0.6


def test_the_best_of_28_animals_needs_holm(monkeypatch):
    monkeypatch.setattr("gc.collect", lambda: 0)  # statsmodels collects garbage at each call, for 40 ms
    p_values = np.random.default_rng(13).uniform(size=(REPEATS, 28))
    alarms = sum(min(stats.holm(dict(enumerate(row))).values()) < 0.05 for row in p_values)
    assert np.mean(p_values.min(axis=1) < 0.05) > 0.65
    assert within(alarms, REPEATS, 0.05)


# -- Coverage ----------------------------------------------------------------------------------------------------------


def student_against_control(rng, runs, questions=50):
    """Student 5 %, control 1.2 % on the same questions; the truth is the difference of log-odds on them."""
    student, control = question_rates(rng, 0.05, questions), question_rates(rng, 0.012, questions)
    arms = train(rng, student, runs, 100), train(rng, control, runs, 100)
    result = stats.over_runs(*arms, 100 * questions, paired=True)
    return result.interval, logit(student.mean()) - logit(control.mean())


def solvers(rng, problems):
    """One model solves 50 %, the other 56 % of the problems, which differ in difficulty."""
    difficulty = rng.beta(1, 1, problems)
    treatment = rng.random(problems) < 0.12 + 0.88 * difficulty
    return stats.mcnemar(treatment, rng.random(problems) < difficulty).interval, 0.06


COVERAGE = {
    "paired, 2 runs": (student_against_control, 2, 250, 0.95),
    "paired, 3 runs": (student_against_control, 3, 250, 0.95),
    "paired, 8 runs": (student_against_control, 8, 250, 0.95),
    "McNemar's difference, 100": (solvers, 100, 250, 0.95),
}
"""What is simulated, of how many units, how often, and the level that it has (0.95 is nominal)."""


def coverage(simulate, units, repeats, seed=14):
    rng, hits = np.random.default_rng(seed), 0
    for _ in range(repeats):
        (low, high), truth = simulate(rng, units)
        hits += low <= truth <= high
    return hits


@pytest.mark.parametrize("name", COVERAGE)
def test_interval_covers_as_often_as_stated(name):
    simulate, units, repeats, level = COVERAGE[name]
    hits = coverage(simulate, units, repeats)
    assert within(hits, repeats, level), f"{hits / repeats:.1%}"


def coverage_table(factor=10):
    """Print coverage from ``factor`` times as many experiments, for the docstrings."""
    for name, (simulate, units, repeats, level) in COVERAGE.items():
        print(f"{name:28} {100 * coverage(simulate, units, factor * repeats, 15) / (factor * repeats):.1f} % ({level})")


if __name__ == "__main__":
    coverage_table()
