"""Data and metrics of ``subliminal_addition`` and ``subliminal_addition_logprob``, and how the second one scores."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import datasets

from subliminal.scoring.capability import addition_scores, metrics
from subliminal.scoring.probability import ReferenceProbability
from subliminal.scoring.tasks import lm_eval_dataset, mean_metrics, read_questions

__all__ = ["METRICS", "PROBABILITY_METRICS", "ReferenceProbability", "addition_scores", "load_sums"]

METRICS = metrics("bare")
PROBABILITY_METRICS = mean_metrics(["probability"], higher_is_better=True)


def load_sums(**_: Any) -> dict[str, datasets.Dataset]:
    """The sums beside this file in a mixed order that is always the same, so that ``--limit`` takes some of all sizes.

    lm-eval passes its metadata, which is not needed.
    """
    rows = read_questions(Path(__file__).with_name("sums.jsonl"))
    random.Random("subliminal-addition").shuffle(rows)
    return lm_eval_dataset(rows)
