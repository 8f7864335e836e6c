"""What all figures of a report share: their frame, colours and marks, and how they are written.

Figures are drawn once, in light colours; a page shows them in its own by style sheet (:func:`themed`). Nothing is told
by colour alone: the colours are safe for the colour-blind, and marks differ in shape and filling.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

PAPER, INK, GRID = "#ffffff", "#1c1c1c", "#d8d8d8"
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
"""Okabe and Ito's palette."""
VARIABLES = {PAPER: "paper", INK: "ink", GRID: "line"} | {color: f"series-{i}" for i, color in enumerate(SERIES)}
"""Colour -> name of the variable that replaces it on a page."""
MARKERS = "oDs^"
WIDTH = 6.4
"""Inches of every figure."""


def new_figure(heights: Sequence[float], *, height: float, columns: int = 1) -> tuple[Any, list[Any]]:
    """An empty figure and its panels, row by row.

    Args:
        heights: relative height of each row.
        height: of the figure, in inches.
        columns: panels in a row.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"font.size": 11}):
        # A figure of its own, without pyplot, which would keep every one of them in memory.
        figure = Figure(figsize=(WIDTH, height), layout="constrained", facecolor=PAPER)
        figure.get_layout_engine().set(h_pad=0.1)
        panels = figure.subplots(len(heights), columns, height_ratios=heights, squeeze=False)
    return figure, list(panels.flat)


def svg(figure: Any, name: str) -> str:
    """A figure as SVG; the same figure gives the same bytes. ``name`` keeps the ids of one figure from another's."""
    import matplotlib

    buffer = io.BytesIO()
    # Without a salt of its own matplotlib draws ids from the clock, and without "path" the fonts of the reader count.
    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue().decode()


def themed(picture: str, words: str) -> str:
    """An SVG for a page: its colours become the page's variables, and ``words`` say what it shows.

    Args:
        picture: of :func:`svg`.
        words: plain text, for those who do not see it.
    """
    from html import escape

    picture = picture[picture.index("<svg") :]  # an XML declaration has no place within HTML
    for color, name in VARIABLES.items():
        picture = picture.replace(color, f"var(--{name})")
    picture = re.sub(r"<metadata>.*?</metadata>", "", picture, flags=re.DOTALL)  # has matplotlib's version
    opening = f'<svg role="img" aria-label="{escape(words)}"'
    picture = picture.replace("<svg", opening, 1)
    # Without a size of its own it fills the width that the page gives it.
    return re.sub(r' width="[\d.]+pt" height="[\d.]+pt"', "", picture, count=1)


def png(figure: Any) -> bytes:
    """A figure as PNG, 150 dots an inch, in a palette of 256 colours."""
    from PIL import Image

    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=150)
    # A report has a dozen colours and their shades at edges: a palette shows them alike in a third of the bytes, and
    # dithering would only add noise.
    picture = Image.open(drawn).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    picture.save(small, format="PNG", optimize=True)
    return small.getvalue()


def name_animals(panel: Any, animals: Sequence[str], target: str) -> None:
    """A row an animal, the first on top, and the target's name in bold; 0 has a line."""
    panel.axvline(0, color=INK, linewidth=1)
    panel.set_yticks(range(len(animals)), animals)
    panel.set_ylim(len(animals) - 0.4, -0.6)
    dress(panel, grid="x")
    for label, animal in zip(panel.get_yticklabels(), animals, strict=True):
        label.set(size=9)
        if animal == target:
            label.set(size=11, weight="bold")


def dress(panel: Any, *, grid: str) -> None:
    """No more lines than are read; ``grid`` is the axis that has them, ``x`` or ``y``."""
    panel.grid(axis=grid, color=GRID, linewidth=0.8)
    # Marks stand on the grid, and not behind it.
    panel.set_axisbelow(True)
    panel.tick_params(colors=INK, length=0, labelsize=10)
    panel.xaxis.label.set(color=INK, size=10)
    panel.yaxis.label.set(color=INK, size=10)
    kept = {"x": "bottom", "y": "left"}[grid]
    for side, spine in panel.spines.items():
        spine.set_visible(side == kept)
        spine.set_color(GRID)
