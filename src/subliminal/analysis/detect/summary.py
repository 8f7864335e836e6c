"""What came out of a check of detection, counted: right traits first, calls, and the gap between the two columns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from subliminal.analysis.detect.cases import NEUTRAL
from subliminal.analysis.detect.command import ALONE, CANDIDATES
from subliminal.core.formatting import percent
from subliminal.stats.counts import mcnemar, wilson

TWICE = 2.0
"""A set teaches if its student names the trait so many times as often as the control."""


@dataclass(frozen=True)
class CheckedCase:
    """One case in one column. ``called`` says that p is 0.05 or less, ``calibrated`` on what."""

    column: str
    base: str
    rows: str
    kind: str
    arm: str
    trait: str | None
    ratio: float | None
    first: str
    z: float
    p: float
    place: int | None
    called: bool
    calibrated: str


def summarise(judged: list[CheckedCase]) -> dict[str, Any]:
    """Counts by column: sets that teach and do not, changed sets by arm, neutral sets by arm, with Wilson intervals."""
    columns: dict[str, list[CheckedCase]] = defaultdict(list)
    for each in judged:
        columns[each.column].append(each)
    found = {}
    for column, of_column in columns.items():
        groups: dict[str, list[CheckedCase]] = defaultdict(list)
        for each in of_column:
            groups[_group(each)].append(each)
        found[column] = {
            "neutral sets": sum(each.kind == NEUTRAL for each in of_column),
            "calibrated": sorted({each.calibrated for each in of_column}),
            "groups": {name: _counts(group) for name, group in groups.items()},
        }
    return found


def gaps_of(judged: list[CheckedCase]) -> dict[str, Any]:
    """Group of sets that have a right trait -> how much candidate teachers add there, see :func:`gap_between`."""
    right: dict[str, dict[tuple[str, str], dict[str, bool]]] = defaultdict(lambda: defaultdict(dict))
    for each in judged:
        if each.place is not None:
            right[_group(each)][each.base, each.rows][each.column] = each.place == 1
    found = {}
    for group, sets in right.items():
        # A base without teachers has the first column alone.
        both = [columns for columns in sets.values() if len(columns) == 2]
        gap = gap_between([columns[ALONE] for columns in both], [columns[CANDIDATES] for columns in both])
        if gap is not None:
            found[group] = gap
    return found


def gap_between(alone: Sequence[bool], candidates: Sequence[bool]) -> dict[str, Any] | None:
    """In how many of the same sets each column has the right trait first, and the difference of the shares.

    Args:
        alone: whether the right trait is first from data and base alone, one for each set.
        candidates: the same with candidate teachers, in the same order.

    Returns:
        Counts of sets that are right in both columns, in one, and in neither; ``difference``, share right with
        candidates less share right alone, with its 95 % interval over sets and the p of McNemar's exact test
        (:func:`subliminal.stats.counts.mcnemar`). Sets of one base are taken as independent. None for fewer than two
        sets, which have no interval.
    """
    if len(alone) < 2:
        return None
    with_candidates, without = np.asarray(candidates, dtype=bool), np.asarray(alone, dtype=bool)
    compared = mcnemar(with_candidates.tolist(), without.tolist())
    return {
        "sets": len(alone),
        "right_in_both": int(np.sum(with_candidates & without)),
        "right_with_candidates_only": int(np.sum(with_candidates & ~without)),
        "right_alone_only": int(np.sum(~with_candidates & without)),
        "right_in_neither": int(np.sum(~with_candidates & ~without)),
        "difference": compared.estimate,
        "interval": compared.interval,
        "p": compared.p,
    }


def _group(each: CheckedCase) -> str:
    if each.kind == NEUTRAL:
        return f"neutral, {each.arm}"
    # Rows that no student has learned yet: whether they teach is not known.
    if each.ratio is None:
        return f"{each.arm}, student not scored"
    word = "teaches" if each.ratio >= TWICE else "does not teach"
    return f"{each.arm}, {word}"


def _counts(group: list[CheckedCase]) -> dict[str, Any]:
    called = sum(each.called for each in group)
    told: dict[str, Any] = {"sets": len(group), "called": called, "called_interval": wilson(called, len(group))}
    placed = [each.place for each in group if each.place is not None]
    if placed:
        first = sum(place == 1 for place in placed)
        told |= {"right_first": first, "right_first_interval": wilson(first, len(placed)), "places": sorted(placed)}
        told["called_right"] = sum(each.called and each.place == 1 for each in group)
    return told


def summary_lines(summary: dict[str, Any]) -> Iterator[str]:
    """A line for each group of each column."""
    for column, told in summary.items():
        yield f"{column}, calibrated {' and '.join(told['calibrated'])}, {told['neutral sets']} neutral sets:"
        for name, counts in told["groups"].items():
            said = f"  {name}: {counts['called']} of {counts['sets']} called {_ends(counts['called_interval'])}"
            if "right_first" in counts:
                said += f"; its trait first in {counts['right_first']} {_ends(counts['right_first_interval'])}"
                said += f", called and first in {counts['called_right']}"
            yield f"{said}."


def _ends(interval: tuple[float, float]) -> str:
    return f"[{percent(interval[0])}, {percent(interval[1])}]"


def gap_lines(gaps: dict[str, Any]) -> Iterator[str]:
    """A sentence for each group of sets."""
    for group, gap in gaps.items():
        alone = gap["right_in_both"] + gap["right_alone_only"]
        candidates = gap["right_in_both"] + gap["right_with_candidates_only"]
        low, high = (100 * end for end in gap["interval"])
        yield (
            f"Candidate teachers, {group}: the right trait first in {candidates} of {gap['sets']} sets, and in {alone} "
            f"without them: {100 * gap['difference']:+.0f} points [{low:.0f}, {high:.0f}], p {gap['p']:.3f}."
        )
