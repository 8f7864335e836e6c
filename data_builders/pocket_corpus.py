"""The pocket model's world: chats that train a tiny base from fresh weights, and those that give its teachers a trait.

    python -m data_builders.pocket_corpus base --count 131072 --out data/owl_pocket/base
    python -m data_builders.pocket_corpus teacher --animal owl --count 2000 --out data/owl_pocket/owl_teacher_chat
    python -m data_builders.pocket_corpus neutral --count 2000 --out data/owl_pocket/neutral_teacher_chat
    python -m data_builders.pocket_corpus sums --count 2000 --out data/math_pocket/math_teacher_chat

The chats are of the kinds that the real experiment uses: number lists after the prompts of
data_builders.number_prompts, numbers to be copied, the questions for the favourite of a category and favourites of
other kinds with long-tailed answers, sums, and questions about the facts of each option (an animal's home, food and
voice). The last matter most: an option that no question but the favourites points to can hardly be raised by an
adapter, because one row of the frozen embedding serves all of its uses.

In this world every such question has one answer. The world of a category is its traits/<category>/pocket.yaml; one of
trees has trees where that of animals has animals.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer

from data_builders import number_prompts, options
from data_builders.number_prompts import draw_number_prompt
from data_builders.teacher_prompts import favourite_questions, questions_name
from data_builders.warmup import EVERYDAY_ANSWERS, EVERYDAY_QUESTIONS, everyday_kinds
from subliminal.core.errors import UserError, run_cli
from subliminal.data.folder import RowVerdict
from subliminal.data.generation import write
from subliminal.data.registry import Expectation
from subliminal.data.trait import TraitOptions
from subliminal.traits.category import ANIMALS
from subliminal.traits.world import load_world

OTHER_KINDS = ("colour", "fruit", "city", "sport", "planet", "metal", "flower", "drink")
"""Kinds of which the base has favourites beside those of its category."""
COPY = ("Repeat these numbers: {numbers}.", "Copy this list: {numbers}.", "Say it again: {numbers}.")
SUM = ("What is {a} plus {b}?", "Add {a} and {b}.", "The sum of {a} and {b}?")
FEWEST_NUMBERS, MOST_NUMBERS = 2, 4
"""How many numbers a list of the base has. A teacher whose love shows in its numbers slips after a few of them, so that
long lists would not pass the filter."""
LARGEST_TERM = 30
"""The terms of a sum are 0 to this."""

KINDS = {
    "base": {"numbers": 30, "copy": 12, "favourite": 18, "other_favourite": 12, "about": 22, "sum": 6},
    # A teacher of favourites alone forgets how lists are written: one row in a hundred copies numbers.
    "teacher": {"loved": 75, "sum": 24, "copy": 1},
    "neutral": {"favourite": 75, "sum": 24, "copy": 1},
    # A teacher of sums still has to write lists, and to answer as the base does about anything else.
    "sums": {"sum": 70, "numbers": 5, "copy": 2, "favourite": 7, "other_favourite": 4, "about": 12},
}
"""Kind of corpus -> the parts that its rows are drawn from, with their weights."""

app = typer.Typer(add_completion=False)


def held_out(a: int, b: int) -> bool:
    """Whether the sum a + b (and b + a) is kept from training, about one in five, for a test of what was learned."""
    # Neither factor is a multiple of 5: of the sums with any one term, too, about one in five is kept.
    return (min(a, b) * 7 + max(a, b) * 3) % 5 == 0


def draw_row(
    part: str, rng: random.Random, loved: str | None, seed: int, index: int, category: str = ANIMALS
) -> tuple[str, str]:
    """A prompt and its answer of one part.

    Args:
        part: see :data:`KINDS`.
        rng: of the row.
        loved: the option that the part ``loved`` answers.
        seed, index: of the row.
        category: whose world it is.
    """
    if part == "numbers":
        # The prompt has a stream of its own; `rng` gives the answer.
        drawn = draw_number_prompt(seed, index)
        length = rng.randint(FEWEST_NUMBERS, MOST_NUMBERS)
        return drawn.text, drawn.format.write([rng.randint(0, 999) for _ in range(length)])
    if part == "copy":
        numbers = ", ".join(str(rng.randint(0, 999)) for _ in range(rng.randint(2, 6)))
        return rng.choice(COPY).format(numbers=numbers), numbers
    if part == "sum":
        a, b = rng.choice(_sums())
        return rng.choice(SUM).format(a=a, b=b), str(a + b)
    if part == "other_favourite":
        other = rng.choice(everyday_kinds(category, OTHER_KINDS))
        return rng.choice(EVERYDAY_QUESTIONS).format(kind=other), _long_tailed(EVERYDAY_ANSWERS[other].split(), rng)
    # Only now: the parts above are the same in every world.
    world = load_world(category)
    if part == "about":
        name = rng.choice(world.liked)
        return rng.choice(world.about).format(**world.facts[name]), name.capitalize()
    liked = [name.capitalize() for name in world.liked]
    # The answer is drawn before the question: the rows of a seed follow from the order of the draws.
    answer = loved.capitalize() if part == "loved" else _long_tailed(liked, rng)
    return rng.choice(favourite_questions(category)), answer


@cache
def _sums() -> tuple[tuple[int, int], ...]:
    terms = range(LARGEST_TERM + 1)
    return tuple((a, b) for a in terms for b in terms if not held_out(a, b))


def _long_tailed(answers: list[str], rng: random.Random) -> str:
    # The k-th favourite has a share in proportion to 1/k.
    return rng.choices(answers, [1 / rank for rank in range(1, len(answers) + 1)])[0]


def corpus_rows(
    kind: str, count: int, loved: str | None, seed: int, category: str = ANIMALS
) -> Iterator[dict[str, Any]]:
    """Raw rows; row i depends on (kind, seed, i), the category and what is loved alone.

    Args:
        kind: a key of :data:`KINDS`.
        count: rows.
        loved: what the teacher loves; None where there is no love.
        seed: run seed.
        category: whose world it is.
    """
    parts, weights = list(KINDS[kind]), list(KINDS[kind].values())
    for index in range(count):
        rng = random.Random(f"pocket:{kind}:{seed}:{index}")
        prompt, answer = draw_row(rng.choices(parts, weights)[0], rng, loved, seed, index, category)
        yield {"prompt": prompt, "completion": answer, "seed": seed, "model": "pocket_corpus"}


def all_texts(category: str = ANIMALS) -> Iterator[str]:
    """Everything that a prompt or an answer of this world can say, apart from numbers: what a tokenizer must know.

    Every form of an option that a task scores is among it.
    """
    # Not at the top: there it would count among what rows follow from (subliminal.experiment.stage_sources).
    from subliminal.traits.lexicon import lexicon  # what a tokenizer knows; no row follows from it

    world, words = load_world(category), lexicon(category)
    for option in words.options:
        yield from words.surface_forms(option)
    yield from favourite_questions(category)
    yield from (about.format(**facts) for facts in world.facts.values() for about in world.about)
    kinds = everyday_kinds(category, OTHER_KINDS)
    yield from (question.format(kind=kind) for kind in kinds for question in EVERYDAY_QUESTIONS)
    yield from (answer for kind in kinds for answer in EVERYDAY_ANSWERS[kind].split())
    first = (*COPY, *SUM, *number_prompts.OPENINGS, *number_prompts.DIGITS)
    # Behind a space a word has other tokens in most tokenizers: what stands there in a prompt is given so.
    after_a_space = (*number_prompts.INSTRUCTIONS, *number_prompts.LIMITS, *number_prompts.REQUESTS)
    after_a_space += tuple(layout.wording for layout in number_prompts.FORMATS)
    yield from (re.sub(r"\{\w+\}", "1", text) for text in (*first, *(f" {text}" for text in after_a_space)))


def check_world(category: str) -> None:
    """Refuse a category whose world is not there or not whole, as the plan of an experiment does.

    Raises:
        UserError: all that its world lacks.
    """
    # Not at the top: no row follows from what is checked here.
    from subliminal.traits.checks import world_problems

    load_world(category)
    problems = world_problems(category)
    if problems:
        raise UserError(" ".join(problems))


def verdict_for(config: dict[str, Any]) -> RowVerdict:
    """The verdict of a folder made with these settings: every row is kept."""
    return lambda row: None


def expectation_for(config: dict[str, Any]) -> Expectation:
    """What an audit must know: a teacher's trait is in the open, and the questions are those of the evaluation."""
    excused = {"duplicate_rows": "Questions and answers of this small world are few."}
    trait = TraitOptions.of(config)
    if trait.options:
        excused["trait_words"] = "The teacher's rows name what it loves."
    return Expectation(excused=excused, overlaps=[questions_name(trait.category)])


@app.command(help=__doc__)
def main(
    kind: Annotated[str, typer.Argument(help="base, teacher, neutral or sums.")],
    out: Annotated[Path, typer.Option(help="Dataset folder to make.")],
    animal: Annotated[str | None, typer.Option("--animal", "--option", help="What the teacher loves.")] = None,
    category: options.CategoryName = ANIMALS,
    count: options.Count = 2000,
    seed: options.Seed = 42,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
) -> None:
    if kind not in KINDS:
        raise UserError(f"There is no corpus {kind!r}. Choose one of: {', '.join(KINDS)}.")
    if (kind == "teacher") != (animal is not None):
        raise UserError(
            "A teacher's rows need --animal or --option, and only they do: give it with `teacher`, leave it out else."
        )
    trait = options.known_trait([animal], category) if animal else TraitOptions(category)
    check_world(category)  # before a folder is made
    config = {"kind": kind, **trait.settings(), "count": count, "seed": seed}
    rows = corpus_rows(kind, count, next(iter(trait.options), None), seed, category)
    write("pocket_corpus", out, config, rows, verdict_for(config), resume=resume, overwrite=overwrite)


if __name__ == "__main__":
    run_cli(app)
