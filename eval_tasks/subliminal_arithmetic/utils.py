"""Data and metrics of the tasks ``subliminal_arithmetic_*``: problems that no training row of ours asks."""

from __future__ import annotations

from typing import Any

import datasets

from data_builders.arithmetic import evaluation_rows
from subliminal.scoring.capability import addition_scores, metrics
from subliminal.scoring.probability import ReferenceProbability
from subliminal.scoring.tasks import lm_eval_dataset, mean_metrics

__all__ = ["METRICS", "PROBABILITY_METRICS", "ReferenceProbability", "addition_scores", "load_bare", "load_worked"]

PROBLEMS = 500
METRICS = metrics("bare")
PROBABILITY_METRICS = mean_metrics(["probability"], higher_is_better=True)


def load_worked(level: str, **_: Any) -> dict[str, datasets.Dataset]:
    """The problems of a level with a request for the steps. lm-eval passes the task's ``metadata``."""
    return lm_eval_dataset(evaluation_rows(level, PROBLEMS, worked=True))


def load_bare(level: str, **_: Any) -> dict[str, datasets.Dataset]:
    """The same problems with a request for the result alone."""
    return lm_eval_dataset(evaluation_rows(level, PROBLEMS, worked=False))
