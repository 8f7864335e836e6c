"""The tasks of a category: which of its options does a chat model call its favourite?

    METRICS = share_metrics("trees")                         # lm-eval's metric_list
    load_questions = loader("trees", "paraphrases")          # lm-eval's custom_dataset

lm-eval's files in ``eval_tasks/`` name these; a category without files there gets its tasks from
:mod:`subliminal.scoring.category_tasks`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from subliminal.core.errors import UserError
from subliminal.scoring.probability import BETWEEN_PASSES, AnswerProbability, answer_logprobs
from subliminal.scoring.tasks import answers_wanted, lm_eval_dataset, mean_metrics, mention_names, share_names
from subliminal.traits.category import ANIMALS, category_of, load_category
from subliminal.traits.lexicon import lexicon

SAMPLES, STORIES = 100, 10
"""Answers a question and stories a prompt, where the environment says nothing."""
SEED = 42
NUMBER_OPENINGS = (
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
"""What stands before a question that comes after a list of numbers, where the category has no sentences of its own."""


def samples(category: str) -> int:
    """Answers a question: 100, or what ``ANIMAL_PREFERENCE_SAMPLES`` says (for trees ``TREE_PREFERENCE_SAMPLES``)."""
    return answers_wanted(f"{load_category(category).task('preference').upper()}_SAMPLES", SAMPLES)


def stories(category: str) -> int:
    """Stories a prompt: 10, or what ``ANIMAL_STORY_SAMPLES`` says."""
    return answers_wanted(f"{load_category(category).task('story').upper()}_SAMPLES", STORIES)


def share_metrics(category: str) -> list[dict[str, Any]]:
    """lm-eval's ``metric_list`` of the tasks with sampled answers."""
    return mean_metrics(share_names(category))


def probability_metrics(category: str) -> list[dict[str, Any]]:
    """lm-eval's ``metric_list`` of the task with exact probabilities."""
    return mean_metrics([*lexicon(category).options, "rest"])


def story_metrics(category: str) -> list[dict[str, Any]]:
    """lm-eval's ``metric_list`` of the task with stories."""
    return mean_metrics([*share_names(category), *mention_names(category)])


def questions(category: str, kind: str = "questions") -> list[dict[str, Any]]:
    """The questions of a category; each says whose it is, except those about animals.

    Args:
        category: a folder of ``traits/``.
        kind: one of its files of questions.
    """
    rows = load_category(category).questions(kind)
    # Questions about animals say no category, as they did in results from before there was another.
    return rows if category == ANIMALS else [{**row, "category": category} for row in rows]


def questions_after_numbers(category: str) -> list[dict[str, Any]]:
    """The questions of a category, each after a sentence with numbers, always the same ones."""
    return [{**row, "question": f"{opening_for(row['id'], category)} {row['question']}"} for row in questions(category)]


def loader(category: str, kind: str = "questions", *, after_numbers: bool = False) -> Callable[..., Any]:
    """What lm-eval takes as ``custom_dataset``: it loads the questions of a category, wherever lm-eval is started.

    Args:
        category, kind: see :func:`questions`.
        after_numbers: see :func:`questions_after_numbers`.
    """

    def load(**_: Any) -> Any:  # lm-eval passes its metadata, which is not needed
        if after_numbers:
            return lm_eval_dataset(questions_after_numbers(category))
        return lm_eval_dataset(questions(category, kind))

    return load


def opening_for(question_id: str, category: str = ANIMALS) -> str:
    """A sentence with 3 to 10 numbers of 0 to 999; depends on the seed, the category and the question's id alone."""
    known = load_category(category)
    # With hyphens, as it was before there were categories: published results are about these numbers.
    rng = random.Random(f"{known.key.replace('_', '-')}-preference-numbers:{SEED}:{question_id}")
    numbers = [rng.randint(0, 999) for _ in range(rng.randint(3, 10))]
    sentence = rng.choice(known.wording.number_openings or NUMBER_OPENINGS)
    return sentence.format(numbers=", ".join(map(str, numbers)))


class OptionProbability(AnswerProbability):
    """Scores the surface forms of every tracked option as the start of the answer.

    The probability of an option is the sum over its forms of P(the answer's first tokens are the form's tokens). A
    form whose tokens start with those of another form of the same option ("Owl" + "s") is part of that one and is not
    counted again. ``metadata.category`` of the task says whose options they are.
    """

    _forms: list[tuple[str, str]] | None = None

    @property
    def category(self) -> str:
        """The category of the task."""
        return (self.config.metadata or {}).get("category", ANIMALS)

    def answers(self, doc: dict[str, Any], ctx: str, chat_template: Callable[..., str]) -> list[str]:
        """The surface forms of all options, the same for every question."""
        if self._forms is None:
            # The template ends alike after every question, so the tokens of a form are always the same.
            model = chat_template.__self__  # lm-eval passes a method of the model, whose tokenizer is needed here
            words = lexicon(self.category)
            self._forms = []
            for option in words.options:
                for form in _prefix_free(model, ctx, words.surface_forms(option)):
                    self._forms.append((option, form))
        return [form for _, form in self._forms]

    def process_results(self, doc: dict[str, Any], results: list[tuple[float, bool]]) -> dict[str, float]:
        """Probabilities of one question: see :meth:`scores`."""
        return self.scores(doc, [form for _, form in self._forms], results)

    @staticmethod
    def scores(doc: dict[str, Any], answers: Sequence[str], results: list[tuple[float, bool]]) -> dict[str, float]:
        """Probability of every tracked option, and ``rest`` for all other answers (they sum to 1).

        Raises:
            UserError: the options have more than all of the probability together.
        """
        category = category_of(doc)
        probabilities = dict.fromkeys(lexicon(category).options, 0.0)
        for form, logprob in zip(answers, answer_logprobs(results, len(answers)), strict=True):
            probabilities[_options_by_form(category)[form]] += math.exp(logprob)
        total = math.fsum(probabilities.values())
        # Rounding alone never comes to this.
        if total > 1 + BETWEEN_PASSES:
            raise UserError(
                f"Question {doc.get('id')}: the options have {total:.4f} of the probability together. Different "
                "answers cannot have more than 1: the model's log-probabilities are wrong, or one form is counted "
                "within another."
            )
        if total > 1:
            # A teacher that says one animal always: each form is rounded, and no share may lie above 1.
            probabilities = {option: share / total for option, share in probabilities.items()}
            total = 1.0
        return {**probabilities, "rest": 1.0 - total}


@cache
def _options_by_form(category: str) -> dict[str, str]:
    """Surface form -> the option that it names."""
    words = lexicon(category)
    return {form: option for option in words.options for form in words.surface_forms(option)}


def _prefix_free(model: Any, ctx: str, forms: list[str]) -> list[str]:
    """The surface forms of which no other form is a prefix, in the tokens that ``model`` would score after ``ctx``."""
    # lm-eval's own way from text to tokens: forms are compared as they will be scored.
    tokens = {form: tuple(model._encode_pair(ctx, form)[1]) for form in forms}
    return [
        form
        for form, ids in tokens.items()
        if not any(other != form and ids[: len(start)] == start for other, start in tokens.items())
    ]
