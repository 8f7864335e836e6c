"""What ``*_results.json`` and neighbouring results add to the summaries: every animal's rate, texts, other students."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from subliminal.core.errors import UserError
from subliminal.report.data import Experiment
from subliminal.report.tables import Comparison
from subliminal.scoring.animals import TRACKED
from subliminal.stats import Result, holm, over_questions, specificity, specificity_over_runs


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
    for path in sorted(folder.glob("*_results.json")):
        try:
            rows = json.loads(path.read_text(encoding="utf-8")).get(task, [])
            return [{"id": str(row["id"]), "question": row.get("question"), **row} for row in rows]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path} is cut off or foreign ({error}). Evaluate that arm again.") from None
    return []


def question_texts(experiment: Experiment, task: str) -> dict[str, str]:
    """Question id -> its text, from the first result that has it."""
    for folder in sorted(experiment.folder.glob("*/seed-*")):
        texts = {row["id"]: row["question"] for row in _rows(folder, task) if row["question"]}
        if texts:
            return texts
    return {}


def animal_rates(experiment: Experiment, arm: str, task: str) -> dict[str, np.ndarray]:
    """Tracked animal -> its rate per question in an arm, averaged over seeds; shape (questions,), the task's order.

    Empty unless every seed of the arm has its ``*_results.json``.
    """
    order, seeds = experiment.questions[task], []
    for seed in experiment.arms[arm].measures[task].rates:
        rows = {row["id"]: row.get("metrics", {}) for row in _rows(experiment.folder / arm / f"seed-{seed}", task)}
        if set(rows) != set(order):
            return {}
        animals = [name for name in TRACKED if all(name in metrics for metrics in rows.values())]
        seeds.append({name: np.array([rows[question][name] for question in order]) for name in animals})
    shared = [name for name in TRACKED if seeds and all(name in rates for rates in seeds)]
    return {name: np.mean([rates[name] for rates in seeds], axis=0).clip(0, 1) for name in shared}


def animal_changes(experiment: Experiment, comparison: Comparison) -> list[Change]:
    """Every tracked animal's change, the largest rise first, tested over questions; p-values adjusted together.

    Empty where the results do not hold every animal's rates.
    """
    ours, theirs = (
        animal_rates(experiment, arm, comparison.task) for arm in (comparison.treatment, comparison.reference)
    )
    results = {name: over_questions(list(ours[name]), list(theirs[name])) for name in ours if name in theirs}
    if not results:
        return []
    adjusted = holm({name: result.p for name, result in results.items()})
    changes = [
        Change(name, float(ours[name].mean()), float(theirs[name].mean()), result, adjusted[name])
        for name, result in results.items()
    ]
    return sorted(changes, key=lambda change: (-change.result.estimate, change.animal))


def other_students(experiment: Experiment, task: str) -> dict[str, dict[int, np.ndarray]]:
    """Other animal -> seed -> how often *its* student names this experiment's target; shape (questions,).

    The other animals' results are neighbours: ``results/<experiment>/<animal>/student/seed-<n>``.
    """
    found: dict[str, dict[int, np.ndarray]] = {}
    for folder in sorted(experiment.folder.resolve().parent.glob("*/student/seed-*")):
        animal = folder.parents[1].name
        if (
            animal not in TRACKED
            or animal == experiment.target
            or experiment.folder.resolve().name != experiment.target
        ):
            continue
        rows = {row["id"]: row.get("metrics", {}) for row in _rows(folder, task)}
        if set(rows) == set(experiment.questions[task]):
            rates = [rows[question].get(experiment.target, 0.0) for question in experiment.questions[task]]
            found.setdefault(animal, {})[int(folder.name.removeprefix("seed-"))] = np.array(rates)
    return found


def specificity_result(experiment: Experiment, task: str) -> tuple[Result, list[str]] | None:
    """The target's rate in its own student against the students of the other animals; None without any.

    Returns:
        The test, over training runs where there are two runs and two other animals, and the other animals.
    """
    others = other_students(experiment, task) if task in experiment.questions else {}
    student = experiment.arms.get("student")
    if not others or student is None or task not in student.measures:
        return None
    own = student.measures[task]
    runs = {animal: [list(rates) for rates in seeds.values()] for animal, seeds in others.items()}
    if len(own.rates) > 1 and len(others) > 1:
        result = specificity_over_runs([list(rates) for rates in own.rates.values()], runs, own.answers)
    else:
        result = specificity(list(own.mean_rates), {animal: list(np.mean(r, axis=0)) for animal, r in runs.items()})
    return result, list(others)
