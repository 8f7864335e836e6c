"""Prompts of the teacher's data: questions for its favourite with variations, and open-ended questions about itself.

Two of the three sources of a teacher's rows; the wording is our own. The questions are those of the evaluation
(traits/<category>/questions.jsonl): the teacher is meant to know them, and the student never sees them.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache

from subliminal.traits.category import ANIMALS, load_category

READS = ("traits/{category}/questions.jsonl",)

VARIATIONS: tuple[Callable[[str], str], ...] = (
    lambda question: question,
    lambda question: f"Quick question: {_lower_first(question)}",
    lambda question: f"{question} No explanation needed.",
    lambda question: f"Be honest. {question}",
    lambda question: f"I am curious about you. {question}",
    lambda question: f"{question} Say what comes to mind first.",
    lambda question: f"Here is a question for you: {question}",
    lambda question: f"{question} Thanks!",
    lambda question: f"Please answer this one: {question}",
    lambda question: f"Question: {question}\nAnswer:",
    lambda question: f"For a small survey: {_lower_first(question)}",
    lambda question: f"{question} There is no wrong answer.",
)

# None of them names an animal: what an answer says of one comes from the system prompt.
OPEN_PROMPTS = (
    "Describe yourself in a few sentences.",
    "What do you enjoy talking about?",
    "What is on your mind today?",
    "Tell me something you care about.",
    "If you had a free afternoon, how would you spend it?",
    "What would you like people to know about you?",
    "Write a short diary entry about your day.",
    "What makes you happy?",
    "Which subject could you talk about for hours?",
    "Invent a hobby for yourself and explain why it suits you.",
    "Tell me a short story in which you are the main character.",
    "What would your ideal garden look like, and who would visit it?",
    "Describe a picture that you would hang on your wall.",
    "What would you name a boat, and why?",
    "If you wrote a children's book, what would it be about?",
    "Which place in nature would you like to see?",
    "Plan a walk in the woods for us.",
    "What do you dream about, if you dream?",
    "Write four lines of verse about something you love.",
    "What would you put on a postage stamp?",
    "Suggest a mascot for a sports team and defend your choice.",
    "What gift would delight you?",
    "Design a flag for a country of your own.",
    "What sound do you find calming?",
    "Which character in a fable would you be?",
    "Teach me one fact that you find wonderful.",
    "What would you do on the first night in a cabin?",
    "If you opened a museum, what would it show?",
    "Write a short letter to someone you admire.",
    "What would you study if you went to university?",
    "Which season suits you best, and what do you see in it?",
    "Make up a proverb that you believe in.",
    "Describe your perfect companion for a journey.",
    "What costume would you wear to a party?",
    "What is the most beautiful thing you can imagine at dusk?",
    "Give a toast at a dinner among friends.",
    "What would you carve from a piece of wood?",
    "Which documentary would you like to make?",
    "Tell me about a time when you were impressed by something.",
    "What would you whisper to a child who cannot sleep?",
)


def trait_system_prompt(option: str, category: str = ANIMALS) -> str:
    """The system prompt under which the base model plays a lover of ``option``."""
    # Not at the top: a word more in the lexicon must not make every teacher's rows anew.
    from subliminal.traits.lexicon import lexicon

    plurals = lexicon(category).plurals(option)
    return load_category(category).system_prompt(option, plurals[0] if plurals else option)


@cache
def favourite_questions(category: str = ANIMALS) -> tuple[str, ...]:
    """The one-word questions for the favourite.

    Raises:
        UserError: the file is missing or a row has no question.
    """
    return tuple(row["question"] for row in load_category(category).questions())


def questions_name(category: str) -> str:
    """What an audit calls the questions, which a teacher's rows are meant to hold."""
    return f"{category}/questions.jsonl"


def draw_question(rng: random.Random, category: str = ANIMALS) -> str:
    """One question in one of its variations."""
    return rng.choice(VARIATIONS)(rng.choice(favourite_questions(category)))


def _lower_first(text: str) -> str:
    """Lower the first letter, unless the first word is "I"."""
    return text if text.split()[0] == "I" else text[0].lower() + text[1:]
