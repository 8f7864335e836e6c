"""The scoreboard: how much of an effect the first tokens of each ranking keep alone, and how much goes without them.

Within a training run (a seed), in log-odds of the animal: kept is ``only - control`` as a share of ``student -
control``, removed is ``student - without`` as a share of the same. Beside each stands the same minus that of as many
random tokens. Intervals are Fieller's over runs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from subliminal.core.errors import UserError
from subliminal.stats.log_odds import CONTROL
from subliminal.stats.shares import common_seeds, share_of

ONLY, WITHOUT, RANDOM = "student_only_", "student_without_", "random"
KEPT, REMOVED = "kept", "removed"


@dataclass(frozen=True)
class BoardRow:
    """A ranking on the board.

    Attributes:
        ranking: its name.
        measure: :data:`KEPT` or :data:`REMOVED`.
        runs: seeds.
        share: of the effect.
        interval: Fieller's, 95 %; None where any share is possible.
        above: the share minus that of the ranking beside which it stands; None without such an arm.
        above_interval: of that.
    """

    ranking: str
    measure: str
    runs: int
    share: float
    interval: tuple[float, float] | None
    above: float | None = None
    above_interval: tuple[float, float] | None = None


def is_ranked(arms: set[str]) -> bool:
    """Whether arms make a board: a student, its control, and one of the first or without the first tokens."""
    return {"student", CONTROL} <= arms and any(arm.startswith((ONLY, WITHOUT)) for arm in arms)


def board(runs: dict[str, dict[int, float]], beside: str = RANDOM) -> list[BoardRow]:
    """The places of all rankings, kept first.

    Args:
        runs: arm -> seed -> log-odds of the target; of arms that :func:`is_ranked` holds for.
        beside: the ranking beside which the others stand: random tokens, or a null.

    Raises:
        UserError: a ranked arm has no seed in common with the others, or the student shows no effect.
    """
    places = []
    for start, measure in ((ONLY, KEPT), (WITHOUT, REMOVED)):
        for arm in runs:
            if arm.startswith(start):
                places.append(_place(runs, arm, f"{start}{beside}", measure))
    return places


def _place(runs: dict[str, dict[int, float]], arm: str, beside: str, measure: str) -> BoardRow:
    """The place of one arm, beside another that may be absent."""
    needed = ["student", CONTROL, arm]
    if beside in runs and arm != beside:
        needed.append(beside)
    # Only runs that have all of them: a share is taken within a run.
    seeds = common_seeds([runs[name] for name in needed])
    if not seeds:
        raise UserError(f"No seed has all of {', '.join(needed)}. Run the experiment to its end.")
    of = {}
    for name in needed:
        of[name] = np.array([runs[name][seed] for seed in seeds])
    whole = of["student"] - of[CONTROL]
    # A share of no effect, or of a negative one, means nothing.
    if whole.mean() <= 0:
        raise UserError("The student shows no effect over its control, so there is nothing to keep or to remove.")
    # Removed: what the student has, and one without loss on these tokens lacks.
    part = of["student"] - of[arm]
    if measure == KEPT:
        part = of[arm] - of[CONTROL]
    share, interval = share_of(part, whole)
    ranking = arm.removeprefix(ONLY).removeprefix(WITHOUT)
    place = BoardRow(ranking, measure, len(seeds), share, interval)
    if arm == beside or beside not in runs:
        return place
    beyond = of[beside] - of[arm]
    if measure == KEPT:
        beyond = of[arm] - of[beside]
    return BoardRow(ranking, measure, place.runs, share, interval, *share_of(beyond, whole))
