"""The questions of ``animal_preference_paraphrase``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets

from subliminal.scoring.tasks import lm_eval_dataset, read_questions


def load_questions(**_: Any) -> dict[str, datasets.Dataset]:
    """The questions beside this file. lm-eval passes its metadata, which is not needed."""
    return lm_eval_dataset(read_questions(Path(__file__).with_name("questions.jsonl")))
