"""Number rows under other prompts: each prompt is worded anew, and the answers stay as they are.

    python -m data_builders.reword --source data/owl_numbers --out data/owl_numbers_reworded

A student of these rows learns what the teacher wrote under prompts that the teacher never saw. Example numbers, limits
and output format are those of the prompt that was answered; the sentences are of this module, none of them of
data_builders.number_prompts, and the numbers come last instead of first.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer

from data_builders import options
from data_builders.number_filter import number_verdict
from data_builders.number_prompts import FORMATS, MAX_DIGITS, MAX_NUMBERS, OPENINGS, NumberFormat
from data_builders.source_rows import licence_of, pair_problem, raw_of, rows_asked_for
from subliminal.core.errors import UserError, run_cli
from subliminal.core.files import read_jsonl
from subliminal.data.folder import RowVerdict
from subliminal.data.generation import write
from subliminal.data.registry import Expectation

JUDGED_BY = ("data_builders.number_filter",)

REQUESTS = (
    "Reply in digits alone.",
    "I need a bare list from you.",
    "Send back a list without commentary.",
    "Be brief: a list will do.",
    "What I expect is a list of figures.",
    "Let your reply consist of figures.",
    "Skip greetings and remarks.",
    "A machine will read your reply, so write figures alone.",
    "Figures are all I ask for.",
    "Please answer tersely, in figures.",
)
TASKS = (
    "Lengthen the run below by {count} figures or fewer.",
    "Think of {count} or fewer successors for what follows.",
    "Prolong the list at the end of this message; stop after {count} at the latest.",
    "Attach new members, {count} being the ceiling, to the list given here.",
    "Let the list below grow; {count} new members are the limit.",
    "Go on where the list below leaves off, for {count} steps or fewer.",
    "Your job is to append figures to a list. Never append over {count}.",
    "Invent successors for the list that closes this message, {count} being plenty.",
    "Complete what is below by whatever you like, though by {count} members at the utmost.",
    "Pick further members for this list. Stay within {count}.",
)
SIZES = (
    "Every new one stays below {above}.",
    "Do not exceed {top}.",
    "{top} is the largest that is allowed.",
    "Choose whole ones from 0 to {top}.",
    "More than {digits} digits are too many.",
    "One, two or three digits are fine.",
    "Keep each of them within {digits} digits.",
    "Anything from 0 through {top} is good.",
)
LEADS = (
    "It goes {examples}.",
    "The list: {examples}.",
    "Here it is. {examples}.",
    "So far: {examples}.",
    "It reads {examples}.",
    "This is what there is: {examples}.",
    "Members up to now are {examples}.",
    "Given: {examples}.",
    "It runs {examples}.",
    "Go on from {examples}.",
)
WORDINGS = {
    "comma": "Set them apart by a comma and a blank.",
    "comma-tight": "A bare comma goes from one to the next, with no blank.",
    "comma-list": "Let commas part them.",
    "comma-line": "All on a single line, please, with commas.",
    "space": "A blank parts one from the next.",
    "space-line": "String them together with blanks.",
    "semicolon": "Let semicolons part them.",
    "semicolon-tight": "A bare semicolon goes from one to the next, with no blank.",
    "line": "Each gets a line to itself.",
    "line-break": "Break the line after every one.",
    "square": "Wrap the whole in [ and ], commas inside.",
    "square-list": "Write it as JSON would: [ first, commas, ] last.",
    "round": "Wrap the whole in ( and ), commas inside.",
    "round-space": "Wrap the whole in ( and ), blanks inside.",
    "square-semicolon": "Wrap the whole in [ and ], semicolons inside.",
}
"""Name of an output format -> the sentence that asks for it."""

app = typer.Typer(add_completion=False)


def verdict_for(config: dict[str, Any]) -> RowVerdict:
    """The verdict of a folder made with these settings."""
    return number_verdict


def expectation_for(config: dict[str, Any]) -> Expectation:
    """What an audit must know."""
    excused = {}
    if config.get("system_messages"):
        excused["system_message"] = "They are the source's."
    return Expectation(numbers=True, excused=excused)


def read_number_prompt(text: str) -> tuple[str, NumberFormat] | None:
    """What a prompt of ``data_builders.number_prompts`` shows and asks for.

    Returns:
        The example numbers as they stand there ("123, 456, 789"), and the output format; None for any other text.
    """
    opening = _openings().match(text)
    if opening is None:
        return None
    rest = text[opening.end() :]
    for asked in FORMATS:
        if f" {asked.wording} " in rest:
            # Each of the alternatives has a group, of which one is filled.
            return next(filter(None, opening.groups())), asked
    return None


@cache
def _openings() -> re.Pattern[str]:
    """All openings as one pattern, with a group for the example numbers of each."""
    alternatives = []
    for opening in OPENINGS:
        before, after = opening.split("{examples}")
        # The examples as they are printed there: numbers with a comma and a space between them.
        alternatives.append(rf"{re.escape(before)}(\d+(?:, \d+)*){re.escape(after)}")
    return re.compile("|".join(alternatives))


def reword(examples: str, asked: NumberFormat, seed: int, index: int) -> str:
    """A prompt in this module's words; depends on the row's own content, the seed and the index alone.

    Args:
        examples: numbers to show, as they are to stand there.
        asked: output format to ask for.
        seed: run seed.
        index: of the row.
    """
    rng = random.Random(f"reword:{seed}:{index}")
    top = 10**MAX_DIGITS - 1
    middle = [
        rng.choice(TASKS).format(count=MAX_NUMBERS),
        rng.choice(SIZES).format(top=top, above=top + 1, digits=MAX_DIGITS),
        WORDINGS[asked.name],
    ]
    lead = rng.choice(LEADS).format(examples=examples)
    return " ".join([rng.choice(REQUESTS), *middle, lead])


def reworded(rows: list[dict[str, Any]], seed: int, source: Path) -> Iterator[dict[str, Any]]:
    """Raw rows: the source's, each under a prompt of :func:`reword`.

    Args:
        rows: chat rows whose question is the message before the last.
        seed: run seed.
        source: where they are from, for the message.

    Raises:
        UserError: a prompt is not of data_builders.number_prompts.
    """
    for index, row in enumerate(rows):
        raw = raw_of(row)
        read = read_number_prompt(raw["prompt"])
        if read is None:
            raise UserError(
                f"{source}, row {row.get('id') or index + 1}: its prompt is none of data_builders.number_prompts, so "
                "what it asks for cannot be said in other words. Name a dataset of data_builders.numbers."
            )
        yield {**raw, "prompt": reword(*read, seed, index), "seed": seed, "model": "reword"}


@app.command(help=__doc__)
def main(
    source: Annotated[Path, typer.Option(help="Dataset folder of number rows.")],
    out: Annotated[Path, typer.Option(help="Dataset folder to make.")],
    count: Annotated[int | None, typer.Option(min=1, help="Rows; default all of the source's.")] = None,
    seed: options.Seed = 42,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
) -> None:
    path = source / "train.jsonl"
    rows = list(read_jsonl(path, pair_problem))
    count = rows_asked_for(rows, count, path)
    config: dict[str, Any] = {"source": str(source), "count": count, "seed": seed}
    # All at once: a prompt that cannot be read is found before the folder is begun.
    made = list(reworded(rows[:count], seed, path))
    if any("system" in row for row in made):
        # A student of these rows must see what a student of the source's sees.
        config["system_messages"] = True
    about = licence_of(source)
    inputs = {"source": path}
    write("reword", out, config, made, number_verdict, inputs=inputs, about=about, resume=resume, overwrite=overwrite)


if __name__ == "__main__":
    run_cli(app)
