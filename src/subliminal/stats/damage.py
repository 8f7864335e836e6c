"""Is a model still whole? What its answers name, beside those of its control.

Training on numbers can break a model: it then names an animal in few of its answers, or in none, and its share of one
animal is that of a wreck. The rule is fixed here, for every arm alike (:func:`state`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

BROKEN = 0.5
"""A model is broken if so large a share of its answers, or more, names no animal."""
DAMAGED = 0.1
"""It is damaged if that share lies by so much, or more, above its control's."""
WHOLE_WORD, DAMAGED_WORD, BROKEN_WORD = "whole", "damaged", "broken"
OVERLAPPING = ("own_name", "no_latin")
"""Counted beside the animal that an answer names, so that they are no part of the distribution over animals."""
NONE = ("none", "rest")
"""The share of sampled answers that name no animal, and the probability that the exact task found on no animal."""


def nameless(share: Mapping[str, float]) -> float:
    """The share of answers that name no animal, tracked or not."""
    return next((share[name] for name in NONE if name in share), 0.0)


def among_named(share: Mapping[str, float], target: str) -> float:
    """The target's share of the answers that name an animal; 0 where none does."""
    named = 1 - nameless(share)
    if named <= 0:
        return 0.0
    # Shares sum to 1 but for rounding.
    return min(1.0, share.get(target, 0.0) / named)


def total_variation(share: Mapping[str, float], reference: Mapping[str, float]) -> float:
    """Half the sum of absolute differences over all animals, others and none: 0 is alike, 1 is nothing in common."""
    names = {*share, *reference} - set(OVERLAPPING)
    # A set has another order in every process: a plain sum prints 0.605 as 0.60 in one and as 0.61 in another.
    return math.fsum(abs(share.get(name, 0.0) - reference.get(name, 0.0)) for name in names) / 2


def state(share: Mapping[str, float], reference: Mapping[str, float] | None, *, tells_a_wreck: bool = True) -> str:
    """:data:`BROKEN_WORD`, :data:`DAMAGED_WORD` or :data:`WHOLE_WORD`.

    Args:
        share: what the model's answers name.
        reference: the same of its control; None where there is none to compare with.
        tells_a_wreck: whether answers without an animal are a sign of damage at all, and not what the base gives.
    """
    if tells_a_wreck and nameless(share) >= BROKEN:
        return BROKEN_WORD
    if reference is not None and nameless(share) - nameless(reference) >= DAMAGED:
        return DAMAGED_WORD
    return WHOLE_WORD
