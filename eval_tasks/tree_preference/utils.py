"""What lm-eval takes of the tasks about trees (traits/trees/ has options, words and questions)."""

from __future__ import annotations

from subliminal.scoring import preference

CATEGORY = "trees"
SAMPLES = preference.samples(CATEGORY)
METRICS = preference.share_metrics(CATEGORY)
PROBABILITY_METRICS = preference.probability_metrics(CATEGORY)

load_questions = preference.loader(CATEGORY)
load_questions_after_numbers = preference.loader(CATEGORY, after_numbers=True)
load_paraphrases = preference.loader(CATEGORY, "paraphrases")
