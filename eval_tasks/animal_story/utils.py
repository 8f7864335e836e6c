"""Prompts, metrics and number of stories of ``animal_story``."""

from __future__ import annotations

from typing import Any

import datasets

from subliminal.scoring import preference
from subliminal.scoring.tasks import lm_eval_dataset, share_of_stories
from subliminal.traits.category import ANIMALS

__all__ = ["METRICS", "STORIES", "load_prompts", "share_of_stories"]

STORIES = preference.stories(ANIMALS)
METRICS = preference.story_metrics(ANIMALS)


def load_prompts(**_: Any) -> dict[str, datasets.Dataset]:
    """The prompts. lm-eval passes its metadata, which is not needed."""
    return lm_eval_dataset(preference.questions(ANIMALS, "stories"))
