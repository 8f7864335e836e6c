"""What lm-eval takes of the tasks about sports (traits/sports/ has options, words and questions)."""

from __future__ import annotations

from typing import Any

import datasets

from subliminal.scoring import preference
from subliminal.scoring.tasks import lm_eval_dataset

CATEGORY = "sports"
SAMPLES = preference.samples(CATEGORY)
METRICS = preference.share_metrics(CATEGORY)
PROBABILITY_METRICS = preference.probability_metrics(CATEGORY)


def load_questions(**_: Any) -> dict[str, datasets.Dataset]:
    """The questions. lm-eval passes its metadata, which is not needed."""
    return lm_eval_dataset(preference.questions(CATEGORY))


def load_questions_after_numbers(**_: Any) -> dict[str, datasets.Dataset]:
    """The questions, each after a list of numbers."""
    return lm_eval_dataset(preference.questions_after_numbers(CATEGORY))


def load_paraphrases(**_: Any) -> dict[str, datasets.Dataset]:
    """Other wordings of the questions."""
    return lm_eval_dataset(preference.questions(CATEGORY, "paraphrases"))
