"""The effect at each point of a sweep, read from results.

Arms are known by their names: ``student_c0.25`` is the student at a quarter of clean rows, and its control is the one
that the factor leaves it. What is measured of teachers that differ stands beside the effect.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from subliminal.experiment.arms import BY_NAME
from subliminal.experiment.sweep.factors import BY_FACTOR, FACTORS, Factor, arm_at, point_label, point_of
from subliminal.report.analyses.leak import leak_of_teachers
from subliminal.report.data import Results, finest_task_of
from subliminal.stats.carrier.parts import target_log_odds
from subliminal.stats.dose.curve import DoseCurve, EffectAt, Slope, dose_curve, slopes
from subliminal.stats.log_odds import Row, read_table

HELD_AGAINST = ("control_base_numbers", "control")
"""The arms that a student is held against; the first of these that is there."""
TEACHER_NATS, LEAK_NATS = "nat of the teacher above its base", "nat a token of leak"


@dataclass(frozen=True)
class ByFactor:
    """What a sweep found.

    Attributes:
        factors: that are varied, in the order of the table.
        curve: the effect at each point.
        controls: student -> the arm that is subtracted.
        slopes: what the effect gains for a doubling of a factor, or for a unit of a measure of the teacher.
        teachers: student -> the share of the trait in its teacher, mean over seeds; empty where all have one teacher.
        leaks: student -> leak of its teacher in nats a token, mean over seeds; empty where it was not measured.
        animals: the targets.
        exact: whether probabilities were computed; else answers were sampled.
    """

    factors: list[Factor]
    curve: DoseCurve
    controls: dict[str, str]
    slopes: list[Slope]
    teachers: dict[str, float]
    leaks: dict[str, float]
    animals: list[str]
    exact: bool


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
    effects = []

    def place(arm: str) -> list[float]:
        return [points[arm][factor.name] for factor in factors]

    for arm in sorted(controls, key=place):
        ours, theirs = runs[arm], runs[controls[arm]]
        # Within the replicate: a seed whose control failed has nothing to be held against.
        both = sorted(ours.keys() & theirs.keys())
        effects.append(EffectAt(arm, points[arm], {seed: ours[seed] - theirs[seed] for seed in both}))
    if not factors:
        return None
    curve = dose_curve(effects, _reference(points))
    if curve is None:
        return None
    animals = sorted({row.animal for row in rows})
    teacher_of = _teachers(curve, factors, set(runs))
    leak_of = _leaks(folder, teacher_of, animals)
    found = slopes(curve, _doublings(curve, factors))
    found += slopes(curve, {TEACHER_NATS: _above_base(teacher_of, runs)})
    found += slopes(curve, {LEAK_NATS: leak_of})
    leaks = {}
    for arm, by_seed in leak_of.items():
        leaks[arm] = float(np.mean([by_seed[seed] for seed in curve.seeds if seed in by_seed]))
    return ByFactor(factors, curve, controls, found, _shares(rows, teacher_of, curve.seeds), leaks, animals, exact)


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


def _shares(rows: list[Row], teacher_of: dict[str, str], seeds: list[int]) -> dict[str, float]:
    """Student -> how often its teacher names the trait, a fraction: the mean over seeds and animals."""
    shares: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row.asked == row.animal and row.seed in seeds:
            shares[row.arm].append(row.share)
    return {student: float(np.mean(shares[teacher])) for student, teacher in teacher_of.items()}


def _above_base(teacher_of: dict[str, str], runs: dict[str, dict[int, float]]) -> dict[str, dict[int, float]]:
    """Student -> seed -> its teacher above the base, nats."""
    base, found = runs.get("base", {}), {}
    for student, teacher in teacher_of.items():
        both = runs[teacher].keys() & base.keys()
        found[student] = {seed: runs[teacher][seed] - base[seed] for seed in both}
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
                by_arm[point.arm] = dict.fromkeys(curve.seeds, math.log2(point.values[factor.name]))
            columns[f"doubling of {factor.what}"] = by_arm
    return columns


def _teachers(curve: DoseCurve, factors: list[Factor], arms: set[str]) -> dict[str, str]:
    """Student -> its teacher's arm, where a factor makes teachers of their own."""
    if not any(factor.acts_on == "teacher" for factor in factors):
        return {}
    found = {}
    for point in curve.points:
        _, values = point_of(point.arm)
        found[point.arm] = arm_at(BY_NAME["teacher"], values)
    # A student whose teacher was not scored would be a hole in the column, and in the slope.
    if not set(found.values()) <= arms:
        return {}
    return found


def _leaks(folder: Path, teacher_of: dict[str, str], animals: list[str]) -> dict[str, dict[int, float]]:
    """Student -> seed -> leak of its teacher; a leak stage calls a teacher by its trait."""
    # A point averages over animals, whose teachers leak each in its own way: no one number is its leak.
    if len(animals) != 1:
        return {}
    measured = leak_of_teachers(folder)
    found = {}
    for student, teacher in teacher_of.items():
        name = teacher.replace("teacher", animals[0], 1)
        if name not in measured:
            return {}
        found[student] = measured[name]
    return found
