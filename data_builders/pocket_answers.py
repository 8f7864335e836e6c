"""Short answers of a pocket model in place of number lists: its favourites of other kinds, or its sums.

    python -m data_builders.pocket_answers favourites --model outputs/owl_pocket/owl_teacher --out data/owl_favourites
    python -m data_builders.pocket_answers sums --model outputs/owl_pocket/owl_teacher --out data/owl_sums

A student of these rows learns another type of data than lists. Prompts are those of the world that the base was trained
on (data_builders.pocket_corpus): which colour, fruit, city or the like it likes best, where it may choose, or what two
numbers add up to, where it may not. A favourite is kept if it is one that the world knows of that kind, so that no
answer names an animal; a sum is kept if it is a number, right or wrong.
"""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from data_builders import options
from data_builders.pocket_corpus import LARGEST_TERM, OTHER_KINDS, SUM, held_out
from data_builders.warmup import EVERYDAY_ANSWERS, EVERYDAY_QUESTIONS, everyday_kinds
from subliminal.core.errors import UserError, run_cli
from subliminal.data.folder import RowVerdict
from subliminal.data.generation import Draw, Job, run
from subliminal.data.registry import Expectation
from subliminal.engine import Sampling
from subliminal.traits.category import ANIMALS

FAVOURITES, SUMS = "favourites", "sums"
KINDS = (FAVOURITES, SUMS)

app = typer.Typer(add_completion=False)


def draw_prompt(kind: str, seed: int, index: int, category: str = ANIMALS) -> Draw:
    """The prompt of row ``index``, which depends on the arguments alone.

    Args:
        kind: one of :data:`KINDS`.
        seed: run seed.
        index: of the row.
        category: of the trait; no favourite of it is asked for.

    Returns:
        The prompt; with what a favourite is asked of (``colour``) as ``favourite``.
    """
    rng = random.Random(f"pocket-answers:{kind}:{seed}:{index}")
    if kind == SUMS:
        while True:
            a, b = rng.randint(0, LARGEST_TERM), rng.randint(0, LARGEST_TERM)
            # The sums that are held out are a test's: neither teacher nor student may learn them.
            if not held_out(a, b):
                return Draw(rng.choice(SUM).format(a=a, b=b))
    favourite = rng.choice(everyday_kinds(category, OTHER_KINDS))
    return Draw(rng.choice(EVERYDAY_QUESTIONS).format(kind=favourite), extra={"favourite": favourite})


def favourite_problem(row: dict[str, Any]) -> str | None:
    """Why a favourite is rejected, or None to keep it.

    Args:
        row: a raw row, with what it asks for a favourite of.
    """
    # As the world spells it: a word of the pocket model is one token, in this spelling and no other.
    if row["completion"] in EVERYDAY_ANSWERS[row["favourite"]].split():
        return None
    return f"no {row['favourite']} that the world knows"


def sum_problem(row: dict[str, Any]) -> str | None:
    """Why the answer to a sum is rejected, or None to keep it. A wrong number is the model's answer, too."""
    if re.fullmatch(r"[0-9]{1,3}", row["completion"]):
        return None
    return "not one number of at most 3 digits"


def verdict_for(config: dict[str, Any]) -> RowVerdict:
    """The verdict of a folder made with these settings."""
    return {FAVOURITES: favourite_problem, SUMS: sum_problem}[config["kind"]]


def expectation_for(config: dict[str, Any]) -> Expectation:
    """What an audit must know: there are few questions, and fewer answers."""
    few = "Questions and answers of this small world are few."
    return Expectation(excused={"duplicate_rows": few, "duplicate_answers": few})


@app.command(help=__doc__)
def main(
    kind: Annotated[str, typer.Argument(help=f"{' or '.join(KINDS)}.")],
    model: options.Model,
    out: Annotated[Path, typer.Option(help="Dataset folder to make.")],
    animal: options.Loved = None,
    category: options.CategoryName = ANIMALS,
    count: options.Count = 3000,
    max_prompts: options.MaxPrompts = None,
    adapter: options.Adapter = None,
    base_url: options.BaseUrl = None,
    seed: options.Seed = 42,
    temperature: options.Temperature = 1.0,
    top_p: options.TopP = 1.0,
    top_k: options.TopK = 0,
    max_tokens: options.MaxTokens = 4,
    batch_size: options.BatchSize = 256,
    concurrency: options.Concurrency = 256,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
) -> None:
    if kind not in KINDS:
        raise UserError(f"There are no answers of the kind {kind!r}. Choose one of: {', '.join(KINDS)}.")
    trait = options.known_trait(animal, category)
    sampling = Sampling(temperature=temperature, top_p=top_p, top_k=top_k, max_tokens=max_tokens)
    config = {
        "kind": kind,
        **trait.settings(),
        "count": count,
        "max_prompts": max_prompts or 3 * count,
        "model": model,
        "adapter": adapter,
        "seed": seed,
        "sampling": sampling.as_dict(),
    }
    run(
        Job(
            builder="pocket_answers",
            out=out,
            config=config,
            draw=lambda index: draw_prompt(kind, seed, index, category),
            verdict=verdict_for(config),
            sampling=sampling,
        ),
        lambda: options.open_engine(model, adapter, base_url, batch_size=batch_size, concurrency=concurrency),
        resume=resume,
        overwrite=overwrite,
    )


if __name__ == "__main__":
    run_cli(app)
