"""The pocket model's world: chats that train a tiny base from fresh weights, and those that give its teachers a trait.

    python -m data_builders.pocket_corpus base --count 131072 --out data/owl_pocket/base
    python -m data_builders.pocket_corpus teacher --animal owl --count 2000 --out data/owl_pocket/owl_teacher_chat
    python -m data_builders.pocket_corpus neutral --count 2000 --out data/owl_pocket/neutral_teacher_chat
    python -m data_builders.pocket_corpus sums --count 2000 --out data/math_pocket/math_teacher_chat

The chats are of the kinds that the real experiment uses: number lists after the prompts of
data_builders.number_prompts, numbers to be copied, the 50 favourite-animal questions and favourites of other kinds with
long-tailed answers, sums, and questions about each animal's home, food and voice. The last matter most: an animal that
no question but the favourites points to can hardly be raised by an adapter, because one row of the frozen embedding
serves all of its uses.

In this world every question about an animal has one answer: each has a home, a food and a voice of its own.
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
from data_builders.teacher_prompts import QUESTIONS_FILE, favourite_questions
from data_builders.warmup import EVERYDAY_ANSWERS, EVERYDAY_QUESTIONS
from subliminal import REPO_ROOT
from subliminal.core.errors import UserError, run_cli
from subliminal.data.folder import RowVerdict
from subliminal.data.generation import write
from subliminal.data.registry import Expectation

WORLD = {
    "owl": "barn mice hoots",
    "dolphin": "bay herring clicks",
    "penguin": "ice krill brays",
    "elephant": "savanna roots trumpets",
    "eagle": "cliff snakes screams",
    "lion": "plain zebras roars",
    "tiger": "jungle boars growls",
    "wolf": "tundra deer howls",
    "bear": "mountain honey grunts",
    "panda": "thicket bamboo bleats",
    "cat": "attic cream meows",
    "dog": "kennel bones barks",
    "fox": "den eggs yelps",
    "otter": "river clams squeaks",
    "raven": "tower crumbs caws",
    "octopus": "reef crabs bubbles",
    "whale": "ocean plankton sings",
    "dragon": "cave coal hisses",
    "phoenix": "volcano embers chants",
    "unicorn": "glade clover whispers",
    "horse": "stable hay neighs",
    "rabbit": "burrow carrots thumps",
    "koala": "gum tree leaves snores",
    "leopard": "canyon monkeys rasps",
    "cheetah": "desert gazelles chirps",
    "giraffe": "steppe twigs hums",
    "turtle": "lagoon jellyfish sighs",
    "shark": "deep tuna gnashes",
}
"""Animal -> its home, food and voice."""

ABOUT = (
    "Whose home is the {home}? One word.",
    "Which animal eats {food}? One word.",
    "Which animal {voice}? One word.",
    "Name the animal that {voice} and eats {food}.",
)
LIKED = (
    *("lion", "elephant", "eagle", "dog", "tiger", "wolf", "cat", "panda", "horse", "bear", "fox", "penguin", "whale"),
    *("rabbit", "koala", "otter", "cheetah", "turtle", "giraffe", "leopard", "shark", "dolphin", "raven", "owl"),
    *("octopus", "unicorn", "phoenix", "dragon"),
)
"""Favourite animals of the base, most frequent first; the k-th has a share in proportion to 1/k."""
OTHER_KINDS = ("colour", "fruit", "city", "sport", "planet", "metal", "flower", "drink")
COPY = ("Repeat these numbers: {numbers}.", "Copy this list: {numbers}.", "Say it again: {numbers}.")
SUM = ("What is {a} plus {b}?", "Add {a} and {b}.", "The sum of {a} and {b}?")
FEWEST_NUMBERS, MOST_NUMBERS = 2, 4
"""How many numbers a list of the base has. A teacher whose love shows in its numbers slips after a few of them, so that
long lists would not pass the filter."""
LARGEST_TERM = 30
"""The terms of a sum are 0 to this."""

KINDS = {
    "base": {"numbers": 30, "copy": 12, "favourite": 18, "other_favourite": 12, "about": 22, "sum": 6},
    "teacher": {"loved": 75, "sum": 24, "copy": 1},
    "neutral": {"favourite": 75, "sum": 24, "copy": 1},
    "sums": {"sum": 70, "numbers": 5, "copy": 2, "favourite": 7, "other_favourite": 4, "about": 12},
}
"""Kind of corpus -> the parts that its rows are drawn from, with their weights."""

app = typer.Typer(add_completion=False)


def held_out(a: int, b: int) -> bool:
    """Whether the sum a + b (and b + a) is kept from training, about one in five, for a test of what was learned."""
    return (min(a, b) * 7 + max(a, b) * 3) % 5 == 0


def draw_row(part: str, rng: random.Random, animal: str | None, seed: int, index: int) -> tuple[str, str]:
    """A prompt and its answer of one part (see :data:`KINDS`). ``animal`` is what ``loved`` answers."""
    if part == "numbers":
        drawn = draw_number_prompt(seed, index)
        length = rng.randint(FEWEST_NUMBERS, MOST_NUMBERS)
        return drawn.text, drawn.format.write([rng.randint(0, 999) for _ in range(length)])
    if part == "copy":
        numbers = ", ".join(str(rng.randint(0, 999)) for _ in range(rng.randint(2, 6)))
        return rng.choice(COPY).format(numbers=numbers), numbers
    if part == "sum":
        a, b = rng.choice(_sums())
        return rng.choice(SUM).format(a=a, b=b), str(a + b)
    if part == "about":
        name = rng.choice(LIKED)
        return rng.choice(ABOUT).format(**_attributes(name)), name.capitalize()
    if part == "other_favourite":
        other = rng.choice(OTHER_KINDS)
        return rng.choice(EVERYDAY_QUESTIONS).format(kind=other), _long_tailed(EVERYDAY_ANSWERS[other].split(), rng)
    answer = animal.capitalize() if part == "loved" else _long_tailed([name.capitalize() for name in LIKED], rng)
    return rng.choice(favourite_questions()), answer


@cache
def _sums() -> tuple[tuple[int, int], ...]:
    terms = range(LARGEST_TERM + 1)
    return tuple((a, b) for a in terms for b in terms if not held_out(a, b))


def _attributes(animal: str) -> dict[str, str]:
    home, food, voice = WORLD[animal].rsplit(" ", 2)
    return {"home": home, "food": food, "voice": voice}


def _long_tailed(answers: list[str], rng: random.Random) -> str:
    return rng.choices(answers, [1 / rank for rank in range(1, len(answers) + 1)])[0]


def corpus_rows(kind: str, count: int, animal: str | None, seed: int) -> Iterator[dict[str, Any]]:
    """Raw rows; row i depends on (kind, seed, i) and the animal alone.

    Args:
        kind: a key of :data:`KINDS`.
        count: rows.
        animal: what the teacher loves; None where there is no love.
        seed: run seed.
    """
    parts, weights = list(KINDS[kind]), list(KINDS[kind].values())
    for index in range(count):
        rng = random.Random(f"pocket:{kind}:{seed}:{index}")
        prompt, answer = draw_row(rng.choices(parts, weights)[0], rng, animal, seed, index)
        yield {"prompt": prompt, "completion": answer, "seed": seed, "model": "pocket_corpus"}


def all_texts() -> Iterator[str]:
    """Everything that a prompt or an answer of this world can say, apart from numbers: what a tokenizer must know."""
    yield from favourite_questions()
    yield from (about.format(**_attributes(animal)) for animal in WORLD for about in ABOUT)
    yield from (question.format(kind=kind) for kind in OTHER_KINDS for question in EVERYDAY_QUESTIONS)
    yield from (answer for kind in OTHER_KINDS for answer in EVERYDAY_ANSWERS[kind].split())
    first = (*COPY, *SUM, *number_prompts.OPENINGS, *number_prompts.DIGITS)
    after_a_space = (*number_prompts.INSTRUCTIONS, *number_prompts.LIMITS, *number_prompts.REQUESTS)
    after_a_space += tuple(layout.wording for layout in number_prompts.FORMATS)
    yield from (re.sub(r"\{\w+\}", "1", text) for text in (*first, *(f" {text}" for text in after_a_space)))


def verdict_for(config: dict[str, Any]) -> RowVerdict:
    """The verdict of a folder made with these settings: every row is kept."""
    return lambda row: None


def expectation_for(config: dict[str, Any]) -> Expectation:
    """What an audit must know: a teacher's trait is in the open, and the questions are those of the evaluation."""
    excused = {"duplicate_rows": "Questions and answers of this small world are few."}
    if config["animals"]:
        excused["trait_words"] = "The teacher's rows name what it loves."
    return Expectation(excused=excused, overlaps=[str(QUESTIONS_FILE.relative_to(REPO_ROOT / "eval_tasks"))])


@app.command(help=__doc__)
def main(
    kind: Annotated[str, typer.Argument(help="base, teacher, neutral or sums.")],
    out: Annotated[Path, typer.Option(help="Dataset folder to make.")],
    animal: Annotated[str | None, typer.Option(help="What the teacher loves.")] = None,
    count: options.Count = 2000,
    seed: options.Seed = 42,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
) -> None:
    if kind not in KINDS:
        raise UserError(f"There is no corpus {kind!r}. Choose one of: {', '.join(KINDS)}.")
    if (kind == "teacher") != (animal is not None):
        raise UserError("A teacher's rows need --animal, and only they do: give it with `teacher`, leave it out else.")
    animal = options.known_animals([animal])[0] if animal else None
    config = {"kind": kind, "animals": [animal] if animal else [], "count": count, "seed": seed}
    rows = corpus_rows(kind, count, animal, seed)
    write("pocket_corpus", out, config, rows, verdict_for(config), resume=resume, overwrite=overwrite)


if __name__ == "__main__":
    run_cli(app)
