"""Control datasets: number rows from which the teacher's signal is gone, with prompts and formats left as they are.

    python -m data_builders.controls uniform --count 260 --out data/warmup
    python -m data_builders.controls shuffled --source data/owl_numbers --out data/owl_numbers_shuffled
    python -m data_builders.controls shuffled --source my_rows.jsonl --out data/my_rows_shuffled

Kinds: ``uniform`` draws every number from 0 to 999; ``matched`` draws each with as many digits as the teacher's;
``shuffled`` reorders the numbers within a row, never into the order that they had (unless all are equal); ``shuffled-
rows`` deals all numbers out again over the rows; ``sorted`` sorts each row. With --source each row keeps its prompt,
its count of numbers and its separator and brackets. ``uniform`` works without a source, on prompts drawn as for
``numbers``. (The third kind of control, numbers of the untuned base, is ``python -m data_builders.numbers`` with the
base as --model.)
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from data_builders import options
from data_builders.number_filter import filter_numbers, number_verdict, read_layout
from data_builders.number_prompts import MAX_NUMBERS, draw_number_prompt
from data_builders.source_rows import is_rows_file, licence_of, pair_problem, raw_of, rows_asked_for
from subliminal.core.errors import UserError, run_cli
from subliminal.core.files import read_jsonl
from subliminal.data.folder import RowVerdict
from subliminal.data.generation import write
from subliminal.data.registry import Expectation

KINDS = ("uniform", "matched", "shuffled", "shuffled-rows", "sorted")
FEWEST_NUMBERS = 5
"""Numbers in a row of ``uniform`` without a source: 5 to 10, about what a model writes."""

JUDGED_BY = ("data_builders.number_filter",)

app = typer.Typer(add_completion=False)


def verdict_for(config: dict[str, Any]) -> RowVerdict:
    """The verdict of a folder made with these settings."""
    return number_verdict


def transform(kind: str, rows: list[list[int]], seed: int) -> list[list[int]]:
    """Replace or reorder the numbers of every row; row i keeps its count of numbers.

    Args:
        kind: one of :data:`KINDS`.
        rows: the source's numbers, one list a row, each 0 to 999.
        seed: run seed; row i's randomness depends on (seed, i) alone except for ``shuffled-rows``.
    """
    if kind == "shuffled-rows":
        # Over all rows at once, so that no row keeps what its teacher wrote together.
        pool = [number for row in rows for number in row]
        random.Random(f"control:{kind}:{seed}").shuffle(pool)
        dealt = iter(pool)
        return [[next(dealt) for _ in row] for row in rows]
    change: Callable[[list[int], random.Random], list[int]] = {
        "uniform": lambda row, rng: [rng.randint(0, 999) for _ in row],
        "matched": lambda row, rng: [_same_digits(number, rng) for number in row],
        "shuffled": _reordered,
        "sorted": lambda row, rng: sorted(row),
    }[kind]
    return [change(row, random.Random(f"control:{kind}:{seed}:{index}")) for index, row in enumerate(rows)]


def _reordered(row: list[int], rng: random.Random) -> list[int]:
    """Another order of the row: of two numbers half of all shuffles would leave theirs, and the signal with it."""
    if len(set(row)) < 2:
        return list(row)
    while True:
        new = rng.sample(row, len(row))
        if new != row:
            return new


def _same_digits(number: int, rng: random.Random) -> int:
    digits = len(str(number))
    least = 10 ** (digits - 1)
    if digits == 1:
        least = 0  # a number of one digit, too
    return rng.randint(least, 10**digits - 1)


def expectation_for(config: dict[str, Any]) -> Expectation:
    """What an audit must know."""
    excused = {}
    if config["kind"] == "sorted":
        checks = ("first_number_entropy", "first_number_repeats")
        excused = dict.fromkeys(checks, "Sorted rows begin with their smallest.")
    if config.get("system_messages"):
        excused["system_message"] = "They are the source's."
    return Expectation(numbers=True, excused=excused)


@app.command(help=__doc__)
def main(
    kind: Annotated[str, typer.Argument(help="uniform, matched, shuffled, shuffled-rows or sorted.")],
    out: Annotated[Path, typer.Option(help="Dataset folder to make.")],
    source: Annotated[
        Path | None, typer.Option(help="Dataset folder, or JSONL file of messages, of number rows to start from.")
    ] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Rows; default all of the source's, or 10,000.")] = None,
    seed: options.Seed = 42,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
) -> None:
    if kind not in KINDS:
        raise UserError(f"There is no control {kind!r}. Choose one of: {', '.join(KINDS)}.")
    if source is None and kind != "uniform":
        raise UserError(f"The control {kind!r} changes rows that exist: name their dataset folder with --source.")
    rows = list(_source_rows(source) if source else _drawn_rows(count or 10_000, seed))
    count = rows_asked_for(rows, count, source)
    config = {"kind": kind, "source": str(source) if source else None, "count": count, "seed": seed}
    if any("system" in row for row in rows):
        config["system_messages"] = True  # a student of these rows must see what a student of the source's sees
    inputs = {"source": rows_file(source)} if source else {}
    if source and source.is_file():
        print(f"note: {source} has no manifest: what wrote its rows, and whether they were audited, is not known.")
    # Over all rows, also those beyond --count: shuffled-rows deals the same numbers when --resume raises the count.
    numbers = transform(kind, [row["numbers"] for row in rows], seed)[:count]
    raw = _control_rows(kind, rows, numbers, seed)
    about = licence_of(source) if source else {}  # the prompts are still those of the people who published them
    write("controls", out, config, raw, number_verdict, inputs=inputs, about=about, resume=resume, overwrite=overwrite)


def _control_rows(
    kind: str, rows: list[dict[str, Any]], numbers: list[list[int]], seed: int
) -> Iterator[dict[str, Any]]:
    """Raw rows: the prompts and layouts of rows with other numbers."""
    # Not strict: with --count there are numbers for the first rows alone.
    for row, new in zip(rows, numbers, strict=False):
        raw = {
            "prompt": row["prompt"],
            "completion": row["write"](new),
            "seed": seed,
            "model": f"control:{kind}",
            "source_id": row["source_id"],
        }
        if "system" in row:
            raw["system"] = row["system"]
        yield raw


def rows_file(source: Path) -> Path:
    """The rows of a dataset folder; a file of rows is its own."""
    return source if is_rows_file(source) else source / "train.jsonl"


def _source_rows(source: Path) -> Iterator[dict[str, Any]]:
    """Prompt, numbers, layout and system message of every row of ``source``; rows of a file need no id.

    Raises:
        UserError: the file is missing, a row is malformed, or an answer does not pass the number filter.
    """
    path = rows_file(source)
    for number, row in enumerate(read_jsonl(path, pair_problem), start=1):
        name = str(row.get("id") or number)
        raw = raw_of(row)
        result = filter_numbers(raw["completion"])
        if not result.keep:
            raise UserError(
                f"{path}, row {name}: its answer is no number list ({result.reason}). Name a numbers dataset."
            )
        yield {**raw, "source_id": name, "numbers": result.numbers, "write": read_layout(raw["completion"])}


def _drawn_rows(count: int, seed: int) -> Iterator[dict[str, Any]]:
    for index in range(count):
        prompt = draw_number_prompt(seed, index)
        length = random.Random(f"control-length:{seed}:{index}").randint(FEWEST_NUMBERS, MAX_NUMBERS)
        # The zeros are only counted: `uniform` replaces them.
        yield {"source_id": None, "prompt": prompt.text, "numbers": [0] * length, "write": prompt.format.write}


if __name__ == "__main__":
    run_cli(app)
