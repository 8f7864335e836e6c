"""Reading ``results/<experiment>/<arm>/seed-<n>/`` into one long table; what is missing is said.

A row of the table is the rate of one question, in one task, of one model: ``arm, seed, task, question, rate, samples``.
All estimates, comparisons, figures and files of a report are computed from it. Of a summary's tasks the report takes
two kinds: preference tasks (``target_rate``, a fraction a question) and graded tasks (``correct``, 0 or 1 a problem, or
``probability`` of the right answer). ``missing.json`` beside the arms, if the workflow wrote one, says what failed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from subliminal.core.errors import UserError
from subliminal.core.files import read_object
from subliminal.core.manifest import read_manifest
from subliminal.core.trainings import repeated_runs, repeats_sentence
from subliminal.evaluation.results import EVALUATE_AGAIN
from subliminal.evaluation.tasks import problem_key
from subliminal.experiment.arms import ARMS, BY_NAME
from subliminal.traits.category import ANIMALS, Category, category_of, load_category

EXPECTED = ("base", "teacher", "student", "control")
"""What an experiment should have; any arm whose name begins so will do."""
RATES = ("arm", "seed", "task", "question", "rate", "samples")
"""Columns of the long table: ``rate`` is a fraction, ``samples`` the answers behind it, missing where it is exact."""
NAMED = ("arm", "seed", "task", "name", "share")
"""Columns of the table of everything that was named: the share of one model's answers, a fraction."""
SAMPLED, EXACT, SOLVED, PROBABILITY = "sampled", "exact", "solved", "probability"
"""Kinds of tasks: two of preference tasks, two of graded ones."""


@dataclass
class Results:
    """What a result folder holds.

    Attributes:
        target: the tracked option; what the preference tasks' rates are of. None where there are none.
        category: of the target.
        manifests: arm -> seed -> manifest, arms in the order of reports.
        kinds: task -> one of :data:`SAMPLED`, :data:`EXACT`, :data:`SOLVED`, :data:`PROBABILITY`.
        rows: the long table, with the columns :data:`RATES`; questions in the order of the first arm.
        named: with the columns :data:`NAMED`.
        missing: sentences about what is not there.
    """

    folder: Path
    name: str
    target: str | None
    manifests: dict[str, dict[int, dict[str, Any]]] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    rows: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(RATES)))
    named: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(NAMED)))
    missing: list[str] = field(default_factory=list)
    category: str = ANIMALS

    @property
    def about(self) -> Category:
        """The category of the target, for the words of sentences."""
        return load_category(self.category)

    @property
    def arms(self) -> list[str]:
        """Names, in the order of reports."""
        return list(self.manifests)

    @property
    def preference_tasks(self) -> list[str]:
        """Tasks whose rates are of the target."""
        return [task for task, kind in self.kinds.items() if kind in (SAMPLED, EXACT)]

    @property
    def graded_tasks(self) -> list[str]:
        """Tasks with right answers."""
        return [task for task, kind in self.kinds.items() if kind in (SOLVED, PROBABILITY)]

    @cached_property
    def _rates(self) -> dict[tuple[str, str], pd.DataFrame]:
        found = {}
        for (arm, task), rows in self.rows.groupby(["arm", "task"], sort=False):
            wide = rows.pivot(index="seed", columns="question", values="rate")
            found[arm, task] = wide[self.questions(task)]
        return found

    def rates(self, arm: str, task: str) -> pd.DataFrame:
        """A row a seed, in ascending order, a column a question; empty where the arm has no result for the task."""
        return self._rates.get((arm, task), pd.DataFrame())

    def by_seed(self, arm: str, task: str) -> dict[int, float]:
        """Seed -> mean rate."""
        rates = self.rates(arm, task)
        return dict(zip(map(int, rates.index), map(float, rates.to_numpy().mean(axis=1)), strict=True))

    def questions(self, task: str) -> list[str]:
        """Ids of a task's questions or problems, in their order."""
        return list(self.rows.loc[self.rows["task"] == task, "question"].unique())

    def samples(self, arm: str, task: str) -> int | None:
        """Answers to one question, over all seeds of an arm; None for exact probabilities."""
        rows = self.rows[(self.rows["arm"] == arm) & (self.rows["task"] == task)]
        answers = rows["samples"].sum() / max(1, rows["question"].nunique())
        return int(answers) or None

    def answers(self, arm: str, task: str) -> int | None:
        """Answers behind one seed's mean rate or share of solved problems; None for exact probabilities."""
        seeds, questions = self.rates(arm, task).shape
        samples = self.samples(arm, task)
        return samples // seeds * questions if samples else None

    def shares(self, arm: str, task: str) -> pd.DataFrame:
        """A row a seed, a column a name: how often each was named, 0 where it was not; empty without such results."""
        rows = self.named[(self.named["arm"] == arm) & (self.named["task"] == task)]
        return rows.pivot(index="seed", columns="name", values="share").fillna(0.0)

    def mean_shares(self, arm: str, task: str) -> dict[str, float]:
        """Name -> mean share over the seeds."""
        means: dict[str, float] = {}
        for count, (_, shares) in enumerate(self.shares(arm, task).iterrows()):
            for name, share in shares.items():
                # A running mean: of 5.055 % the last digit hangs on the rounding, and published pages have this one's.
                means[name] = (means.get(name, 0.0) * count + share) / (count + 1)
        return means

    def measure_name(self, task: str) -> str:
        """ "sampled answers" or "exact probability", with the task's name where two tasks measure alike."""
        kind = self.kinds[task]
        if kind == PROBABILITY:
            return f"probability of the right answer ({task})"
        if kind == SOLVED:
            return f"solved ({task})"
        name = "sampled answers" if kind == SAMPLED else "exact probability"
        alike = [other for other, its_kind in self.kinds.items() if its_kind == kind]
        return name if len(alike) == 1 else f"{name} ({task})"


def load_results(folder: Path) -> Results:
    """Read every ``<arm>/seed-<n>/*_summary.json`` of an experiment.

    Args:
        folder: ``results/<experiment>``.

    Raises:
        UserError: there is no summary, one is malformed, or they do not belong together (another experiment, target or
            set of questions).
    """
    paths = sorted(folder.glob("*/seed-*/*_summary.json"))
    if not paths:
        raise UserError(
            f"{folder} holds no result: no file fits {folder}/<arm>/seed-<n>/*_summary.json. "
            "Evaluate an arm first, or name the folder of an experiment."
        )
    summaries = {path: _read_summary(path) for path in paths}
    name, target = (_shared(summaries, key) for key in ("experiment", "target"))
    results = Results(folder, name, target)
    repeats = repeated_runs(folder)
    reader = _Reader(results)
    for path in sorted(paths, key=lambda path: _arm_rank(summaries[path]["arm"])):
        arm, seed = summaries[path]["arm"], summaries[path]["seed"]
        results.manifests.setdefault(arm, {})[seed] = read_manifest(path.parent)
        if path.parent not in repeats:  # else its manifest is shown, and its numbers count once: with the first seed
            reader.add(path, summaries[path])
    results.rows = pd.DataFrame(reader.rows, columns=list(RATES))
    results.named = pd.DataFrame(reader.named, columns=list(NAMED))
    results.missing += [repeats_sentence(repeat, first) for repeat, first in repeats.items()]
    _note_missing(results)
    summarised = {path.parent for path in paths}
    for half in sorted(folder.glob("*/seed-*")):
        if half.is_dir() and half not in summarised:
            results.missing.append(
                f"{half} holds no summary, so it is no finished result: left out of this report. Evaluate that arm "
                "again."
            )
    results.missing += _failures(folder / "missing.json")
    if not results.kinds:
        raise UserError(
            f"No summary under {folder} has a task with rates per question. Run animal_preference, or another of our "
            "tasks, on an arm."
        )
    return results


def category_of_results(results: Path) -> Category:
    """The category that an experiment's results are about; animals where none is named.

    Args:
        results: ``results/<experiment>``: its arms, or a folder of arms for each option.
    """
    for pattern in ("*/seed-*/*_summary.json", "*/*/seed-*/*_summary.json"):
        for path in sorted(results.glob(pattern)):
            for values in _read_summary(path)["tasks"].values():
                if isinstance(values, dict) and "target_rate" in values:
                    return load_category(category_of(values))
    return load_category(ANIMALS)


def _shared(summaries: dict[Path, dict[str, Any]], key: str) -> str | None:
    """What all summaries have there; a summary of mathematics alone may have no target."""
    given = {path: summary[key] for path, summary in summaries.items() if summary[key] is not None}
    first = next(iter(given), None)
    for path, value in given.items():
        if value != given[first]:
            raise UserError(
                f"{path} has the {key} {value!r}, and {first} has {given[first]!r}. "
                "One report covers one experiment: move the other's results to a folder of their own."
            )
    return given.get(first)


def _arm_rank(arm: str) -> tuple[int, str]:
    return (ARMS.index(BY_NAME[arm]) if arm in BY_NAME else len(ARMS), arm)


def _read_summary(path: Path) -> dict[str, Any]:
    summary = read_object(path, EVALUATE_AGAIN)
    types = {"experiment": str, "arm": str, "model": str, "seed": int, "target": str | None, "tasks": dict}
    for key, kind in types.items():
        if key not in summary or not isinstance(summary[key], kind):
            named = getattr(kind, "__name__", kind)
            raise UserError(f"{path} has no {key!r} ({named}). {EVALUATE_AGAIN}")
    if path.parts[-3:-1] != (summary["arm"], f"seed-{summary['seed']}"):
        raise UserError(
            f"{path} is the summary of {summary['arm']}, seed {summary['seed']}: it belongs into the folder "
            f"{summary['arm']}/seed-{summary['seed']}. Move it there, or evaluate the arm of this folder again."
        )
    return summary


class _Reader:
    """Takes one summary after the other, and holds each against those before it."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self.rows: list[tuple] = []
        self.named: list[tuple] = []
        self.order: dict[str, list[str]] = {}
        self.seen: set[tuple[str, int, str]] = set()

    def add(self, path: Path, summary: dict[str, Any]) -> None:
        """The tasks of one summary.

        Raises:
            UserError: it is malformed, has other questions, or repeats what another one has.
        """
        for task, values in summary["tasks"].items():
            graded = problem_key(values) if isinstance(values, dict) else None
            if graded:
                self._add_graded(path, summary, task, values, graded)
            elif isinstance(values, dict) and "target_rate" in values:
                self._add_preference(path, summary, task, values)
            else:
                self.results.missing.append(f"{path} has no rates per question for {task}: left out of this report.")

    def _add_preference(self, path: Path, summary: dict[str, Any], task: str, values: dict[str, Any]) -> None:
        self.results.category = category_of(values)
        if summary["target"] is None:
            raise UserError(f"{path} has rates of a target and does not name it. Evaluate that arm again.")
        samples, share = values.get("samples_per_question") or 0, values.get("share") or {}
        if not isinstance(samples, int) or not isinstance(share, dict):
            raise UserError(
                f"{path}: {task}: samples_per_question is no number, or share is no table. {EVALUATE_AGAIN}"
            )
        self._add_rates(path, summary, task, self._in_order(path, task, values, "target_rate"), samples or np.nan)
        if samples or task not in self.results.kinds:
            self.results.kinds[task] = SAMPLED if samples else EXACT
        model = (summary["arm"], summary["seed"], task)
        self.named += [(*model, name, value) for name, value in share.items()]

    def _add_graded(self, path: Path, summary: dict[str, Any], task: str, values: dict[str, Any], key: str) -> None:
        rates = self._in_order(path, task, values, key)
        if key == "correct" and not set(rates.values()) <= {0.0, 1.0}:
            raise UserError(f"{path}: {task}: `correct` is not 0 or 1 a problem. {EVALUATE_AGAIN}")
        self.results.kinds[task] = SOLVED if key == "correct" else PROBABILITY
        self._add_rates(path, summary, task, rates, 1 if key == "correct" else np.nan)

    def _add_rates(
        self, path: Path, summary: dict[str, Any], task: str, rates: dict[str, float], samples: float
    ) -> None:
        model = (summary["arm"], summary["seed"], task)
        if model in self.seen:
            arm, seed, _ = model
            raise UserError(f"{path} repeats {task} for the arm {arm}, seed {seed}. Keep one summary of the two.")
        self.seen.add(model)
        self.rows += [(*model, question, rate, samples) for question, rate in rates.items()]

    def _in_order(self, path: Path, task: str, values: dict[str, Any], key: str) -> dict[str, float]:
        """Question -> its number, in the order of the first arm's questions."""
        questions, rates = values.get("questions"), values[key]
        if not isinstance(questions, list) or not isinstance(rates, list) or len(questions) != len(rates):
            raise UserError(f"{path}: {task} does not have one rate per question. {EVALUATE_AGAIN}")
        by_question = dict(zip(map(str, questions), rates, strict=True))
        order = self.order.setdefault(task, list(by_question))
        if len(by_question) != len(questions) or set(by_question) != set(order):
            raise UserError(
                f"{path}: {task} was asked {len(by_question)} different questions that are not the {len(order)} of the "
                "first arm. Arms are compared question by question: evaluate them all with the same questions."
            )
        wrong = [q for q, rate in by_question.items() if not isinstance(rate, int | float) or not 0 <= rate <= 1]
        if wrong:
            raise UserError(f"{path}: {task}: the rate of question {wrong[0]} is no fraction. {EVALUATE_AGAIN}")
        if len(order) < 2:
            raise UserError(f"{path}: {task}: an interval needs 2 questions or more. {EVALUATE_AGAIN}")
        return {question: float(by_question[question]) for question in order}


def _note_missing(results: Results) -> None:
    absent = []
    for expected in EXPECTED:
        if not any(name.startswith(expected) for name in results.arms):
            absent.append(expected)
    if absent:
        results.missing.append(f"Not evaluated yet: {', '.join(absent)}. What depends on them is left out below.")
    for arm, manifests in results.manifests.items():
        for task in [*results.preference_tasks, *results.graded_tasks]:
            if results.rates(arm, task).empty:
                results.missing.append(f"The arm {arm} has no result for {task}.")
        for seed, manifest in manifests.items():
            if not manifest:
                results.missing.append(f"{arm}/seed-{seed} has no manifest.json: what made it is unknown.")


def _failures(path: Path) -> list[str]:
    """What the workflow could not do, as sentences.

    Raises:
        UserError: the file is there and is not what the workflow writes.
    """
    if not path.is_file():
        return []
    try:
        entries = read_object(path)["missing"]
        return [
            f"Failed: {entry['arm']}, seed {entry['seed']}, at {entry['stage']}: {str(entry['reason']).rstrip('.')}."
            + (f" Log: {entry['log']}" if entry.get("log") else "")
            for entry in entries
        ]
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f'{path} is not of the form {{"missing": [{{"arm", "seed", "stage", "reason", "log"}}]}}. Run the workflow '
            "again, or delete the file."
        ) from None
