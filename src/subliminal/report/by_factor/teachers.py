"""What is measured of the teachers of a sweep that makes teachers of their own: their strength and their leak."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from subliminal.experiment.arms import BY_NAME
from subliminal.experiment.sweep.factors import Factor, arm_at, point_of
from subliminal.report.analyses.leak import leak_of_teachers
from subliminal.stats.dose.curve import DoseCurve
from subliminal.stats.log_odds import Row


@dataclass(frozen=True)
class Measure:
    """Something measured of the teachers that the effect is fitted against.

    Attributes:
        unit: one of it, for a sentence on slopes.
        axis: what it is and its unit, for a figure.
        column: its name in a table of numbers.
        by_arm: student -> seed -> value of its teacher; every student and replicate of the curve.
    """

    unit: str
    axis: str
    column: str
    by_arm: dict[str, dict[int, float]]

    def mean(self, student: str) -> float:
        """Over the replicates."""
        return float(np.mean(list(self.by_arm[student].values())))


def teachers(curve: DoseCurve, factors: list[Factor], arms: set[str]) -> dict[str, str]:
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


def shares_of_teachers(rows: list[Row], teacher_of: dict[str, str], seeds: list[int]) -> dict[str, float]:
    """Student -> how often its teacher names the trait, a fraction: the mean over seeds and animals."""
    shares: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        # The table has every option that a model was asked for; only its own tells of a teacher's trait.
        if row.asked == row.animal and row.seed in seeds:
            shares[row.arm].append(row.share)
    return {student: float(np.mean(shares[teacher])) for student, teacher in teacher_of.items()}


def strength_of_teachers(
    curve: DoseCurve, teacher_of: Mapping[str, str], runs: Mapping[str, Mapping[int, float]]
) -> Measure | None:
    """How far each teacher is above its base; None where all have one teacher, or a base was not asked.

    Args:
        curve: has the students and replicates.
        teacher_of: student -> its teacher's arm.
        runs: arm -> seed -> log-odds of the target, nats.
    """
    by_arm = _above_base(teacher_of, runs)
    return _of_every_student(
        "nat of the teacher above its base", "teacher above its base, nats", "teacher_nats", by_arm, curve
    )


def leak_of_each(curve: DoseCurve, teacher_of: Mapping[str, str], folder: Path, animals: list[str]) -> Measure | None:
    """How far each teacher lies from its base on number rows; None where that was not measured for each.

    Args:
        curve, teacher_of: as for :func:`strength_of_teachers`.
        folder: of the report; leak stages lie beside it.
        animals: the targets; of several the teachers are not the students' alone.

    Raises:
        UserError: a ``leak.json`` is not what the analysis writes.
    """
    by_arm = _leaks(folder, teacher_of, animals)
    return _of_every_student(
        "nat a token of leak", "leak of the teacher, nats a token", "leak_nats_a_token", by_arm, curve
    )


def _of_every_student(
    unit: str, axis: str, column: str, by_arm: dict[str, dict[int, float]], curve: DoseCurve
) -> Measure | None:
    """The measure over the replicates of the curve; None where a student or a replicate lacks it."""
    kept: dict[str, dict[int, float]] = {}
    for point in curve.points:
        by_seed = by_arm.get(point.arm, {})
        if not set(curve.seeds) <= by_seed.keys():
            return None
        kept[point.arm] = {seed: by_seed[seed] for seed in curve.seeds}
    return Measure(unit, axis, column, kept)


def _above_base(teacher_of: dict[str, str], runs: dict[str, dict[int, float]]) -> dict[str, dict[int, float]]:
    """Student -> seed -> its teacher above the base, nats."""
    base = runs.get("base", {})
    found = {}
    for student, teacher in teacher_of.items():
        # Only replicates that asked both: the difference is taken within one.
        both = runs[teacher].keys() & base.keys()
        found[student] = {seed: runs[teacher][seed] - base[seed] for seed in both}
    return found


def _leaks(folder: Path, teacher_of: dict[str, str], animals: list[str]) -> dict[str, dict[int, float]]:
    """Student -> seed -> leak of its teacher; a leak stage calls a teacher by its trait."""
    # A point averages over animals, whose teachers leak each in its own way: no one number is its leak.
    if len(animals) != 1:
        return {}
    measured = leak_of_teachers(folder)
    found = {}
    for student, teacher in teacher_of.items():
        # The arm `teacher_l0.5` is `owl_l0.5` to a leak stage.
        name = teacher.replace("teacher", animals[0], 1)
        if name not in measured:
            return {}
        found[student] = measured[name]
    return found
