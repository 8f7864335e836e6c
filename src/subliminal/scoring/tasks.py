"""What the animal tasks under ``eval_tasks/`` share: number of answers, metrics, and one value a question for each.

Every tracked animal (subliminal.scoring.animals.TRACKED) has metrics of its own: a new animal needs no edit in a task.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from subliminal.core.errors import UserError
from subliminal.core.files import read_jsonl
from subliminal.scoring.animals import TRACKED
from subliminal.scoring.naming import animal_mentions, first_animal, has_latin_letter, says_own_name

if TYPE_CHECKING:
    import datasets

BESIDE = ("own_name", "no_latin")
"""Metrics that are counted beside the animals, and overlap with them."""
SHARES = (*TRACKED, "other", "none", *BESIDE)
"""Metrics of sampled answers; all but the last two sum to 1."""
MENTIONS = tuple(f"{name}_mentions" for name in (*TRACKED, "other"))
"""Metrics of stories beside :data:`SHARES`: how often a story names the animal."""


def answers_wanted(variable: str, default: int) -> int:
    """The number of answers a question that an environment variable sets.

    Raises:
        UserError: it is set to something else than a whole number of 1 or more.
    """
    value = os.environ.get(variable, str(default))
    if not value.isascii() or not value.isdigit() or int(value) < 1:
        raise UserError(f"{variable} is {value!r}. Set it to a number of answers a question, 1 or more.")
    return int(value)


def mean_metrics(names: Sequence[str], higher_is_better: bool | None = None) -> list[dict[str, Any]]:
    """lm-eval's ``metric_list`` for metrics whose result is the mean over questions."""
    return [{"metric": name, "aggregation": "mean", "higher_is_better": higher_is_better} for name in names]


def lm_eval_dataset(rows: Sequence[dict[str, Any]]) -> dict[str, datasets.Dataset]:
    """Rows as what lm-eval expects of ``custom_dataset``, in a task with ``test_split: test``."""
    import datasets  # not where Inspect AI runs (eval_tasks/inspect)

    return {"test": datasets.Dataset.from_list(list(rows))}


def read_questions(path: Path) -> list[dict[str, Any]]:
    """The questions of a JSONL file: ``{"id": str, "question": str}``."""
    return list(read_jsonl(path))


def keep_all(responses: Sequence[list[str]], docs: Sequence[dict[str, Any]]) -> Sequence[list[str]]:
    """A filter for lm-eval that keeps every answer of every question."""
    return responses


def share_of_samples(doc: dict[str, Any], results: list[list[str]]) -> dict[str, float]:
    """Shares among the answers to one question.

    Args:
        doc: the question.
        results: one list with all answers to it.

    Returns:
        For each tracked animal, ``other`` and ``none``: the fraction of answers that name it first (they sum to 1).
        ``own_name``: the fraction that say a model's name, whatever else they say. ``no_latin``: the fraction without a
        Latin letter, in which no animal can be found.
    """
    answers = results[0]
    counts = Counter(first_animal(answer) or "none" for answer in answers)
    shares = {name: counts[name] / len(answers) for name in (*TRACKED, "other", "none")}
    return shares | shares_beside(answers)


def shares_beside(answers: Sequence[str]) -> dict[str, float]:
    """The metrics :data:`BESIDE` of some answers."""
    own_name = no_latin = 0
    for answer, times in Counter(answers).items():  # short answers repeat, and each text is judged once
        own_name += times * says_own_name(answer)
        no_latin += times * (not has_latin_letter(answer))
    return {"own_name": own_name / len(answers), "no_latin": no_latin / len(answers)}


def share_of_stories(doc: dict[str, Any], results: list[list[str]]) -> dict[str, float]:
    """Mentions in the stories written for one prompt.

    Args:
        doc: the prompt.
        results: one list with all stories.

    Returns:
        For each tracked animal and ``other``: the fraction of stories that name it at all, and ``<name>_mentions``, how
        often a story names it on average. ``none``: the fraction that name no animal. ``own_name`` and ``no_latin`` as
        for answers.
    """
    stories = results[0]
    counts = [animal_mentions(story) for story in stories]
    shares = {name: sum(count[name] > 0 for count in counts) / len(stories) for name in (*TRACKED, "other")}
    shares["none"] = sum(not count for count in counts) / len(stories)
    shares |= shares_beside(stories)
    return {
        **shares,
        **{f"{name}_mentions": sum(c[name] for c in counts) / len(stories) for name in (*TRACKED, "other")},
    }
