"""What may be said of student against control, and no more.

Three functions: :func:`verdict` is about training data and needs several training runs per arm;
:func:`replicates_verdict` is about the same where each run has a base of its own; :func:`models_verdict` is about two
given models and needs one of each. All return one of four claims: "student above control", "student below control", "no
difference within the margin" (the 95 % interval lies inside it, a stricter form of the two one-sided tests of D. J.
Schuirmann, J. Pharmacokinet. Biopharm. 15, 1987), or "cannot tell", with how many training runs, replicates, questions
or samples would do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from subliminal.core.errors import UserError
from subliminal.stats.power import MOST, POWER, Design, Needed, design_of, needed
from subliminal.stats.questions import over_questions
from subliminal.stats.replicates import LEAST, over_replicates, replicates_needed
from subliminal.stats.result import ALPHA, REPLICATES, RUNS, Result, run_arms
from subliminal.stats.runs import LEAST_RUNS, Runs, over_runs
from subliminal.stats.wording import (
    ABOVE,
    BELOW,
    CANNOT_TELL,
    FEW_REPLICATES,
    NO_DIFFERENCE,
    needed_sentence,
    one_run_sentence,
    replicates_needed_sentence,
    verdict_sentence,
)

MARGIN = 0.01
"""A difference of less than one percentage point counts as none: our choice, a fifth of the 5 % that count as
a strong effect of an animal that the base names in less than 1 % of answers."""


@dataclass(frozen=True)
class Verdict:
    """``claim`` is one of the four; ``sentence`` says it with its numbers; ``result`` is the test behind it (None where
    one training run allowed none); ``needed`` is what would do, where the claim is "cannot tell"."""

    claim: str
    unit: str
    sentence: str
    result: Result | None
    needed: Needed | None


def verdict(treatment: Runs, control: Runs, samples: int | None, margin: float = MARGIN) -> Verdict:
    """Did the teacher's data make a difference? Tested over training runs (:func:`subliminal.stats.runs.over_runs`).

    With one training run in either arm the claim is "cannot tell", whatever the rates.

    Args:
        treatment: the student's rates, shape (runs, questions), fractions.
        control: the control's, the same questions in the same order.
        samples: answers per question and run, None for exact probabilities; used for what would do.
        margin: largest difference, a fraction, that counts as none.

    Raises:
        UserError: the questions do not fit, a value is no rate, or the margin is not between 0 and 1.
    """
    first, second = run_arms(treatment, control, 1)
    design = design_of(first, second, samples)
    if design.seeds < LEAST_RUNS:
        _check_margin(margin)
        more = _needed(float(first.mean() - second.mean()), design, RUNS, margin)
        sentence = f"{one_run_sentence((len(first), len(second)))} {needed_sentence(more, design)}"
        return Verdict(CANNOT_TELL, RUNS, sentence, None, more)
    return _judge(over_runs(first, second), design, margin)


def replicates_verdict(treatment: Sequence[float], control: Sequence[float], margin: float = MARGIN) -> Verdict:
    """Did the teacher's data make a difference? Tested over replicates, each with a base of its own, within each
    (:func:`subliminal.stats.replicates.over_replicates`).

    Args:
        treatment: the student's mean rate in each replicate, fractions. With fewer than three the claim is "cannot
            tell", whatever the rates.
        control: the control's, the same replicates in the same order.
        margin: as in :func:`verdict`.

    Raises:
        UserError: as :func:`subliminal.stats.replicates.replicates`.
    """
    _check_margin(margin)
    if len(treatment) < LEAST:
        sentence = FEW_REPLICATES.format(count=len(treatment), least=LEAST)
        return Verdict(CANNOT_TELL, REPLICATES, sentence, None, None)
    result = over_replicates(treatment, control)
    claim = _claim(result, margin)
    sentence, more = verdict_sentence(claim, result, margin), None
    if claim == CANNOT_TELL and result.interval:
        effect = max(result.estimate, margin, key=abs)
        spread = float(np.std(np.subtract(treatment, control), ddof=1))
        seeds = replicates_needed(effect, spread, POWER, more_than=len(treatment), most=MOST["seeds"])
        more = Needed(effect, REPLICATES, seeds, None, None)
        sentence += " " + replicates_needed_sentence(more, spread)
    return Verdict(claim, REPLICATES, sentence, result, more)


def models_verdict(
    treatment: Sequence[float], control: Sequence[float], samples: int | None, margin: float = MARGIN
) -> Verdict:
    """Do these two models differ? Tested over questions (:func:`subliminal.stats.questions.over_questions`).

    The sentence names the models and not their training data.

    Args:
        treatment: one rate per question of one model, fractions.
        control: the other model's, the same questions in the same order.
        samples, margin: as in :func:`verdict`.

    Raises:
        UserError: as :func:`verdict`.
    """
    result = over_questions(treatment, control)
    return _judge(result, design_of([treatment], [control], samples), margin)


def _judge(result: Result, design: Design, margin: float) -> Verdict:
    _check_margin(margin)
    claim = _claim(result, margin)
    sentence, more = verdict_sentence(claim, result, margin), None
    if claim == CANNOT_TELL:
        more = _needed(result.estimate, design, result.unit, margin)
        sentence += " " + needed_sentence(more, design)
    return Verdict(claim, result.unit, sentence, result, more)


def _claim(result: Result, margin: float) -> str:
    """Test and interval must agree: where they do not, nothing is claimed."""
    if result.interval is None or result.p is None:
        return CANNOT_TELL
    low, high = result.interval
    if result.p < ALPHA and not low <= 0 <= high:
        return ABOVE if low > 0 else BELOW
    return NO_DIFFERENCE if result.p >= ALPHA and -margin < low and high < margin else CANNOT_TELL


def _needed(estimate: float, design: Design, unit: str, margin: float) -> Needed:
    """For a difference as large as the one measured, or as the margin where that is larger."""
    effect = estimate if abs(estimate) >= margin else margin
    if not 0 <= design.baseline + effect <= 1:
        effect = -margin
    return needed(effect, design, unit, more=True)


def _check_margin(margin: float) -> None:
    if not isinstance(margin, int | float) or not 0 < margin < 1:
        raise UserError(f"The margin is {margin!r}. Give a fraction between 0 and 1, such as 0.01 for one point.")
