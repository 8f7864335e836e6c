"""A design of two arms: its sizes, and what it takes for granted of questions and runs, given or estimated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from subliminal.core.errors import UserError
from subliminal.stats.log_odds import log_odds_of
from subliminal.stats.result import run_rates

RUN_SD = 0.25
"""Run-to-run standard deviation of the log-odds where the data do not tell: our choice. A published 84.9 +- 2.9 % (cat,
Qwen2.5-7B, three seeds; taken as a standard deviation) is 0.23, and 0.25 makes 5 % vary by 1.2 points."""
ICC = 0.05
"""Share of an answer's variance between questions where the data do not tell: our choice, as in Beta(0.95, 18.05)."""


@dataclass(frozen=True)
class Design:
    """An experiment of two arms. Fractions throughout.

    Attributes:
        questions: questions that every model answers, at least 2.
        samples: answers per question and run; None for exact probabilities, which have no sampling noise.
        seeds: training runs per arm, at least 1.
        baseline: the control's mean rate.
        run_sd: standard deviation, between runs of an arm, of the log-odds of the rate; of runs that are paired, that
            of their difference by the root of 2, which has what the two share in it.
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
        if self.samples is None:
            return None
        return self.samples * self.questions


def design_of(treatment: Any, control: Any, samples: int | None, *, paired: bool = False) -> Design:
    """The design of a finished experiment, with ``icc``, ``likeness`` and ``run_sd`` estimated from it.

    Moment estimates: the variance between question means, and between the runs' log-odds, less what sampling adds to
    each, and the covariance of the arms' question means.
    Where the data do not tell (one run per arm, no spread beyond sampling, all rates 0), :data:`ICC` and
    :data:`RUN_SD` stand.

    Args:
        treatment: shape (runs, questions), fractions.
        control: the same questions; ``seeds`` becomes the smaller number of runs.
        samples: answers per question and run, None for exact probabilities.
        paired: run i of both arms is one pair, of which the difference is tested.
    """
    arms = [run_rates(treatment, "treatment", 1), run_rates(control, "control", 1)]
    icc = ICC
    measured = [_icc(arm, samples) for arm in arms]
    told = [each for each in measured if each is not None]
    if told:
        icc = float(np.clip(np.mean(told), 0, 1))
    measure = _variance_between_runs
    if paired:
        measure = _variance_of_pairs
    variance = measure(arms, samples, icc)
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


def _variance_between_runs(arms: list[np.ndarray], samples: int | None, icc: float) -> float:
    """Variance between runs of the log-odds, the arms together; 0 where no arm tells."""
    squares = freedom = 0.0
    for arm in arms:
        spread = _measured_variance(arm, samples, icc)
        if spread is not None:  # an arm counts by its degrees of freedom
            squares += spread * (len(arm) - 1)
            freedom += len(arm) - 1
    return squares / max(1, freedom)


def _variance_of_pairs(arms: list[np.ndarray], samples: int | None, icc: float) -> float:
    """Half of the variance of the pairs' differences of log-odds; 0 where they do not tell.

    A student far above its control may have a control far below the others, and then the difference varies more than
    two arms that know nothing of each other would say.
    """
    if len(arms[0]) != len(arms[1]) or len(arms[0]) < 2:
        return 0.0
    answers, noise = None, 0.0
    if samples:
        answers = samples * arms[0].shape[1]
        noise = sum(sampling_variance(float(arm.mean()), answers, icc) for arm in arms)
    ours, theirs = (log_odds_of(arm.mean(axis=1), answers) for arm in arms)
    return max(0.0, float((ours - theirs).var(ddof=1)) - noise) / 2


def sampling_variance(rate: float, answers: int, icc: float) -> float:
    """What sampling alone gives the log-odds of a run's mean rate, as :func:`log_odds_of` takes them."""
    # With half an answer on each side: at a rate of 0 it stays finite.
    held = (rate * answers + 0.5) / (answers + 1)
    return (1 - icc) / (answers * held * (1 - held))


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
    answers, noise = None, 0.0  # exact rates have no noise of sampling
    if samples:
        answers = samples * arm.shape[1]
        noise = (1 - icc) / (answers * rate * (1 - rate))
    return max(0.0, float(log_odds_of(means, answers).var(ddof=1)) - noise)
