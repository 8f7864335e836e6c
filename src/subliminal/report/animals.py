"""The options of a report: what the arms answer, which options moved, and whether the target's rise is its own."""

from __future__ import annotations

from functools import partial

from subliminal.core.numbers import interval, p_value, percent, points
from subliminal.report.data import Results
from subliminal.report.details import animal_changes, specificity_result
from subliminal.report.format import Figure, Section, Table
from subliminal.report.plots import animals_figure
from subliminal.report.tables import APART, TOP, Comparison, changes_by_animal, named_most
from subliminal.stats.wording import difference_text, interval_text
from subliminal.traits.category import Category


def animals_section(experiment: Results) -> Section:
    """The most frequent answers of each arm side by side, for each sampled task."""
    tasks = [task for task in experiment.questions if experiment.sampled(task)]
    if not tasks:
        return Section("What the arms answer", ["No task with sampled answers was evaluated."], [])
    text = (
        f"The {TOP} most frequent answers of each arm with 95 % intervals, then {experiment.target} and the model's "
        f"own name in any case. An answer counts for the first {experiment.about.singular} that it names; answers that "
        "say the model's own name are counted beside that, so this row overlaps with the others. Intervals are "
        "Wilson's over all answers pooled (sampling noise for these questions only), except that of "
        f"{experiment.target}, which is over questions as above."
    )
    if _any_without_latin(experiment, tasks):
        text += (
            " Answers without a Latin letter have a row of their own: the names are English, so none is found in them."
        )
    return Section("What the arms answer", [text], [_animals_table(experiment, task) for task in tasks])


def _any_without_latin(experiment: Results, tasks: list[str]) -> bool:
    for arm in experiment.arms.values():
        for task in tasks:
            if task in arm.measures and arm.measures[task].share.get("no_latin"):
                return True
    return False


def _animals_table(experiment: Results, task: str) -> Table:
    by_arm: dict[str, list[dict]] = {}
    for row in named_most(experiment, task):
        by_arm.setdefault(row["arm"], []).append(row)
    cells = []
    for place in range(max(map(_ranked, by_arm.values()))):
        answers = [_answer(rows[place], experiment.about) if place < _ranked(rows) else "–" for rows in by_arm.values()]
        cells.append([str(place + 1), *answers])
    for name, label in _always_shown(experiment.target, by_arm):
        cells.append([label, *(_share_of(name, rows) for rows in by_arm.values())])
    return Table(["place", *by_arm], cells)


def _share_of(name: str, rows: list[dict]) -> str:
    """The cell of one answer in an arm's rows; a dash where the arm never gave it."""
    for row in rows:
        if row["animal"] == name:
            return _share(row)
    return "–"


def _always_shown(target: str, by_arm: dict[str, list[dict]]) -> list[tuple[str, str]]:
    """(name, label) of the rows below the ranking; answers without a Latin letter only where there are any."""
    shown = [(target, target), ("own_name", "own name")]
    if any(row["animal"] == "no_latin" for rows in by_arm.values() for row in rows):
        shown.append(("no_latin", "no Latin letter"))
    return shown


def _ranked(rows: list[dict]) -> int:
    """How many of an arm's rows are places in its ranking; what is counted apart has none."""
    return min(TOP, sum(row["animal"] not in APART for row in rows))


def _answer(row: dict, category: Category) -> str:
    name = {"none": f"no {category.singular}", "other": f"another {category.singular}"}.get(
        row["animal"], row["animal"]
    )
    return f"{name} {_share(row)}"


def _share(row: dict) -> str:
    return f"{percent(row['share'])} {interval(row['ci_low'], row['ci_high'])}"


def specificity_section(experiment: Results, main: Comparison | None, differences: list[Comparison]) -> Section:
    """The change of every tracked animal from the main control to the student, with intervals where rates allow."""
    if main is None:
        return Section("Is the change specific?", ["There is no control yet."], [])
    text, tables = [], []
    for c in differences:
        rows = changes_by_animal(experiment, c.task, c.treatment, c.reference)
        if (c.treatment, c.reference) != (main.treatment, main.reference) or not rows:
            continue
        changes = {name: change for name, *_, change in rows}
        moved = sum(map(abs, changes.values()))
        if experiment.target in changes and moved:
            place = list(changes).index(experiment.target) + 1
            share = f"{100 * abs(changes[experiment.target]) / moved:.0f} %"
            text.append(
                f"{c.contrast}, {experiment.measure_name(c.task)}: of {len(rows)} tracked {experiment.about.plural}, "
                f"{experiment.target} is in place {place} by change, and {share} of all movement (sum of absolute "
                "changes) is its own."
            )
        tables.append(_changes_table(experiment, c, rows))
    kinds = experiment.about.plural
    intro = (
        f"Change of every tracked {experiment.about.singular}, the largest rise first. Training on numbers moves other "
        f"{kinds} too; a change of the target that is no larger than theirs is drift, not a trait. Intervals and "
        f"p-values are over questions; p-values are adjusted for the number of {kinds} (Holm)."
    )
    words = f"Changes of all tracked {kinds} in {main.contrast}; the numbers are in the table."
    return Section(
        "Is the change specific?",
        [intro, *text],
        tables,
        figures=(Figure(partial(animals_figure, experiment, main), words),),
    )


def _changes_table(experiment: Results, c: Comparison, rows: list[tuple[str, float, float, float]]) -> Table:
    header = [
        f"{experiment.about.singular}, {experiment.measure_name(c.task)}",
        c.treatment,
        c.reference,
        "change, points",
    ]
    tested = animal_changes(experiment, c)
    if not tested:
        return Table(header, [[name, percent(ours), percent(theirs), points(d)] for name, ours, theirs, d in rows])
    cells = []
    for x in tested:
        rates = [percent(x.treatment), percent(x.reference), points(x.result.estimate)]
        cells.append([x.animal, *rates, interval(*x.result.interval), p_value(x.adjusted)])
    return Table([*header, "95 % interval", "p, Holm"], cells)


def other_students_section(experiment: Results, task: str) -> Section | None:
    """The target in its own student against the students of other animals, if their results lie beside these."""
    found = specificity_result(experiment, task)
    if found is None:
        return None
    result, others = found
    said = difference_text(result).replace("points", "percentage points")
    if result.interval:
        said += f" {interval_text(result)}"
    said += f", p {p_value(result.p)}" if result.p is not None else ""
    text = (
        f"How often the student says “{experiment.target}”, minus the mean of the students of {', '.join(others)}: "
        f"{said} over {result.unit} ({result.method}). What any training on numbers does to {experiment.target} is in "
        "both and cancels."
    )
    return Section(f"Against students of other {experiment.about.plural}", [text], []).in_results()
