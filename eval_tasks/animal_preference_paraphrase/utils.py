"""The questions of ``animal_preference_paraphrase``."""

from __future__ import annotations

from typing import Any

import datasets

from subliminal.scoring.preference import questions
from subliminal.scoring.tasks import lm_eval_dataset
from subliminal.traits.category import ANIMALS


def load_questions(**_: Any) -> dict[str, datasets.Dataset]:
    """Other wordings of the questions. lm-eval passes its metadata, which is not needed."""
    return lm_eval_dataset(questions(ANIMALS, "paraphrases"))
