"""The effect at each point of a sweep, read from results.

Arms are known by their names: ``student_c0.25`` is the student at a quarter of clean rows, and its control is the one
that the factor leaves it. What is measured of teachers that differ stands beside the effect.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from subliminal.experiment.arms import BY_NAME
from subliminal.experiment.sweep.factors import BY_FACTOR, FACTORS, Factor, arm_at, point_label, point_of
from subliminal.report.by_factor.teachers import (
    Measure,
    leak_of_each,
    shares_of_teachers,
    strength_of_teachers,
    teachers,
)
from subliminal.report.data import Results, finest_task_of
from subliminal.stats.carrier.parts import target_log_odds
from subliminal.stats.dose.curve import DoseCurve, EffectAt, Slope, dose_curve, slope_difference, slopes
from subliminal.stats.log_odds import Row, read_table

HELD_AGAINST = ("control_base_numbers", "control")
"""The arms that a student is held against; the first of these that is there."""
DOUBLING = "doubling of "
"""What the names of slopes over the logarithm of a factor begin with."""


@dataclass(frozen=True)
class ByFactor:
    """What a sweep found.

    Attributes:
        factors: that are varied, in the order of the table.
        curve: the effect at each point.
        controls: student -> the arm that is subtracted.
        slopes: what the effect gains for a doubling of a factor, or for a unit of a measure of the teacher.
        together: the slopes of all measures of the teacher in one fit; empty with fewer than two measures.
        teachers: student -> the share of the trait in its teacher, mean over seeds; empty where all have one teacher.
        strength, leak: how far the teachers are above their base, nats of log-odds, and how far they lie from it on
            number rows, nats a token; None where all have one teacher, and where it was not measured.
        animals: the targets.
        exact: whether probabilities were computed; else answers were sampled.
    """

    factors: list[Factor]
    curve: DoseCurve
    controls: dict[str, str]
    slopes: list[Slope]
    together: list[Slope]
    teachers: dict[str, float]
    strength: Measure | None
    leak: Measure | None
    animals: list[str]
    exact: bool

    @property
    def measures(self) -> list[Measure]:
        """Those of the teachers that there are."""
        return [measure for measure in (self.strength, self.leak) if measure is not None]


def by_factor(folder: Path, of_options: Sequence[Results]) -> ByFactor | None:
    """What a sweep found, from its results.

    Args:
        folder: ``results/<experiment>``, or that of one animal in it.
        of_options: what the folder holds: its results, or those of each animal.

    Returns:
        None without two points of a factor that some replicate has.

    Raises:
        UserError: a summary is damaged.
    """
    scored = finest_task_of(of_options)
    if scored is None:
        return None
    task, exact = scored
    return _from_rows(folder, read_table(folder, task), exact=exact)


def _from_rows(folder: Path, rows: list[Row], *, exact: bool) -> ByFactor | None:
    runs = target_log_odds(rows)
    points = _student_points(list(runs))
    factors = _varied(points)
    controls = _controls(points, set(runs))
    if not factors:
        return None
    curve = dose_curve(_effects(points, factors, controls, runs), _reference(points))
    if curve is None:
        return None
    animals = sorted({row.animal for row in rows})
    teacher_of = teachers(curve, factors, set(runs))
    strength = strength_of_teachers(curve, teacher_of, runs)
    leak = leak_of_each(curve, teacher_of, folder, animals)
    columns = {each.unit: each.by_arm for each in (strength, leak) if each is not None}
    found = _dose_slopes(curve, factors)
    # Each by itself first. Strength and leak go together, so that in one fit each says what it adds to the other.
    for unit, by_arm in columns.items():
        found += slopes(curve, {unit: by_arm})
    together = []
    if len(columns) > 1:
        together = slopes(curve, columns)
        # A measure that is the same at every point (all teachers say the trait alone) is left out of a fit; the other
        # one is then by itself.
        if len(together) < len(columns):
            together = []
    return ByFactor(
        factors=factors,
        curve=curve,
        controls=controls,
        slopes=found,
        together=together,
        teachers=shares_of_teachers(rows, teacher_of, curve.seeds),
        strength=strength,
        leak=leak,
        animals=animals,
        exact=exact,
    )


def _effects(
    points: dict[str, dict[str, float]],
    factors: list[Factor],
    controls: dict[str, str],
    runs: dict[str, dict[int, float]],
) -> list[EffectAt]:
    """Every student above its control, in ascending order of the factors' values, as the figure's axis has them.

    Args:
        points: student -> factor -> value.
        factors: that are varied.
        controls: student -> its control.
        runs: arm -> seed -> log-odds, nats.
    """

    def place(arm: str) -> list[float]:
        return [points[arm][factor.name] for factor in factors]

    effects = []
    for arm in sorted(controls, key=place):
        ours, theirs = runs[arm], runs[controls[arm]]
        # Within the replicate: a seed whose control failed has nothing to be held against.
        both = sorted(ours.keys() & theirs.keys())
        effects.append(EffectAt(arm, points[arm], {seed: ours[seed] - theirs[seed] for seed in both}))
    return effects


def _dose_slopes(curve: DoseCurve, factors: list[Factor]) -> list[Slope]:
    """What a doubling of each factor brings, and of two what one brings in place of the other."""
    found = slopes(curve, _doublings(curve, factors))
    if len(found) == 2:
        first, second = found
        # Either doubling doubles the steps, so that the difference is what is gained with as many of them.
        of = f"{first.of} in place of one of {second.of.removeprefix(DOUBLING)}"
        found.append(slope_difference(of, first, second))
    return found


def _varied(points: dict[str, dict[str, float]]) -> list[Factor]:
    """The factors that have several values."""
    found = []
    for factor in FACTORS:
        values = {at_point[factor.name] for at_point in points.values() if factor.name in at_point}
        if len(values) > 1:
            found.append(factor)
    return found


def _controls(points: dict[str, dict[str, float]], arms: set[str]) -> dict[str, str]:
    """Student -> its control, for those that have one."""
    found = {}
    for student in points:
        _, values = point_of(student)
        # A factor that does not act on a control leaves all points the same one.
        names = [arm_at(BY_NAME[name], values) for name in HELD_AGAINST]
        control = next((name for name in names if name in arms), None)
        if control is not None:
            found[student] = control
    return found


def _student_points(arms: list[str]) -> dict[str, dict[str, float]]:
    """Student arm -> factor -> value, for those that have a value of every factor that any of them has."""
    points = {}
    named: dict[str, None] = {}
    for arm in arms:
        kind, values = point_of(arm)
        if kind == "student":
            points[arm] = values
            named |= dict.fromkeys(values)
    found = {}
    for arm, values in points.items():
        # An arm that does not name a factor stands where the factor changes nothing, if there is such a value.
        full = {name: values.get(name, BY_FACTOR[name].nothing) for name in named}
        if None not in full.values():
            found[arm] = full
    return found


def _reference(points: dict[str, dict[str, float]]) -> str | None:
    """The student at which every factor changes nothing; None where a factor always changes something."""
    for arm, values in points.items():
        # A label names only what is changed.
        if values and not point_label(values):
            return arm
    return None


def _doublings(curve: DoseCurve, factors: list[Factor]) -> dict[str, dict[str, dict[int, float]]]:
    """The logarithms to base 2 of the factors whose effect is told for a doubling."""
    columns = {}
    for factor in factors:
        if factor.doubling:
            by_arm = {}
            for point in curve.points:
                # To base 2, a unit of the logarithm is one doubling.
                by_arm[point.arm] = dict.fromkeys(curve.seeds, math.log2(point.values[factor.name]))
            columns[f"{DOUBLING}{factor.what}"] = by_arm
    return columns
