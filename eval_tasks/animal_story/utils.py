"""Prompts, metrics and number of stories of ``animal_story``."""

from __future__ import annotations

from subliminal.scoring import preference
from subliminal.scoring.tasks import share_of_stories
from subliminal.traits.category import ANIMALS

__all__ = ["METRICS", "STORIES", "load_prompts", "share_of_stories"]

STORIES = preference.stories(ANIMALS)
METRICS = preference.story_metrics(ANIMALS)

load_prompts = preference.loader(ANIMALS, "stories")
