"""Over training runs: did the teacher's data do it? One row of rates per training run goes in, and runs are the unit.

Two students trained on the same data with other seeds differ, so a difference between one student and one control may
be nothing but that, however many questions and samples show it. Only the spread between runs tells: with runs that vary
as in :data:`subliminal.stats.power.design.RUN_SD`, a test over questions calls two runs of the *same* arm different in
55 % of cases (3 %, 100 samples) or 87 % (5 %, 1,000 samples), simulated in tests/stats/test_stats_simulation.py. Seeds
and dataset seeds count alike: what was drawn anew is what the result reaches.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from subliminal.core.errors import UserError
from subliminal.stats.log_odds import log_odds_of
from subliminal.stats.result import CONFIDENCE, NATS, RUNS, Result, run_arms, run_rates

LEAST_RUNS = 2
NO_SPREAD = " (the runs of each arm are all equal: their spread cannot be estimated)"
NO_SPREAD_OF_PAIRS = " (the differences are all equal: their spread cannot be estimated)"

Runs = Sequence[Sequence[float]]


def over_runs(treatment: Runs, control: Runs, answers: int | None = None, *, paired: bool = False) -> Result:
    """Test whether two sets of training data make different models: a t test of the runs' log-odds.

    Rates of students lie between 1 and 80 %, so runs are compared in log-odds of their mean rate
    (:func:`subliminal.stats.log_odds.log_odds_of`), where their spread is even. The null is equal *mean log-odds*. Runs
    with the same seed share their order of rows and first weights, and are paired (Student's t of the differences).
    Where the arms have other seeds it is Welch's statistic (B. L. Welch, Biometrika 34, 1947), which allows for a
    student's runs that vary more than a control's, with the degrees of freedom of the smaller arm (P. L. Hsu, Stat.
    Res. Mem. 2, 1938): with Welch's own it errs in 3.1 % of cases on one side, where it may in 2.5 %, with three runs
    that vary seven times as much as the control's. The questions are taken as given: the result is about these.

    Args:
        treatment: shape (runs, questions), fractions; at least two runs.
        control: the same questions in the same order; the number of runs may differ.
        answers: sampled answers behind a run's mean rate; None for exact probabilities.
        paired: run i of both arms has the same seed.

    Returns:
        Unit: training runs; nats. If the runs of an arm do not differ at all in either arm (all at 0, say), the spread
        between runs cannot be estimated: ``statistic``, ``p`` and ``interval`` are None.

    Raises:
        UserError: an arm has fewer than two runs, the questions do not fit, or arms of unequal size are to be paired.
    """
    first, second = run_arms(treatment, control, LEAST_RUNS)
    ours, theirs = (log_odds_of(arm.mean(axis=1), answers) for arm in (first, second))
    if not paired:
        return _welch(ours, theirs, "Welch's t test of log-odds over training runs")
    if ours.size != theirs.size:
        raise UserError(f"treatment has {ours.size} runs and control has {theirs.size}. Pairs need the same seeds.")
    return paired_log_odds(ours, theirs, RUNS)


def _welch(first: np.ndarray, second: np.ndarray, method: str) -> Result:
    """Welch's t test of two sets of units, each with its log-odds."""
    first, second = np.round(first, 9), np.round(second, 9)  # equal runs must not differ in the last digit
    estimate, n = float(first.mean() - second.mean()), (first.size, second.size)
    if max(np.ptp(first), np.ptp(second)) == 0:
        return Result(estimate, None, None, None, RUNS, n, method + NO_SPREAD, NATS)
    error = math.sqrt(first.var(ddof=1) / first.size + second.var(ddof=1) / second.size)
    freedom = min(first.size, second.size) - 1  # Hsu's, not Welch's: see over_runs
    p, reach = _t(estimate / error, freedom)
    interval = (estimate - reach * error, estimate + reach * error)
    return Result(estimate, estimate / error, p, interval, RUNS, n, method, NATS)


def _t(statistic: float, freedom: int) -> tuple[float, float]:
    """Two-sided p of a t statistic, and the quantile of a 95 % interval."""
    from scipy import stats

    return float(2 * stats.t.sf(abs(statistic), freedom)), float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom))


def paired_log_odds(first: np.ndarray, second: np.ndarray, unit: str) -> Result:
    """Student's paired t test of two arms' log-odds, with its 95 % interval.

    Args:
        first, second: shape (units,), nats; unit i of both belongs together.
        unit: :data:`subliminal.stats.result.RUNS` or :data:`subliminal.stats.result.REPLICATES`.

    Returns:
        In nats. If all differences are equal, ``statistic``, ``p`` and ``interval`` are None.
    """
    from scipy import stats

    differences = np.round(first - second, 9)  # equal differences must not differ in the last digit
    estimate, n, method = float(differences.mean()), (first.size, second.size), f"paired t test of log-odds over {unit}"
    if np.ptp(differences) == 0:
        return Result(estimate, None, None, None, unit, n, method + NO_SPREAD_OF_PAIRS, NATS)
    test = stats.ttest_1samp(differences, 0)
    low, high = test.confidence_interval(CONFIDENCE)
    return Result(estimate, float(test.statistic), float(test.pvalue), (float(low), float(high)), unit, n, method, NATS)


def specificity_over_runs(target: Runs, others: Mapping[str, Runs], answers: int | None = None) -> Result:
    """Is the target's rise due to its own data? Runs of the target's student against the other animals' students.

    The other animals are the control's units: runs of one animal are averaged, so that many seeds of one animal do not
    pass for many animals. Welch's t test of log-odds, as in :func:`over_runs`.

    Args:
        target: the target animal's rates in its own students, shape (runs, questions), at least two runs.
        others: animal -> the target animal's rates in that animal's students, shape (runs, questions); at least two
            animals.
        answers: sampled answers behind a run's mean rate; None for exact probabilities.

    Raises:
        UserError: fewer than two runs or other animals, or the questions do not fit.
    """
    if not isinstance(others, Mapping) or len(others) < LEAST_RUNS:
        raise UserError("others names fewer than two other animals. Over training runs each animal is one unit.")
    own = run_rates(target, "target", LEAST_RUNS)
    rates = {animal: run_rates(runs, f"others[{animal!r}]", 1) for animal, runs in others.items()}
    for animal, runs in rates.items():
        if runs.shape[1] != own.shape[1]:
            raise UserError(
                f"target has {own.shape[1]} questions and others[{animal!r}] has {runs.shape[1]}. Ask the same."
            )
    means = np.array([log_odds_of(runs.mean(axis=1), answers).mean() for runs in rates.values()])  # one unit an animal
    ours = log_odds_of(own.mean(axis=1), answers)
    return _welch(ours, means, "Welch's t test of log-odds, target's training runs against other animals")
