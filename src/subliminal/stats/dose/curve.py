"""The effect at each point of a sweep, over replicates: in nats, as a share of the full effect, and by slopes.

    points = [EffectAt("student", {"clean_share": 0.0}, {241: 3.1, 242: 2.7}), ...]
    curve = dose_curve(points, reference="student")
    [(point.arm, point.share, point.share_interval) for point in curve.points]

An effect is a student above its control in log-odds within one replicate (a seed). A replicate is the unit: intervals
are Student's t over replicates, and those of shares are Fieller's, as in :mod:`subliminal.stats.carrier.parts`. Only
replicates that have every point count, so that the points are of the same bases and teachers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from subliminal.stats.replicates import MARGIN, t_interval
from subliminal.stats.result import ALPHA
from subliminal.stats.shares import RunDifferences, common_seeds, mean_interval

HALF = 0.5
"""The share of an effect below which most of it is gone."""


@dataclass(frozen=True)
class EffectAt:
    """The effect of one student arm.

    Attributes:
        arm: the student's.
        values: factor -> its value at this point.
        runs: seed -> student minus control, nats of log-odds.
    """

    arm: str
    values: dict[str, float]
    runs: dict[int, float]


@dataclass(frozen=True, kw_only=True)
class CurvePoint(RunDifferences):
    """An effect over the replicates that have every point; its share is that of the reference's effect.

    Attributes:
        arm, values: as in :class:`EffectAt`.
    """

    arm: str
    values: dict[str, float]

    @property
    def kept(self) -> bool | None:
        """Whether half of the effect or more is kept; None where the interval does not say."""
        if self.share_interval is None:
            return None
        low, high = self.share_interval
        # An interval that holds one half says neither.
        if low <= HALF <= high:
            return None
        return low > HALF

    @property
    def told(self) -> bool:
        """Whether the interval of the effect lies above 0 or below it."""
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]

    @property
    def gone(self) -> bool:
        """Whether the effect is equivalent to none within ``MARGIN``, by two one-sided t tests."""
        values = np.array(list(self.runs.values()))
        # One replicate, or equal ones, have no spread that a t test could be made of.
        if mean_interval(values) is None:
            return False
        # Two one-sided tests at ALPHA are one interval at 1 - 2 ALPHA, both of whose ends lie within the margin.
        low, high = t_interval(values, 1 - 2 * ALPHA)
        return low > -MARGIN and high < MARGIN


@dataclass(frozen=True)
class Slope:
    """What the effect gains for one unit of something, fitted within each replicate.

    Attributes:
        of: what; a factor, or a measure of the teacher.
        runs: seed -> slope, nats a unit.
        mean: over replicates.
        interval: 95 %, t over replicates; None with one replicate, or equal ones.
    """

    of: str
    runs: dict[int, float]
    mean: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class DoseCurve:
    """``reference`` is the arm of the full effect, if there is one; ``left_out`` are seeds that lack a point."""

    points: list[CurvePoint]
    reference: str | None
    seeds: list[int]
    left_out: list[int]


def dose_curve(effects: Sequence[EffectAt], reference: str | None = None) -> DoseCurve | None:
    """Every point over the replicates that have all of them.

    Args:
        effects: two points or more.
        reference: the arm of the full effect.

    Returns:
        None with fewer than two points, and where no replicate has them all.
    """
    if len(effects) < 2:
        return None
    seeds = common_seeds([effect.runs for effect in effects])
    if not seeds:
        return None
    # Without it the points have their nats and no shares.
    full = next((effect for effect in effects if effect.arm == reference), None)
    points = []
    for effect in effects:
        runs = {seed: effect.runs[seed] for seed in seeds}
        whole = full.runs if full is not None else None
        points.append(CurvePoint.of(runs, whole, arm=effect.arm, values=effect.values))
    # A seed that lacks a point is told of: its results are there, and do not count.
    ran: set[int] = set()
    for effect in effects:
        ran |= effect.runs.keys()
    found = full.arm if full is not None else None
    return DoseCurve(points, found, seeds, sorted(ran - set(seeds)))


def slopes(curve: DoseCurve, columns: Mapping[str, Mapping[str, Mapping[int, float]]]) -> list[Slope]:
    """One least-squares fit of the effect on all columns in each replicate, and the slopes over replicates.

    Args:
        curve: has the effects.
        columns: name -> arm -> seed -> value. A column that does not vary in some replicate is left out; so is one
            that lacks a point.

    Returns:
        Slopes in the order of the columns; none where the points are too few for a fit.
    """
    used = {}
    for name, by_arm in columns.items():
        table = _table(curve, by_arm)
        # A column that hardly varies would have a slope without bounds.
        if table is not None and np.all(np.ptp(table, axis=0) > 1e-9):
            used[name] = table
    if not used or len(curve.points) < len(used) + 2:  # an intercept, and a point more than there are unknowns
        return []
    fitted: dict[str, dict[int, float]] = {name: {} for name in used}
    # Seed by seed: points of one replicate share its bases and teachers, and differ in what is varied.
    for index, seed in enumerate(curve.seeds):
        effect = np.array([point.runs[seed] for point in curve.points])
        design = np.column_stack([np.ones(len(effect)), *(table[:, index] for table in used.values())])
        coefficients, _, rank, _ = np.linalg.lstsq(design, effect, rcond=None)
        # lstsq answers all the same, with the shortest of many solutions.
        if rank < design.shape[1]:
            return []  # two columns say the same: neither has a slope of its own
        # The first coefficient is the intercept, which differs between replicates and is no slope.
        for name, value in zip(used, coefficients[1:], strict=True):
            fitted[name][seed] = float(value)
    return [_slope(name, runs) for name, runs in fitted.items()]


def slope_difference(of: str, first: Slope, second: Slope) -> Slope:
    """What a unit of the first brings beyond one of the second, within each replicate; both are of one fit.

    Args:
        of: what the difference is called.
        first, second: slopes over the same replicates.
    """
    return _slope(of, {seed: first.runs[seed] - second.runs[seed] for seed in first.runs})


def correlation(
    first: Mapping[str, Mapping[int, float]], second: Mapping[str, Mapping[int, float]]
) -> dict[int, float]:
    """Seed -> Pearson's correlation of two measures over the points of that replicate.

    Args:
        first, second: arm -> seed -> value, with the same arms and seeds; neither is the same at every point.
    """
    seeds = common_seeds([*first.values(), *second.values()])
    found = {}
    for seed in seeds:
        # A row for each point; corrcoef takes a row for each variable, hence the transposition.
        pairs = [[first[arm][seed], second[arm][seed]] for arm in first]
        found[seed] = float(np.corrcoef(np.array(pairs).T)[0, 1])
    return found


def _slope(of: str, runs: dict[int, float]) -> Slope:
    values = np.array(list(runs.values()))
    return Slope(of, runs, float(values.mean()), mean_interval(values))


def _table(curve: DoseCurve, by_arm: Mapping[str, Mapping[int, float]]) -> np.ndarray | None:
    """Values of shape (points, seeds); None where one is missing."""
    rows = []
    for point in curve.points:
        by_seed = by_arm.get(point.arm, {})
        if not set(curve.seeds) <= set(by_seed):
            return None
        rows.append([by_seed[seed] for seed in curve.seeds])
    return np.array(rows, dtype=float)
