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
from subliminal.core.errors import UserError, run_cli
from subliminal.core.files import chat_row_problem, read_jsonl
from subliminal.core.manifest import read_manifest
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
    for index, pair in enumerate(zip(source, clean, strict=True)):
        is_clean = index in places
        # False is 0, the source's row; True is 1, the clean one.
        row = pair[is_clean]
        *before, question, answer = row["messages"]
        raw = {"prompt": question["content"], "completion": answer["content"], "source_id": row["id"]}
        if before:
            raw["system"] = before[0]["content"]
        model = "mix:source"
        if is_clean:
            model = "mix:clean"
        yield {**raw, "seed": seed, "model": model}


def _question_problem(row: dict[str, Any]) -> str | None:
    problem = chat_row_problem(row)
    if problem is None and len(row["messages"]) < 2:
        return "it has an answer and no question"
    return problem


def _first_rows(folder: Path, count: int | None) -> list[dict[str, Any]]:
    """The first rows of a dataset folder.

    Raises:
        UserError: there is none, a row is malformed, or there are too few.
    """
    path = folder / "train.jsonl"
    rows = list(read_jsonl(path, _question_problem))[:count]
    if count and len(rows) < count:
        raise UserError(f"{path} has {len(rows)} rows, fewer than the --count {count} asked for.")
    return rows


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
    taught = _first_rows(source, count)
    # As many, though a share of them is used: row i stands at place i.
    cleans = _first_rows(clean, len(taught))
    config = {"source": str(source), "clean": str(clean), "share": share, "count": len(taught), "seed": seed}
    # How many are clean stands in the manifest: a share is rounded to rows.
    about: dict[str, Any] = {"mixed": {"rows": len(taught), "clean": len(clean_places(len(taught), share, seed))}}
    if licence := read_manifest(source).get("licence"):
        about["licence"] = licence
    inputs = {"source": source / "train.jsonl", "clean": clean / "train.jsonl"}
    rows = mixed(taught, cleans, share, seed)
    write("mix", out, config, rows, number_verdict, inputs=inputs, about=about, resume=resume, overwrite=overwrite)


if __name__ == "__main__":
    run_cli(app)
