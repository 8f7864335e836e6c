"""Raw answers -> the metrics, rows and summary that an evaluation wrote of them, made again by the tasks' own code.

A line of lm-eval's ``samples_<task>_<date>.jsonl`` holds a question, what the model answered, and metrics. Question and
answers are raw. All else follows from them: the metrics by the ``process_results`` of the task in ``eval_tasks/``,
``{model}_results.json`` and ``{model}_summary.json`` by :mod:`subliminal.evaluation.tasks`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError
from subliminal.core.files import read_object
from subliminal.core.manifest import read_manifest
from subliminal.evaluation.our_tasks import task_kind
from subliminal.evaluation.results import EVALUATE_AGAIN
from subliminal.evaluation.tasks import question_rows, summary_of
from subliminal.scoring.category_tasks import TASKS, settings_of_task

SAME_WITHIN = 1e-9
"""Two numbers this close are the same: what adding in another order may change."""
SAMPLES_FILE = re.compile(r"samples_(?P<task>.+)_(?P<date>2\d{3}-[^_]+)\.jsonl")

SUMMARY = "_summary.json"
DERIVED = (SUMMARY, "_results.json")
"""Ends of the names of files that an evaluation made of its samples: not their bytes count, but what they say."""

Sample = dict[str, Any]
"""A line of lm-eval's samples: ``doc``, ``arguments``, ``resps``, ``filtered_resps``, ``metrics`` and each by name."""
Scores = Callable[[Sample], dict[str, float]]


def samples_files(folder: Path) -> dict[str, Path]:
    """Task -> its samples in ``<arm>/seed-<n>``.

    Raises:
        UserError: a task has two.
    """
    found: dict[str, Path] = {}
    for path in sorted((folder / "lm_eval").glob("samples_*")):
        match = SAMPLES_FILE.fullmatch(path.name)
        if not match:
            continue
        other = found.setdefault(match["task"], path)
        if other != path:
            raise UserError(f"{other} and {path.name} are both samples of {match['task']}. Keep the one of the two.")
    return found


def lost_answers(folder: Path) -> str | None:
    """What ``<arm>/seed-<n>`` lacks of lm-eval's own output, as a sentence; None where all of it is here.

    A file counts that the evaluation's manifest records below ``lm_eval/``, and the samples of each task that the
    summary has numbers of. The tables beside them are made of these, and may be absent.
    """
    lost = []
    for name in read_manifest(folder).get("outputs") or {}:
        if name.startswith("lm_eval/") and not (folder / name).is_file():
            lost.append(Path(name).name)
    recorded = {match["task"] for match in map(SAMPLES_FILE.fullmatch, lost) if match}
    known = {*samples_files(folder), *recorded}
    for path in sorted(folder.glob(f"*{SUMMARY}")):
        tasks = read_object(path, EVALUATE_AGAIN).get("tasks") or {}
        lost += [f"the samples of {task}" for task in tasks if task not in known]
    if not lost:
        return None
    return (
        f"{folder}/lm_eval lacks {', '.join(lost)}: without these raw answers the numbers of {folder} cannot be scored "
        f"again. Evaluate that arm again with --overwrite, or delete {folder} and write the report again."
    )


def read_samples(path: Path) -> list[Sample]:
    """The lines of a samples file.

    Raises:
        UserError: it is cut off, empty, or no samples file (names file and line).
    """
    samples = []
    try:
        with open(path, encoding="utf-8") as handle:
            for line in handle:
                sample = json.loads(line)
                if problem := _flaw(sample):
                    raise UserError(f"{path}, line {len(samples) + 1} is no sample of lm-eval: {problem}. Restore it.")
                samples.append(sample)
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path} is cut off or damaged at line {len(samples) + 1} ({type(error).__name__}). Restore the file."
        ) from None
    if not samples:
        raise UserError(f"{path} has no rows. Restore the file.")
    return samples


def _flaw(row: Any) -> str | None:
    """What keeps a line from being a sample, or None."""
    if not isinstance(row, dict):
        return "it is no JSON object"
    kinds = {"doc_id": int, "doc": dict, "resps": list, "filtered_resps": list, "metrics": list}
    for key, kind in kinds.items():
        if not isinstance(row.get(key), kind):
            return f"{key!r} is no {kind.__name__}"
    for name in row["metrics"]:
        if name not in row:
            return f"the metric {name!r} has no value"
    return None


def score_again(task: str, samples: list[Sample], place: str) -> list[Sample]:
    """The samples with the metrics that their answers give; those of a task that is none of ours as they are.

    Args:
        task: its name.
        samples: of one evaluation.
        place: what a sentence calls them.

    Raises:
        UserError: an answer is none that the task can score, or the task gives a metric no more that it gave.
    """
    scores = scorer(task)
    if scores is None:
        return samples
    again = []
    for line, sample in enumerate(samples, start=1):
        try:
            given = scores(sample)
            metrics = {name: given[name] for name in sample["metrics"]}  # an earlier version of a task has fewer
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise UserError(
                f"{place}, line {line} is no sample of {task} ({type(error).__name__}: {error}). Restore the file."
            ) from None
        except UserError as error:
            raise UserError(f"{place}, line {line}: {error}") from None
        # Keys stay in the sample's order, or the line would have other bytes.
        again.append({**sample, **metrics})
    return again


@cache
def scorer(task: str) -> Scores | None:
    """What scores a sample of one of our tasks: its ``process_results``, or of a task that scores probabilities the
    ``scores`` of its class. None for a task that is none of ours.
    """
    if task_kind(task) is None:
        return None
    config = _settings(task)
    if "class" in config:
        return lambda sample: config["class"].scores(sample["doc"], _texts(sample), _likelihoods(sample))
    if config["output_type"] == "generate_until":
        return lambda sample: config["process_results"](sample["doc"], _answers(sample))
    return lambda sample: config["process_results"](sample["doc"], _likelihoods(sample))


def _settings(task: str) -> dict[str, Any]:
    from lm_eval.utils import load_yaml_config

    file = next(TASKS.glob(f"*/{task}.yaml"), None)
    if file is None:  # a category's task that has no file of its own
        return settings_of_task(task)
    return load_yaml_config(str(file))


def _answers(sample: Sample) -> list[Any]:
    """What a generating task's ``process_results`` gets of a question."""
    # A task keeps all repeats or, by lm-eval's filter take_first, the first of each request.
    filtered = sample["filtered_resps"]
    if filtered != sample["resps"] and filtered != [answers[0] for answers in sample["resps"]]:
        raise ValueError("resps and filtered_resps differ")
    return filtered


def _likelihoods(sample: Sample) -> list[tuple[float, bool]]:
    """Log-likelihood (nats) of each text that was scored, and whether it is the most likely one."""
    if sample["resps"] != [[response] for response in sample["filtered_resps"]]:
        raise ValueError("resps and filtered_resps differ")
    # lm-eval logs a flag as text.
    return [(float(logprob), greedy == "True") for logprob, greedy in sample["filtered_resps"]]


def _texts(sample: Sample) -> list[str]:
    """The texts that were scored as answers; the request "" behind them is the prompt's own white space."""
    texts = [request["arg_1"] for request in sample["arguments"].values()]
    if len(texts) != len(sample["filtered_resps"]):
        raise ValueError(f"{len(texts)} requests and {len(sample['filtered_resps'])} responses")
    return [text for text in texts if text]


def tables_of(
    manifest: dict[str, Any], source: str, aggregated: dict[str, dict[str, Any]], tasks: dict[str, list[Sample]]
) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """What an evaluation wrote of its samples.

    Args:
        manifest: of the evaluation.
        source: the manifest's file, for the sentence.
        aggregated: task -> what lm-eval made of it, as its own ``results_<date>.json`` has it.
        tasks: task -> its samples.

    Returns:
        The model's short name, and what ``{model}_results.json`` and ``{model}_summary.json`` hold.

    Raises:
        UserError: the manifest is not that of an evaluation.
    """
    try:
        # The model's short name is in no setting of its own: the files are called after it.
        model = next(name for name in manifest["outputs"] if name.endswith(SUMMARY)).removesuffix(SUMMARY)
        config = manifest["config"]
        names = {key: config[key] for key in ("experiment", "arm", "seed", "target")}
        order = {task: place for place, task in enumerate(config["tasks"])}
    except (KeyError, TypeError, StopIteration) as error:
        raise UserError(
            f"{source} is not the manifest of an evaluation ({error!r}). Restore it, or evaluate that arm again."
        ) from None
    results, summaries = {}, {}
    for task in sorted(tasks, key=lambda task: order.get(task, len(order))):  # tasks of a later run come last
        samples, kind = tasks[task], task_kind(task)
        results[task] = question_rows(kind, samples)
        summaries[task] = summary_of(kind, samples, aggregated.get(task, {}), names["target"])
    return model, results, {**names, "model": model, "tasks": summaries}


def aggregated_by_lm_eval(text: str, place: str) -> dict[str, dict[str, Any]]:
    """Task -> aggregated metrics, from the text of lm-eval's ``results_<date>.json``."""
    try:
        return dict(json.loads(text)["results"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{place} is not lm-eval's ({error!r}). Restore the file.") from None


def values_in(tasks: dict[str, list[Sample]]) -> int:
    """How many answers and exact probabilities an evaluation holds: a probability a question, however many texts."""
    count = 0
    for task, samples in tasks.items():
        # Of these tasks each repeat is an answer of its own; the others score a question once.
        if task_kind(task) in ("sampled", "story"):
            count += sum(len(sample["filtered_resps"][0]) for sample in samples)
        else:
            count += len(samples)
    return count


def difference(written: Any, again: Any) -> str | None:
    """Where JSON that is there is not what was made again, as the end of a sentence; None where it is the same.

    Keys that were not made again do not count.
    """
    return next(_differences(written, again, ""), None)


def _differences(written: Any, again: Any, place: str) -> Iterator[str]:
    if isinstance(again, dict) and isinstance(written, dict):
        for key, value in again.items():
            inner = f"{place}.{key}" if place else str(key)
            yield from _differences(written.get(key), value, inner)
    elif isinstance(again, list) and isinstance(written, list) and len(again) == len(written):
        for index, pair in enumerate(zip(written, again, strict=True)):
            yield from _differences(*pair, f"{place}[{index}]")
    # Equal first: most values are, and texts are compared to the letter.
    elif written != again and not same(written, again):
        yield f"{place} is {_shown(written)}, but the answers give {_shown(again)}."


def same(one: Any, other: Any) -> bool:
    """Whether two numbers are equal up to :data:`SAME_WITHIN`; None equals nothing."""
    numbers = isinstance(one, int | float) and isinstance(other, int | float)
    # Absolute as well, since a relative bound leaves no room around 0.
    return numbers and math.isclose(one, other, rel_tol=SAME_WITHIN, abs_tol=SAME_WITHIN)


def _shown(value: Any) -> str:
    if value is None:
        return "missing"
    if isinstance(value, int | float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return repr(value)[:80]
