"""The figures by epoch: every arm of one target and the difference below it, and the differences of several targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from subliminal.report.by_epoch.found import ByEpoch, Effect, EpochPoint
from subliminal.report.figure import INK, MARKERS, PAPER, SERIES, dress, new_figure, svg
from subliminal.report.intervals import BEYOND, draw_interval, frame, limits
from subliminal.stats.log_odds import log_odds

SHARES = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 25, 50, 75, 90, 97, 99, 99.7, 99.9)
"""Per cent that the axis of log-odds may name."""
EPOCHS_APART = 0.07
"""Epochs between the marks of arms that stand beside each other."""
SHOWN = 4
"""Arms of which a curve is drawn: more cannot be told apart, and are in the table."""


def epochs_figure(found: ByEpoch) -> str:
    """Log-odds by epoch, a line a seed and the mean with its interval, and below it the main difference. SVG."""
    arms = _drawn(found)
    heights = [1.5]
    if found.effects:
        heights.append(1)
    figure, panels = new_figure(heights, height=0.8 + 2.2 * sum(heights))
    every = [point for arm in arms for point in found.curves[arm]]
    values = [value for point in every for value in point.log_odds.values()]
    if found.base is not None:
        # The base is on the axis, although no arm may come back to it.
        values.append(found.base)
        panels[0].axhline(found.base, color=INK, linewidth=1, linestyle=":", label="base")
    within = frame(values, [point.interval for point in every if point.interval])
    for index, arm in enumerate(arms):
        points = [(point.place, point.mean, point.interval, point.log_odds) for point in found.curves[arm]]
        _line(panels[0], points, index, arm, within, shift=EPOCHS_APART * (index - (len(arms) - 1) / 2))
    _share_axis(panels[0], found)
    _epochs(panels[0], every)
    panels[0].set_title(_titled("Arms by epoch", found.measure, within), loc="left", fontsize=11, color=INK, pad=10)
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False, labelcolor=INK
    )
    if found.effects:
        main = found.effects[0]
        _effects(panels[1], [main], [main.treatment])
        panels[1].set_title(f"{main.treatment} − {main.reference}", loc="left", fontsize=11, color=INK)
        _epochs(panels[1], every)
    for panel in panels:
        dress(panel, grid="y")
    panels[-1].set_xlabel("epoch")
    return svg(figure, "epochs")


def options_figure(found: Sequence[ByEpoch]) -> str:
    """The main difference of every target on one axis. SVG."""
    figure, (panel,) = new_figure([1], height=3.8)
    effects = [each.effects[0] for each in found]
    within = _effects(panel, effects, [str(each.target) for each in found])
    _epochs(panel, [point for each in found for curve in each.curves.values() for point in curve])
    panel.set_xlabel("epoch")
    difference = f"{effects[0].treatment} − {effects[0].reference}"
    panel.set_title(_titled(difference, found[0].measure, within), loc="left", fontsize=11, color=INK, pad=10)
    columns = min(len(found), 4)
    figure.legend(loc="outside lower center", ncols=columns, frameon=False, labelcolor=INK)
    dress(panel, grid="y")
    return svg(figure, "epochs-of-options")


def _drawn(found: ByEpoch) -> list[str]:
    """The arms of the main difference, then others, as many as can be told apart."""
    first: list[str] = []
    if found.effects:
        first = [found.effects[0].treatment, found.effects[0].reference]
    return list(dict.fromkeys([*first, *found.curves]))[:SHOWN]


def _titled(what: str, measure: str, within: tuple[float, float] | None) -> str:
    """The title of a panel, with what its intervals are, and that some are cut."""
    told = f"{what}, {measure}\nthin lines: seeds; bars: 95 % intervals"
    if within:
        told += f" ({BEYOND})"
    return told


def _effects(panel: Any, effects: Sequence[Effect], labels: Sequence[str]) -> tuple[float, float] | None:
    """Differences in nats, and 0; returns the frame that cuts their intervals."""
    points = [point for effect in effects for point in effect.curve.points]
    values = [0.0, *(value for point in points for value in point.runs.values())]
    within = frame(values, [point.interval for point in points if point.interval])
    for index, (effect, label) in enumerate(zip(effects, labels, strict=True)):
        shown = [(point.values["epoch"], point.mean, point.interval, point.runs) for point in effect.curve.points]
        _line(panel, shown, index, label, within, shift=EPOCHS_APART * (index - (len(effects) - 1) / 2))
    panel.axhline(0, color=INK, linewidth=1)
    panel.set_ylabel("difference,\nnats of log-odds")
    return within


def _line(
    panel: Any,
    points: Sequence[tuple[float, float, tuple[float, float] | None, dict[int, float]]],
    index: int,
    label: str,
    within: tuple[float, float] | None,
    *,
    shift: float,
) -> None:
    """One series: a thin line for each seed, and the mean of every epoch with its interval.

    Args:
        panel: to draw on.
        points: place, mean, interval, and seed -> value, in order of places.
        index: of the series, for its colour and mark.
        label: in the legend.
        within: the frame that intervals are cut at.
        shift: of the marks along the axis of epochs.
    """
    # Colour and mark both tell series apart, for those who see no colours.
    color, mark = SERIES[index % len(SERIES)], MARKERS[index % len(MARKERS)]
    for seed in sorted({seed for *_, runs in points for seed in runs}):
        # A seed stands at the epoch itself: a crowd of lines is read as one, and only means are moved aside.
        places = [place for place, *_, runs in points if seed in runs]
        panel.plot(places, [runs[seed] for *_, runs in points if seed in runs], color=color, linewidth=0.8, alpha=0.6)
    for place, _, ends, _ in points:
        if ends:
            draw_interval(panel, place + shift, ends, within, vertical=True, color=color, linewidth=1.1)
    places, means = [place + shift for place, *_ in points], [mean for _, mean, *_ in points]
    # Every second series is hollow: a third sign, where marks come round again.
    face = PAPER if index % 2 else color
    style = {"color": color, "markersize": 7, "markerfacecolor": face, "markeredgecolor": color, "linewidth": 1.8}
    panel.plot(places, means, f"{mark}-", **style, label=label)
    if within:
        panel.set_ylim(*limits(within))


def _epochs(panel: Any, points: Sequence[EpochPoint]) -> None:
    """The axis of epochs, each named once."""
    # Arms share most epochs; each is one tick.
    named = dict(sorted({point.place: point.label for point in points}.items()))
    panel.set_xticks(list(named), list(named.values()))
    panel.set_xlim(min(named) - 0.4, max(named) + 0.4)


def _share_axis(panel: Any, found: ByEpoch) -> None:
    """Log-odds, named by the shares that they stand for."""
    low, high = panel.get_ylim()
    ticks = {}
    # Log-odds tell few readers anything: the axis names the shares that they stand for.
    for share in SHARES:
        place = log_odds(share / 100)
        if low <= place <= high:
            ticks[place] = f"{share:g}"
    panel.set_yticks(list(ticks), list(ticks.values()))
    what = f"“{found.target}”" if found.target is not None else "right answers"
    panel.set_ylabel(f"share of {what}, %\n(spaced by log-odds)")
