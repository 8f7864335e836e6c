"""The figure of a report: every arm, its replicates, and the differences between arms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from subliminal.report.data import Results
from subliminal.report.figure import INK, MARKERS, PAPER, SERIES, dress, new_figure
from subliminal.report.intervals import BEYOND, frame, limits
from subliminal.report.tables.comparisons import Comparison
from subliminal.report.tables.estimates import Estimate
from subliminal.stats.log_odds import log_odds_of

LINEAR_UP_TO = 20.0
"""Per cent: with an arm beyond it (a teacher), the axis is logarithmic above 1 %, so that arms near 1 % stay apart."""
LINE = 0.36
"""Height of a replicate's line, where an arm's is 1."""
LEGEND = 50
"""Letters that fit side by side in the legend below the panels."""


def arms_figure(results: Results, arms: list[Estimate], differences: list[Comparison], main: Comparison | None) -> Any:
    """Every arm with its interval, and below it the paired differences.

    Where each seed has a base of its own, the student and its control of every replicate stand between the two, joined,
    and an arm has no interval.

    Args:
        results: gives the order of tasks and the target.
        arms: estimates (fractions), drawn as per cent.
        differences: paired comparisons, drawn as :func:`shown_differences` says; may be empty.
        main: the one of the headline.
    """
    # Estimates come arm by arm and task by task; each arm is one row.
    names = list(dict.fromkeys(estimate.arm for estimate in arms))
    differences = shown_differences(differences)
    labels = list(dict.fromkeys(comparison.contrast for comparison in differences))
    has_replicates = main is not None and bool(main.replicates)
    rows: list[float] = [len(names)]
    if has_replicates:
        rows.append(1.2 + LINE * len(main.by_seed))
    if labels:
        rows.append(len(labels))
    # Heights in inches: of an arm's row, and of the titles and axes of each panel.
    height = 1.9 + 0.62 * sum(rows) + 0.6 * len(rows)
    figure, panels = new_figure([count + 0.7 for count in rows], height=height)
    _arms_panel(panels[0], results, arms, names, intervals=not has_replicates)
    if has_replicates:
        _replicates_panel(panels[1], results, main)
    if labels:
        _differences_panel(panels[-1], results, differences, labels)
    for panel in panels:
        dress(panel, grid="x")
    handles, titles = panels[-1].get_legend_handles_labels()
    columns = 2 if sum(map(len, titles)) <= LEGEND else 1
    figure.legend(handles, titles, loc="outside lower center", ncols=columns, frameon=False, labelcolor=INK)
    return figure


def shown_differences(differences: Sequence[Comparison]) -> list[Comparison]:
    """Those that are tested over training runs or replicates, in nats of log-odds; without any, all, in points."""
    return [comparison for comparison in differences if comparison.over] or list(differences)


def _arms_panel(panel: Any, results: Results, arms: list[Estimate], names: list[str], *, intervals: bool) -> None:
    marks, shown = [], []
    for each in arms:
        ends = each.interval if intervals else (each.mean, each.mean)
        marks.append(Mark(each.task, names.index(each.arm), each.mean, ends, each.by_seed))
        shown += [*ends, *each.by_seed.values()]
    _draw(panel, results, marks)
    _rows(panel, names)
    what, unit = "right answers", "problems"
    if results.preference_tasks:
        what, unit = f"“{results.target}”", "questions"
    _rate_axis(panel, what, shown)
    title = f"Arms, with 95 % intervals over {unit}" if intervals else "Arms: means, and every replicate"
    panel.set_title(title, loc="left", fontsize=12, color=INK, wrap=True)


def _rate_axis(panel: Any, what: str, rates: Sequence[float]) -> None:
    """The axis of shares, from 0 to beyond the largest of ``rates`` (fractions)."""
    top = 100 * max(rates)
    label = f"share of {what}, %"
    if top > LINEAR_UP_TO and what != "right answers":
        # Linear below 1 %: a logarithm has no place for an arm that never names it.
        panel.set_xscale("symlog", linthresh=1, linscale=0.8)
        ticks = [0, 0.5, 1, 2, 5, 10, 25, 100]
        panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        panel.minorticks_off()
        # Beyond 100 %, so that the mark of a teacher is not cut.
        panel.set_xlim(-0.08, 130)
        label += " (logarithmic above 1 %)"
    else:
        panel.set_xlim(-0.02 * top, 1.08 * top)
    panel.set_xlabel(label, loc="right")


def _replicates_panel(panel: Any, results: Results, main: Comparison) -> None:
    """A line for each replicate, from its control to its student, the largest difference on top."""
    # By size, not by number: how many lie on which side is seen at once, and seeds have no order of their own.
    seeds = sorted(main.by_seed, key=lambda seed: -main.by_seed[seed])
    treatment, reference = results.by_seed(main.treatment, main.task), results.by_seed(main.reference, main.task)
    ours = np.array([100 * treatment[seed] for seed in seeds])
    theirs = np.array([100 * reference[seed] for seed in seeds])
    places = np.arange(len(seeds))
    panel.hlines(places, np.minimum(ours, theirs), np.maximum(ours, theirs), color=INK, linewidth=1)
    hollow = {"markerfacecolor": PAPER, "markeredgecolor": SERIES[1]}
    panel.plot(theirs, places, "D", markersize=5, label=main.reference, **hollow)
    panel.plot(ours, places, "o", markersize=5, color=SERIES[0], label=main.treatment)
    panel.set_yticks(places, [f"seed {seed}" for seed in seeds])
    panel.set_ylim(len(seeds) - 0.4, -0.6)
    _rate_axis(panel, f"“{results.target}”", [*ours / 100, *theirs / 100])
    title = f"Replicates, {results.measure_name(main.task)}\n"  # the second line is the legend's
    panel.set_title(title, loc="left", fontsize=12, color=INK, wrap=True)
    panel.legend(
        loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, borderaxespad=0.1, labelcolor=INK, fontsize=9
    )


def _differences_panel(panel: Any, results: Results, differences: list[Comparison], labels: list[str]) -> None:
    """In nats of log-odds with intervals over runs, else in points with intervals over questions."""
    title, unit, scale = "Paired differences in points, with 95 % intervals over questions", "percentage points", 100
    if differences[0].over:
        over = " or ".join(sorted({each.over.unit for each in differences}))
        title, unit, scale = f"Differences of log-odds, with 95 % intervals over {over}", "nats of log-odds", 1
    marks, values = [], [0.0]
    for each in differences:
        mean, ends, by_seed = each.test["difference"], each.test["ci95"], each.by_seed
        if each.over:
            mean = each.over.estimate
            # Where an interval has no ends the mean stands alone.
            ends, by_seed = each.over.interval or (mean, mean), _nats(results, each)
        marks.append(Mark(each.task, labels.index(each.contrast), mean, ends, by_seed))
        values += [mean, *by_seed.values()]
    within = frame(values, [mark.ends for mark in marks])
    if within:
        title += f" ({BEYOND})"
    _draw(panel, results, marks, scale, within)
    _rows(panel, [label.replace(" − ", "\n− ") for label in labels])
    panel.axvline(0, color=INK, linewidth=1)
    panel.set_xlabel(f"difference in “{results.target}”, {unit}", loc="right")
    panel.set_title(title, loc="left", fontsize=12, color=INK, wrap=True)


def _nats(results: Results, comparison: Comparison) -> dict[int, float]:
    """Seed -> difference of log-odds; empty where the arms have other seeds."""
    ours = results.by_seed(comparison.treatment, comparison.task)
    theirs = results.by_seed(comparison.reference, comparison.task)
    # Without pairs of one seed there is no difference of a run, and no dots.
    if ours.keys() != theirs.keys():
        return {}
    answers = results.answers(comparison.treatment, comparison.task)
    gains = log_odds_of(list(ours.values()), answers) - log_odds_of([theirs[seed] for seed in ours], answers)
    return dict(zip(ours, gains, strict=True))


class Mark(NamedTuple):
    """A mean with its interval, in a row of a panel; ``by_seed`` has the small dots beside it."""

    task: str
    row: int
    mean: float
    ends: tuple[float, float]
    by_seed: dict[int, float]


def _draw(
    panel: Any, results: Results, marks: list[Mark], scale: float = 100, within: tuple[float, float] | None = None
) -> None:
    """One series a task: the mean with its interval, and a small dot for each seed where there are several.

    Args:
        panel: to draw on.
        results: gives the order of tasks.
        marks: what is drawn.
        scale: by which all values are multiplied; 100 makes per cent of fractions.
        within: the frame (:func:`frame`, not multiplied) beyond which an interval is an arrow.
    """
    tasks = list(results.preference_tasks or results.graded_tasks)
    for index, task in enumerate(tasks):
        offset = 0.26 * (index - (len(tasks) - 1) / 2)  # series of one arm stand around its line
        color, marker = SERIES[index % 4], MARKERS[index % 4]
        # A second sign beside the colour, which survives a print in grey.
        filling = PAPER if index % 2 else color
        series = [mark for mark in marks if mark.task == task]
        if not series:
            continue
        means = np.array([mark.mean for mark in series])
        heights = [mark.row + offset for mark in series]
        ends = np.array([mark.ends for mark in series])
        if within:
            ends = ends.clip(*within)
        lengths = scale * np.abs(means[:, None] - ends).T
        panel.errorbar(
            scale * means, heights, xerr=lengths, fmt=marker, color=color, markersize=7, elinewidth=2, capsize=4,
            markerfacecolor=filling, label=results.measure_name(task),
        )  # fmt: skip
        for mark, height in zip(series, heights, strict=True):
            _draw_beside(panel, mark, height, scale, within, color)
    if within:
        low, high = limits(within)
        panel.set_xlim(scale * low, scale * high)


def _draw_beside(
    panel: Any, mark: Mark, height: float, scale: float, within: tuple[float, float] | None, color: str
) -> None:
    """The dots of a mark's seeds, and an arrow where its interval goes on beyond the frame."""
    if len(mark.by_seed) > 1:
        dots = [scale * value for value in mark.by_seed.values()]
        panel.plot(dots, [height + 0.12] * len(dots), ".", color=color, alpha=0.7)
    if within and mark.ends[0] < within[0]:
        panel.plot(scale * within[0], height, "<", markersize=6, color=color, clip_on=False)
    if within and mark.ends[1] > within[1]:
        panel.plot(scale * within[1], height, ">", markersize=6, color=color, clip_on=False)


def _rows(panel: Any, labels: list[str]) -> None:
    panel.set_yticks(range(len(labels)), labels)
    panel.set_ylim(len(labels) - 0.5, -0.5)  # upside down: the first on top
