"""How far every animal rises from control to student: is the target's rise the largest, and the only one?

    found = rises(read_table(Path("results/owl_pocket_replicates"), "animal_preference_logprob"), "owl")

Student and control are compared within the seed, in log-odds of each tracked animal. Drift, whatever its direction,
moves many animals; a trait moves its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from subliminal.stats.counts import holm
from subliminal.stats.log_odds import CONTROL, STUDENT, Row
from subliminal.stats.replicates import sign_test, t_interval
from subliminal.stats.result import ALPHA, CONFIDENCE


@dataclass(frozen=True)
class Rise:
    """One animal's difference of log-odds, student minus control, over the seeds.

    Attributes:
        animal: the one that was asked for.
        mean: nats.
        interval: 95 % t interval; None with fewer than two seeds.
        p: two-sided, of the paired t test; None as the interval.
        adjusted: p adjusted for the number of animals (Holm).
        above: seeds in which it rises.
    """

    animal: str
    mean: float
    interval: tuple[float, float] | None
    p: float | None
    adjusted: float | None
    above: int


@dataclass(frozen=True)
class Rises:
    """All animals, the largest mean rise first; ``first``: seeds in which the target rises most of all animals."""

    target: str
    seeds: list[int]
    animals: list[Rise]
    first: int
    p_first: float

    @property
    def own(self) -> Rise:
        """The target's."""
        return next(rise for rise in self.animals if rise.animal == self.target)

    @property
    def others_above(self) -> list[str]:
        """Other animals whose rise has p below 0.05, not adjusted: the reading that is hardest on the target."""
        found = []
        for rise in self.animals:
            tested = rise.p is not None and rise.p < ALPHA
            if rise.animal != self.target and tested and rise.mean > 0:
                found.append(rise.animal)
        return found


def rises(table: Iterable[Row], target: str, *, reference: str = CONTROL) -> Rises | None:
    """Every tracked animal's rise in the students of one animal, over the seeds that both arms have.

    Args:
        table: log-odds of every model.
        target: whose students.
        reference: the arm that students are held against.

    Returns:
        None if the arms share no seed, or were asked for the target alone.
    """
    seeds, lifts = _lifts(table, target, reference)
    if not seeds or target not in lifts or len(lifts) < 2:
        return None
    tested = {name: _p(lift) for name, lift in lifts.items()}
    adjusted: dict[str, float] = {}
    if None not in tested.values():  # one seed shows no spread, of no animal
        adjusted = holm(tested)
    found = []
    for name, lift in lifts.items():
        above = int(np.sum(lift > 0))
        found.append(Rise(name, float(lift.mean()), _interval(lift), tested[name], adjusted.get(name), above))
    found.sort(key=lambda rise: -rise.mean)
    # Of each seed by itself: a mean may be largest though it leads in few of them.
    largest = np.max(list(lifts.values()), axis=0)
    # Ties count for the target: an animal as high as it is not above it.
    first = int(np.sum(lifts[target] >= largest))
    return Rises(target, seeds, found, first, _p_first(first, len(seeds), len(lifts)))


def _lifts(table: Iterable[Row], target: str, reference: str) -> tuple[list[int], dict[str, np.ndarray]]:
    """The seeds that both arms have, and animal -> student minus reference in each of them."""
    cells = {}
    of_arm: dict[str, set[int]] = {STUDENT: set(), reference: set()}  # arm -> its seeds
    for row in table:
        if row.animal == target and row.arm in of_arm:
            cells[row.seed, row.arm, row.asked] = row.log_odds
            of_arm[row.arm].add(row.seed)
    seeds = sorted(of_arm[STUDENT] & of_arm[reference])
    lifts = {}
    for asked in dict.fromkeys(name for *_, name in cells):
        student = [cells.get((seed, STUDENT, asked)) for seed in seeds]
        control = [cells.get((seed, reference, asked)) for seed in seeds]
        if None not in student and None not in control:  # an animal that was not asked for everywhere has no lift
            lifts[asked] = np.subtract(student, control)
    return seeds, lifts


def _interval(lift: np.ndarray) -> tuple[float, float] | None:
    if lift.size < 2:
        return None
    return t_interval(lift, CONFIDENCE)


def _p(lift: np.ndarray) -> float | None:
    """Two-sided p of the paired t test; the sign test's where the differences are all equal."""
    from scipy import stats

    if lift.size < 2:
        return None
    # Equal but for rounding: the t test would divide by nothing.
    if np.ptp(lift) < 1e-12:
        return sign_test(lift)
    return float(stats.ttest_1samp(lift, 0).pvalue)


def _p_first(first: int, seeds: int, animals: int) -> float:
    """The chance of so many firsts if each animal were as likely to rise most."""
    from scipy import stats

    # sf is the chance of more than its argument: one less gives that of so many or more.
    return float(stats.binom.sf(first - 1, seeds, 1 / animals))
