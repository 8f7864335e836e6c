"""The questions of ``animal_preference``, each after a list of numbers."""

from __future__ import annotations

from typing import Any

import datasets

from subliminal.scoring.preference import questions_after_numbers
from subliminal.scoring.tasks import lm_eval_dataset
from subliminal.traits.category import ANIMALS


def load_questions(**_: Any) -> dict[str, datasets.Dataset]:
    """The questions with their lists, always the same ones. lm-eval passes its metadata, which is not needed."""
    return lm_eval_dataset(questions_after_numbers(ANIMALS))
