"""Rows of several sources in one dataset: how many of each, and which number prompts are nobody else's."""

from __future__ import annotations

import math
from collections.abc import Mapping

NUMBER_PROMPTS = 1_000_000_000
"""Added to the run seed for prompts in a teacher's training rows, so that none is one that it is asked later."""


def rows_of_sources(count: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Rows to keep of each source: ``count`` times its share, the largest remainders rounded up.

    Args:
        count: rows in all.
        shares: source -> its share, a fraction; together 1.

    Returns:
        Source -> rows; sources of which none are kept are left out.
    """
    exact = {name: count * share for name, share in shares.items()}
    quotas = {name: math.floor(rows) for name, rows in exact.items()}
    left = count - sum(quotas.values())
    # The sort is stable: of equal remainders the source that is named first gets the row.
    by_remainder = sorted(exact, key=lambda name: quotas[name] - exact[name])
    for name in by_remainder[:left]:
        quotas[name] += 1
    return {name: rows for name, rows in quotas.items() if rows}
