"""What a difference is over runs, and what share of another difference of the same runs it is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from subliminal.stats.replicates import t_interval
from subliminal.stats.result import CONFIDENCE


def common_seeds(arms: Iterable[Mapping[int, float]]) -> list[int]:
    """The seeds that every arm has, in order: what is compared within a run takes a run of each.

    Args:
        arms: of each, seed -> a number.
    """
    first, *others = arms
    seeds = set(first)
    for other in others:
        seeds &= other.keys()
    return sorted(seeds)


def mean_interval(values: np.ndarray) -> tuple[float, float] | None:
    """The t interval of a mean over runs, 95 %; None with one run, or with equal ones.

    Args:
        values: shape (runs,).
    """
    if values.size < 2 or np.ptp(values) < 1e-9:
        return None
    return t_interval(values, CONFIDENCE)


@dataclass(frozen=True, kw_only=True)
class RunDifferences:
    """A difference of two arms within each run, what it is over the runs, and what share of a whole.

    Attributes:
        runs: seed -> difference of log-odds, nats.
        mean: over runs, nats.
        interval: 95 %, :func:`mean_interval`.
        share: of the whole, a fraction; None without a whole, or where its mean is not above 0.
        share_interval: 95 %; None where the whole's interval does not lie above 0, since any share is possible then.
    """

    runs: dict[int, float]
    mean: float
    interval: tuple[float, float] | None
    share: float | None
    share_interval: tuple[float, float] | None

    @classmethod
    def of(cls, runs: dict[int, float], whole: dict[int, float] | None, **told: Any) -> Self:
        """Everything that follows from the differences.

        Args:
            runs: seed -> difference.
            whole: seed -> what the difference is a part of, the same seeds.
            told: what a subclass has beside.
        """
        values = np.array(list(runs.values()))
        share = share_interval = None
        if whole is not None:
            share, share_interval = share_of(values, np.array([whole[seed] for seed in runs]))
        return cls(
            runs=runs,
            mean=float(values.mean()),
            interval=mean_interval(values),
            share=share,
            share_interval=share_interval,
            **told,
        )

    @property
    def above(self) -> int:
        """Runs in which the difference is above 0."""
        return sum(value > 0 for value in self.runs.values())


def share_of(part: np.ndarray, whole: np.ndarray) -> tuple[float | None, tuple[float, float] | None]:
    """What share of a whole a part is, a fraction, and its interval; None where the whole's mean is not above 0.

    Args:
        part, whole: as for :func:`ratio_interval`, which gives the interval.
    """
    if whole.mean() <= 0:
        return None, None
    return float(part.mean() / whole.mean()), ratio_interval(part, whole)


def ratio_interval(part: np.ndarray, whole: np.ndarray) -> tuple[float, float] | None:
    """Fieller's 95 % interval for mean(part) / mean(whole) of the same runs.

    It holds every ratio r for which the mean of ``part - r x whole`` does not differ from 0 by a t test.

    Args:
        part, whole: shape (runs,), in the same order.

    Returns:
        None with one run, and where the mean of ``whole`` is not above 0 by the same test: any ratio is possible then.
    """
    from scipy import stats

    n = part.size
    # One run, or equal wholes, have no spread from which an interval could come.
    if n < 2 or np.ptp(whole) < 1e-9:
        return None
    # The ends are the roots of a quadratic in r: (mean of part - r whole)^2 = t^2 / n x (its variance).
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) ** 2 / n
    # Paired by run: the two means share their runs, and so their noise.
    (var_part, covariance), (_, var_whole) = np.cov(part, whole)
    square = whole.mean() ** 2 - reach * var_whole
    if square <= 0 or whole.mean() <= 0:  # the whole may be 0: the ratios that hold are then no interval
        return None
    middle = part.mean() * whole.mean() - reach * covariance
    rest = part.mean() ** 2 - reach * var_part
    # Of a part that is the whole, or a fixed share of it, rounding can leave a root below 0.
    root = math.sqrt(max(middle**2 - square * rest, 0.0))
    return float((middle - root) / square), float((middle + root) / square)
