"""The chance that a design sees an effect, the smallest effect that it sees, and what an effect needs."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace

import numpy as np

from subliminal.core.errors import UserError
from subliminal.stats.log_odds import log_odds_of
from subliminal.stats.power.design import Design, sampling_variance
from subliminal.stats.result import ALPHA, QUESTIONS, RUNS

POWER = 0.8
MOST = {"seeds": 1_000, "questions": 100_000, "samples": 1_000_000}
"""Where a search for the size needed gives up."""


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
    return design.run_sd**2 + sampling_variance(rate, design.answers, design.icc)


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

    seeds = fewest("seeds", 2) if unit == RUNS else None
    questions = fewest("questions", 2) if unit == QUESTIONS else None
    samples = fewest("samples", 1) if design.samples else None
    return Needed(effect, unit, seeds, questions, samples)


def _check_levels(power: float, alpha: float) -> None:
    for name, value in {"power": power, "alpha": alpha}.items():
        if not isinstance(value, int | float) or not 0 < value < 1:
            raise UserError(f"{name} is {value!r}. Give a number between 0 and 1; usual are power 0.8, alpha 0.05.")
    if power <= alpha:
        raise UserError(f"A power of {power:g} at alpha {alpha:g} is what chance alone gives. Ask for more power.")
