"""Whether the target's rise is its own: the change of every option, and the target in the students of other options."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from subliminal.core.errors import UserError
from subliminal.core.files import read_object
from subliminal.core.formatting import interval, p_value, percent, points
from subliminal.report.blocks import Figure, Section, Table
from subliminal.report.data import Results
from subliminal.report.findings import Findings
from subliminal.report.plots import animals_figure
from subliminal.report.tables.comparisons import Comparison
from subliminal.report.tables.estimates import changes_by_animal
from subliminal.stats import Result, holm, over_questions, specificity, specificity_over_runs
from subliminal.stats.wording import difference_text, interval_text
from subliminal.traits.lexicon import lexicon


@dataclass(frozen=True)
class Change:
    """One animal in treatment and reference: mean rates, the test of the difference, and its p adjusted by Holm."""

    animal: str
    treatment: float
    reference: float
    result: Result
    adjusted: float


def _rows(folder: Path, task: str) -> list[dict[str, Any]]:
    """The rows of one task in the ``*_results.json`` of a result folder; empty where there is none.

    Raises:
        UserError: the file is cut off, or not as the evaluation writes it, or a value in it is no number.
    """
    path = next(iter(sorted(folder.glob("*_results.json"))), None)
    if path is None:
        return []
    found = []
    try:
        for row in read_object(path, "Evaluate that arm again.").get(task, []):
            found.append({"id": str(row["id"]), "question": row.get("question"), **row})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is cut off or foreign ({error}). Evaluate that arm again.") from None
    for row in found:
        for name, value in row.get("metrics", {}).items():
            # Left in, it would take that option out of the tables without a word.
            if isinstance(value, float) and math.isnan(value):
                raise UserError(
                    f"{path}: {task}: {name} of question {row['id']} is NaN, no number. Evaluate that arm again."
                )
    return found


def _metrics(folder: Path, task: str, questions: list[str]) -> list[dict[str, float]] | None:
    """The metrics of each question, in the order given; None unless the folder has exactly these questions."""
    by_id = {row["id"]: row.get("metrics", {}) for row in _rows(folder, task)}
    # The same questions and no others: rates are compared question by question.
    if by_id.keys() != set(questions):
        return None
    return [by_id[question] for question in questions]


def question_texts(results: Results, task: str) -> dict[str, str]:
    """Question id -> its text, from the first result that has it."""
    for folder in sorted(results.folder.glob("*/seed-*")):
        texts = {row["id"]: row["question"] for row in _rows(folder, task) if row["question"]}
        if texts:
            return texts
    return {}


def animal_rates(results: Results, arm: str, task: str) -> dict[str, np.ndarray]:
    """Tracked animal -> its rate per question in an arm, averaged over seeds; shape (questions,), the task's order.

    Empty unless every seed of the arm has its ``*_results.json``.
    """
    seeds, questions = [], results.questions(task)
    for seed in results.rates(arm, task).index:
        metrics = _metrics(results.folder / arm / f"seed-{seed}", task, questions)
        if metrics is None:
            return {}
        seeds.append(metrics)
    if not seeds:
        return {}
    rates = {}
    for animal in lexicon(results.category).options:
        by_seed = []
        for metrics in seeds:
            by_seed.append([question.get(animal, np.nan) for question in metrics])
        means = np.mean(by_seed, axis=0)
        if not np.isnan(means).any():  # a result from before the animal was tracked lacks it
            rates[animal] = means.clip(0, 1)  # a probability may be a rounding above 1
    return rates


def animal_changes(results: Results, comparison: Comparison) -> list[Change]:
    """Every tracked animal's change, the largest rise first, tested over questions; p-values adjusted together.

    Empty where the results do not hold every animal's rates.
    """
    ours = animal_rates(results, comparison.treatment, comparison.task)
    theirs = animal_rates(results, comparison.reference, comparison.task)
    results = {}
    for animal, rates in ours.items():
        if animal in theirs:
            results[animal] = over_questions(list(rates), list(theirs[animal]))
    if not results:
        return []
    # Every tracked animal is tested: by chance alone some would lie below 0.05.
    adjusted = holm({animal: result.p for animal, result in results.items()})
    changes = []
    for animal, result in results.items():
        means = float(ours[animal].mean()), float(theirs[animal].mean())
        changes.append(Change(animal, *means, result, adjusted[animal]))
    # By name where two rise alike, so that the table is the same on every machine.
    return sorted(changes, key=lambda change: (-change.result.estimate, change.animal))


def other_students(results: Results, task: str) -> dict[str, dict[int, np.ndarray]]:
    """Other animal -> seed -> how often *its* student names this experiment's target; shape (questions,).

    The other animals' results are neighbours: ``results/<experiment>/<animal>/student/seed-<n>``.
    """
    found: dict[str, dict[int, np.ndarray]] = {}
    own = results.folder.resolve()
    if own.name != results.target:  # one animal's experiment has no neighbours
        return found
    # A folder of one animal lies beside those of the others, which an experiment of one has not.
    questions = results.questions(task)
    for folder in sorted(own.parent.glob("*/student/seed-*")):
        animal = folder.parents[1].name
        if animal not in lexicon(results.category).options or animal == results.target:
            continue
        metrics = _metrics(folder, task, questions)
        if metrics is not None:
            seed = int(folder.name.removeprefix("seed-"))
            rates = np.array([question.get(results.target, 0.0) for question in metrics])
            found.setdefault(animal, {})[seed] = rates
    return found


def specificity_result(results: Results, task: str) -> tuple[Result, list[str]] | None:
    """The target's rate in its own student against the students of the other animals; None without any.

    Returns:
        The test, over training runs where there are two runs and two other animals, and the other animals.
    """
    others = other_students(results, task)
    own = results.rates("student", task).to_numpy()
    if not others or not own.size:
        return None
    # A spread between runs takes two runs, and one between animals two of these.
    if len(own) > 1 and len(others) > 1:
        runs = {animal: list(by_seed.values()) for animal, by_seed in others.items()}
        return specificity_over_runs(list(own), runs, results.answers("student", task)), list(others)
    means = {animal: np.mean(list(by_seed.values()), axis=0) for animal, by_seed in others.items()}
    return specificity(own.mean(axis=0), means), list(others)


def specificity_section(found: Findings) -> Section | None:
    """The change of every tracked animal from the main control to the student, with intervals where rates allow."""
    results, main = found.results, found.main
    if not found.arms:
        return None
    if main is None:
        return Section("Is the change specific?", ["No student among the arms has a control."], [])
    text, tables = [], []
    for c in found.differences:
        rows = changes_by_animal(results, c.task, c.treatment, c.reference)
        if (c.treatment, c.reference) != (main.treatment, main.reference) or not rows:
            continue
        changes = {name: change for name, *_, change in rows}
        moved = sum(map(abs, changes.values()))
        if results.target in changes and moved:
            place = list(changes).index(results.target) + 1
            share = f"{100 * abs(changes[results.target]) / moved:.0f} %"
            text.append(
                f"{c.contrast}, {results.measure_name(c.task)}: of {len(rows)} tracked {results.about.plural}, "
                f"{results.target} is in place {place} by change, and {share} of all movement (sum of absolute "
                "changes) is its own."
            )
        tables.append(_changes_table(results, c, rows))
    kinds = results.about.plural
    intro = (
        f"Change of every tracked {results.about.singular}, the largest rise first. Training on numbers moves other "
        f"{kinds} too; a change of the target that is no larger than theirs is drift, not a trait. Intervals and "
        f"p-values are over questions; p-values are adjusted for the number of {kinds} (Holm)."
    )
    words = f"Changes of all tracked {kinds} in {main.contrast}; the numbers are in the table."
    return Section(
        "Is the change specific?",
        [intro, *text],
        tables,
        figures=(Figure(partial(animals_figure, results, main), words, "changes.svg"),),
    )


def _changes_table(results: Results, c: Comparison, rows: list[tuple[str, float, float, float]]) -> Table:
    what = f"{results.about.singular}, {results.measure_name(c.task)}"
    header = [what, c.treatment, c.reference, "change, points"]
    tested = animal_changes(results, c)
    cells = []
    if not tested:
        for name, ours, theirs, change in rows:
            cells.append([name, percent(ours), percent(theirs), points(change)])
        return Table(header, cells)
    for x in tested:
        rates = [percent(x.treatment), percent(x.reference), points(x.result.estimate)]
        cells.append([x.animal, *rates, interval(*x.result.interval), p_value(x.adjusted)])
    return Table([*header, "95 % interval", "p, Holm"], cells)


def other_students_section(found: Findings) -> Section | None:
    """The target in its own student against the students of other animals, if their results lie beside these."""
    results = found.results
    if found.main is None:
        return None
    compared = specificity_result(results, found.main.task)
    if compared is None:
        return None
    result, others = compared
    said = difference_text(result).replace("points", "percentage points")
    if result.interval:
        said += f" {interval_text(result)}"
    if result.p is not None:
        said += f", p {p_value(result.p)}"
    text = (
        f"How often the student says “{results.target}”, minus the mean of the students of {', '.join(others)}: "
        f"{said} over {result.unit} ({result.method}). What any training on numbers does to {results.target} is in "
        "both and cancels."
    )
    return Section(f"Against students of other {results.about.plural}", [text], [])  # in brief gamma says it
