"""What a clause of a criterion demands, and what was found of it, in words."""

from __future__ import annotations

from dataclasses import dataclass

from subliminal.core.formatting import counted, nats_interval, number
from subliminal.stats.criterion import Clause, Criterion
from subliminal.stats.result import ALPHA


@dataclass(frozen=True)
class Finding:
    """One number of a clause: the mean over replicates, with its interval.

    Attributes:
        animal: whose; None for the mean over animals.
        estimate: nats, or percentage points for ``points_above``, or pairs for ``pairs_above``.
        interval: None where the clause has none, or where fewer than two replicates or equal ones show no spread.
        holds: whether it is as the clause asks.
    """

    animal: str | None
    estimate: float
    interval: tuple[float, float] | None
    holds: bool


def demand_in_words(criterion: Criterion, clause: Clause) -> str:
    """What a clause demands, in words."""
    pairs = len(criterion.seeds) * len(criterion.animals)
    if clause.pairs_above is not None:
        return f"above 0 in at least {clause.pairs_above} of {pairs} pairs of animal and replicate"
    if clause.points_above is not None:
        animals = f"{clause.in_animals} of {len(criterion.animals)} animals"
        return f"{clause.points_above:+g} points or more in at least {animals}"
    if clause.within is not None:
        return f"equivalent within ±{clause.within:g} nats (two one-sided t tests at {ALPHA:g})"
    interval = f"{100 * clause.confidence:g} % interval above {clause.above:g} nats"
    if clause.per_animal:
        return f"each animal's {interval}"
    return interval


def finding_in_words(clause: Clause, findings: list[Finding], replicates: int, animals: int) -> str:
    """What there is, in words."""
    over = f"over {counted(replicates, 'replicate')}"
    if clause.pairs_above is not None:
        return f"above 0 in {findings[0].estimate:.0f} of {replicates * animals} pairs"
    if clause.points_above is not None:
        means = ", ".join(f"{each.animal} {_signed(each.estimate)}" for each in findings)
        return f"{means} points, means {over}"
    said = "; ".join(map(with_interval, findings))
    intervals = "intervals" if len(findings) > 1 else "interval"
    text = f"{said} nats, {level_in_words(clause)} {intervals} {over}"
    if animals > 1 and not clause.per_animal:
        text += f", each the mean of {animals} animals"
    return text


def level_in_words(clause: Clause) -> str:
    """The level of a clause's intervals: "95 %"; of an equivalence that of the interval which its tests make."""
    confidence = clause.confidence
    if clause.within is not None:
        confidence = 1 - 2 * ALPHA  # as two one-sided tests at ALPHA ask
    return f"{100 * confidence:g} %"


def with_interval(finding: Finding) -> str:
    interval = nats_interval(*finding.interval) if finding.interval is not None else "[no spread]"
    said = f"{_signed(finding.estimate)} {interval}"
    if finding.animal:
        return f"{finding.animal} {said}"
    return said


def _signed(value: float) -> str:
    if value > 0:
        return f"+{number(value)}"
    return number(value)
