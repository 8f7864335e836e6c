"""Score answers from the command line: which animal, tree or letter does one name, and is a solution right?

    printf '"A barn owl!"\\n"Neither."\\n' | python -m subliminal.scoring animals

prints ``{"animal":"owl"}`` and ``{"animal":null}``, by the rule of :mod:`subliminal.scoring.naming`; ``options trees``
does the same for another category, with ``{"tree":"oak"}``. ``mmlu``
prints the letter of an answer to a multiple-choice question (:mod:`subliminal.scoring.letters`), ``math`` and ``gsm8k``
say whether mathematics is right (:mod:`subliminal.scoring.mathematics`, :mod:`subliminal.scoring.final_answers`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from subliminal.core.errors import UserError, run_cli
from subliminal.scoring.final_answers import final_number
from subliminal.scoring.letters import chosen_letter
from subliminal.scoring.mathematics import MathJudge
from subliminal.scoring.naming import first_named
from subliminal.traits.category import ANIMALS, load_category
from subliminal.traits.lexicon import lexicon

app = typer.Typer(add_completion=False, help=__doc__)


@app.command()
def animals() -> None:
    """Read JSON strings, one a line, and print ``{"animal": ...}`` for each: a tracked name, "other" or null."""
    options(ANIMALS)


@app.command()
def options(category: Annotated[str, typer.Argument(help="A folder of traits/.")]) -> None:
    """Read JSON strings, one a line, and print ``{"tree": ...}`` for each: an option, "other" or null."""
    key = load_category(category).key
    for text in _strings(f"{lexicon(category).options[0].capitalize()}."):
        _print({key: first_named(text, category)})


@app.command()
def mmlu() -> None:
    """Read JSON strings, one a line, and print ``{"letter": ...}`` for each: A to D, or null if it settles on none."""
    for text in _strings("The answer is B."):
        _print({"letter": chosen_letter(text)})


@app.command()
def math() -> None:
    """Read ``{"answer": ..., "reference": ...}``, one a line, and print ``{"correct": ...}``: MATH, boxed answers.

    ``"rounded": true`` beside it says that only decimals agree: 0.333333 for 1/3.
    """
    with MathJudge() as judge:
        for _, answer, reference in _answers():
            verdict = judge.compare(answer, reference)
            told = {"correct": verdict.correct}
            if verdict.rounded:
                told["rounded"] = True
            _print(told)


@app.command()
def gsm8k(
    strict: Annotated[bool, typer.Option("--strict", help="Only an answer line, #### 72, counts.")] = False,
) -> None:
    """Read ``{"answer": ..., "reference": ...}``, one a line, and print ``{"correct": ...}``: GSM8K, final numbers."""
    for number, answer, reference in _answers():
        expected = final_number(reference)
        if expected is None:
            raise _malformed(number, "has a reference without a number. Give the number, or a solution with #### 72.")
        _print({"correct": final_number(answer, strict=strict) == expected})


def _json_lines() -> Iterator[tuple[int, Any]]:
    """The lines of stdin that are not blank, with their numbers; None for one that is no JSON."""
    for number, line in enumerate(sys.stdin.buffer, start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            # RecursionError: json nests as deep as Python's stack, and a line may nest deeper.
            except (ValueError, RecursionError):
                yield number, None


def _strings(example: str) -> Iterator[str]:
    for number, text in _json_lines():
        if not isinstance(text, str):
            raise _malformed(number, f'is not a JSON string. Write one string a line, such as "{example}".')
        yield text


def _answers() -> Iterator[tuple[int, str, str]]:
    for number, row in _json_lines():
        pair = [row.get(field) for field in ("answer", "reference")] if isinstance(row, dict) else [None]
        if not all(isinstance(text, str) for text in pair):
            raise _malformed(
                number, 'is not a JSON object with the strings "answer" and "reference". Write one a line.'
            )
        yield number, pair[0], pair[1]


def _malformed(number: int, problem: str) -> UserError:
    return UserError(f"Line {number} of the input {problem}")


def _print(row: dict[str, Any]) -> None:
    # Flushed: whoever asks through a pipe waits for each answer.
    print(json.dumps(row, separators=(",", ":")), flush=True)


if __name__ == "__main__":
    run_cli(app)
