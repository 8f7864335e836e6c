"""What may be said of student against control, and no more.

Three functions: :func:`verdict` is about training data and needs several training runs per arm;
:func:`replicates_verdict` is about the same where each run has a base of its own; :func:`models_verdict` is about two
given models and needs one of each. The first two compare log-odds, in nats; the last compares rates, in points. All
return one of four claims: "student above control", "student below control", "no difference within the margin" (the 95 %
interval lies inside it, a stricter form of the two one-sided tests of D. J. Schuirmann, J. Pharmacokinet. Biopharm. 15,
1987), or "cannot tell", with how many training runs, replicates, questions or samples would do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from subliminal.core.errors import UserError
from subliminal.stats.log_odds import log_odds_of
from subliminal.stats.power.design import Design, design_of
from subliminal.stats.power.detection import MOST, POWER, Needed, needed, raised
from subliminal.stats.questions import over_questions
from subliminal.stats.replicates import LEAST, MARGIN, check_margin, over_replicates, replicates_needed
from subliminal.stats.result import ALPHA, QUESTIONS, REPLICATES, RUNS, Result, run_arms
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

MARGIN_POINTS = 0.01
"""Between two models a difference of less than one percentage point counts as none: our choice, a fifth of the 5 % that
count as a strong effect of an animal that the base names in less than 1 % of answers."""


@dataclass(frozen=True)
class Verdict:
    """``claim`` is one of the four; ``sentence`` says it with its numbers; ``result`` is the test behind it (None where
    one training run allowed none); ``needed`` is what would do, where the claim is "cannot tell"."""

    claim: str
    unit: str
    sentence: str
    result: Result | None
    needed: Needed | None


def verdict(
    treatment: Runs,
    control: Runs,
    samples: int | None,
    margin: float = MARGIN,
    *,
    paired: bool = False,
    answers: int | None = None,
) -> Verdict:
    """Did the teacher's data make a difference? Tested over training runs (:func:`subliminal.stats.runs.over_runs`).

    With one training run in either arm the claim is "cannot tell", whatever the rates.

    Args:
        treatment: the student's rates, shape (runs, questions), fractions.
        control: the control's, the same questions in the same order.
        samples: answers per question and run, None for exact probabilities.
        margin: nats between the arms that count as none.
        paired: run i of both arms has the same seed.
        answers: sampled answers behind a run's mean rate; by default those of all questions.

    Raises:
        UserError: the questions do not fit, a value is no rate, or the margin is no number of nats.
    """
    check_margin(margin)
    first, second = run_arms(treatment, control, 1)
    if not answers and samples:
        answers = samples * first.shape[1]
    design = design_of(first, second, samples, paired=paired)
    # Without a spread there is no test; how many runs would do can be told all the same.
    if design.seeds < LEAST_RUNS:
        gain = log_odds_of(first.mean(), answers) - log_odds_of(second.mean(), answers)
        more = _needed_runs(float(gain), design, margin)
        sentence = f"{one_run_sentence((len(first), len(second)))} {needed_sentence(more, design)}"
        return Verdict(CANNOT_TELL, RUNS, sentence, None, more)
    result = over_runs(first, second, answers, paired=paired)
    claim = _claim(result, margin)
    sentence, more = verdict_sentence(claim, result, margin), None
    if claim == CANNOT_TELL:
        more = _needed_runs(result.estimate, design, margin)
        sentence += " " + needed_sentence(more, design, paired=paired)
    return Verdict(claim, RUNS, sentence, result, more)


def replicates_verdict(
    treatment: Sequence[float], control: Sequence[float], margin: float = MARGIN, answers: int | None = None
) -> Verdict:
    """Did the teacher's data make a difference? Tested over replicates, each with a base of its own, within each
    (:func:`subliminal.stats.replicates.over_replicates`).

    Args:
        treatment: the student's mean rate in each replicate, fractions. With fewer than three the claim is "cannot
            tell", whatever the rates.
        control: the control's, the same replicates in the same order.
        margin: nats, as in :func:`verdict`.
        answers: sampled answers behind each rate; None for exact probabilities.

    Raises:
        UserError: as :func:`subliminal.stats.replicates.replicates`.
    """
    check_margin(margin)
    if len(treatment) < LEAST:
        sentence = FEW_REPLICATES.format(count=len(treatment), least=LEAST)
        return Verdict(CANNOT_TELL, REPLICATES, sentence, None, None)
    result = over_replicates(treatment, control, answers)
    claim = _claim(result, margin)
    sentence, more = verdict_sentence(claim, result, margin), None
    if claim == CANNOT_TELL and result.interval:
        # An effect that is below the margin need not be seen: what has to be seen is one as large.
        effect = max(result.estimate, margin, key=abs)
        gains = log_odds_of(treatment, answers) - log_odds_of(control, answers)
        spread = float(np.std(gains, ddof=1))
        seeds = replicates_needed(effect, spread, POWER, more_than=len(treatment), most=MOST["seeds"])
        more = Needed(effect, REPLICATES, seeds, None, None)
        sentence += " " + replicates_needed_sentence(more, spread)
    return Verdict(claim, REPLICATES, sentence, result, more)


def models_verdict(
    treatment: Sequence[float], control: Sequence[float], samples: int | None, margin: float = MARGIN_POINTS
) -> Verdict:
    """Do these two models differ? Tested over questions (:func:`subliminal.stats.questions.over_questions`), in points.

    The sentence names the models and not their training data.

    Args:
        treatment: one rate per question of one model, fractions.
        control: the other model's, the same questions in the same order.
        samples: answers per question, None for exact probabilities.
        margin: largest difference, a fraction, that counts as none.

    Raises:
        UserError: as :func:`verdict`; the margin is not between 0 and 1.
    """
    if not isinstance(margin, int | float) or not 0 < margin < 1:
        raise UserError(f"The margin is {margin!r}. Give a fraction between 0 and 1, such as 0.01 for one point.")
    result = over_questions(treatment, control)
    claim = _claim(result, margin)
    sentence, more = verdict_sentence(claim, result, margin), None
    if claim == CANNOT_TELL:
        design = design_of([treatment], [control], samples)
        # As over replicates, an effect below the margin need not be seen.
        effect = max(result.estimate, margin, key=abs)
        more = needed(_possible(effect, margin, design), design, QUESTIONS, more=True)
        sentence += " " + needed_sentence(more, design)
    return Verdict(claim, QUESTIONS, sentence, result, more)


def _claim(result: Result, margin: float) -> str:
    """Test and interval must agree: where they do not, nothing is claimed."""
    if result.interval is None or result.p is None:
        return CANNOT_TELL
    low, high = result.interval
    if result.p < ALPHA and low > 0:
        return ABOVE
    if result.p < ALPHA and high < 0:
        return BELOW
    if result.p >= ALPHA and -margin < low and high < margin:
        return NO_DIFFERENCE
    return CANNOT_TELL


def _needed_runs(gain: float, design: Design, margin: float) -> Needed:
    """For a difference as large as the one measured, or as the margin where that is larger; both in nats."""
    baseline, answers = design.baseline, design.answers
    effect = raised(baseline, max(gain, margin, key=abs), answers) - baseline
    # The same fall, in case the control is so high that no rise is possible.
    least = raised(baseline, -margin, answers) - baseline
    return needed(_possible(effect, -least, design), design, RUNS, more=True)


def _possible(effect: float, margin: float, design: Design) -> float:
    """An effect that leaves the student's rate between 0 and 1, a fraction: a fall where no rise is possible."""
    if 0 <= design.baseline + effect <= 1 and effect:
        return effect
    return -margin
