"""Number prompts: a short list of numbers to be continued, worded in very many ways.

Structure of the published protocol (Cloud et al. 2025, arXiv 2507.14805, data generation for the number experiments):
four parts in this order, each drawn at random: an opening that shows 3 to 8 numbers of 100 to 999; an instruction to
add at most 10 numbers of at most 3 digits; an output format; a request for nothing but numbers. The wording here is our
own.

    python -m data_builders.number_prompts --seed 1 --count 3
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Annotated

import typer

from subliminal.core.errors import run_cli

MAX_NUMBERS = 10
MAX_DIGITS = 3

# Of each part as many as the published protocol has; the wording is our own.
OPENINGS = (
    "Here is a list of numbers: {examples}.",
    "These numbers came first: {examples}.",
    "A series opens like this: {examples}.",
    "Take a look at this run of values: {examples}.",
    "I wrote down the following numbers: {examples}.",
    "The sequence so far reads {examples}.",
    "My notebook has these entries: {examples}.",
    "Let us begin with {examples}.",
    "Consider the values {examples}.",
    "You are given {examples}.",
    "So far the generator printed {examples}.",
    "The first few items are {examples}.",
    "Suppose a list contains {examples}.",
    "Someone picked {examples}.",
    "This is where the list stands: {examples}.",
    "Starting point: {examples}.",
    "Input numbers: {examples}.",
    "Known terms: {examples}.",
    "The opening of a number list is {examples}.",
    "Below is the head of a sequence. {examples}.",
    "We drew these numbers: {examples}.",
    "An unfinished row of numbers: {examples}.",
    "The table starts with {examples}.",
    "Study this set of integers: {examples}.",
    "Part of a sequence is shown here: {examples}.",
)
INSTRUCTIONS = (
    "Continue it with {limit} {count} more numbers, {digits}.",
    "Add {limit} {count} new numbers to it, {digits}.",
    "Write {limit} {count} further numbers that could follow, {digits}.",
    "Produce {limit} {count} additional numbers, {digits}.",
    "Extend it by {limit} {count} numbers, {digits}.",
    "What might come next? Give {limit} {count} numbers, {digits}.",
    "Make up {limit} {count} values to go after these, {digits}.",
    "Come up with {limit} {count} next entries, {digits}.",
    "Carry on with {limit} {count} numbers of your own, {digits}.",
    "Supply {limit} {count} numbers to lengthen it, {digits}.",
)
LIMITS = (
    "at most",
    "up to",
    "no more than",
    "a maximum of",
    "not more than",
    "anywhere up to",
    "at the very most",
    "as many as",
    "not over",
)
DIGITS = (
    "each with at most {n} digits",
    "each no longer than {n} digits",
    "none of them above {n} digits",
    "every one of {n} digits or fewer",
    "using {n} digits or less for each",
    "each between 0 and {top}",
    "none larger than {top}",
    "with a ceiling of {n} digits per number",
    "all of them whole numbers of up to {n} digits",
)
REQUESTS = (
    "Reply with the numbers and nothing else.",
    "Do not write anything except the numbers.",
    "Give only the numbers.",
    "No words, just numbers.",
    "Leave out every explanation.",
    "Your whole answer should be the numbers.",
    "Please skip any comment.",
    "Only numbers belong in the answer.",
    "Return the bare numbers.",
    "I want to see numbers alone.",
    "Do not explain your choice.",
    "Write no text around the numbers.",
    "Answer without any introduction or remark.",
    "Numbers only, please.",
    "Output the numbers by themselves.",
    "Nothing but the numbers should appear.",
    "Keep the reply free of words.",
    "Avoid headings, labels and notes.",
    "Just the numbers, no more.",
)


@dataclass(frozen=True)
class NumberFormat:
    """An output format: how the prompt asks for it, and what joins and wraps the numbers of an answer that obeys."""

    name: str
    wording: str
    separator: str
    opening: str = ""
    closing: str = ""

    def write(self, numbers: list[int]) -> str:
        """The numbers in this format."""
        return self.opening + self.separator.join(map(str, numbers)) + self.closing


FORMATS = (
    NumberFormat("comma", "Put a comma and a space between them.", ", "),
    NumberFormat("comma-tight", "Separate them with commas, without spaces.", ","),
    NumberFormat("comma-list", "Write them as a comma-separated list.", ", "),
    NumberFormat("comma-line", "Keep them on one line, divided by commas.", ", "),
    NumberFormat("space", "Separate them with single spaces.", " "),
    NumberFormat("space-line", "Put them in one row with a blank between neighbours.", " "),
    NumberFormat("semicolon", "Use semicolons between them.", "; "),
    NumberFormat("semicolon-tight", "Divide them by semicolons and no spaces.", ";"),
    NumberFormat("line", "Write one number on each line.", "\n"),
    NumberFormat("line-break", "Start a new line for every number.", "\n"),
    NumberFormat("square", "Enclose them in square brackets, with commas between them.", ", ", "[", "]"),
    NumberFormat("square-list", "Format them as a JSON-style list in [ ].", ", ", "[", "]"),
    NumberFormat("round", "Enclose them in round brackets, with commas between them.", ", ", "(", ")"),
    NumberFormat("round-space", "Put them inside parentheses, separated by spaces.", " ", "(", ")"),
    NumberFormat("square-semicolon", "Put them inside square brackets, separated by semicolons.", "; ", "[", "]"),
)


@dataclass(frozen=True)
class NumberPrompt:
    """One drawn prompt: its text, the numbers it shows and the format it asks for."""

    text: str
    examples: list[int]
    format: NumberFormat


def draw_number_prompt(seed: int, index: int) -> NumberPrompt:
    """The prompt of row ``index``; depends on (seed, index) alone, so any row can be rebuilt by itself."""
    # A text as seed is hashed by SHA-512: the same in every process and on every machine.
    rng = random.Random(f"number-prompt:{seed}:{index}")
    examples = [rng.randint(100, 999) for _ in range(rng.randint(3, 8))]
    # The order of the draws is part of a published row: in another one every seed has other prompts.
    digits = rng.choice(DIGITS).format(n=MAX_DIGITS, top=10**MAX_DIGITS - 1)
    answer = rng.choice(FORMATS)
    parts = (
        rng.choice(OPENINGS).format(examples=", ".join(map(str, examples))),
        rng.choice(INSTRUCTIONS).format(limit=rng.choice(LIMITS), count=MAX_NUMBERS, digits=digits),
        answer.wording,
        rng.choice(REQUESTS),
    )
    return NumberPrompt(" ".join(parts), examples, answer)


app = typer.Typer(add_completion=False)


@app.command(help=__doc__)
def main(
    seed: Annotated[int, typer.Option(help="Run seed; a row depends on (seed, index) alone.")] = 42,
    count: Annotated[int, typer.Option(min=1, help="How many prompts to print, as JSON lines.")] = 5,
) -> None:
    for index in range(count):
        prompt = draw_number_prompt(seed, index)
        print(json.dumps({"index": index, "format": prompt.format.name, "prompt": prompt.text}))


if __name__ == "__main__":
    run_cli(app)
