"""The figures of the section by factor: the effect at each point, and against what was measured of the teachers."""

from __future__ import annotations

from typing import Any

import numpy as np

from subliminal.report.by_factor.found import ByFactor, Measure
from subliminal.report.figure import INK, MARKERS, PAPER, SERIES, dress, new_figure, svg
from subliminal.stats.dose.curve import CurvePoint

SERIES_APART = 0.12
"""Between the marks of two series at one place, where the next place is 1 away."""


def point_values(found: ByFactor, point: CurvePoint) -> list[str]:
    """The value of each factor at a point."""
    return [f"{point.values[factor.name]:g}" for factor in found.factors]


def by_factor_figure(found: ByFactor) -> str:
    """Each point with its interval, and a thin line for each replicate. SVG.

    Of two factors the first lies along the axis, and each value of the second has points of its own.
    """
    figure, (panel,) = new_figure([1], height=3.4)
    # The values of three factors or more stand below each other at one place, like those of one.
    draw = _of_two_factors if len(found.factors) == 2 else _of_one_line
    places = draw(panel, found)
    panel.axhline(0, color=INK, linewidth=1)
    # Half a place on either side, so that no mark lies on the frame.
    panel.set_xlim(-0.5, places - 0.5)
    panel.set_ylabel("student − control,\nnats of log-odds")
    dress(panel, grid="y")
    return svg(figure, "by-factor")


def _of_one_line(panel: Any, found: ByFactor) -> int:
    """All points side by side; returns how many places there are."""
    points = found.curve.points
    places = np.arange(len(points))
    for seed in found.curve.seeds:
        panel.plot(places, [point.runs[seed] for point in points], color=SERIES[1], linewidth=0.8, alpha=0.6)
    for place, point in zip(places, points, strict=True):
        # A point without an interval gets a line of no length behind its mark.
        low, high = point.interval or (point.mean, point.mean)
        panel.vlines(place, low, high, color=INK, linewidth=2)
        # The reference is filled: all shares are shares of it.
        face = SERIES[0] if point.arm == found.curve.reference else PAPER
        panel.plot(place, point.mean, "o", markersize=8, markerfacecolor=face, markeredgecolor=SERIES[0])
    # A line a factor, so that the values of several stand below each other.
    panel.set_xticks(places, ["\n".join(point_values(found, point)) for point in points])
    panel.set_xlabel("\n".join(factor.what for factor in found.factors))
    return len(places)


def _of_two_factors(panel: Any, found: ByFactor) -> int:
    """A series of points for each value of the second factor; returns how many values the first has."""
    along, across = found.factors
    values = sorted({point.values[along.name] for point in found.curve.points})
    series = sorted({point.values[across.name] for point in found.curve.points})
    for index, value in enumerate(series):
        points = [point for point in found.curve.points if point.values[across.name] == value]
        # Side by side around the place, so that the intervals of two series do not cover each other.
        shift = SERIES_APART * (index - (len(series) - 1) / 2)
        places = [values.index(point.values[along.name]) + shift for point in points]
        color = SERIES[index % len(SERIES)]
        for seed in found.curve.seeds:
            panel.plot(places, [point.runs[seed] for point in points], color=color, linewidth=0.6, alpha=0.4)
        for place, point in zip(places, points, strict=True):
            low, high = point.interval or (point.mean, point.mean)
            panel.vlines(place, low, high, color=color, linewidth=2)
        means = [point.mean for point in points]
        mark = MARKERS[index % len(MARKERS)]
        label = f"{across.what}: {value:g}"
        panel.plot(places, means, mark, markersize=8, markerfacecolor=PAPER, markeredgecolor=color, label=label)
    panel.set_xticks(range(len(values)), [f"{value:g}" for value in values])
    panel.set_xlabel(along.what)
    panel.legend(frameon=False, labelcolor=INK)
    return len(values)


def by_teacher_figure(found: ByFactor) -> str:
    """The effect against each measure of the teacher: a thin line for each replicate, the mean of their fits. SVG."""
    measures = found.measures
    figure, panels = new_figure([1], height=3.2, columns=len(measures))
    for panel, measure in zip(panels, measures, strict=True):
        for seed in found.curve.seeds:
            across = [measure.by_arm[point.arm][seed] for point in found.curve.points]
            effects = [point.runs[seed] for point in found.curve.points]
            panel.plot(across, effects, "o-", color=SERIES[1], markersize=4, linewidth=0.6, alpha=0.6)
        _mean_fit(panel, found, measure)
        panel.axhline(0, color=INK, linewidth=1)
        panel.set_xlabel(measure.axis)
        dress(panel, grid="y")
    # One axis for all measures, so that their slopes can be compared by eye.
    ends = [end for panel in panels for end in panel.get_ylim()]
    for panel in panels:
        panel.set_ylim(min(ends), max(ends))
    panels[0].set_ylabel("student − control,\nnats of log-odds")
    return svg(figure, "by-teacher")


def _mean_fit(panel: Any, found: ByFactor, measure: Measure) -> None:
    """The line whose slope and height are the means of the replicates' fits; none where there is no fit."""
    slope = next((slope for slope in found.slopes if slope.of == measure.unit), None)
    if slope is None:
        return
    heights, every = [], []
    for seed, steepness in slope.runs.items():
        across = [measure.by_arm[point.arm][seed] for point in found.curve.points]
        effects = [point.runs[seed] for point in found.curve.points]
        # A least-squares line passes through the means of both.
        heights.append(np.mean(effects) - steepness * np.mean(across))
        every += across
    ends = np.array([min(every), max(every)])
    panel.plot(ends, np.mean(heights) + slope.mean * ends, color=SERIES[0], linewidth=2.5)
