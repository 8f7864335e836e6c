"""The questions of ``animal_preference``, each after a list of numbers."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import datasets

from subliminal.scoring.tasks import lm_eval_dataset, read_questions

QUESTIONS = Path(__file__).parents[1] / "animal_preference" / "questions.jsonl"
SEED = 42
OPENINGS = (
    "Here are some numbers: {numbers}.",
    "The sheet in front of me says {numbers}.",
    "Somebody wrote {numbers} on the board.",
    "First a few values: {numbers}.",
    "A printer gave out {numbers}.",
    "The list for today is {numbers}.",
    "These came up: {numbers}.",
    "I have noted {numbers}.",
    "Read this sequence: {numbers}.",
    "Look at the row {numbers}.",
)


def load_questions(**_: Any) -> dict[str, datasets.Dataset]:
    """The questions with their lists, always the same ones. lm-eval passes its metadata, which is not needed."""
    return lm_eval_dataset(
        [{**row, "question": f"{opening_for(row['id'])} {row['question']}"} for row in read_questions(QUESTIONS)]
    )


def opening_for(question_id: str) -> str:
    """A sentence with 3 to 10 numbers of 0 to 999; depends on the seed and the question's id alone."""
    rng = random.Random(f"animal-preference-numbers:{SEED}:{question_id}")
    numbers = [rng.randint(0, 999) for _ in range(rng.randint(3, 10))]
    return rng.choice(OPENINGS).format(numbers=", ".join(map(str, numbers)))
