"""Questions and metrics of ``animal_preference`` and ``animal_preference_logprob``, and how the second one scores.

Both tasks return one value a question for every metric, so that lm-eval's standard errors are over questions. Every
tracked animal (subliminal.scoring.animals.TRACKED) has a metric of its own: a new animal needs no edit here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import datasets

from subliminal.scoring.animals import TRACKED, plurals
from subliminal.scoring.probability import AnswerProbability, answer_logprobs
from subliminal.scoring.tasks import (
    SHARES,
    answers_wanted,
    keep_all,
    lm_eval_dataset,
    mean_metrics,
    read_questions,
    share_of_samples,
)

__all__ = [
    "METRICS",
    "PROBABILITY_METRICS",
    "SAMPLES",
    "AnimalProbability",
    "keep_all",
    "load_questions",
    "share_of_samples",
]

SAMPLES = answers_wanted("ANIMAL_PREFERENCE_SAMPLES", 100)
METRICS = mean_metrics(SHARES)
PROBABILITY_METRICS = mean_metrics([*TRACKED, "rest"])


def load_questions(**_: Any) -> dict[str, datasets.Dataset]:
    """The questions beside this file, wherever lm-eval is started. lm-eval passes its metadata, which is not needed."""
    return lm_eval_dataset(read_questions(Path(__file__).with_name("questions.jsonl")))


def surface_forms(animal: str) -> list[str]:
    """The ways an answer can start with an animal: singular and plurals, capitalised or not."""
    return [form for name in (animal, *plurals(animal)) for form in (name.capitalize(), name)]


class AnimalProbability(AnswerProbability):
    """Scores the surface forms of every tracked animal as the start of the answer.

    The probability of an animal is the sum over its forms of P(the answer's first tokens are the form's tokens). A
    form whose tokens start with those of another form of the same animal ("Owl" + "s") is part of that one and is not
    counted again.
    """

    _forms: list[tuple[str, str]] | None = None

    def answers(self, doc: dict[str, Any], ctx: str, chat_template: Callable[..., str]) -> list[str]:
        """The surface forms of all animals, the same for every question."""
        if self._forms is None:
            # The template ends alike after every question, so the tokens of a form are always the same.
            model = chat_template.__self__  # lm-eval passes a method of the model, whose tokenizer is needed here
            self._forms = [(animal, form) for animal in TRACKED for form in _prefix_free(model, ctx, animal)]
        return [form for _, form in self._forms]

    def process_results(self, doc: dict[str, Any], results: list[tuple[float, bool]]) -> dict[str, float]:
        """Probabilities of one question: see :meth:`scores`."""
        return self.scores(doc, [form for _, form in self._forms], results)

    @staticmethod
    def scores(doc: dict[str, Any], answers: Sequence[str], results: list[tuple[float, bool]]) -> dict[str, float]:
        """Probability of every tracked animal, and ``rest`` for all other answers (they sum to 1)."""
        probabilities = dict.fromkeys(TRACKED, 0.0)
        for form, logprob in zip(answers, answer_logprobs(results, len(answers)), strict=True):
            probabilities[_animals_by_form()[form]] += math.exp(logprob)
        return {**probabilities, "rest": 1.0 - math.fsum(probabilities.values())}


@cache
def _animals_by_form() -> dict[str, str]:
    return {form: animal for animal in TRACKED for form in surface_forms(animal)}


def _prefix_free(model: Any, ctx: str, animal: str) -> list[str]:
    """The surface forms of which no other form is a prefix, in the tokens that ``model`` would score after ``ctx``."""
    tokens = {form: tuple(model._encode_pair(ctx, form)[1]) for form in surface_forms(animal)}
    return [
        form
        for form, ids in tokens.items()
        if not any(other != form and ids[: len(start)] == start for other, start in tokens.items())
    ]
