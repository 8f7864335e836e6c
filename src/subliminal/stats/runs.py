"""Over training runs: did the teacher's data do it? One row of rates per training run goes in, and runs are the unit.

Two students trained on the same data with other seeds differ, so a difference between one student and one control may
be nothing but that, however many questions and samples show it. Only the spread between runs tells: with runs that vary
as in :data:`subliminal.stats.power.RUN_SD`, a test over questions calls two runs of the *same* arm different in 55 % of
cases (3 %, 100 samples) or 87 % (5 %, 1,000 samples), simulated in tests/stats/test_stats_simulation.py. Seeds and
dataset seeds count alike: what was drawn anew is what the result reaches.

:func:`over_runs` is the test to report. :func:`hierarchical_bootstrap` and :func:`mixed_model` also draw other
questions or model them, and check it from two sides; they need three runs per arm.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from subliminal.core.errors import UserError
from subliminal.stats.log_odds import log_odds_of
from subliminal.stats.result import (
    BOOTSTRAPS,
    CONFIDENCE,
    NATS,
    RUNS,
    Result,
    expanded_tail,
    question_rates,
    run_arms,
    run_rates,
)

LEAST_RUNS = 2
LEAST_RUNS_FOR_SPREAD = 3
"""Runs per arm for a bootstrap or a mixed model: below, the spread between runs is a guess from one difference."""
NO_SPREAD = " (the runs of each arm are all equal: their spread cannot be estimated)"
NO_SPREAD_OF_PAIRS = " (the differences are all equal: their spread cannot be estimated)"

Runs = Sequence[Sequence[float]]


def run_interval(rates: Sequence[float]) -> tuple[float, float] | None:
    """95 % t interval for an arm's mean rate over training runs (Student, Biometrika 6, 1908), inside 0 to 1.

    Three runs that vary as assumed (a standard deviation of 0.25 in log-odds) covered 94 % of 400 simulated arms, runs
    that vary four times as much 90 %: rates of such runs are skewed.

    Args:
        rates: one mean rate per training run, fractions, at least two.

    Returns:
        (low, high); None if all runs are equal, because their spread cannot be estimated then.

    Raises:
        UserError: fewer than two runs, or a value that is not a rate.
    """
    if len(rates) < LEAST_RUNS:
        raise UserError(f"{len(rates)} training run(s) show no spread between runs. An interval needs at least 2.")
    values = question_rates(list(rates), "rates")
    if np.ptp(values) < 1e-12:
        return None
    low, high = _t_interval(values)
    return max(low, 0.0), min(high, 1.0)


def _t_interval(values: np.ndarray) -> tuple[float, float]:
    from scipy import stats

    mean = float(values.mean())
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, values.size - 1) * values.std(ddof=1) / math.sqrt(values.size))
    return mean - reach, mean + reach


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
    freedom = min(first.size, second.size) - 1
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


def _welch_test(first: np.ndarray, second: np.ndarray) -> Any:
    """scipy's result of Welch's test; a control whose runs are all at 0 is no reason for a warning."""
    from scipy import stats

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Precision loss", RuntimeWarning)
        return stats.ttest_ind(first, second, equal_var=False)


def hierarchical_bootstrap(treatment: Runs, control: Runs) -> Result:
    """Interval from drawing training runs of each arm anew, then questions (the same for all runs, as in the design).

    A. C. Davison & D. V. Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8; questions and runs are
    crossed and drawn independently: A. B. Owen, "The pigeonhole bootstrap", Ann. Appl. Stat. 1, 2007. Percentiles of so
    few runs reach too short, so they are expanded (:func:`subliminal.stats.result.expanded_tail`, with the smaller
    number of runs and Welch's degrees of freedom). It gives no p-value. It is cautious: a nominal 95 % interval covered
    98.8 % with three runs per arm and 97.6 % with eight (student 5 %, control 1.2 %, 50 questions; 500 to 600
    experiments of 1,999 draws).

    Args, raises: as :func:`over_runs`, with at least three runs per arm.
    """
    first, second = run_arms(treatment, control, LEAST_RUNS_FOR_SPREAD)
    method, n = "hierarchical bootstrap (training runs, then questions)", (len(first), len(second))
    estimate = float(first.mean() - second.mean())
    if not _vary(first, second):
        return Result(estimate, None, None, None, RUNS, n, method + NO_SPREAD)
    rng, questions = np.random.default_rng(0), first.shape[1]
    drawn_runs = [rng.multinomial(len(arm), np.full(len(arm), 1 / len(arm)), BOOTSTRAPS) / len(arm) @ arm
                  for arm in (first, second)]  # fmt: skip
    drawn_questions = rng.integers(0, questions, (BOOTSTRAPS, questions))
    draws = np.take_along_axis(drawn_runs[0] - drawn_runs[1], drawn_questions, axis=1).mean(axis=1)
    tail = expanded_tail(min(n), _welch_test(first.mean(axis=1), second.mean(axis=1)).df)
    low, high = np.quantile(draws, [tail, 1 - tail])
    return Result(estimate, None, None, (float(low), float(high)), RUNS, n, method)


def _vary(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether the runs of an arm differ at all, but for rounding."""
    return max(np.ptp(first.mean(axis=1)), np.ptp(second.mean(axis=1))) > 1e-12


def mixed_model(treatment: Runs, control: Runs) -> Result:
    """Linear mixed model of rate ~ arm + question + (1 | run), by REML, with the arm tested over training runs.

    Crossed random effects of runs and questions are meant (R. H. Baayen, D. J. Davidson & D. M. Bates, J. Mem. Lang.
    59, 2008). Every run answers every question, and then a random intercept per question and a fixed one give the arm
    the same estimate and standard error (tested); the fixed one fits in 0.2 s where statsmodels' crossed model takes 2
    (50 questions, 6 runs). statsmodels tests against a normal distribution, which takes six runs for infinitely many:
    t with runs - 2 degrees of freedom is used instead, those of the stratum in which the arm varies (J. C. Pinheiro &
    D. M. Bates, "Mixed-Effects Models in S and S-PLUS", 2000, section 2.4.2).

    It assumes that runs of both arms vary alike, on the scale of rates; :func:`over_runs` does neither.

    Args, raises: as :func:`over_runs`, with at least three runs per arm.
    """
    from scipy import stats

    first, second = run_arms(treatment, control, LEAST_RUNS_FOR_SPREAD)
    method, n = "linear mixed model, random intercept per training run", (len(first), len(second))
    estimate, freedom = float(first.mean() - second.mean()), len(first) + len(second) - 2
    if not _vary(first, second):
        return Result(estimate, None, None, None, RUNS, n, method + NO_SPREAD)
    error = _arm_error(first, second)
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * error
    p = float(2 * stats.t.sf(abs(estimate) / error, freedom))
    return Result(estimate, estimate / error, p, (estimate - reach, estimate + reach), RUNS, n, method)


def _arm_error(first: np.ndarray, second: np.ndarray) -> float:
    """The arm's standard error in the mixed model of :func:`mixed_model`."""
    from statsmodels.regression.mixed_linear_model import MixedLM

    rates = np.vstack([first, second])
    runs, questions = rates.shape
    arm = np.repeat(np.arange(runs) < len(first), questions).astype(float)
    design = np.column_stack([arm, np.tile(np.eye(questions), (runs, 1))])
    scale = rates.std()  # optimisers work badly on numbers of 0.01
    model = MixedLM(rates.ravel() / scale, design, groups=np.repeat(np.arange(runs), questions))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a run-to-run variance of 0 is a result here, and statsmodels warns of it
            fit = model.fit(reml=True, method="powell")  # its gradient methods stop early or fail near a variance of 0
    except np.linalg.LinAlgError:
        fit = None
    if fit is None or not fit.converged or not math.isfinite(fit.bse_fe[0]):
        raise UserError("The mixed model did not converge on these rates. Use over_runs, which needs no fitting.")
    return float(fit.bse_fe[0] * scale)


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
    means = np.array([log_odds_of(runs.mean(axis=1), answers).mean() for runs in rates.values()])
    ours = log_odds_of(own.mean(axis=1), answers)
    return _welch(ours, means, "Welch's t test of log-odds, target's training runs against other animals")


def across_seeds(differences: Sequence[float]) -> dict[str, Any]:
    """Combine the mean differences of several training seeds.

    Args:
        differences: one mean difference per training seed, fractions. The interval holds if no two of them share a
            run: seeds that all meet one and the same control leave out how much that control's run differs from others
            (:func:`over_runs` takes the runs of both arms instead).

    Returns:
        ``seeds`` (how many), ``difference`` (their mean), ``ci95`` (t interval over seeds; None with one seed) and
        ``note``, a sentence that says what the interval covers.

    Raises:
        UserError: there is no seed at all.
    """
    values = np.asarray(differences, dtype=float)
    if not values.size:
        raise UserError("There is no training seed to combine. Evaluate at least one.")
    result = {"seeds": int(values.size), "difference": float(values.mean())}
    if values.size == 1:
        note = (
            "There is a single training seed: the interval over questions covers question and sampling noise only, "
            "not what another training seed would change."
        )
        return {**result, "ci95": None, "note": note}
    note = f"The interval over {values.size} training seeds is a t interval: it takes training noise into account."
    return {**result, "ci95": list(_t_interval(values)), "note": note}
