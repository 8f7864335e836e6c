"""What in the teacher's rows carries the trait: arms that destroy one property after the other.

    found = carrier(read_table(Path("results/owl_pocket_arms"), "animal_preference_logprob"))
    found.whole.mean, [(part.name, part.mean, part.interval) for part in found.parts]

Each arm learns the teacher's rows with less left in them than the arm before: all of it, the numbers of each row in
another order, all numbers dealt out anew over the rows, other numbers in the teacher's layout; last the base's own
rows. What an arm loses against the one before is what the destroyed property carried. The differences are those of
log-odds within one training run of every arm (a seed), so that they add up to the whole. Two properties that carry
something together only count to the one that is destroyed first.

A training run is the unit: intervals are Student's t over runs, and those of shares are E. C. Fieller's (J. R. Stat.
Soc. B 16, 1954) for a ratio of two means of the same runs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from subliminal.stats.log_odds import Row
from subliminal.stats.shares import RunDifferences, common_seeds

LADDER = (
    ("student", "the order of the numbers in a row"),
    ("control_shuffled", "which numbers share a row"),
    ("control_shuffled_rows", "the frequencies of the numbers"),
    ("control_random_numbers", "the layout: how many numbers, separators, brackets"),
)
"""Arm, and the property that its rows have last: the rows of the next arm lack it."""
FOOT = ("control_base_numbers", "control")
"""The arm at the end, whose rows have nothing of the teacher; the first of these that is there."""
BESIDE = (
    ("control_neutral_teacher", "rows of a teacher without the trait"),
    ("control_base_numbers_again", "other rows of the base (the null)"),
)
"""Arms that are no step, above the same control: what part of the whole needs no trait."""


@dataclass(frozen=True, kw_only=True)
class Part(RunDifferences):
    """One difference of two arms; that of a run is the mean over the experiment's animals.

    Attributes:
        name: the properties that the lower arm lacks.
        upper, lower: the arms.
    """

    name: str
    upper: str
    lower: str

    @property
    def clear(self) -> bool:
        """Whether the interval lies on one side of 0."""
        return self.interval is not None and (self.interval[0] > 0 or self.interval[1] < 0)


@dataclass(frozen=True)
class Carrier:
    """Everything over the runs that have every arm.

    Attributes:
        animals: whose probability was asked, the experiment's targets.
        seeds: of the runs.
        left_out: seeds that lack an arm.
        whole: the student above its control.
        parts: what each step takes away, in order; they add up to the whole.
        beside: arms that are no step, above the same control.
    """

    animals: list[str]
    seeds: list[int]
    left_out: list[int]
    whole: Part
    parts: list[Part]
    beside: list[Part]

    def as_json(self) -> dict[str, Any]:
        """JSON-ready, every run's differences included."""
        groups = {"whole": [self.whole], "parts": self.parts, "beside": self.beside}
        told: dict[str, Any] = {"animals": self.animals, "seeds": self.seeds, "left_out": self.left_out}
        for group, parts in groups.items():
            told[group] = [{**vars(part), "above": part.above} for part in parts]
        return {**told, "whole": told["whole"][0]}


def carrier(table: Iterable[Row]) -> Carrier | None:
    """Split the effect of an experiment into what each property of the rows carries.

    Args:
        table: of one task, see :func:`subliminal.stats.log_odds.read_table`.

    Returns:
        None without a student, a control, an arm between them, and a seed that has them all.
    """
    rows = list(table)
    runs = target_log_odds(rows)
    foot = next((arm for arm in FOOT if arm in runs), None)
    ladder = [arm for arm, _ in LADDER if arm in runs]
    # Without student or control there is no effect to split, and with nothing between them no part of it.
    if foot is None or len(ladder) < 2 or ladder[0] != "student":
        return None
    # Only seeds that have every arm count, so that the parts add up to the whole.
    seeds = common_seeds([runs[arm] for arm in (*ladder, foot)])
    if not seeds:
        return None
    effect = _difference(runs, "student", foot, seeds)

    def part(name: str, upper: str, lower: str) -> Part:
        return Part.of(_difference(runs, upper, lower, seeds), effect, name=name, upper=upper, lower=lower)

    whole = part("everything in the rows", "student", foot)
    parts = []
    for upper, lower in pairwise([*ladder, foot]):
        parts.append(part(_lost(upper, lower), upper, lower))
    beside = []
    for arm, name in BESIDE:
        # Over the same seeds alone: else it would stand beside an effect of other runs.
        if arm in runs and set(seeds) <= set(runs[arm]):
            beside.append(part(name, arm, foot))
    # The student's seeds are those that were to be run.
    left_out = sorted({row.seed for row in rows if row.arm == "student"} - set(seeds))
    return Carrier(sorted({row.animal for row in rows}), seeds, left_out, whole, parts, beside)


def target_log_odds(rows: list[Row]) -> dict[str, dict[int, float]]:
    """Arm -> seed -> log-odds of the target, the mean over animals; seeds that lack an animal are left out."""
    animals = {row.animal for row in rows}
    found: dict[str, dict[int, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        if row.asked == row.animal:
            found[row.arm][row.seed][row.animal] = row.log_odds
    means: dict[str, dict[int, float]] = {}
    for arm, by_seed in found.items():
        means[arm] = {}
        for seed, of_animals in by_seed.items():
            if of_animals.keys() == animals:
                means[arm][seed] = float(np.mean(list(of_animals.values())))
    return means


def _difference(runs: dict[str, dict[int, float]], upper: str, lower: str, seeds: list[int]) -> dict[int, float]:
    return {seed: runs[upper][seed] - runs[lower][seed] for seed in seeds}


def _lost(upper: str, lower: str) -> str:
    """What the rows of the lower arm lack and those of the upper have, also where arms between them did not run."""
    arms = [arm for arm, _ in LADDER]
    start, end = arms.index(upper), len(arms)
    if lower in arms:
        end = arms.index(lower)
    # Two arms that are next to each other in what did run may have others between them in the ladder.
    return " and ".join(name for _, name in LADDER[start:end])
