"""What a difference is over runs, and what share of another difference of the same runs it is."""

from __future__ import annotations

import math

import numpy as np

from subliminal.stats.replicates import t_interval
from subliminal.stats.result import CONFIDENCE


def mean_interval(values: np.ndarray) -> tuple[float, float] | None:
    """The t interval of a mean over runs, 95 %; None with one run, or with equal ones.

    Args:
        values: shape (runs,).
    """
    if values.size < 2 or np.ptp(values) < 1e-9:
        return None
    return t_interval(values, CONFIDENCE)


def share_of(part: np.ndarray, whole: np.ndarray) -> tuple[float | None, tuple[float, float] | None]:
    """What share of a whole a part is, a fraction, and its interval; None where the whole's mean is not above 0.

    Args:
        part, whole: as for :func:`ratio_interval`, which gives the interval.
    """
    if whole.mean() <= 0:
        return None, None
    return float(part.mean() / whole.mean()), ratio_interval(part, whole)


def ratio_interval(part: np.ndarray, whole: np.ndarray, confidence: float = CONFIDENCE) -> tuple[float, float] | None:
    """Fieller's interval for mean(part) / mean(whole) of the same runs.

    It holds every ratio r for which the mean of ``part - r x whole`` does not differ from 0 by a t test.

    Args:
        part, whole: shape (runs,), in the same order.
        confidence: of the interval, 0 to 1.

    Returns:
        None with one run, and where the mean of ``whole`` is not above 0 by the same test: any ratio is possible then.
    """
    from scipy import stats

    n = part.size
    if n < 2 or np.ptp(whole) < 1e-9:
        return None
    reach = float(stats.t.ppf((1 + confidence) / 2, n - 1)) ** 2 / n
    (var_part, covariance), (_, var_whole) = np.cov(part, whole)
    square = whole.mean() ** 2 - reach * var_whole
    if square <= 0 or whole.mean() <= 0:
        return None
    middle = part.mean() * whole.mean() - reach * covariance
    rest = part.mean() ** 2 - reach * var_part
    # Of a part that is the whole, or a fixed share of it, rounding can leave a root below 0.
    root = math.sqrt(max(middle**2 - square * rest, 0.0))
    return float((middle - root) / square), float((middle + root) / square)
