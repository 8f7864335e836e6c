"""What ``*_results.json`` and neighbouring results add to the summaries: every animal's rate, texts, other students."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from subliminal.core.errors import UserError
from subliminal.core.files import read_object
from subliminal.report.data import Results
from subliminal.report.tables import Comparison
from subliminal.stats import Result, holm, over_questions, specificity, specificity_over_runs
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
        UserError: the file is cut off, or not as the evaluation writes it.
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
    return found


def _metrics(folder: Path, task: str, questions: list[str]) -> list[dict[str, float]] | None:
    """The metrics of each question, in the order given; None unless the folder has exactly these questions."""
    by_id = {row["id"]: row.get("metrics", {}) for row in _rows(folder, task)}
    if by_id.keys() != set(questions):
        return None
    return [by_id[question] for question in questions]


def question_texts(experiment: Results, task: str) -> dict[str, str]:
    """Question id -> its text, from the first result that has it."""
    for folder in sorted(experiment.folder.glob("*/seed-*")):
        texts = {row["id"]: row["question"] for row in _rows(folder, task) if row["question"]}
        if texts:
            return texts
    return {}


def animal_rates(experiment: Results, arm: str, task: str) -> dict[str, np.ndarray]:
    """Tracked animal -> its rate per question in an arm, averaged over seeds; shape (questions,), the task's order.

    Empty unless every seed of the arm has its ``*_results.json``.
    """
    seeds = []
    for seed in experiment.arms[arm].measures[task].rates:
        metrics = _metrics(experiment.folder / arm / f"seed-{seed}", task, experiment.questions[task])
        if metrics is None:
            return {}
        seeds.append(metrics)
    rates = {}
    for animal in lexicon(experiment.category).options:
        by_seed = [[question.get(animal) for question in metrics] for metrics in seeds]
        known = by_seed and not any(None in one for one in by_seed)
        if known:  # a result from before the animal was tracked lacks it
            rates[animal] = np.mean(by_seed, axis=0).clip(0, 1)
    return rates


def animal_changes(experiment: Results, comparison: Comparison) -> list[Change]:
    """Every tracked animal's change, the largest rise first, tested over questions; p-values adjusted together.

    Empty where the results do not hold every animal's rates.
    """
    ours = animal_rates(experiment, comparison.treatment, comparison.task)
    theirs = animal_rates(experiment, comparison.reference, comparison.task)
    results = {}
    for animal, rates in ours.items():
        if animal in theirs:
            results[animal] = over_questions(list(rates), list(theirs[animal]))
    if not results:
        return []
    adjusted = holm({animal: result.p for animal, result in results.items()})
    changes = []
    for animal, result in results.items():
        means = float(ours[animal].mean()), float(theirs[animal].mean())
        changes.append(Change(animal, *means, result, adjusted[animal]))
    return sorted(changes, key=lambda change: (-change.result.estimate, change.animal))


def other_students(experiment: Results, task: str) -> dict[str, dict[int, np.ndarray]]:
    """Other animal -> seed -> how often *its* student names this experiment's target; shape (questions,).

    The other animals' results are neighbours: ``results/<experiment>/<animal>/student/seed-<n>``.
    """
    found: dict[str, dict[int, np.ndarray]] = {}
    own = experiment.folder.resolve()
    if own.name != experiment.target:  # one animal's experiment has no neighbours
        return found
    questions = experiment.questions[task]
    for folder in sorted(own.parent.glob("*/student/seed-*")):
        animal = folder.parents[1].name
        if animal not in lexicon(experiment.category).options or animal == experiment.target:
            continue
        metrics = _metrics(folder, task, questions)
        if metrics is not None:
            seed = int(folder.name.removeprefix("seed-"))
            rates = np.array([question.get(experiment.target, 0.0) for question in metrics])
            found.setdefault(animal, {})[seed] = rates
    return found


def specificity_result(experiment: Results, task: str) -> tuple[Result, list[str]] | None:
    """The target's rate in its own student against the students of the other animals; None without any.

    Returns:
        The test, over training runs where there are two runs and two other animals, and the other animals.
    """
    others = other_students(experiment, task) if task in experiment.questions else {}
    student = experiment.arms.get("student")
    if not others or student is None or task not in student.measures:
        return None
    own = student.measures[task]
    if len(own.rates) > 1 and len(others) > 1:
        runs = {animal: list(map(list, seeds.values())) for animal, seeds in others.items()}
        return specificity_over_runs(list(map(list, own.rates.values())), runs, own.answers), list(others)
    means = {animal: list(np.mean(list(seeds.values()), axis=0)) for animal, seeds in others.items()}
    return specificity(list(own.mean_rates), means), list(others)
