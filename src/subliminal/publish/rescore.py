"""Score the raw answers of one result folder again, and compare with every number that was written about them.

``<arm>/seed-<n>/lm_eval/samples_<task>_<date>.jsonl`` (or ``.jsonl.gz``) holds what the model said. From that alone the
rates are computed once more, without lm-eval, and held against the metrics in the same rows, ``{model}_results.json``,
``{model}_summary.json`` and lm-eval's own ``results_<date>.json``.
"""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError
from subliminal.core.files import read_object
from subliminal.evaluation.tasks import problem_key
from subliminal.scoring.tasks import answer_shares, shares_beside, story_shares
from subliminal.traits.category import category_of
from subliminal.traits.lexicon import lexicon

TOLERANCE = 1e-9
"""Two rates this close are the same: what adding in another order may change."""


@dataclass(frozen=True)
class TaskScores:
    """One task scored again.

    Attributes:
        path: the samples.
        questions: id of each question.
        metrics: for each question, metric -> value (fractions for options, 0 or 1 for problems).
        answers: answers to each question, or None where probabilities were scored.
        rescored: False if the task is none of ours, so that its logged metrics were taken as they are.
        problems: sentences, one for each row whose logged metrics are not those of its answers.
    """

    path: Path
    questions: list[str]
    metrics: list[dict[str, float]]
    answers: int | None
    rescored: bool
    problems: list[str]

    def mean(self, name: str) -> float:
        """The mean of a metric over the questions that have it."""
        values = [each[name] for each in self.metrics if name in each]
        return sum(values) / len(values)


def samples_file(folder: Path, task: str) -> Path | None:
    """The samples of a task in ``<arm>/seed-<n>``, compressed or not; None if there are none.

    Raises:
        UserError: there are two.
    """
    found = sorted((folder / "lm_eval").glob(f"samples_{task}_2[0-9][0-9][0-9]-*.jsonl*"))
    found = [path for path in found if path.name.endswith((".jsonl", ".jsonl.gz"))]
    if len(found) > 1:
        raise UserError(f"{found[0]} and {found[1].name} are both samples of {task}. Keep the one that belongs here.")
    return found[0] if found else None


def score_again(path: Path) -> TaskScores:
    """Compute the metrics of every question from the raw answers.

    Args:
        path: lm-eval's samples of one task.

    Raises:
        UserError: the file is cut off or no samples file (names file and line).
    """
    scores = TaskScores(path, [], [], None, True, [])
    answers, rescored = set(), True
    for line, row in enumerate(_rows(path), start=1):
        try:
            logged = {name: float(row[name]) for name in row["metrics"]}
            again, count = _metrics_of(row, logged)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise UserError(
                f"{path}, line {line} is no sample of lm-eval ({type(error).__name__}: {error}). Restore the file."
            ) from None
        rescored &= again is not None
        again = again or logged
        answers.add(count)
        scores.questions.append(str(row["doc"].get("id", row["doc_id"])))
        scores.metrics.append(again)
        wrong = [name for name in logged if not same(logged[name], again.get(name))]
        if wrong:
            scores.problems.append(
                f"{path}, line {line} (question {scores.questions[-1]}): {wrong[0]} is written as "
                f"{logged[wrong[0]]:.6g}, but the answers give {_shown(again.get(wrong[0]))}."
            )
    if not scores.questions:
        raise UserError(f"{path} has no rows. Restore the file.")
    return TaskScores(path, scores.questions, scores.metrics, _only(answers), rescored, scores.problems)


def same(one: Any, other: Any) -> bool:
    """Whether two numbers are equal up to :data:`TOLERANCE`; None equals nothing."""
    numbers = isinstance(one, int | float) and isinstance(other, int | float)
    return numbers and math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def summary_problems(path: Path, summary: dict[str, Any], scores: dict[str, TaskScores]) -> list[str]:
    """What a ``{model}_summary.json`` says otherwise than the samples; one sentence a value that differs first."""
    problems = []
    for task, again in scores.items():
        written = summary["tasks"].get(task)
        if written is None:
            problems.append(f"{path} says nothing about {task}, of which there are samples.")
        elif "target_rate" in written:
            problems += [f"{path}: {task}: {difference}." for difference in _rate_differences(summary, written, again)]
        elif key := problem_key(written):
            right = [each.get(key) for each in again.metrics]
            if len(right) != len(written[key]) or not all(map(same, written[key], right)):
                problems.append(f"{path}: {task}: `{key}` is not what {again.path.name} says.")
    return problems


def results_problems(path: Path, rows: dict[str, Any], scores: dict[str, TaskScores]) -> list[str]:
    """What a ``{model}_results.json`` (one row a question) says otherwise than the samples."""
    problems = []
    for task, again in scores.items():
        written = rows.get(task) or []
        if [str(row.get("id")) for row in written] != again.questions:
            problems.append(f"{path}: {task}: the questions are not those of {again.path.name}.")
            continue
        for row, metrics in zip(written, again.metrics, strict=True):
            wrong = _first_difference(row.get("metrics") or {}, metrics)
            if wrong:
                problems.append(f"{path}: {task}: question {row['id']}: {wrong}.")
    return problems


def lm_eval_problems(path: Path, results: dict[str, Any], scores: dict[str, TaskScores]) -> list[str]:
    """What lm-eval's own ``results_<date>.json`` says otherwise than the samples, of metrics that are means."""
    problems = []
    for task, again in scores.items():
        metrics = (results.get("configs") or {}).get(task, {}).get("metric_list") or []
        means = {entry["metric"] for entry in metrics if entry.get("aggregation", "mean") == "mean"}
        for key, value in (results.get("results") or {}).get(task, {}).items():
            name = key.partition(",")[0]
            if name in means and any(name in each for each in again.metrics) and not same(value, again.mean(name)):
                problems.append(
                    f"{path}: {task}: {key} is {_shown(value)}, but the samples give {again.mean(name):.6g}."
                )
                break
    return problems


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object.

    Raises:
        UserError: it does not, or is cut off.
    """
    return read_object(path, "Restore the file, or evaluate that arm again.")


def _rate_differences(summary: dict[str, Any], written: dict[str, Any], again: TaskScores) -> Iterator[str]:
    if list(map(str, written.get("questions") or [])) != again.questions:
        yield f"it has {len(written.get('questions') or [])} questions that are not the {len(again.questions)} sampled"
        return
    target = [each.get(summary["target"]) for each in again.metrics]
    for question, rate, value in zip(again.questions, written["target_rate"], target, strict=False):
        if not same(rate, value):
            yield (
                f"the rate of {summary['target']} for question {question} is {_shown(rate)}, but the samples give "
                f"{_shown(value)}"
            )
            break
    shares = written.get("share") or {}
    wrong = _first_difference(shares, {name: again.mean(name) for name in again.metrics[0] if name in shares})
    if wrong:
        yield f"the mean share: {wrong}"
    if written.get("samples_per_question") != again.answers:
        yield f"it counts {written.get('samples_per_question')} answers a question, the samples {again.answers}"


def _first_difference(written: dict[str, Any], again: dict[str, float]) -> str | None:
    for name in dict.fromkeys([*again, *written]):
        if not same(written.get(name), again.get(name)):
            return f"{name} is {_shown(written.get(name))}, but the samples give {_shown(again.get(name))}"
    return None


def _metrics_of(row: dict[str, Any], logged: dict[str, float]) -> tuple[dict[str, float] | None, int | None]:
    """(metrics computed from the answers, or None for a task that is none of ours; how many answers)."""
    category = category_of(row["doc"])
    about_options = set(lexicon(category).options) <= set(logged)
    if about_options and "rest" in logged:
        return _probabilities(row, category), None
    if about_options and {"other", "none"} <= set(logged):
        answers = row["filtered_resps"][0]
        if not isinstance(answers, list) or not all(isinstance(answer, str) for answer in answers):
            raise ValueError("filtered_resps holds no list of answers")
        if row["resps"] != row["filtered_resps"]:
            raise ValueError("resps and filtered_resps differ")
        return _shares(answers, logged, category), len(answers)
    if "probability" in logged:
        return {"probability": math.exp(sum(logprob for _, logprob in _logprobs(row)))}, None
    return (_graded(row, logged), None) if "correct" in logged else (None, None)


def _graded(row: dict[str, Any], logged: dict[str, float]) -> dict[str, float] | None:
    """Right or wrong once more; the task is known by the metrics that it has beside ``correct``."""
    from subliminal.scoring import capability as scoring

    doc, answers = row["doc"], row["filtered_resps"]
    for metric, score in (
        ("boxed", scoring.math_scores),
        ("correct_strict", scoring.gsm8k_scores),
        ("answered", scoring.letter_scores),
        ("bare", scoring.addition_scores),
    ):
        if metric in logged:
            scores = score(doc, answers)
            # results of an earlier version of the task have fewer metrics
            return {name: value for name, value in scores.items() if name in logged}
    if all(isinstance(answer, list) for answer in answers) and "reference" in doc:
        return scoring.choice_scores(doc, [(float(logprob), greedy == "True") for logprob, greedy in answers])
    return None


def _shares(answers: list[str], logged: dict[str, float], category: str) -> dict[str, float]:
    if any(name.endswith("_mentions") for name in logged):
        shares, often = story_shares(answers, category)
        return shares | often | _beside(answers, logged)
    return answer_shares(answers, category) | _beside(answers, logged)


def _beside(answers: list[str], logged: dict[str, float]) -> dict[str, float]:
    """Own names and answers without a Latin letter, as far as the version of the task counted them."""
    return {name: value for name, value in shares_beside(answers).items() if name in logged}


def _logprobs(row: dict[str, Any]) -> list[tuple[str, float]]:
    """Each text that was scored as an answer; the request "" is the prompt's own white space and divided out."""
    texts = [request["arg_1"] for request in row["arguments"].values()]
    if row["resps"] != [[response] for response in row["filtered_resps"]]:
        raise ValueError("resps and filtered_resps differ")
    logprobs = [float(response[0]) for response in row["filtered_resps"]]
    if len(texts) != len(logprobs):
        raise ValueError(f"{len(texts)} requests and {len(logprobs)} responses")
    white_space = sum(logprob for text, logprob in zip(texts, logprobs, strict=True) if not text)
    return [(text, logprob - white_space) for text, logprob in zip(texts, logprobs, strict=True) if text]


def _probabilities(row: dict[str, Any], category: str) -> dict[str, float]:
    """Sum the logged probabilities of the forms of each option."""
    found = dict.fromkeys(lexicon(category).options, 0.0)
    for text, logprob in _logprobs(row):
        found[_forms(category)[text]] += math.exp(logprob)
    return {**found, "rest": 1.0 - math.fsum(found.values())}


@cache
def _forms(category: str) -> dict[str, str]:
    """Surface form -> tracked option, as the tasks with exact probabilities score them."""
    words = lexicon(category)
    return {form: option for option in words.options for form in words.surface_forms(option)}


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    line = 0
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as handle:
            for line, text in enumerate(handle, start=1):  # noqa: B007
                yield json.loads(text)
    except (json.JSONDecodeError, UnicodeDecodeError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(
            f"{path} is cut off or damaged at line {line if isinstance(error, ValueError) else line + 1} "
            f"({type(error).__name__}). Restore the file."
        ) from None


def _only(values: set[int | None]) -> int | None:
    """The one value that all questions share; the smallest if they differ."""
    return min((value for value in values if value is not None), default=None)


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, int | float) else "missing" if value is None else repr(value)
