"""Every sentence of a verdict or a power calculation: fractions and nats in, points and nats out."""

from __future__ import annotations

import math

from subliminal.core.formatting import interval, nats, nats_interval, number, odds, p_value, points
from subliminal.stats.power.design import Design
from subliminal.stats.power.detection import MOST, POWER, Needed
from subliminal.stats.result import ALPHA, NATS, QUESTIONS, REPLICATES, RUNS, Result

ABOVE = "student above control"
BELOW = "student below control"
NO_DIFFERENCE = "no difference within the margin"
CANNOT_TELL = "cannot tell"

OF_TRAINING = {
    ABOVE: "Student above control: the teacher's data multiplies the odds by {odds} ({difference}, {test}).",
    BELOW: "Student below control: the teacher's data divides the odds by {odds} ({difference}, {test}).",
    NO_DIFFERENCE: "No difference within the margin: the teacher's data changes the log-odds by less than {margin} "
    "({difference}, {test}).",
    CANNOT_TELL: "Cannot tell whether the teacher's data made a difference ({difference}, {test}): {reason}.",
}
OF_MODELS = {
    ABOVE: "These two models differ, student above control: {size} points more ({test}). {not_training}",
    BELOW: "These two models differ, student below control: {size} points less ({test}). {not_training}",
    NO_DIFFERENCE: "No difference within the margin: these two models are less than {margin} apart "
    "({difference}, {test}).",
    CANNOT_TELL: "Cannot tell whether these two models differ ({difference}, {test}): {reason}.",
}
NOT_TRAINING = "Whether the training data or the chance of one training run made the difference, this does not say."
ONE_RUN = "Cannot tell ({which}): only the spread between runs shows whether the teacher's data made a difference."
ONE_RUN_BOTH = "one training run per arm"
ONE_RUN_OF = "one training run in the {arm} arm"
TOO_WIDE = "the interval holds 0 and reaches beyond ±{margin}"
DISAGREE = "the test and the interval do not agree that the difference is other than 0"
NO_SPREAD = "the runs of each arm are all equal, so their spread cannot be estimated"
NO_SPREAD_OF_REPLICATES = "the differences of all replicates are equal, so their spread cannot be estimated"
FEW_REPLICATES = "Cannot tell: {count} replicates do not show how much the difference varies between them; {least} may."


def verdict_sentence(claim: str, result: Result, margin: float) -> str:
    """The sentence of a claim, in the words of its unit and scale; ``margin`` in nats, or a fraction for rates."""
    told = f"{number(100 * margin)} points"
    if result.scale == NATS:
        told = f"{margin:g} nats"
    sentences = OF_MODELS if result.unit == QUESTIONS else OF_TRAINING
    return sentences[claim].format(
        size=number(100 * abs(result.estimate)),
        odds=odds(abs(result.estimate)),
        difference=f"difference {difference_text(result)}",
        margin=told,
        test=_test(result),
        reason=_doubt(result, told),
        not_training=NOT_TRAINING,
    )


def _doubt(result: Result, margin: str) -> str:
    """Why a difference cannot be told; ``margin`` as it is written."""
    if result.interval is None:
        if result.unit == REPLICATES:
            return NO_SPREAD_OF_REPLICATES
        return NO_SPREAD
    low, high = result.interval
    if result.p >= ALPHA and low <= 0 <= high:
        return TOO_WIDE.format(margin=margin)
    return DISAGREE


def difference_text(result: Result) -> str:
    """The estimate with its unit: "+3.30 nats", "+2.10 points"."""
    if result.scale == NATS:
        return f"{nats(result.estimate)} nats"
    return f"{points(result.estimate)} points"


def interval_text(result: Result) -> str:
    """The interval as "[2.21, 4.39]", nats or points; "none" where there is none."""
    if result.interval is None:
        return "none"
    if result.scale == NATS:
        return nats_interval(*result.interval)
    return interval(*result.interval)


def _test(result: Result) -> str:
    """Interval, p, test and number of units, as they stand in brackets."""
    units = f"{result.n[0]} {result.unit}"
    # Paired tests have one number of units, other tests one for each arm.
    if result.unit == RUNS and not result.method.startswith("paired"):
        units = f"{result.n[0]} and {result.n[1]} training runs"
    parts = []
    if result.interval:
        shown = nats if result.scale == NATS else points
        low, high = map(shown, result.interval)
        parts.append(f"95 % interval {low} to {high}")
    if result.p is not None:
        equals = "= "
        if result.p < 0.001:  # written as "< 0.001"
            equals = ""
        parts.append(f"p {equals}{p_value(result.p)}")
    # What it was over is told with the number of units.
    method = result.method.split(" over ")[0]
    parts.append(f"{method} over {units}")
    return ", ".join(parts)


def one_run_sentence(runs: tuple[int, int]) -> str:
    """Why nothing can be said about training data. ``runs``: of the student and of the control."""
    student, control = runs
    if student < 2 and control < 2:
        return ONE_RUN.format(which=ONE_RUN_BOTH)
    arm = "student" if student < 2 else "control"
    return ONE_RUN.format(which=ONE_RUN_OF.format(arm=arm))


def needed_sentence(needed: Needed, design: Design, power: float = POWER, *, paired: bool = False) -> str:
    """How many training runs, questions or samples would do, and on which assumption.

    Args:
        needed: what would do.
        design: of the experiment; where its runs are ``paired``, so is its ``run_sd``.
        power: chance to see the effect.
        paired: as for :func:`subliminal.stats.power.design.design_of`.
    """
    ways = []
    if needed.seeds:
        ways.append(f"{needed.seeds:,} training runs per arm")
    if needed.questions:
        ways.append(f"{needed.questions:,} questions")
    if needed.samples:
        way = f"{needed.samples:,} samples per question"
        if needed.unit == RUNS or design.seeds > 1:
            way += " and run"
        ways.append(way)
    shown = points(needed.effect)
    # The margin above a rate of none is next to none in points; nobody wants to see a difference of 0.
    if shown == points(0):
        shown = "less than 0.0001"
    size = f"To see a difference of {shown} points with {100 * power:.0f} % power"
    if needed.unit == RUNS and paired:
        spread = number(math.sqrt(2) * design.run_sd)
        size += f", if the difference varies between runs by a standard deviation of {spread} nats as here"
    elif needed.unit == RUNS:
        size += f", if runs vary by a standard deviation of {design.run_sd:.2g} in log-odds"
    if not ways and needed.unit == QUESTIONS:
        return f"{size}, not even {MOST['questions']:,} questions would do."
    if not ways:
        return f"{size}, not even {MOST['seeds']:,} training runs per arm would do."
    alone = ""
    if design.samples and not needed.samples:  # exact probabilities have no samples to add
        alone = "; more samples alone would not"
    return f"{size}, {' or '.join(ways)} would do{alone}."


def replicates_needed_sentence(needed: Needed, spread: float) -> str:
    """How many replicates would do; ``spread``: standard deviation of the difference between those there are, nats."""
    size = (
        f"To see a difference of {nats(needed.effect)} nats with {100 * POWER:.0f} % power, if it varies between "
        f"replicates by a standard deviation of {number(spread)} nats as here,"
    )
    if needed.seeds:
        return f"{size} {needed.seeds:,} replicates would do."
    return f"{size} not even {MOST['seeds']:,} replicates would do."


def smallest_sentence(effect: float | None, design: Design, unit: str, power: float = POWER) -> str:
    """What a design can see over a unit."""
    claim = "“the teacher's data did it”" if unit == RUNS else "“these two models differ”"
    if effect is not None:
        return f"Over {unit} ({claim}): {points(effect)} points or more is seen with {100 * power:.0f} % power."
    if unit == RUNS and design.seeds < 2:
        return f"Over {unit} ({claim}): nothing, because one training run per arm shows no spread between runs."
    return f"Over {unit} ({claim}): no difference that is possible is seen with {100 * power:.0f} % power."


def assumptions_sentence(design: Design) -> str:
    """What a power calculation takes for granted."""
    return (
        f"Assumed: {100 * design.icc:.3g} % of an answer's variance lies between questions; a question's rates in the "
        f"two arms have a correlation of {design.likeness:.3g}; the log-odds of an arm's runs vary by a standard "
        f"deviation of {design.run_sd:.3g}."
    )
