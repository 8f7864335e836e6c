"""The intervals and the exact test of reports for many experiments at once, one a row.

tests/stats/test_simulation.py holds each against the function that it repeats.
"""

from __future__ import annotations

import itertools

import numpy as np

from subliminal.stats.matrix import DEALT_UP_TO
from subliminal.stats.result import CONFIDENCE

DRAWN = 999
"""Dealings of the simulated exact test where there are too many to try each: the first of those that a report draws. A
test has its level with any number of them."""
AT_ONCE = 1_000
"""Experiments whose dealings are summed at once."""


def t_bounds(differences: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of t intervals, one experiment a row; see :func:`subliminal.stats.replicates.t_interval`.

    Args:
        differences: shape (experiments, replicates).
        confidence: of the interval, 0 to 1.
    """
    from scipy import stats

    size = differences.shape[1]
    reach = stats.t.ppf((1 + confidence) / 2, size - 1) * differences.std(axis=1, ddof=1) / np.sqrt(size)
    mean = differences.mean(axis=1)
    return mean - reach, mean + reach


def welch_bounds(first: np.ndarray, second: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of the intervals for arms of other seeds, one experiment a row; shape (experiments, runs) each.

    See :func:`subliminal.stats.runs.over_runs`.
    """
    from scipy import stats

    error = np.sqrt(sum(arm.var(axis=1, ddof=1) / arm.shape[1] for arm in (first, second)))
    # Hsu's degrees of freedom, as in over_runs.
    reach = stats.t.ppf((1 + confidence) / 2, min(first.shape[1], second.shape[1]) - 1) * error
    estimate = first.mean(axis=1) - second.mean(axis=1)
    return estimate - reach, estimate + reach


def fieller_bounds(part: np.ndarray, whole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of Fieller's 95 % intervals, one experiment a row; see :func:`subliminal.stats.shares.ratio_interval`.

    Args:
        part, whole: shape (experiments, replicates).

    Returns:
        Not-a-numbers where the whole may be 0, so that there is no interval.
    """
    from scipy import stats

    size = whole.shape[1]
    reach = stats.t.ppf((1 + CONFIDENCE) / 2, size - 1) ** 2 / size
    mean_part, mean_whole = part.mean(axis=1), whole.mean(axis=1)
    apart = (part - mean_part[:, None]) * (whole - mean_whole[:, None])
    covariance = apart.sum(axis=1) / (size - 1)
    square = mean_whole**2 - reach * whole.var(axis=1, ddof=1)
    middle = mean_part * mean_whole - reach * covariance
    rest = mean_part**2 - reach * part.var(axis=1, ddof=1)
    square[(square <= 0) | (mean_whole <= 0)] = np.nan
    root = np.sqrt(np.maximum(middle**2 - square * rest, 0))
    return (middle - root) / square, (middle + root) / square


def dealt_p(lift: np.ndarray) -> np.ndarray:
    """p-values of gamma's exact test, one experiment a row; see :func:`subliminal.stats.matrix.permutation_test`.

    Args:
        lift: shape (experiments, replicates, students, animals).
    """
    size, animals = lift.shape[1:3]
    orders = np.array(list(itertools.permutations(range(animals))))
    # Of one replicate's dealings gamma grows with the diagonal's sum alone.
    diagonals = lift[:, :, orders, np.arange(animals)].sum(axis=-1)
    every = len(orders) ** size <= DEALT_UP_TO
    if every:
        dealt = np.array(list(itertools.product(range(len(orders)), repeat=size)))
    else:
        dealt = np.random.default_rng(0).integers(0, len(orders), (DRAWN, size))
    # A row for each dealing with a 1 in the column of each replicate's order: the product below is the sums.
    chosen = np.zeros((len(dealt), size, len(orders)))
    chosen[np.arange(len(dealt))[:, None], np.arange(size), dealt] = 1
    chosen = chosen.reshape(len(dealt), -1)
    found = []
    for some in np.split(diagonals, range(AT_ONCE, len(diagonals), AT_ONCE)):
        observed = some[:, :, 0].sum(axis=1) - 1e-9  # the first order is the one that there is; ties count
        found.append((chosen @ some.reshape(len(some), -1).T >= observed).sum(axis=0))
    as_large = np.concatenate(found)
    if every:
        return as_large / len(dealt)
    return (as_large + 1) / (DRAWN + 1)
