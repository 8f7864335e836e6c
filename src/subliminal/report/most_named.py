"""What the arms answer: the most frequent options of each, side by side."""

from __future__ import annotations

from itertools import chain

from subliminal.core.formatting import interval, percent
from subliminal.report.blocks import Section, Table
from subliminal.report.data import SAMPLED, Results
from subliminal.report.tables.estimates import APART, TOP, named_most
from subliminal.traits.category import Category


def most_named_section(results: Results) -> Section | None:
    """The most frequent answers of each arm side by side, for each sampled task."""
    if not results.preference_tasks:
        return None
    tasks = [task for task in results.preference_tasks if results.kinds[task] == SAMPLED]
    if not tasks:
        return Section("What the arms answer", ["No task with sampled answers was evaluated."], [])
    text = (
        f"The {TOP} most frequent answers of each arm with 95 % intervals, then {results.target} and the model's "
        f"own name in any case. An answer counts for the {results.about.singular} that it chooses, or for the first "
        "one that it names where it does not say; answers that say the model's own name are counted beside that, so "
        "this row overlaps with the others. Intervals are "
        "Wilson's over all answers pooled (sampling noise for these questions only), except that of "
        f"{results.target}, which is over questions as above."
    )
    latinless = results.named[results.named["task"].isin(tasks) & (results.named["name"] == "no_latin")]
    # Only where there are any: most models never answer so.
    if latinless["share"].any():
        text += (
            " Answers without a Latin letter have a row of their own: the names are English, so none is found in them."
        )
    return Section("What the arms answer", [text], [_most_named_table(results, task) for task in tasks])


def _most_named_table(results: Results, task: str) -> Table:
    by_arm: dict[str, list[dict]] = {}
    for row in named_most(results, task):
        by_arm.setdefault(row["arm"], []).append(row)
    cells = []
    # The arm with the longest ranking says how many rows there are.
    for place in range(max(map(_ranked, by_arm.values()))):
        answers = []
        for rows in by_arm.values():
            answer = "–"  # the arm names fewer
            if place < _ranked(rows):
                answer = _answer(rows[place], results.about)
            answers.append(answer)
        cells.append([str(place + 1), *answers])
    for name, label in _always_shown(results.target, by_arm):
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
    if any(row["animal"] == "no_latin" for row in chain.from_iterable(by_arm.values())):
        shown.append(("no_latin", "no Latin letter"))
    return shown


def _ranked(rows: list[dict]) -> int:
    """How many of an arm's rows are places in its ranking; what is counted apart has none."""
    return min(TOP, sum(row["animal"] not in APART and row["share"] > 0 for row in rows))


def _answer(row: dict, about: Category) -> str:
    names = {"none": f"no {about.singular}", "other": f"another {about.singular}"}
    name = names.get(row["animal"], row["animal"])
    return f"{name} {_share(row)}"


def _share(row: dict) -> str:
    return f"{percent(row['share'])} {interval(row['ci_low'], row['ci_high'])}"
