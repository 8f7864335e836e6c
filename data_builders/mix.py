"""A number dataset with a share of its rows replaced by those of another: a teacher's rows, diluted with clean ones.

    python -m data_builders.mix --source data/owl_numbers --clean data/base_numbers --share 0.25 --out data/owl_diluted

As many rows are learned as before: row i is the clean dataset's row i at the places that are drawn, and the source's
row i at all others. The places depend on the seed alone, and those of a smaller share are among those of a larger one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from data_builders import options
from data_builders.number_filter import number_verdict
from data_builders.source_rows import chat_pair_problem, licence_of, raw_of, rows_asked_for
from subliminal.core.errors import run_cli
from subliminal.core.files import read_jsonl
from subliminal.data.folder import RowVerdict
from subliminal.data.generation import write
from subliminal.data.registry import Expectation

JUDGED_BY = ("data_builders.number_filter",)

app = typer.Typer(add_completion=False)


def verdict_for(config: dict[str, Any]) -> RowVerdict:
    """The verdict of a folder made with these settings."""
    return number_verdict


def expectation_for(config: dict[str, Any]) -> Expectation:
    """What an audit must know."""
    return Expectation(numbers=True)


def clean_places(count: int, share: float, seed: int) -> set[int]:
    """Which of ``count`` rows are clean ones: the first of all places in an order that the seed gives.

    Args:
        count: rows.
        share: of the rows, 0 to 1; their number is rounded.
        seed: run seed.
    """
    # One order for all shares, each of which takes its part from the front.
    order = random.Random(f"mix:{seed}").sample(range(count), count)
    return set(order[: round(share * count)])


def mixed(
    source: list[dict[str, Any]], clean: list[dict[str, Any]], share: float, seed: int
) -> Iterator[dict[str, Any]]:
    """Raw rows; see the module's text.

    Args:
        source, clean: chat rows, as many of each.
        share, seed: as for :func:`clean_places`.
    """
    places = clean_places(len(source), share, seed)
    for index, (row, clean_row) in enumerate(zip(source, clean, strict=True)):
        if index in places:
            yield {**raw_of(clean_row), "seed": seed, "model": "mix:clean"}
        else:
            yield {**raw_of(row), "seed": seed, "model": "mix:source"}


@app.command(help=__doc__)
def main(
    source: Annotated[Path, typer.Option(help="Dataset folder of the teacher's number rows.")],
    clean: Annotated[Path, typer.Option(help="Dataset folder of the rows that take their place.")],
    out: Annotated[Path, typer.Option(help="Dataset folder to make.")],
    share: Annotated[float, typer.Option(min=0, max=1, help="Share of the rows that are clean.")] = 0.25,
    count: Annotated[int | None, typer.Option(min=1, help="Rows; default all of the source's.")] = None,
    seed: options.Seed = 42,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
) -> None:
    files = {"source": source / "train.jsonl", "clean": clean / "train.jsonl"}
    read = {name: list(read_jsonl(path, chat_pair_problem)) for name, path in files.items()}
    count = rows_asked_for(read["source"], count, files["source"])
    # As many, though a share of them is used: row i stands at place i.
    rows_asked_for(read["clean"], count, files["clean"])
    taught, cleans = read["source"][:count], read["clean"][:count]
    config = {"source": str(source), "clean": str(clean), "share": share, "count": count, "seed": seed}
    # How many are clean stands in the manifest: a share is rounded to rows.
    mixed_rows = {"rows": count, "clean": len(clean_places(count, share, seed))}
    about = {"mixed": mixed_rows, **licence_of(source)}
    rows = mixed(taught, cleans, share, seed)
    write("mix", out, config, rows, number_verdict, inputs=files, about=about, resume=resume, overwrite=overwrite)


if __name__ == "__main__":
    run_cli(app)
