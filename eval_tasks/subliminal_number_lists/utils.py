"""Prompts and scoring of ``subliminal_number_lists``: the prompts of the number rows, and the filter of their rows."""

from __future__ import annotations

from typing import Any

import datasets

from data_builders.number_filter import filter_numbers
from data_builders.number_prompts import draw_number_prompt
from subliminal.scoring.tasks import lm_eval_dataset, mean_metrics

__all__ = ["METRICS", "list_scores", "load_prompts"]

METRICS = mean_metrics(["correct", "numbers"], higher_is_better=True)
PROMPTS = 200
SEED = 2_000_000_000
"""Far from the seed of any data set, so that no model was trained on these prompts."""


def load_prompts(**_: Any) -> dict[str, datasets.Dataset]:
    """The prompts, drawn anew each time and always the same. lm-eval passes its metadata, which is not needed."""
    rows = []
    for index in range(PROMPTS):
        prompt = draw_number_prompt(SEED, index)
        rows.append({"id": f"number-prompt-{index:03d}", "question": prompt.text})
    return lm_eval_dataset(rows)


def list_scores(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Scores of one answer: ``correct`` (1.0 if the filter keeps it) and ``numbers`` (how many a kept one has).

    Args:
        doc: the prompt.
        results: the one answer.
    """
    kept = filter_numbers(results[0])
    if kept.reason is not None:
        return {"correct": 0.0, "numbers": 0.0}
    return {"correct": 1.0, "numbers": float(len(kept.numbers))}
