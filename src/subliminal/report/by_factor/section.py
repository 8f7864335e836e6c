"""The section by factor: what is kept of the effect at each point, and what it gains by more of something.

One section serves every factor of :data:`subliminal.experiment.sweep.factors.FACTORS`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from subliminal.core.numbers import counted, nats, nats_interval, percent, whole_percent, whole_percents
from subliminal.report.by_factor.found import ByFactor, by_factor
from subliminal.report.data import Results
from subliminal.report.figure import INK, PAPER, SERIES, dress, new_figure, svg
from subliminal.report.format import Figure, Section, Table, or_dash
from subliminal.stats.dose.curve import CurvePoint, Slope

FACTOR_TITLE = "By factor"
BY_FACTOR_FILE, FIGURE_FILE = "by_factor.csv", "by_factor.svg"


def by_factor_section(folder: Path, of_options: Sequence[Results]) -> Section | None:
    """The section; None where nothing was swept.

    Args:
        folder, of_options: see :func:`by_factor`.

    Raises:
        UserError: see :func:`by_factor`.
    """
    found = by_factor(folder, of_options)
    if found is None:
        return None
    title = f"{FACTOR_TITLE}: {' and '.join(factor.what for factor in found.factors)}"
    said = _answer(found)
    figure = Figure(partial(by_factor_figure, found), said, FIGURE_FILE)
    brief = Section(title, [said], [], figures=(figure,))
    return Section(title, [said, *_method(found)], [_table(found)], figures=(figure,), brief=brief)


def _answer(found: ByFactor) -> str:
    over = counted(len(found.curve.seeds), "replicate")
    animals = " and ".join(found.animals)
    told = [f"The student is above its control in log-odds of {animals}, over {over}:"]
    each = []
    for point in found.curve.points:
        said = f"{_at(found, point)} {nats(point.mean)} nats"
        if point.interval:
            said += f" {nats_interval(*point.interval)}"
        if point.share_interval and point.arm != found.curve.reference:
            said += f", {whole_percent(point.share)} of the full effect {whole_percents(*point.share_interval)}"
        each.append(said)
    told.append(f"{'; '.join(each)}.")
    told += _halves(found)
    told += [_slope_said(slope) for slope in found.slopes]
    return " ".join(told)


def _at(found: ByFactor, point: CurvePoint) -> str:
    """A point as words: ``at 0.25``, or ``at rows 750, epochs 4`` where several factors vary."""
    if len(found.factors) == 1:
        return f"at {point.values[found.factors[0].name]:g}"
    each = []
    for factor in found.factors:
        each.append(f"{factor.name.replace('_', ' ')} {point.values[factor.name]:g}")
    return f"at {', '.join(each)}"


def _values(found: ByFactor, point: CurvePoint) -> list[str]:
    """The value of each factor at a point."""
    return [f"{point.values[factor.name]:g}" for factor in found.factors]


def _halves(found: ByFactor) -> list[str]:
    """At which points half of the effect is kept for sure, is not for sure, and cannot be told."""
    rest = [point for point in found.curve.points if point.arm != found.curve.reference]
    if found.curve.reference is None:
        return []
    if all(point.share_interval is None for point in rest):
        return ["The full effect cannot be told from nothing, so that no share of it is given."]
    told = []
    # `kept` has three values: an interval that holds one half says neither.
    for kept, words in ((True, "Half or more is kept"), (False, "Less than half is kept"), (None, "It cannot be told")):
        where = [_at(found, point) for point in rest if point.kept is kept]
        if where:
            told.append(f"{words} {', '.join(where)}.")
    return told


def _slope_said(slope: Slope) -> str:
    said = f"A {slope.of} brings {nats(slope.mean)} nats"
    if slope.interval:
        said += f" {nats_interval(*slope.interval)}"
    return f"{said}."


def _method(found: ByFactor) -> list[str]:
    measure = "exact probabilities" if found.exact else "sampled answers"
    told = [
        f"Each student is held against the control of its own point within the replicate ({measure}). Intervals are "
        "95 %, Student's t over replicates; those of shares are Fieller's. Whether half is kept cannot be told where "
        "the interval holds one half."
    ]
    if found.slopes:
        told.append(
            "Slopes are of least-squares fits within each replicate, with t intervals over replicates; doublings of "
            "several factors are fitted together."
        )
    if found.curve.left_out:
        seeds = ", ".join(map(str, found.curve.left_out))
        told.append(f"Left out, because a point is missing there: seed {seeds}.")
    return told


def _table(found: ByFactor) -> Table:
    factors = [factor.what for factor in found.factors]
    header = [
        *factors,
        "difference",
        "nats",
        "95 % interval",
        "share of the full effect",
        "95 % interval",
        "above 0 in",
    ]
    if found.teachers:
        header.append("teacher names it")
    if found.leaks:
        header.append("leak, nats a token")
    rows = []
    for point in found.curve.points:
        row = [*_values(found, point), f"{point.arm} − {found.controls[point.arm]}", nats(point.mean)]
        row.append(or_dash(point.interval, lambda ends: nats_interval(*ends)))
        share = ["–", "–"]  # of the full effect itself, and where that cannot be told from nothing
        if point.arm != found.curve.reference and point.share_interval:
            share = [whole_percent(point.share), whole_percents(*point.share_interval)]
        row += [*share, f"{point.above} of {len(found.curve.seeds)}"]
        if found.teachers:
            row.append(percent(found.teachers[point.arm]))
        if found.leaks:
            row.append(f"{found.leaks[point.arm]:.3f}")
        rows.append(row)
    return Table(header, rows)


def by_factor_csv(found: ByFactor) -> str:
    """A row for each point and replicate: the factors' values, the arms, and their difference in nats."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*(factor.name for factor in found.factors), "arm", "control", "seed", "nats"])
    for point in found.curve.points:
        for seed, value in point.runs.items():
            writer.writerow([*_values(found, point), point.arm, found.controls[point.arm], seed, value])
    return text.getvalue()


def by_factor_figure(found: ByFactor) -> str:
    """Each point with its interval, and a thin line for each replicate. SVG."""
    figure, (panel,) = new_figure([1], height=3.4)
    points = found.curve.points
    places = np.arange(len(points))
    for seed in found.curve.seeds:
        panel.plot(places, [point.runs[seed] for point in points], color=SERIES[1], linewidth=0.8, alpha=0.6)
    for place, point in zip(places, points, strict=True):
        low, high = point.interval or (point.mean, point.mean)
        panel.vlines(place, low, high, color=INK, linewidth=2)
        face = SERIES[0] if point.arm == found.curve.reference else PAPER
        panel.plot(place, point.mean, "o", markersize=8, markerfacecolor=face, markeredgecolor=SERIES[0])
    panel.axhline(0, color=INK, linewidth=1)
    # A line a factor, so that the values of several stand below each other.
    panel.set_xticks(places, ["\n".join(_values(found, point)) for point in points])
    panel.set_xlim(-0.5, len(points) - 0.5)
    panel.set_xlabel("\n".join(factor.what for factor in found.factors))
    panel.set_ylabel("student − control,\nnats of log-odds")
    dress(panel, grid="y")
    return svg(figure, "by-factor")
