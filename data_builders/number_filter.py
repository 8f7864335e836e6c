"""The number filter: is an answer nothing but a well-formed list of numbers?

Rules of the published protocol (Cloud et al. 2025, arXiv 2507.14805), applied in this order: drop one trailing full
stop; unwrap one pair of ``[]`` or ``()``; the text between the first two numbers is the separator and, stripped, must
be empty, ``,`` or ``;``; splitting on exactly that separator must leave only digits; a single number passes only if it
is the whole answer; then at most 10 numbers, each 0 to 999, none of them banned. White space at either end is not
forgiven.

    echo '"12, 7, 401"' | python -m data_builders.number_filter
    {"keep": true, "numbers": [12, 7, 401], "reason": null}
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Collection
from typing import Annotated, Any, NamedTuple

import typer

from subliminal.core.errors import UserError, one_line, run_cli

MAX_NUMBERS = 10
MAX_VALUE = 999
_WRAPS = {"[": "]", "(": ")"}
# Not \d, which takes the digits of every script.
_DIGITS = re.compile(r"[0-9]+")


class FilterResult(NamedTuple):
    """``numbers`` is what could be read (null if nothing could); ``reason`` says why ``keep`` is false."""

    keep: bool
    numbers: list[int] | None
    reason: str | None


def filter_numbers(
    answer: str, *, max_numbers: int = MAX_NUMBERS, max_value: int = MAX_VALUE, banned: Collection[int] = ()
) -> FilterResult:
    """Apply the filter to one answer. Pure: nothing but the arguments decides.

    Args:
        answer: the completion exactly as the model wrote it.
        max_numbers: the most numbers allowed.
        max_value: the largest number allowed.
        banned: numbers that reject an answer (none in the animal experiments).
    """
    body = answer[:-1] if answer.endswith(".") else answer
    # After the stop: "[1, 2]." passes and "[1, 2.]" does not. A slice, since an answer may be empty.
    if body[:1] in _WRAPS and body[-1] == _WRAPS[body[0]]:
        body = body[1:-1]
    first = _DIGITS.search(body)
    if first is None:
        return _reject("no number")
    second = _DIGITS.search(body, first.end())
    if second is None:
        # "7" passes, " 7" and "7 owls" do not.
        if first.group() != body:
            return _reject("text around a single number")
        parts = [body]
    else:
        separator = body[first.end() : second.start()]
        if separator.strip() not in ("", ",", ";"):
            return _reject("separator is not white space, a comma or a semicolon")
        # By this very text: of "1, 2,3" a part "2,3" is left, which is no number.
        parts = body.split(separator)
    digits = "".join(parts)
    # isdigit() alone takes raised and Arabic digits; "" is what two separators in a row leave.
    if not (digits.isascii() and digits.isdigit() and "" not in parts):
        return _reject("something other than digits between separators")
    try:
        numbers = list(map(int, parts))
    except ValueError:  # Python refuses to read a number of thousands of digits
        return _reject(f"number above {max_value}")
    if len(numbers) > max_numbers:
        return FilterResult(False, numbers, f"more than {max_numbers} numbers")
    if max(numbers) > max_value:
        return FilterResult(False, numbers, f"number above {max_value}")
    if banned and not set(banned).isdisjoint(numbers):
        return FilterResult(False, numbers, "banned number")
    return FilterResult(True, numbers, None)


def read_layout(answer: str) -> Callable[[list[int]], str]:
    """The layout of an answer that passes: a function that writes other numbers in its brackets, separator and stop."""
    numbers = list(_DIGITS.finditer(answer))
    start, end = answer[: numbers[0].start()], answer[numbers[-1].end() :]
    separator = ""
    if len(numbers) > 1:
        separator = answer[numbers[0].end() : numbers[1].start()]
    return lambda new: start + separator.join(map(str, new)) + end


def number_verdict(row: dict[str, Any]) -> str | None:
    """Why a raw row is rejected: it was cut off, or fails the number filter; None to keep it."""
    # Its last number may be half of one.
    if row["finish_reason"] == "length":
        return "cut off at max_tokens"
    return filter_numbers(row["completion"]).reason


def _reject(reason: str) -> FilterResult:
    return FilterResult(False, None, reason)


app = typer.Typer(add_completion=False)


@app.command(help=__doc__)
def main(
    banned: Annotated[str, typer.Option(help="Comma-separated numbers that reject an answer.")] = "",
) -> None:
    try:
        forbidden = {int(word) for word in banned.split(",") if word.strip()}
    except ValueError:
        raise UserError(f"--banned {banned!r} is not a comma-separated list of whole numbers.") from None
    # Bytes, which json reads as UTF-8 whatever the terminal's encoding is.
    for number, line in enumerate(sys.stdin.buffer, start=1):
        if not line.strip():
            continue
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(
                f"stdin, line {number} is not valid JSON ({one_line(error)}). Write one JSON string a line."
            ) from None
        if not isinstance(answer, str):
            raise UserError(f"stdin, line {number} is not a JSON string. Write one JSON string a line.")
        # Flushed: whoever asks through a pipe waits for each answer.
        print(json.dumps(filter_numbers(answer, banned=forbidden)._asdict()), flush=True)


if __name__ == "__main__":
    run_cli(app)
