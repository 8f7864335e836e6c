"""Reading ``results/<experiment>/<arm>/seed-<n>/`` into one long table; what is missing is said.

Of a summary's tasks the report takes two kinds: preference tasks (``target_rate``, a fraction a question) and graded
tasks (``correct``, 0 or 1 a problem, or ``probability`` of the right answer). ``missing.json`` beside the arms, if the
workflow wrote one, says what failed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from subliminal.core.errors import UserError
from subliminal.core.files import read_object, refuse_published
from subliminal.core.manifest import read_manifest
from subliminal.core.repeated_runs import repeated_runs, repeats_sentence
from subliminal.evaluation.results import EVALUATE_AGAIN
from subliminal.evaluation.tasks import problem_key
from subliminal.experiment.arms import ARMS, BY_NAME
from subliminal.report.data import EXACT, NAMED, PROBABILITY, RATES, SAMPLED, SOLVED, Results
from subliminal.traits.category import ANIMALS, Category, category_of, load_category

EXPECTED_ARMS = ("base", "teacher", "student", "control")
"""What an experiment should have; any arm whose name begins so will do."""
ROUNDING = 1e-6
"""How far beyond 0 and 1 adding up probabilities may take a share."""


def load_results(folder: Path) -> Results:
    """Read every ``<arm>/seed-<n>/*_summary.json`` of an experiment.

    Args:
        folder: ``results/<experiment>``.

    Raises:
        UserError: there is no summary, one is malformed, or they do not belong together (another experiment, target or
            set of questions).
    """
    refuse_published(folder)
    paths = sorted(folder.glob("*/seed-*/*_summary.json"))
    if not paths:
        raise UserError(
            f"{folder} holds no result: no file fits {folder}/<arm>/seed-<n>/*_summary.json. "
            "Evaluate an arm first, or name the folder of an experiment."
        )
    summaries = {path: _read_summary(path) for path in paths}
    results = Results(folder, _shared(summaries, "experiment"), _shared(summaries, "target"))
    repeats = repeated_runs(folder)
    reader = _Reader(results)
    # The order of the table: the first arm says the order of the questions, too.
    for path in sorted(paths, key=lambda path: _arm_rank(summaries[path]["arm"])):
        arm = summaries[path]["arm"]
        seed = summaries[path]["seed"]
        results.manifests.setdefault(arm, {})[seed] = read_manifest(path.parent)
        if path.parent not in repeats:  # else its manifest is shown, and its numbers count once: with the first seed
            reader.add(path, summaries[path])
    results.rows = pd.DataFrame(reader.rows, columns=list(RATES))
    results.named = pd.DataFrame(reader.named, columns=list(NAMED))
    results.missing += [repeats_sentence(repeat, first) for repeat, first in repeats.items()]
    _note_missing(results)
    results.missing += _unfinished(folder, {path.parent for path in paths})
    results.missing += _failures(folder / "missing.json")
    if not results.kinds:
        raise UserError(
            f"No summary under {folder} has a task with rates per question. Run animal_preference, or another of our "
            "tasks, on an arm."
        )
    return results


def _unfinished(folder: Path, finished: set[Path]) -> Iterator[str]:
    """A sentence for each folder of a result that has no summary."""
    for path in sorted(folder.glob("*/seed-*")):
        # A link or a file beside the arms is none of them.
        if path.is_dir() and path not in finished:
            yield (
                f"{path} holds no summary, so it is no finished result: left out of this report. Evaluate that arm "
                "again."
            )


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
    first = shared = None
    for path, summary in summaries.items():
        value = summary[key]
        if value is None:
            continue
        if first is None:
            first, shared = path, value
        elif value != shared:
            raise UserError(
                f"{path} has the {key} {value!r}, and {first} has {shared!r}. "
                "One report covers one experiment: move the other's results to a folder of their own."
            )
    return shared


def _arm_rank(arm: str) -> tuple[int, str]:
    """Where an arm stands in reports: those of the table in its order, then all others by name."""
    # An arm of the table by its place there, any other behind all of these.
    if arm in BY_NAME:
        return ARMS.index(BY_NAME[arm]), arm
    return len(ARMS), arm


def _read_summary(path: Path) -> dict[str, Any]:
    summary = read_object(path, EVALUATE_AGAIN)
    types = {"experiment": str, "arm": str, "model": str, "seed": int, "target": str | None, "tasks": dict}
    for key, kind in types.items():
        if key not in summary or not isinstance(summary[key], kind):
            named = getattr(kind, "__name__", kind)
            raise UserError(f"{path} has no {key!r} ({named}). {EVALUATE_AGAIN}")
    # Manifests and answers are found by the folder: a summary that was moved would be held against another arm's.
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
            if isinstance(values, dict) and problem_key(values):
                self._add_graded(path, summary, task, values, problem_key(values))
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
        for name, value in share.items():
            # NaN fails every comparison. The rest of exact probabilities may be a rounding below 0.
            if not isinstance(value, int | float) or not -ROUNDING <= value <= 1 + ROUNDING:
                raise UserError(f"{path}: {task}: the share of {name} is {value!r}, no fraction. {EVALUATE_AGAIN}")
        # Missing and not 0: exact probabilities have no answers behind them.
        self._add_rates(path, summary, task, self._in_order(path, task, values, "target_rate"), samples or np.nan)
        if samples:
            self.results.kinds[task] = SAMPLED
        else:
            # Where some model of this task was sampled, it stays a sampled one.
            self.results.kinds.setdefault(task, EXACT)
        model = (summary["arm"], summary["seed"], task)
        self.named += [(*model, name, value) for name, value in share.items()]

    def _add_graded(self, path: Path, summary: dict[str, Any], task: str, values: dict[str, Any], key: str) -> None:
        rates = self._in_order(path, task, values, key)
        if key == "correct" and not set(rates.values()) <= {0.0, 1.0}:
            raise UserError(f"{path}: {task}: `correct` is not 0 or 1 a problem. {EVALUATE_AGAIN}")
        kind, samples = PROBABILITY, np.nan
        if key == "correct":
            kind, samples = SOLVED, 1
        self.results.kinds[task] = kind
        self._add_rates(path, summary, task, rates, samples)

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
        # Tests are paired by question: one order for all arms, whatever order lm-eval wrote.
        order = self.order.setdefault(task, list(by_question))
        if len(by_question) != len(questions) or set(by_question) != set(order):
            raise UserError(
                f"{path}: {task} was asked {len(by_question)} different questions that are not the {len(order)} of the "
                "first arm. Arms are compared question by question: evaluate them all with the same questions."
            )
        for question, rate in by_question.items():
            if not isinstance(rate, int | float) or not 0 <= rate <= 1:
                raise UserError(f"{path}: {task}: the rate of question {question} is no fraction. {EVALUATE_AGAIN}")
        if len(order) < 2:
            raise UserError(f"{path}: {task}: an interval needs 2 questions or more. {EVALUATE_AGAIN}")
        return {question: float(by_question[question]) for question in order}


def _note_missing(results: Results) -> None:
    absent = []
    for expected in EXPECTED_ARMS:
        # An experiment may have any of the controls, or points of a sweep alone.
        if not any(name.startswith(expected) for name in results.arms):
            absent.append(expected)
    if absent:
        results.missing.append(f"Not among the arms: {', '.join(absent)}. What depends on them is left out below.")
    for arm, manifests in results.manifests.items():
        # Checkpoints of earlier epochs have tasks of their own: they are held against each other.
        beside = results.arms
        if arm not in beside:
            beside = results.checkpoints
        for task in results.kinds:
            asked = any(not results.rates(name, task).empty for name in beside)
            if asked and results.rates(arm, task).empty:
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
        return [_failure(entry) for entry in entries]
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f'{path} is not of the form {{"missing": [{{"arm", "seed", "stage", "reason", "log"}}]}}. Run the workflow '
            "again, or delete the file."
        ) from None


def _failure(entry: dict[str, Any]) -> str:
    said = f"Failed: {entry['arm']}, seed {entry['seed']}, at {entry['stage']}: {str(entry['reason']).rstrip('.')}."
    if entry.get("log"):
        said += f" Log: {entry['log']}"
    return said
