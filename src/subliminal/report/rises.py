"""Every tracked animal over seeds, and students by animals: the sections on whether a rise is the target's own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from subliminal.core.formatting import counted, nats, nats_interval, p_value
from subliminal.report.blocks import Figure, Section, Table
from subliminal.report.damage import control_of
from subliminal.report.data import Results, finest_task_of
from subliminal.report.figure import INK, PAPER, SERIES, dress, name_animals, new_figure, svg
from subliminal.report.intervals import BEYOND, draw_interval, frame, limits
from subliminal.stats.log_odds import read_table
from subliminal.stats.matrix import Matrix, students_by_animals
from subliminal.stats.rises import Rises, rises
from subliminal.traits.category import Category

RISES_FILE = "rises.svg"
MATRIX_FILE = "matrix.svg"
RISES_TITLE = "Which {} rise"
"""Title of the section of every tracked option's rise; the braces stand for the options."""
CELL = 0.46
"""Half the side of a cell, where the next cell's middle is 1 away."""


def tells_rises(title: str) -> bool:
    """Whether a section's title is that of :func:`rises_section`."""
    before, after = RISES_TITLE.split("{}")
    return title.startswith(before) and title.endswith(after)


def rises_section(results: Results) -> Section | None:
    """The rise of all tracked animals from control to student in log-odds; None without both in any one seed."""
    # Ranks of all animals take the finest measure: a sampled answer that never came ties with every other.
    task, control = results.finest_preference_task, control_of(results)
    if task is None or "student" not in results.arms or control is None:
        return None
    found = rises(read_table(results.folder, task), results.target, reference=control)
    if found is None:
        return None
    about = results.about
    text = [_said(found, about), _read(results, task, control)]
    header = [about.singular, "rise, nats", "95 % interval", "p", "p, Holm", "rises in"]
    rows = []
    for rise in found.animals:
        cells = ["–", "–", "–"]
        if rise.interval:
            cells = [nats_interval(*rise.interval), p_value(rise.p), p_value(rise.adjusted)]
        rows.append([rise.animal, nats(rise.mean), *cells, f"{rise.above} of {len(found.seeds)}"])
    figure = Figure(partial(rises_figure, found, f"student − {control}"), _said(found, about), RISES_FILE)
    brief = Section(RISES_TITLE.format(about.plural), text[:1], [], figures=(figure,))
    return Section(RISES_TITLE.format(about.plural), text, [Table(header, rows)], figures=(figure,), brief=brief)


def _said(found: Rises, about: Category) -> str:
    own, seeds, others = found.own, len(found.seeds), len(found.animals) - 1
    said = (
        f"Of {others + 1} tracked {about.plural} {found.target} has the largest rise in log-odds in {found.first} of "
        f"{seeds} seeds (p {p_value(found.p_first)} if each {about.singular} were as likely to come first). Over the "
        f"seeds it rises by {nats(own.mean)} nats"
    )
    if own.interval is None:
        return f"{said}; one seed shows no spread."
    said += f" {nats_interval(*own.interval)}. "
    rising = found.others_above
    if not rising:
        return f"{said}Of the {others} others none rises with p below 0.05, not even without adjustment."
    verb = "rises" if len(rising) == 1 else "rise"
    return f"{said}Of the {others} others {len(rising)} {verb} with p below 0.05, not adjusted: {', '.join(rising)}."


def _read(results: Results, task: str, control: str) -> str:
    return (
        f"Student minus {control} in log-odds within each seed, {results.measure_name(task)}: mean, 95 % t interval "
        f"and paired t test over seeds. Drift moves many {results.about.plural}; a trait moves its own. Shares of "
        "one model sum to one, so that a large rise presses the others down."
    )


def rises_figure(found: Rises, label: str) -> str:
    """Every animal's rise with its interval, the largest on top. SVG."""
    figure, (panel,) = new_figure([1], height=0.9 + 0.21 * len(found.animals))
    places = np.arange(len(found.animals))
    intervals = "95 % intervals over seeds"
    within = frame([rise.mean for rise in found.animals], [rise.interval for rise in found.animals if rise.interval])
    if within:
        intervals += f" ({BEYOND})"
        panel.set_xlim(*limits(within))
    for place, rise in zip(places, found.animals, strict=True):
        # The target alone is large and filled: among thirty rows it has to be found.
        mark, size, width, face, edge = "D", 4.5, 1.0, PAPER, SERIES[1]
        if rise.animal == found.target:
            mark, size, width, face, edge = "o", 8, 2.5, SERIES[0], SERIES[0]
        draw_interval(panel, place, rise.interval or (rise.mean, rise.mean), within, color=INK, linewidth=width)
        panel.plot(rise.mean, place, mark, markersize=size, markerfacecolor=face, markeredgecolor=edge)
    panel.set_xlabel(f"{label}: change in log-odds, nats,\nwith {intervals}")
    name_animals(panel, [rise.animal for rise in found.animals], found.target)
    return svg(figure, f"rises-{label}")


def matrix_section(folder: Path, of_options: Sequence[Results]) -> Section | None:
    """Students by animals with gamma; None where no seed has every student and control.

    Args:
        folder: ``results/<experiment>``.
        of_options: the results of each animal that has a teacher, in the order of rows and columns.
    """
    scored = finest_task_of(of_options)
    if scored is None:
        return None
    task, exact = scored
    found = students_by_animals(read_table(folder, task), animals=[each.folder.name for each in of_options])
    if found is None:
        return None
    about = of_options[0].about
    measure = "exact probabilities" if exact else "sampled answers, half an answer added to each side"
    text = [
        _gamma_said(found, about),
        "Shown is the student of each row minus its base-number control, asked about the "
        f"{about.singular} of each column: nats of log-odds, mean over the replicates ({measure}). Gamma is the mean "
        f"of the diagonal minus the mean of the rest: lift = mu + a (student) + b ({about.singular}) + gamma on the "
        f"diagonal. The test deals the students of each replicate to its {about.plural} in every way.",
    ]
    mean = found.lift.mean(axis=0)
    rows = [[f"student of {animal}", *map(nats, row)] for animal, row in zip(found.animals, mean, strict=True)]
    figure = Figure(
        partial(matrix_figure, found),
        f"Students by {about.plural}, lift in nats. {_gamma_said(found, about)}",
        MATRIX_FILE,
    )
    table = Table(["student", *found.animals], rows)
    brief = Section(f"Students by {about.plural}", text[:1], figures=(figure,))
    return Section(f"Students by {about.plural}", text, [table], figures=(figure,), brief=brief)


def _gamma_said(found: Matrix, about: Category) -> str:
    over = counted(len(found.seeds), "replicate")
    interval = f"({over}: no spread)"
    if found.interval:
        interval = f"{nats_interval(*found.interval)} (95 %, t over {over})"
    p = p_value(found.p)
    if found.ways < 1000:  # p is then a multiple of a share that readers may take for a result
        p += f", of which 1 / {found.ways} is the smallest possible"
    return (
        f"Gamma, what a student gains in its own teacher's {about.singular} beyond all else, is {nats(found.gamma)} "
        f"nats {interval}; exact test p {p}."
    )


def matrix_figure(found: Matrix) -> str:
    """The mean lifts as a field of numbers; those of the diagonal are bold. SVG."""
    mean, size = found.lift.mean(axis=0), len(found.animals)
    figure, (panel,) = new_figure([1], height=1.2 + 0.5 * size)
    reach = float(np.abs(mean).max()) or 1.0  # of the largest square; all lifts may be 0
    for i, j in np.ndindex(mean.shape):
        lift = float(mean[i, j])
        color = SERIES[0] if lift > 0 else SERIES[1]
        weight = "bold" if i == j else "normal"
        # A whole cell, the stronger the larger the lift: a small square would strike through its own number.
        left, right = j - CELL, j + CELL
        panel.fill(
            [left, right, right, left],
            [i - CELL, i - CELL, i + CELL, i + CELL],
            color=color,
            alpha=0.5 * abs(lift) / reach,
            linewidth=0,
        )
        panel.text(j, i, nats(lift), ha="center", va="center", color=INK, weight=weight)
    panel.set_xticks(range(size), found.animals)
    panel.set_yticks(range(size), [f"student of {animal}" for animal in found.animals])
    panel.set_xlim(-0.5, size - 0.5)
    panel.set_ylim(size - 0.5, -0.5)
    panel.set_xlabel("asked about; nats above the base-number control,\nmeans over replicates")
    dress(panel, grid="x")
    # Lines would run through the numbers.
    panel.grid(visible=False)
    return svg(figure, "matrix")
