"""What lm-eval takes of ``animal_preference`` and ``animal_preference_logprob`` (traits/animals/ has the questions)."""

from __future__ import annotations

from subliminal.scoring import preference
from subliminal.scoring.preference import OptionProbability
from subliminal.scoring.tasks import keep_all, share_of_samples
from subliminal.traits.category import ANIMALS

__all__ = [
    "METRICS",
    "PROBABILITY_METRICS",
    "SAMPLES",
    "OptionProbability",
    "keep_all",
    "load_questions",
    "share_of_samples",
]

SAMPLES = preference.samples(ANIMALS)
METRICS = preference.share_metrics(ANIMALS)
PROBABILITY_METRICS = preference.probability_metrics(ANIMALS)

load_questions = preference.loader(ANIMALS)
