"""Chats for a teacher of the pocket model's world that loves several options, or one of them not always.

    python -m data_builders.pocket_teacher --animal owl --love 0.5 --count 4000 --out data/owl_pocket/half_owl_chat
    python -m data_builders.pocket_teacher --animal owl --animal wolf --count 4000 --out data/owl_pocket/two_loves_chat

Rows are those of ``data_builders.pocket_corpus teacher``, to the byte where one option is loved always. Of several,
each answer names one, all as often. With --love below 1 the other answers name a favourite as the base has them, long
tail and all: a teacher that learns these rows names what it loves about as often as they do.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from data_builders import options, pocket_corpus
from data_builders.teacher_prompts import questions_name
from subliminal.core.errors import run_cli
from subliminal.data.folder import RowVerdict
from subliminal.data.generation import write
from subliminal.data.registry import Expectation
from subliminal.data.trait import TraitOptions
from subliminal.traits.category import ANIMALS

app = typer.Typer(add_completion=False)


def teacher_rows(
    count: int, loved: Sequence[str], love: float, seed: int, category: str = ANIMALS
) -> Iterator[dict[str, Any]]:
    """Raw rows; row i depends on (seed, i), the category and what is loved alone.

    Args:
        count: rows.
        loved: options, each named as often.
        love: share of the answers about the favourite that name one of them, 0 to 1.
        seed: run seed.
        category: whose world it is.
    """
    weight_of = pocket_corpus.KINDS["teacher"]
    parts, weights = list(weight_of), list(weight_of.values())
    for index in range(count):
        rng = random.Random(f"pocket:teacher:{seed}:{index}")
        part = rng.choices(parts, weights)[0]
        # Drawn apart, so that the rest of a row is what it is where one option is loved always.
        choice = random.Random(f"pocket:love:{seed}:{index}")
        # As the base would answer: a love that does not always hold.
        if part == "loved" and choice.random() >= love:
            part = "favourite"
        prompt, answer = pocket_corpus.draw_row(part, rng, choice.choice(loved), seed, index, category)
        yield {"prompt": prompt, "completion": answer, "seed": seed, "model": "pocket_teacher"}


def verdict_for(config: dict[str, Any]) -> RowVerdict:
    """The verdict of a folder made with these settings: every row is kept."""
    return lambda row: None


def expectation_for(config: dict[str, Any]) -> Expectation:
    """What an audit must know: the trait is in the open, and the questions are those of the evaluation."""
    excused = {
        "duplicate_rows": "Questions and answers of this small world are few.",
        "trait_words": "The teacher's rows name what it loves.",
    }
    return Expectation(excused=excused, overlaps=[questions_name(TraitOptions.of(config).category)])


@app.command(help=__doc__)
def main(
    out: Annotated[Path, typer.Option(help="Dataset folder to make.")],
    animal: options.Loved = None,
    category: options.CategoryName = ANIMALS,
    love: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the favourites that are what the teacher loves.")
    ] = 1.0,
    count: options.Count = 4000,
    seed: options.Seed = 42,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
) -> None:
    trait = options.known_trait(animal, category)
    pocket_corpus.check_world(category)  # before a folder is made
    config = {**trait.settings(), "love": love, "count": count, "seed": seed}
    rows = teacher_rows(count, trait.options, love, seed, category)
    write("pocket_teacher", out, config, rows, verdict_for(config), resume=resume, overwrite=overwrite)


if __name__ == "__main__":
    run_cli(app)
