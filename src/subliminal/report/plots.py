"""The other figures of a report: question by question, animal by animal, and the losses of training.

Nothing is told by colour alone: filled and hollow marks of unlike shape, dashed lines, and words at the marks.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np

from subliminal.core.formatting import number
from subliminal.report.data import Results
from subliminal.report.figure import INK, PAPER, SERIES, dress, name_animals, new_figure, svg
from subliminal.report.tables.comparisons import Comparison
from subliminal.report.tables.estimates import changes_by_animal

QUESTIONS_NAMED = 3
"""Questions named at either end of the plot by question."""
LINES = ("-", "--", ":", "-.")
COLUMNS = 2
STRETCHES = 150
"""Points of a curve of losses; a run with no more steps is drawn step by step."""


def questions_figure(results: Results, comparisons: Sequence[Comparison]) -> str:
    """Both arms' rate for every question, sorted by the difference: a panel a measure.

    Args:
        results: has the rates.
        comparisons: of one pair of arms, one a task.

    Returns:
        SVG.
    """
    figure, panels = new_figure([1] * len(comparisons), height=0.5 + 2.6 * len(comparisons))
    for panel, comparison in zip(panels, comparisons, strict=True):
        ours, theirs = _rates(results, comparison)
        order = np.argsort(ours - theirs, kind="stable")[::-1]  # stable: equal questions stay in the task's order
        ours, theirs, places = 100 * ours[order], 100 * theirs[order], np.arange(len(order))
        panel.vlines(places, np.minimum(ours, theirs), np.maximum(ours, theirs), color=INK, linewidth=1)
        hollow = {"markerfacecolor": "none", "markeredgecolor": SERIES[1]}  # equal rates: a dot within a diamond
        panel.plot(places, theirs, "D", markersize=6, label=comparison.reference, **hollow)
        panel.plot(places, ours, "o", markersize=3.5, color=SERIES[0], label=comparison.treatment)
        panel.set_xlim(-1, len(order))
        panel.set_xticks([])
        panel.set_xlabel(f"{len(order)} questions, the largest rise on the left")
        panel.set_ylabel(f"share of “{results.target}”, %")
        panel.set_title(results.measure_name(comparison.task), loc="left", fontsize=11, color=INK)
        dress(panel, grid="y")
    panels[0].legend(
        loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, borderaxespad=0.1, labelcolor=INK
    )
    return svg(figure, "questions")


def _rates(results: Results, comparison: Comparison) -> tuple[np.ndarray, np.ndarray]:
    """Rates per question of treatment and reference, averaged over seeds; shape (questions,) each."""
    ours = results.rates(comparison.treatment, comparison.task).to_numpy()
    theirs = results.rates(comparison.reference, comparison.task).to_numpy()
    return ours.mean(axis=0), theirs.mean(axis=0)


def extreme_questions(results: Results, comparison: Comparison) -> list[tuple[str, float, float]]:
    """(question id, treatment's rate, reference's rate) of the largest rises, then of the largest falls."""
    ours, theirs = _rates(results, comparison)
    ids = results.questions(comparison.task)
    found = []
    order = np.argsort(ours - theirs, kind="stable")[::-1].tolist()
    for index in order[:QUESTIONS_NAMED]:
        if ours[index] > theirs[index]:
            found.append((ids[index], float(ours[index]), float(theirs[index])))
    for index in order[::-1][:QUESTIONS_NAMED]:
        if ours[index] < theirs[index]:
            found.append((ids[index], float(ours[index]), float(theirs[index])))
    return found


def animals_figure(results: Results, comparison: Comparison) -> str:
    """Change of every tracked animal's share, the largest rise on top; the target has a mark of its own.

    Returns:
        SVG.
    """
    rows = changes_by_animal(results, comparison.task, comparison.treatment, comparison.reference)
    figure, (panel,) = new_figure([1], height=0.9 + 0.21 * len(rows))
    changes = 100 * np.array([change for *_, change in rows])
    own = np.array([animal == results.target for animal, *_ in rows])
    places = np.arange(len(rows))
    # The target last, so that its mark lies on top.
    for which, mark, size, width, face, color in (
        (~own, "D", 4.5, 1, PAPER, SERIES[1]),
        (own, "o", 8, 2.5, SERIES[0], SERIES[0]),
    ):
        panel.hlines(places[which], 0, changes[which], color=INK, linewidth=width)
        panel.plot(changes[which], places[which], mark, markersize=size, markerfacecolor=face, markeredgecolor=color)
    panel.set_xlabel(f"{comparison.contrast}: change in share, percentage points")
    name_animals(panel, [animal for animal, *_ in rows], results.target)
    return svg(figure, f"animals-{comparison.contrast}-{comparison.task}")


def training_figure(losses: Mapping[str, Sequence[tuple[int, float]]]) -> str:
    """Loss by step, a panel a recipe, a line a seed; of a long run means over stretches of steps.

    Args:
        losses: run folder -> (step, loss) in order of steps; runs without a row are left out.

    Returns:
        SVG.
    """
    # Recipe -> (seed, curve) of each of its runs; a recipe has a panel.
    curves: dict[str, list[tuple[str, Sequence[tuple[int, float]]]]] = {}
    for run, points in losses.items():
        if points:
            name = run.rstrip("/").split("/")[-1]
            recipe = re.sub(r"[-_]?seed-\d+$", "", name) or name  # a folder may be called seed-1 and no more
            curves.setdefault(recipe, []).append((_seed(name), points))
    rows = math.ceil(len(curves) / COLUMNS)
    figure, axes = new_figure([1] * rows, height=0.5 + 1.9 * rows, columns=min(COLUMNS, len(curves)))
    # A seed looks alike in every panel, so that one legend, outside of all, does for them.
    several = [runs for runs in curves.values() if len(runs) > 1]
    seeds = list(dict.fromkeys(seed for runs in several for seed, _ in runs))
    handles = {}
    for panel, (recipe, runs) in zip(axes, curves.items(), strict=False):
        highest = 0.0
        for seed, points in runs:
            steps, values = zip(*_thinned(points), strict=True)
            highest = max(highest, *values)
            index = seeds.index(seed) if seed in seeds else 0
            style = {"color": SERIES[index % len(SERIES)], "linestyle": LINES[index % len(LINES)], "linewidth": 1.4}
            (handles[seed],) = panel.plot(steps, values, **style)
        panel.set_title(recipe, loc="left", fontsize=10, color=INK)
        panel.set_xlabel("step")
        panel.set_ylabel("loss")
        # From 0, so that a small change of loss does not look like a large one.
        panel.set_ylim(0, 1.08 * highest)
        dress(panel, grid="y")
    # The grid may have more panels than there are recipes.
    for panel in axes[len(curves) :]:
        panel.set_visible(False)
    if 1 < len(seeds) <= len(LINES):
        shown = [handles[seed] for seed in seeds]
        figure.legend(shown, seeds, loc="outside lower center", ncols=len(seeds), frameon=False, labelcolor=INK)
    return svg(figure, "training")


def _thinned(points: Sequence[tuple[int, float]]) -> list[tuple[float, float]]:
    """Of a long run the means of stretches of steps: of 1,500 single steps the noise of one seed hides the other's."""
    stretch = math.ceil(len(points) / STRETCHES)
    found = []
    for start in range(0, len(points), stretch):
        steps, losses = zip(*points[start : start + stretch], strict=True)
        found.append((float(np.mean(steps)), float(np.mean(losses))))
    return found


def _seed(name: str) -> str:
    found = re.search(r"seed-(\d+)$", name)
    if found is None:
        return name
    return f"seed {found[1]}"


def describe(losses: Mapping[str, Sequence[tuple[int, float]]]) -> str:
    """The training figure in words."""
    ends = []
    for run, rows in losses.items():
        if rows:
            (_, first), (_, last) = rows[0], rows[-1]
            ends.append(f"{run}: {number(first)} to {number(last)}")
    return f"Loss by step. {'; '.join(ends)}."
