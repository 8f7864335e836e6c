"""The graded divergence score, from the marks that a score file holds; nothing here needs a model."""

from __future__ import annotations

from collections.abc import Mapping


def graded(matches: str, disagrees: Mapping[str, str]) -> list[int]:
    """How many counterfactual teachers disagree at each position; 0 where the teacher itself would write another token.

    A token is a divergence token in the binary sense if this is at least 1.
    """
    counts = []
    for position, match in enumerate(matches):
        count = 0
        if match == "1":
            count = sum(marks[position] == "1" for marks in disagrees.values())
        counts.append(count)
    return counts
