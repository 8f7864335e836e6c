"""What the tasks about a category share: number of answers, metrics, and one value a question for each.

Every tracked option of a category has metrics of its own: a new one needs no edit in a task. A question says whose it
is under ``category``; one that does not is about animals.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from subliminal.core.errors import UserError
from subliminal.core.files import read_jsonl
from subliminal.scoring.naming import first_named, has_latin_letter, mentions, says_own_name
from subliminal.traits.category import category_of
from subliminal.traits.lexicon import OTHER, lexicon

if TYPE_CHECKING:
    import datasets

BESIDE = ("own_name", "no_latin")
"""Metrics that are counted beside the options, and overlap with them."""


def named(category: str) -> tuple[str, ...]:
    """What an answer can name: the tracked options, and ``other``."""
    return (*lexicon(category).options, OTHER)


def share_names(category: str) -> tuple[str, ...]:
    """Metrics of sampled answers; all but the last two sum to 1."""
    return (*named(category), "none", *BESIDE)


def mention_names(category: str) -> tuple[str, ...]:
    """Metrics of stories beside :func:`share_names`: how often a story names the option."""
    return tuple(f"{name}_mentions" for name in named(category))


def answers_wanted(variable: str, default: int) -> int:
    """The number of answers a question that an environment variable sets.

    Raises:
        UserError: it is set to something else than a whole number of 1 or more.
    """
    value = os.environ.get(variable, str(default))
    # isdigit() alone takes digits of every script, and raised ones, which int() refuses.
    if not value.isascii() or not value.isdigit() or int(value) < 1:
        raise UserError(f"{variable} is {value!r}. Set it to a number of answers a question, 1 or more.")
    return int(value)


# higher_is_better is None for shares, which are neither good nor bad.
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
        For each tracked option, ``other`` and ``none``: the fraction of answers that name it first (they sum to 1).
        ``own_name``: the fraction that say a model's name, whatever else they say. ``no_latin``: the fraction without a
        Latin letter, in which nothing can be found.
    """
    return answer_shares(results[0], category_of(doc)) | shares_beside(results[0])


def answer_shares(answers: Sequence[str], category: str) -> dict[str, float]:
    """The fraction of answers that name each option first, ``other`` and ``none``."""
    # "none" is a value like any other, so that the shares sum to 1.
    counts = Counter(first_named(answer, category) or "none" for answer in answers)
    return {name: counts[name] / len(answers) for name in (*named(category), "none")}


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
        For each tracked option and ``other``: the fraction of stories that name it at all, and ``<name>_mentions``, how
        often a story names it on average. ``none``: the fraction that name nothing. ``own_name`` and ``no_latin`` as
        for answers.
    """
    category = category_of(doc)
    shares, often = story_shares(results[0], category)
    return shares | shares_beside(results[0]) | often


def story_shares(stories: Sequence[str], category: str) -> tuple[dict[str, float], dict[str, float]]:
    """The fraction of stories that name each option, ``other`` and none; and how often a story names each."""
    counts = [mentions(story, category) for story in stories]
    shares = {name: sum(count[name] > 0 for count in counts) / len(stories) for name in named(category)}
    shares["none"] = sum(not count for count in counts) / len(stories)
    often = {f"{name}_mentions": sum(count[name] for count in counts) / len(stories) for name in named(category)}
    return shares, often
