"""The points of an experiment's sweep: how many number rows, and the values of all factors, at each."""

from __future__ import annotations

from subliminal.experiment.arms import ArmKind
from subliminal.experiment.schema import Experiment
from subliminal.experiment.sweep.factors import Point, combinations


def sweep_points(experiment: Experiment, arm: ArmKind | None = None) -> list[Point]:
    """Every combination of the sweep's lists that makes an arm anew; one unnamed point without a sweep.

    Args:
        experiment: has the sweep.
        arm: whose points; by default those of an arm that every factor acts on.
    """
    found = []
    for values in combinations(experiment.sweep.lists(), arm):
        found.append(Point(values.get("rows", experiment.numbers.rows), values))
    return found
