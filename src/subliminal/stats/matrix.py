"""Students by animals: does each student gain its own teacher's animal more than training on numbers explains?

    found = students_by_animals(read_table(Path("results/owl_pocket"), "animal_preference_logprob"))
    found.gamma, found.interval, found.p

lift_ij is how far the student of animal i is above the control in log-odds of animal j, and within a replicate

    lift_ij = mu + a_i + b_j + gamma [i = j],

a_i being what training on the rows of teacher i does to every animal, and b_j what any training does to animal j.
Least squares give gamma = mean of the diagonal - mean of the rest, so the control and its chance cancel. The replicates
are the unit: t interval over their gammas, and an exact test in which each replicate's students are dealt to its
animals anew.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from subliminal.stats.log_odds import CONTROL, STUDENT, Row
from subliminal.stats.shares import mean_interval

DEALT_UP_TO = 2_000_000
"""Ways to deal all replicates that are tried one by one; beyond, as many are drawn as :data:`DRAWN` says."""
DRAWN = 99_999


@dataclass(frozen=True)
class Matrix:
    """Lift of every animal in every student.

    Attributes:
        animals: of the rows (students) and of the columns (asked).
        seeds: the replicates that have every model.
        lift: nats, shape (replicates, students, animals).
        gammas: of each replicate, nats.
        gamma: their mean.
        interval: 95 % t interval of gamma over replicates; None with one replicate, or gammas that are all equal.
        p: of the exact test that gamma is not above 0.
        ways: how many dealings stood behind p.
    """

    animals: list[str]
    seeds: list[int]
    lift: np.ndarray
    gammas: list[float]
    gamma: float
    interval: tuple[float, float] | None
    p: float
    ways: int


def students_by_animals(table: Iterable[Row], *, animals: Sequence[str] | None = None) -> Matrix | None:
    """The matrix of an experiment of several animals, over the replicates that are whole.

    Args:
        table: log-odds of every model.
        animals: in their order; by default all that have results.

    Returns:
        None with one animal, or without a replicate that has every model.
    """
    cells = {(row.seed, row.animal, row.arm, row.asked): row.log_odds for row in table}
    names = list(animals or dict.fromkeys(animal for _, animal, arm, _ in cells if arm == STUDENT))
    pairs = list(itertools.product(names, repeat=2))
    lifts = {}
    for seed in sorted({seed for seed, *_ in cells}):
        # Another control would change the lifts and not gamma.
        ours = [cells.get((seed, student, STUDENT, asked)) for student, asked in pairs]
        theirs = [cells.get((seed, student, CONTROL, asked)) for student, asked in pairs]
        # Replicate by replicate: one that lacks a model is left out whole.
        if None not in ours and None not in theirs:
            lifts[seed] = np.subtract(ours, theirs)
    seeds = list(lifts)
    if len(names) < 2 or not seeds:
        return None
    # Pairs come student by student: rows are students, and columns what was asked.
    lift = np.array(list(lifts.values())).reshape(len(seeds), len(names), len(names))
    gammas = np.array([gamma_of(replicate) for replicate in lift])
    p, ways = permutation_test(lift)
    return Matrix(names, seeds, lift, gammas.tolist(), float(gammas.mean()), mean_interval(gammas), p, ways)


def gamma_of(lift: np.ndarray) -> float:
    """Least squares' gamma of one replicate; ``lift`` has the shape (students, animals), the same animals in order."""
    size = len(lift)
    diagonal = float(np.trace(lift))
    rest = float(lift.sum()) - diagonal
    return diagonal / size - rest / (size * (size - 1))


def permutation_test(lift: np.ndarray) -> tuple[float, int]:
    """One-sided p-value of the mean gamma, if within each replicate any student could be any animal's.

    Args:
        lift: shape (replicates, students, animals).

    Returns:
        (p, dealings tried). Exact up to :data:`DEALT_UP_TO` dealings, else from random ones and the observed.
    """
    orders = list(map(list, itertools.permutations(range(lift.shape[1]))))
    by_order = np.empty((len(lift), len(orders)))
    for row, column in np.ndindex(by_order.shape):
        by_order[row, column] = gamma_of(lift[row][orders[column]])
    observed = float(by_order[:, 0].sum()) - 1e-9  # the first order is the one that there is; ties count
    ways = math.factorial(lift.shape[1]) ** len(lift)
    if ways <= DEALT_UP_TO:
        sums = np.zeros(1)
        # Replicates are dealt independently, so that every sum of their gammas is as likely.
        for gammas in by_order:
            sums = np.add.outer(sums, gammas).ravel()
        return float(np.mean(sums >= observed)), ways
    # Too many to try each: as many are drawn, from a fixed seed, so that a page comes out the same.
    drawn = np.random.default_rng(0).integers(0, len(orders), (DRAWN, len(lift)))
    sums = by_order[np.arange(len(lift)), drawn].sum(axis=1)
    return (int(np.sum(sums >= observed)) + 1) / (DRAWN + 1), DRAWN + 1
