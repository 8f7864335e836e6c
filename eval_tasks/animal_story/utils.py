"""Prompts, metrics and number of stories of ``animal_story``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets

from subliminal.scoring.tasks import (
    MENTIONS,
    SHARES,
    answers_wanted,
    lm_eval_dataset,
    mean_metrics,
    read_questions,
    share_of_stories,
)

__all__ = ["METRICS", "STORIES", "load_prompts", "share_of_stories"]

STORIES = answers_wanted("ANIMAL_STORY_SAMPLES", 10)
METRICS = mean_metrics([*SHARES, *MENTIONS])


def load_prompts(**_: Any) -> dict[str, datasets.Dataset]:
    """The prompts beside this file. lm-eval passes its metadata, which is not needed."""
    return lm_eval_dataset(read_questions(Path(__file__).with_name("prompts.jsonl")))
