"""Reading ``results/<experiment>/<arm>/seed-<n>/``: summaries that belong together, and what is missing.

Of a summary's tasks the report takes two kinds: animal tasks (``target_rate``, a fraction a question) and graded tasks
(``correct``, 0 or 1 a problem, or ``probability`` of the right answer). ``missing.json`` beside the arms, if the
workflow wrote one, says what failed and why.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from subliminal.core.errors import UserError
from subliminal.core.files import read_object
from subliminal.core.manifest import read_manifest
from subliminal.core.trainings import repeated_runs, repeats_sentence
from subliminal.evaluation.results import EVALUATE_AGAIN
from subliminal.evaluation.tasks import problem_key
from subliminal.experiment.arms import ARMS, BY_NAME, arm_kind
from subliminal.traits.category import ANIMALS, Category, category_of, load_category

EXPECTED = ("base", "teacher", "student", "control")
"""What an experiment should have; any arm whose name begins so will do."""


@dataclass(frozen=True)
class Measure:
    """One task on one arm. ``rates`` maps seed -> shape (questions,), in the experiment's order of questions."""

    rates: dict[int, np.ndarray]
    samples: int | None
    share: dict[str, float]
    shares: dict[int, dict[str, float]] = field(default_factory=dict)

    @property
    def answers(self) -> int | None:
        """Sampled answers behind one seed's mean rate; None for exact probabilities."""
        if not self.samples:
            return None
        return self.samples // len(self.rates) * next(iter(self.rates.values())).size

    @property
    def mean_rates(self) -> np.ndarray:
        """Rate per question, averaged over seeds; shape (questions,)."""
        return np.mean(list(self.rates.values()), axis=0)


@dataclass
class Arm:
    """All seeds of one arm: task -> :class:`Measure`, graded task -> seed -> one number a problem, seed -> manifest."""

    name: str
    measures: dict[str, Measure] = field(default_factory=dict)
    graded: dict[str, dict[int, np.ndarray]] = field(default_factory=dict)
    manifests: dict[int, dict[str, Any]] = field(default_factory=dict)

    def answers(self, task: str, *, exact: bool) -> int | None:
        """Answers behind one seed's mean rate or share of solved problems; None where it is an exact probability."""
        if task in self.measures:
            return self.measures[task].answers
        return None if exact else next(iter(self.graded[task].values())).size

    def rates(self, task: str) -> dict[int, np.ndarray]:
        """Seed -> one rate a question or problem; empty where the arm has no result for the task."""
        return self.measures[task].rates if task in self.measures else self.graded.get(task, {})


@dataclass
class Results:
    """What a result folder holds.

    Attributes:
        target: the tracked option; what the rates of the tasks about its category are of. None where there are none.
        category: of the target.
        questions: task about the category -> question ids; ``problems`` the same for graded tasks.
        exact: the graded tasks whose numbers are probabilities of the right answer.
        missing: sentences about what is not there.
    """

    folder: Path
    name: str
    target: str | None
    arms: dict[str, Arm]
    category: str = ANIMALS
    questions: dict[str, list[str]] = field(default_factory=dict)
    problems: dict[str, list[str]] = field(default_factory=dict)
    exact: set[str] = field(default_factory=set)
    missing: list[str] = field(default_factory=list)

    @property
    def about(self) -> Category:
        """The category of the target, for the words of sentences."""
        return load_category(self.category)

    def pairs(self) -> list[tuple[Arm, Arm]]:
        """(student, reference): with every control, then with other ways to teach, then with the base; last the second
        control with the first, and the other base's student with its control, and what else the arms name.

        Arms of a sweep or of another context end in its name (``student_r2``, ``student-empty``); a student meets the
        references of its own, and the base itself where the base has none of that name.
        """
        students = [name for name in self.arms if _is_kind(name, "student")]
        points = sorted((name.removeprefix("student") for name in students), key=len, reverse=True)

        def point(name: str) -> str:
            return next((end for end in points if name.endswith(end)), "")

        found = []
        for student in students:
            for name in self.arms:
                is_control = "student" in _control_of(name) and not _is_kind(name, "base")
                if is_control and point(name) == point(student):
                    found.append((student, name))
            own_base = f"base{point(student)}"
            found.append((student, own_base if own_base in self.arms else "base"))
        for control in ARMS:
            for treatment in control.control_of:
                if treatment != "student":
                    found += [(f"{treatment}{end}", f"{control.name}{end}") for end in reversed(points or [""])]
        for arm in ARMS:
            for reference in arm.minus:
                found += [(f"{arm.name}{end}", f"{reference}{end}") for end in reversed(points or [""])]
        return [(self.arms[one], self.arms[other]) for one, other in found if {one, other} <= self.arms.keys()]

    def sampled(self, task: str) -> bool:
        """True if the task's rates are shares of sampled answers, False if they are exact probabilities."""
        return any(task in arm.measures and arm.measures[task].samples for arm in self.arms.values())

    def measure_name(self, task: str) -> str:
        """ "sampled answers" or "exact probability", with the task's name where two tasks measure alike."""
        if task in self.problems:
            return f"probability of the right answer ({task})" if task in self.exact else f"solved ({task})"
        alike = [other for other in self.questions if self.sampled(other) == self.sampled(task)]
        kind = "sampled answers" if self.sampled(task) else "exact probability"
        return kind if len(alike) == 1 else f"{kind} ({task})"


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
    experiment = Results(folder, name, target, {})
    repeats = repeated_runs(folder)
    for path in sorted(paths, key=lambda path: _arm_rank(summaries[path]["arm"])):
        if path.parent in repeats:  # its manifest is shown, and its numbers count once: with the first seed
            arm = experiment.arms.setdefault(summaries[path]["arm"], Arm(summaries[path]["arm"]))
            arm.manifests[summaries[path]["seed"]] = _manifest(path.parent)
        else:
            _add(experiment, path, summaries[path])
    experiment.missing += [repeats_sentence(repeat, first) for repeat, first in repeats.items()]
    _note_missing(experiment)
    summarised = {path.parent for path in paths}
    for half in sorted(folder.glob("*/seed-*")):
        if half.is_dir() and half not in summarised:
            experiment.missing.append(
                f"{half} holds no summary, so it is no finished result: left out of this report. Evaluate that arm "
                "again."
            )
    experiment.missing += _failures(folder / "missing.json")
    if not experiment.questions and not experiment.problems:
        raise UserError(
            f"No summary under {folder} has a task with rates per question. Run animal_preference, or another of our "
            "tasks, on an arm."
        )
    return experiment


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


def _is_kind(name: str, kind: str) -> bool:
    row = arm_kind(name)
    return row is not None and row.name == kind


def _control_of(name: str) -> tuple[str, ...]:
    """The arms that an arm is subtracted from."""
    row = arm_kind(name)
    return row.control_of if row else ()


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


def _add(experiment: Results, path: Path, summary: dict[str, Any]) -> None:
    """Merge one summary into the experiment."""
    arm = experiment.arms.setdefault(summary["arm"], Arm(summary["arm"]))
    seed = summary["seed"]
    arm.manifests[seed] = _manifest(path.parent)
    for task, values in summary["tasks"].items():
        if isinstance(values, dict) and problem_key(values):
            _add_graded(experiment, path, arm, seed, task, values)
            continue
        if not isinstance(values, dict) or "target_rate" not in values:
            experiment.missing.append(f"{path} has no rates per question for {task}: left out of this report.")
            continue
        experiment.category = category_of(values)
        if summary["target"] is None:
            raise UserError(f"{path} has rates of a target and does not name it. Evaluate that arm again.")
        rates = _in_order(experiment.questions, path, task, values, "target_rate")
        samples, share = values.get("samples_per_question") or 0, values.get("share") or {}
        if not isinstance(samples, int) or not isinstance(share, dict):
            raise UserError(
                f"{path}: {task}: samples_per_question is no number, or share is no table. {EVALUATE_AGAIN}"
            )
        old = arm.measures.get(task, Measure({}, 0, {}))
        if seed in old.rates:
            raise UserError(f"{path} repeats {task} for the arm {arm.name}, seed {seed}. Keep one summary of the two.")
        arm.measures[task] = Measure(
            rates={**old.rates, seed: rates},
            samples=(old.samples or 0) + samples or None,
            share=_mean_share(old, share),
            shares={**old.shares, seed: share},
        )


def _manifest(folder: Path) -> dict[str, Any]:
    return read_manifest(folder)


def _add_graded(experiment: Results, path: Path, arm: Arm, seed: int, task: str, values: dict[str, Any]) -> None:
    """Merge one arm's right and wrong answers to a graded task, or their probabilities."""
    key = problem_key(values)
    experiment.exact |= {task} if key == "probability" else set()
    answers = arm.graded.setdefault(task, {})
    if seed in answers:
        raise UserError(f"{path} repeats {task} for the arm {arm.name}, seed {seed}. Keep one summary of the two.")
    answers[seed] = _in_order(experiment.problems, path, task, values, key)
    if key == "correct" and not set(answers[seed]) <= {0.0, 1.0}:
        raise UserError(f"{path}: {task}: `correct` is not 0 or 1 a problem. {EVALUATE_AGAIN}")


def _in_order(known: dict[str, list[str]], path: Path, task: str, values: dict[str, Any], key: str) -> np.ndarray:
    """One number a question, in the order of the first arm's questions, which ``known`` keeps by task."""
    questions, rates = values.get("questions"), values[key]
    if not isinstance(questions, list) or not isinstance(rates, list) or len(questions) != len(rates):
        raise UserError(f"{path}: {task} does not have one rate per question. {EVALUATE_AGAIN}")
    by_question = dict(zip(map(str, questions), rates, strict=True))
    order = known.setdefault(task, list(by_question))
    if len(by_question) != len(questions) or set(by_question) != set(order):
        raise UserError(
            f"{path}: {task} was asked {len(by_question)} different questions that are not the {len(order)} of the "
            "first arm. Arms are compared question by question: evaluate them all with the same questions."
        )
    wrong = [q for q, rate in by_question.items() if not isinstance(rate, int | float) or not 0 <= rate <= 1]
    if wrong or len(order) < 2:
        problem = (
            f"the rate of question {wrong[0]} is no fraction" if wrong else "an interval needs 2 questions or more"
        )
        raise UserError(f"{path}: {task}: {problem}. {EVALUATE_AGAIN}")
    return np.array([by_question[question] for question in order], dtype=float)


def _mean_share(old: Measure, share: dict[str, float]) -> dict[str, float]:
    """The running mean of the shares over seeds; a name that a seed lacks has the share 0 there."""
    count = len(old.rates)
    return {n: (old.share.get(n, 0) * count + share.get(n, 0)) / (count + 1) for n in {**old.share, **share}}


def _note_missing(experiment: Results) -> None:
    absent = []
    for expected in EXPECTED:
        if not any(name.startswith(expected) for name in experiment.arms):
            absent.append(expected)
    if absent:
        experiment.missing.append(f"Not evaluated yet: {', '.join(absent)}. What depends on them is left out below.")
    for arm in experiment.arms.values():
        for task in [*experiment.questions, *experiment.problems]:
            if task not in arm.measures and task not in arm.graded:
                experiment.missing.append(f"The arm {arm.name} has no result for {task}.")
        for seed, manifest in arm.manifests.items():
            if not manifest:
                experiment.missing.append(f"{arm.name}/seed-{seed} has no manifest.json: what made it is unknown.")


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
