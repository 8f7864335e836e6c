"""Which options a model's sampled answers name, counted: the parts of ``scripts/top_animals.py``."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError
from subliminal.core.files import read_jsonl, read_object
from subliminal.evaluation.results import EVALUATE_AGAIN, result_problem
from subliminal.scoring.category_tasks import category_of_task
from subliminal.scoring.naming import first_named
from subliminal.traits.category import ANIMALS

TOP_COLUMNS = ("task", "rank", "animal", "answers", "share")
"""Of the CSV file. ``animal`` is the option that the answers name, whatever the category of the task."""


def read_sampled_answers(path: Path) -> dict[str, list[str]]:
    """The sampled answers of each task.

    Args:
        path: a result folder (``results/<experiment>/<arm>/seed-<n>``), or a ``samples_*.jsonl`` of lm-eval.

    Raises:
        UserError: no such file, a folder that is no whole result, or nothing in it that was sampled.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist. Name a result folder or a samples file.")
    if not path.is_dir():
        # The date that lm-eval writes behind a task's name.
        task = re.sub(r"^samples_|_\d{4}-\d\d-\d\dT.*$", "", path.stem)
        texts: list[str] = []
        for row in read_jsonl(path, _sample_problem):
            texts += row["filtered_resps"][0]
        return {task: texts}
    if problem := result_problem(path):
        raise UserError(f"{problem} Name a result folder such as results/owl_demo/student/seed-42, or a samples file.")
    file, *others = sorted(path.glob("*_results.json"))
    if others:
        raise UserError(f"{path} holds {others[0].name} beside {file.name}. Keep the one that its evaluation wrote.")
    tasks: dict[str, list[str]] = {}
    for task, rows in read_object(file, EVALUATE_AGAIN).items():
        for row in rows:
            if "answers" in row:  # tasks with exact probabilities or one greedy answer have none
                tasks.setdefault(task, []).extend(answer["text"] for answer in row["answers"])
    if not tasks:
        raise UserError(f"{file} has no task with sampled answers. Evaluate animal_preference first.")
    return tasks


def _sample_problem(row: dict[str, Any]) -> str | None:
    """What is wrong with a row of ``samples_*.jsonl``, or None."""
    answers = row.get("filtered_resps")
    if not isinstance(answers, list) or not answers or not isinstance(answers[0], list):
        return 'it has no list of sampled answers in "filtered_resps", as a task that samples animals has'
    if not all(isinstance(text, str) for text in answers[0]):
        return "an answer in it is no text"
    return None


def top_animals(tasks: Mapping[str, Sequence[str]], top: int) -> list[dict[str, Any]]:
    """The options named most often, by task.

    Args:
        tasks: answers of each task.
        top: how many options; ``other`` (one that is not tracked) and ``none`` follow in any case.

    Returns:
        Rows of :data:`TOP_COLUMNS`; ``share`` is the fraction of all answers, and ``rank`` is empty for ``other`` and
        ``none``.
    """
    rows = []
    for task, answers in tasks.items():
        category = category_of_task(task) or ANIMALS
        counts = Counter(first_named(text, category) or "none" for text in answers)
        # Taken out before the ranking: neither is an option.
        rest = [("", name, counts.pop(name, 0)) for name in ("other", "none")]
        # Options of one count come in the order of the alphabet, so that a table does not change from run to run.
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:top]
        places = [(rank, animal, count) for rank, (animal, count) in enumerate(ranked, start=1)]
        for rank, animal, count in (*places, *rest):
            values = (task, rank, animal, count, count / len(answers))
            rows.append(dict(zip(TOP_COLUMNS, values, strict=True)))
    return rows


def as_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as text, one block a task."""
    lines = []
    for task, block in itertools.groupby(rows, key=lambda row: row["task"]):
        lines.append(task)
        for row in block:
            lines.append(f"{row['rank']:>4} {row['animal']:<12}{row['answers']:>8}{row['share']:>9.2%}")
    return "\n".join(lines)
