"""The smallest effect that a design can see, and the size of design that an effect needs.

    python scripts/power.py --questions 50 --samples 200 --baseline 0.012 --seeds 3

**Assumptions**, all stated in the output. A question's rate in an arm is Beta-distributed around the arm's mean, with
the share ``icc`` of an answer's variance between questions; a question's rates in the two arms have the correlation
``likeness`` (0 is the cautious end: arms of one base model share what makes a question easy). A training run shifts the
log-odds of an arm's rate by a normal amount with standard deviation ``run_sd``. Both arms have the same sizes.

**Method.** Power of the paired t test (J. Cohen, "Statistical Power Analysis for the Behavioral Sciences", 2nd ed.
1988; statsmodels computes the non-central t), with the variances that follow from the assumptions. Over training runs
it is that of the runs' log-odds, paired by seed, for an effect on the questions asked; over questions that of the
rates, for an effect on all questions of their kind. Simulated experiments see such effects with the stated chance to
within 0.07 (2 to 8 runs, 2 and 200 samples, 1,000 experiments each, in tests/stats/test_power.py).

What a single finished experiment measured is a poor plan for the next: an effect that was only just seen is likely
overestimated (A. Gelman & J. Carlin, Perspect. Psychol. Sci. 9, 2014). Plan for the smallest effect that would matter.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from subliminal.core.errors import UserError
from subliminal.stats.log_odds import log_odds_of
from subliminal.stats.result import ALPHA, QUESTIONS, RUNS, run_rates

POWER = 0.8
RUN_SD = 0.25
"""Run-to-run standard deviation of the log-odds where the data do not tell: our choice. A published 84.9 +- 2.9 % (cat,
Qwen2.5-7B, three seeds; taken as a standard deviation) is 0.23, and 0.25 makes 5 % vary by 1.2 points."""
ICC = 0.05
"""Share of an answer's variance between questions where the data do not tell: our choice, as in Beta(0.95, 18.05)."""
MOST = {"seeds": 1_000, "questions": 100_000, "samples": 1_000_000}
"""Where a search for the size needed gives up."""


@dataclass(frozen=True)
class Design:
    """An experiment of two arms. Fractions throughout.

    Attributes:
        questions: questions that every model answers, at least 2.
        samples: answers per question and run; None for exact probabilities, which have no sampling noise.
        seeds: training runs per arm, at least 1.
        baseline: the control's mean rate.
        run_sd: standard deviation, between runs of an arm, of the log-odds of the rate.
        icc: share (0 to 1) of an answer's variance that lies between questions.
        likeness: correlation (0 to 1) of a question's rates in the two arms.

    Raises:
        UserError: a value outside these ranges.
    """

    questions: int
    samples: int | None
    seeds: int
    baseline: float
    run_sd: float = RUN_SD
    icc: float = ICC
    likeness: float = 0.0

    def __post_init__(self) -> None:
        whole = {"questions": 2, "seeds": 1}
        if self.samples is not None:
            whole["samples"] = 1
        for name, least in whole.items():
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
                raise UserError(f"{name} is {value!r}. Give a whole number, {least} or more.")
        for name, most in {"baseline": 1.0, "run_sd": 10.0, "icc": 1.0, "likeness": 1.0}.items():
            value = getattr(self, name)
            if not isinstance(value, int | float | np.number) or isinstance(value, bool) or not 0 <= value <= most:
                raise UserError(f"{name} is {value!r}. Give a number from 0 to {most:g} (rates are fractions).")

    @property
    def answers(self) -> int | None:
        """Sampled answers behind the rate of a run; None for exact probabilities."""
        return self.samples and self.samples * self.questions


@dataclass(frozen=True)
class Needed:
    """What would do for an effect: each number alone, with the design's other sizes as they are; None if none would.

    ``seeds`` (training runs per arm) belongs to the unit "training runs", ``questions`` to the unit "questions";
    ``samples`` (answers per question and run) to both.
    """

    effect: float
    unit: str
    seeds: int | None
    questions: int | None
    samples: int | None


def detection_power(effect: float, design: Design, unit: str, alpha: float = ALPHA) -> float:
    """The chance that a two-sided test at level ``alpha`` calls the effect significant, in its own direction.

    Args:
        effect: student's mean rate minus the control's; baseline + effect lies within 0 to 1.
        unit: :data:`RUNS` (paired t test of the runs' log-odds; 0 with one run per arm) or :data:`QUESTIONS` (paired t
            test of the questions' rates).

    Raises:
        UserError: the student's rate would be outside 0 to 1.
    """
    from statsmodels.stats.power import ttest_power

    # Rounding must not make a rate of 1 a little more.
    student = round(design.baseline + effect, 12)
    if not 0 <= student <= 1:
        raise UserError(f"An effect of {effect:g} on a baseline of {design.baseline:g} is no rate between 0 and 1.")
    if unit == RUNS:
        # One run an arm shows no spread between runs, so that no test over runs can be made.
        if design.seeds < 2:
            return 0.0
        units = design.seeds
        size = abs(_log_odds(student, design) - _log_odds(design.baseline, design))
        total = sum(_run_variance(rate, design) for rate in (student, design.baseline))
    else:
        units, size = design.questions, abs(effect)
        rates = (student, design.baseline)
        # Var(a - b) = Var(a) + Var(b) - 2 Cov(a, b).
        # The covariance of the arms, from the correlation of a question's true rates.
        shared = 2 * design.likeness * np.sqrt(np.prod([_between(rate, design) for rate in rates]))
        total = sum(_question_variance(rate, design) for rate in rates) - shared
    if total <= 0:  # nothing varies: any effect is seen, and chance alone shows none
        if effect:
            return 1.0
        return alpha / 2
    # One-sided at half of alpha: a difference in the wrong direction is none that was to be seen.
    power = ttest_power(size / np.sqrt(total), units, alpha / 2, alternative="larger")
    return float(np.nan_to_num(power, nan=1.0))  # where it is 1 to the last digit, the library may say NaN


def raised(rate: float, gain: float, answers: int | None = None) -> float:
    """The rate whose log-odds lie ``gain`` nats above those of ``rate``, both as :func:`log_odds_of` takes them.

    Args:
        rate: a fraction. An exact probability of 0 or 1 is held just inside.
        gain: nats.
        answers: sampled answers behind each of the two rates, which get half an answer on each side; None for exact
            probabilities. A fall that would need fewer than no answers ends at 0, a rise at 1.
    """
    odds = np.exp(log_odds_of(rate, answers) + gain)
    found = float(odds / (1 + odds))
    if answers:
        found = min(max((found * (answers + 1) - 0.5) / answers, 0.0), 1.0)
    return found


def _log_odds(rate: float, design: Design) -> float:
    """Of a run's mean rate, as :func:`subliminal.stats.runs.over_runs` takes them."""
    return float(log_odds_of(rate, design.answers))


def _run_variance(rate: float, design: Design) -> float:
    """Variance between runs of an arm of the log-odds of the mean rate (delta method for what sampling adds)."""
    if not design.samples:
        return design.run_sd**2
    answers = design.answers
    # With half an answer on each side, as the log-odds themselves are taken: at 0 the variance stays finite.
    held = (rate * answers + 0.5) / (answers + 1)
    return design.run_sd**2 + (1 - design.icc) / (answers * held * (1 - held))


def _question_variance(rate: float, design: Design) -> float:
    """Variance between questions of an arm's measured rate over all runs."""
    if not design.samples:  # exact probabilities: sampling adds nothing
        return _between(rate, design)
    within = rate * (1 - rate) * (1 - design.icc)  # of one answer, given its question
    return _between(rate, design) + within / (design.samples * design.seeds)


def _between(rate: float, design: Design) -> float:
    """Variance of an arm's true rates between questions."""
    return design.icc * rate * (1 - rate)


def smallest_effect(design: Design, unit: str, power: float = POWER, alpha: float = ALPHA) -> float | None:
    """The smallest rise above the baseline that the design sees with the given power; None if it sees none.

    Args: see :func:`detection_power`; ``power`` is the chance of seeing it.
    """
    from scipy.optimize import brentq

    _check_levels(power, alpha)
    largest = 1 - design.baseline
    if largest <= 0 or detection_power(largest, design, unit, alpha) < power:
        return None
    # From just above 0: at 0 itself the power is what chance gives, and no sign changes.
    return float(brentq(lambda e: detection_power(e, design, unit, alpha) - power, 1e-9, largest, xtol=1e-7))


def needed(
    effect: float, design: Design, unit: str, power: float = POWER, alpha: float = ALPHA, more: bool = False
) -> Needed:
    """How many training runs, questions or samples would do to see an effect.

    Args:
        effect: see :func:`detection_power`; not 0.
        design: what there is; one size at a time is changed.
        more: search above the design's own sizes only. For a finished experiment that could not tell: whatever power
            it had, more of the same is what would help.

    Raises:
        UserError: the effect is 0 or impossible, or a level is not between 0 and 1.
    """
    _check_levels(power, alpha)
    if not isinstance(effect, int | float | np.number) or isinstance(effect, bool) or not effect:
        raise UserError(f"An effect of {effect!r} is not to be seen. Give the smallest fraction that would matter.")

    def fewest(size: str, least: int) -> int | None:
        start = least
        if more:
            start = max(least, getattr(design, size) + 1)

        def enough(count: int) -> bool:
            return detection_power(effect, replace(design, **{size: count}), unit, alpha) >= power

        # Power rises with each size alone, so that halving finds the first that will do.
        count = bisect_left(range(MOST[size] + 1), True, lo=start, key=enough)
        if count > MOST[size]:
            return None
        return count

    seeds = questions = samples = None
    if unit == RUNS:
        seeds = fewest("seeds", 2)
    if unit == QUESTIONS:
        questions = fewest("questions", 2)
    if design.samples:
        samples = fewest("samples", 1)
    return Needed(effect, unit, seeds, questions, samples)


def _check_levels(power: float, alpha: float) -> None:
    for name, value in {"power": power, "alpha": alpha}.items():
        if not isinstance(value, int | float) or not 0 < value < 1:
            raise UserError(f"{name} is {value!r}. Give a number between 0 and 1; usual are power 0.8, alpha 0.05.")
    if power <= alpha:
        raise UserError(f"A power of {power:g} at alpha {alpha:g} is what chance alone gives. Ask for more power.")


def design_of(treatment: Any, control: Any, samples: int | None) -> Design:
    """The design of a finished experiment, with ``icc``, ``likeness`` and ``run_sd`` estimated from it.

    Moment estimates: the variance between question means, and between the runs' log-odds, less what sampling adds to
    each, and the covariance of the arms' question means.
    Where the data do not tell (one run per arm, no spread beyond sampling, all rates 0), :data:`ICC` and
    :data:`RUN_SD` stand.

    Args:
        treatment: shape (runs, questions), fractions.
        control: the same questions; ``seeds`` becomes the smaller number of runs.
        samples: answers per question and run, None for exact probabilities.
    """
    arms = [run_rates(treatment, "treatment", 1), run_rates(control, "control", 1)]
    icc = ICC
    measured = [_icc(arm, samples) for arm in arms]
    told = [each for each in measured if each is not None]
    if told:
        icc = float(np.clip(np.mean(told), 0, 1))
    squares = freedom = 0.0
    for arm in arms:
        spread = _measured_variance(arm, samples, icc)
        if spread is not None:  # an arm counts by its degrees of freedom
            squares += spread * (len(arm) - 1)
            freedom += len(arm) - 1
    variance = squares / max(1, freedom)
    run_sd = RUN_SD
    if variance > 0:
        # No larger than 10, the range of Design: beyond it every rate is 0 or 1.
        run_sd = float(min(np.sqrt(variance), 10.0))
    return Design(
        questions=arms[0].shape[1],
        samples=samples,
        seeds=min(map(len, arms)),
        baseline=float(arms[1].mean()),
        run_sd=run_sd,
        icc=icc,
        likeness=_likeness(arms, icc),
    )


def _icc(arm: np.ndarray, samples: int | None) -> float | None:
    """Share of an answer's variance between questions; None if one answer per question is all there is."""
    rate, answers = arm.mean(), (samples or np.inf) * len(arm)
    if not 0 < rate < 1 or answers < 2:
        return None
    means = arm.mean(axis=0)
    # What sampling alone gives a question's mean, by the unbiased estimate of a binomial's variance.
    noise = float(np.mean(means * (1 - means))) / (answers - 1)
    return max(0.0, float(means.var(ddof=1)) - noise) / (rate * (1 - rate))


def _likeness(arms: list[np.ndarray], icc: float) -> float:
    """Correlation of a question's true rates in the two arms; 0, the cautious end, where they do not vary."""
    between = icc * np.sqrt(np.prod([arm.mean() * (1 - arm.mean()) for arm in arms]))
    if between <= 0:
        return 0.0
    # Sampling noise is independent between arms, so that it adds nothing to the covariance.
    covariance = np.cov(arms[0].mean(axis=0), arms[1].mean(axis=0))[0, 1]
    return float(np.clip(covariance / between, 0, 1))


def _measured_variance(arm: np.ndarray, samples: int | None, icc: float) -> float | None:
    """Variance between runs of the log-odds, less what sampling adds; None if there is one run or no rate to vary."""
    rate, means = float(arm.mean()), arm.mean(axis=1)
    if len(arm) < 2 or not 0 < rate < 1:
        return None
    answers = samples and samples * arm.shape[1]
    noise = 0.0
    if answers:
        noise = (1 - icc) / (answers * rate * (1 - rate))
    return max(0.0, float(log_odds_of(means, answers).var(ddof=1)) - noise)
