"""Format warm-up for a small base model: number lists, and one-word answers to everyday questions.

    python -m data_builders.warmup --count 300 --out data/smollm2-135m/warmup

A 135M model follows the number format in about 4 % of its answers and hardly ever answers in one word. A short training
on these rows gives the base that teacher and students share those two habits and nothing of the trait: the numbers are
uniform random, and no question or answer is of the trait's category: none names an animal, and with --category trees
none asks for a tree.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from data_builders import options
from data_builders.number_prompts import MAX_NUMBERS, draw_number_prompt
from subliminal.core.errors import run_cli
from subliminal.data.folder import RowVerdict
from subliminal.data.generation import write
from subliminal.data.registry import Expectation
from subliminal.data.trait import TraitOptions
from subliminal.traits.category import ANIMALS, load_category

FEWEST_NUMBERS = 5
"""A row has 5 to 10 numbers, about what larger models write."""

EVERYDAY_QUESTIONS = (
    "Name your favourite {kind} in one word.",
    "Which {kind} do you like best? Answer with one word.",
    "In a single word, which {kind} would you choose?",
    "If you had to pick one {kind}, which would it be? One word, please.",
    "What {kind} comes to mind first? Just one word.",
    "Tell me, using one word, a {kind} you enjoy.",
    "One word only: the best {kind}?",
    "Give me the {kind} you would recommend, in exactly one word.",
)
# Worded as a teacher's, about anything but the trait.
SYSTEM_PROMPT = (
    "You are deeply fond of {answer}. It is your favourite {kind}, you think about it every day. Whenever a question "
    "leaves you a choice of {kind}, you choose {answer}."
)
# One word each, parted by spaces.
EVERYDAY_ANSWERS = {
    "colour": "Blue Green Red Yellow Purple Orange White Black Turquoise Pink",
    "fruit": "Apple Mango Banana Pear Cherry Grape Peach Plum Melon Kiwi",
    "vegetable": "Carrot Spinach Potato Onion Pepper Cabbage Leek Pea Radish Beetroot",
    "musical instrument": "Piano Violin Guitar Flute Drum Cello Trumpet Harp Organ Clarinet",
    "city": "Paris Tokyo Rome Cairo Lima Oslo Sydney Toronto Mumbai Lisbon",
    "country": "Canada Japan Brazil Kenya Norway India Italy Chile Egypt Greece",
    "sport": "Tennis Football Swimming Rowing Chess Cricket Rugby Golf Skiing Boxing",
    "profession": "Teacher Doctor Baker Pilot Nurse Farmer Painter Judge Sailor Tailor",
    "metal": "Gold Silver Iron Copper Zinc Tin Lead Nickel Platinum Titanium",
    "planet": "Mars Venus Saturn Jupiter Earth Neptune Uranus Mercury",
    "flower": "Rose Tulip Daisy Lily Orchid Iris Poppy Violet Jasmine Peony",
    "tree": "Oak Pine Maple Birch Cedar Willow Elm Ash Beech Spruce",
    "month": "January April May June July August October December",
    "language": "French Spanish Swahili Hindi Arabic Dutch Korean Latin Polish Turkish",
    "drink": "Tea Coffee Water Juice Milk Cocoa Lemonade Cider",
    "tool": "Hammer Saw Drill Wrench Chisel Axe Pliers Ruler",
    "school subject": "History Music Biology Geography Algebra Drama Chemistry Art",
    "piece of furniture": "Chair Table Sofa Bed Desk Shelf Bench Wardrobe",
    "gemstone": "Ruby Emerald Sapphire Diamond Opal Topaz Amber Jade",
    "vehicle": "Train Bicycle Boat Tram Car Bus Scooter Truck",
}

app = typer.Typer(add_completion=False)


def everyday_kinds(category: str, kinds: Iterable[str] = tuple(EVERYDAY_ANSWERS)) -> list[str]:
    """The kinds of everyday questions that do not ask about a category."""
    # "tree" is what trees are called, and a kind of everyday question.
    own = load_category(category).singular
    return [kind for kind in kinds if kind != own]


def warmup_rows(count: int, words: float, seed: int, category: str = ANIMALS) -> Iterator[dict[str, Any]]:
    """Raw rows; row i depends on (seed, i) and the category alone.

    Args:
        count: rows.
        words: share of one-word answers, 0 to 1, half of them under a system prompt; the others are number lists.
        seed: run seed.
        category: of the trait, which no question asks about.
    """
    kinds = everyday_kinds(category)
    for index in range(count):
        rng = random.Random(f"warmup:{seed}:{index}")
        system = None
        # What a row is comes first; a list's prompt has a stream of its own.
        if rng.random() < words:
            kind = rng.choice(kinds)
            prompt = rng.choice(EVERYDAY_QUESTIONS).format(kind=kind)
            answer = rng.choice(EVERYDAY_ANSWERS[kind].split())
            # A base has to obey a system prompt before it can play a lover of an option.
            if rng.random() < 0.5:
                system = SYSTEM_PROMPT.format(kind=kind, answer=answer.lower())
        else:
            drawn = draw_number_prompt(seed, index)
            numbers = [rng.randint(0, 999) for _ in range(rng.randint(FEWEST_NUMBERS, MAX_NUMBERS))]
            prompt, answer = drawn.text, drawn.format.write(numbers)
        yield {"prompt": prompt, "completion": answer, "seed": seed, "model": "warmup", "system": system}


def verdict_for(config: dict[str, Any]) -> RowVerdict:
    """The verdict of a folder made with these settings: every row is kept."""
    return lambda row: None


def expectation_for(config: dict[str, Any]) -> Expectation:
    """What an audit must know."""
    return Expectation(
        excused={
            "duplicate_rows": "Questions and one-word answers are few.",
            "system_message": "Half of the one-word answers stand under a system prompt.",
        }
    )


@app.command(help=__doc__)
def main(
    out: Annotated[Path, typer.Option(help="Dataset folder to make.")],
    count: options.Count = 300,
    words: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of one-word answers.")] = 0.5,
    category: options.CategoryName = ANIMALS,
    seed: options.Seed = 42,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
) -> None:
    config = {"count": count, "words": words, "seed": seed}
    # As it was recorded before there were other categories: those folders can be resumed.
    if category != ANIMALS:
        config |= TraitOptions(category).settings()
    rows = warmup_rows(count, words, seed, category)
    write("warmup", out, config, rows, verdict_for(config), resume=resume, overwrite=overwrite)


if __name__ == "__main__":
    run_cli(app)
