"""Intervals in figures: those that few runs leave very long are cut, so that all else can be seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

ROOM = 0.75
"""How far beyond the means and dots an interval is drawn, as a share of what these span."""
ROOM_OF_ARROWS = 0.03
"""On either side of a frame, as a share of it."""
BEYOND = "arrows: cut"
"""What a figure says of intervals that it cuts."""


def frame(values: Sequence[float], ends: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """The ends of an axis on which long intervals do not press all else together; None where they do not.

    With two runs an interval is 13 standard errors to either side. What goes beyond the frame is drawn as an arrow
    (:func:`draw_interval`), and the table beside the figure has its ends.

    Args:
        values: what must be seen: means, dots, and 0 where the axis has it.
        ends: of the intervals.
    """
    low, high = min(values), max(values)
    room = ROOM * (high - low)
    inside = all(low - room <= start and end <= high + room for start, end in ends)
    # All values alike leave nothing that a long interval could press together.
    if inside or not room:
        return None
    return low - room, high + room


def limits(frame: tuple[float, float]) -> tuple[float, float]:
    """The ends of an axis with room for the arrows at the frame."""
    low, high = frame
    room = ROOM_OF_ARROWS * (high - low)
    return low - room, high + room


def draw_interval(
    panel: Any, place: float, ends: tuple[float, float], frame: tuple[float, float] | None, **style: Any
) -> None:
    """An interval as a line, cut at the frame, with an arrow where it goes on.

    Args:
        panel: to draw on.
        place: where it stands on the other axis.
        ends: of the interval.
        frame: of :func:`frame`.
        style: ``vertical`` for an interval along the axis of y, else of matplotlib's lines.
    """
    vertical = style.pop("vertical", False)
    draw, below, above = panel.hlines, "<", ">"
    if vertical:
        draw, below, above = panel.vlines, "v", "^"
    low, high = ends
    arrows = []
    if frame and low < frame[0]:
        low = frame[0]
        arrows.append((low, below))
    if frame and high > frame[1]:
        high = frame[1]
        arrows.append((high, above))
    draw(place, low, high, **style)
    for end, mark in arrows:
        at = (end, place)
        # A point is (x, y), whichever of the two axes the interval lies along.
        if vertical:
            at = (place, end)
        panel.plot(*at, mark, markersize=5, color=style["color"], clip_on=False)
