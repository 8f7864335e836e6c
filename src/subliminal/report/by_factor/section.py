"""The section by factor: what is kept of the effect at each point, and what it gains by more of something.

One section serves every factor of :data:`subliminal.experiment.sweep.factors.FACTORS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from subliminal.core.files import csv_text
from subliminal.core.formatting import counted, nats, nats_interval, number, percent, whole_percent, whole_percents
from subliminal.report.blocks import Figure, Section, Table, or_dash
from subliminal.report.by_factor.figures import by_factor_figure, by_teacher_figure, point_values
from subliminal.report.by_factor.found import ByFactor, by_factor
from subliminal.report.data import Results
from subliminal.stats.dose.curve import CurvePoint, Slope, correlation
from subliminal.stats.replicates import MARGIN

FACTOR_TITLE = "By factor"
BY_FACTOR_FILE, FIGURE_FILE, TEACHER_FILE = "by_factor.csv", "by_factor.svg", "by_teacher.svg"


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
    figures = [Figure(partial(by_factor_figure, found), said, FIGURE_FILE)]
    if found.measures:
        words = " ".join(["The student above its control against measures of its teacher.", *_of_teachers(found)])
        figures.append(Figure(partial(by_teacher_figure, found), words, TEACHER_FILE))
    # RESULTS.md gets the answer and its figures; the table stays beside the raw answers.
    brief = Section(title, [said], [], figures=tuple(figures))
    return Section(title, [said, *_method(found)], [_table(found)], figures=tuple(figures), brief=brief)


def _answer(found: ByFactor) -> str:
    over = counted(len(found.curve.seeds), "replicate")
    animals = " and ".join(found.animals)
    begun = f"The student is above its control in log-odds of {animals}, over {over}"
    # Of several factors each place names its own; of one it has the value alone.
    if len(found.factors) == 1:
        begun += f", by {found.factors[0].what}"
    told = [f"{begun}:"]
    each = []
    for point in found.curve.points:
        said = f"{_at(found, point)} {nats(point.mean)} nats"
        if point.interval:
            said += f" {nats_interval(*point.interval)}"
        # The reference's share of itself is 1, whatever was measured.
        if point.share_interval and point.arm != found.curve.reference:
            said += f", {whole_percent(point.share)} of the full effect {whole_percents(*point.share_interval)}"
        each.append(said)
    told.append(f"{'; '.join(each)}.")
    told += _halves(found)
    told += _where_none_is_told(found)
    told += _against_a_split(found)
    told += _of_teachers(found)
    return " ".join(told)


def _at(found: ByFactor, point: CurvePoint) -> str:
    """A point as words: ``at 0.25``, or ``at rows 750, epochs 4`` where several factors vary."""
    if len(found.factors) == 1:
        return f"at {point.values[found.factors[0].name]:g}"
    each = []
    for factor in found.factors:
        each.append(f"{factor.name.replace('_', ' ')} {point.values[factor.name]:g}")
    return f"at {', '.join(each)}"


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


def _where_none_is_told(found: ByFactor) -> list[str]:
    """At which points there is no effect within the margin, or a small one, and where neither none nor one is told."""
    told = []
    # An interval without 0 within the margin shows an effect, and a small one.
    for shown, words in ((False, "There is no effect, within"), (True, "There is an effect, and it is below")):
        where = [_at(found, point) for point in found.curve.points if point.gone and point.told is shown]
        if where:
            told.append(f"{words} {MARGIN:g} nats, {', '.join(where)}.")
    open_ = [point for point in found.curve.points if point.interval and not point.told and not point.gone]
    if open_:
        where = ", ".join(_at(found, point) for point in open_)
        told.append(f"Whether there is an effect cannot be told {where}.")
    return told


def _against_a_split(found: ByFactor) -> list[str]:
    """What several traits of one teacher get each, against an equal split of what one gets alone."""
    if len(found.factors) != 1 or not found.factors[0].splits:
        return []
    told = []
    for point in found.curve.points:
        if point.arm == found.curve.reference or point.share_interval is None:
            continue
        equal = 1 / point.values[found.factors[0].name]
        # One interval answers two questions: is it more than a split leaves, and less than a teacher of one gives?
        split = f"an equal split would leave it ({whole_percent(equal)})"
        low, high = point.share_interval
        if low > equal:
            said = f"each keeps more than {split}"
        elif high < equal:
            said = f"each keeps less than {split}: they interfere"
        else:
            said = f"whether each keeps more or less than {split} cannot be told"
        if high < 1:
            lost = "some is lost against a teacher of one"
        elif low > 1:
            lost = "it is more than from a teacher of one"
        else:
            lost = "whether some is lost against a teacher of one cannot be told"
        where = _at(found, point)
        told.append(f"{where[0].upper()}{where[1:]} {said}; {lost}.")
    return told


def _of_teachers(found: ByFactor) -> list[str]:
    """The slopes: each by itself, then those of the teachers' measures in one fit."""
    told = [f"A {_slope_said(slope)}." for slope in found.slopes]
    if found.together:
        each = " and ".join(f"a {_slope_said(slope)}" for slope in found.together)
        told.append(f"With both in one fit, {each}.")
    return told


def _slope_said(slope: Slope) -> str:
    said = f"{slope.of} brings {nats(slope.mean)} nats"
    if slope.interval:
        said += f" {nats_interval(*slope.interval)}"
    return said


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
    if any(factor.splits for factor in found.factors):
        told.append(
            "An equal split leaves each of so many traits its part of the nats that a teacher of one passes on."
        )
    if found.measures:
        told.append(
            "In the figure against the teachers a thin line joins the points of a replicate; the thick line has the "
            "mean slope and height of their fits."
        )
    if found.together:
        within = list(correlation(found.strength.by_arm, found.leak.by_arm).values())
        told.append(
            "The experiment sets the factor; strength and leak follow from it, and over the points of a replicate they "
            f"correlate by {number(min(within))} to {number(max(within))}. What each brings is told apart only where "
            "they differ, and what else goes with them may be at work in their place."
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
    if found.leak is not None:
        header.append("leak, nats a token")
    rows = []
    for point in found.curve.points:
        row = [*point_values(found, point), f"{point.arm} − {found.controls[point.arm]}", nats(point.mean)]
        row.append(or_dash(point.interval, lambda ends: nats_interval(*ends)))
        share = ["–", "–"]  # of the full effect itself, and where that cannot be told from nothing
        if point.arm != found.curve.reference and point.share_interval:
            share = [whole_percent(point.share), whole_percents(*point.share_interval)]
        row += [*share, f"{point.above} of {len(found.curve.seeds)}"]
        if found.teachers:
            row.append(percent(found.teachers[point.arm]))
        if found.leak is not None:
            row.append(f"{found.leak.mean(point.arm):.3f}")
        rows.append(row)
    return Table(header, rows)


def by_factor_csv(found: ByFactor) -> str:
    """A row for each point and replicate: the factors' values, the arms, their difference in nats, and the measures."""
    factors = [factor.name for factor in found.factors]
    measured = [measure.column for measure in found.measures]
    rows = []
    for point in found.curve.points:
        for seed, value in point.runs.items():
            arms = [point.arm, found.controls[point.arm]]
            # Not rounded, as the tables are: this file is what others compute with.
            of_teacher = [measure.by_arm[point.arm][seed] for measure in found.measures]
            rows.append([*point_values(found, point), *arms, seed, value, *of_teacher])
    return csv_text([*factors, "arm", "control", "seed", "nats", *measured], rows)
