"""Checks of command-line options, as typer callbacks: a value that a command would refuse is refused where it is read.

So the plan of an experiment can ask, long before the command runs (:mod:`subliminal.experiment.options`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from subliminal.core.errors import UserError, did_you_mean


def one_of(option: str, words: Iterable[str]) -> Callable[[Any], Any]:
    """A callback that takes the given words only, and names the nearest to another.

    Args:
        option: as it is written, ``--allow``.
        words: all that there are.
    """
    known = tuple(words)

    def check(value: Any) -> Any:
        for word in _as_list(value):
            if word not in known:
                raise UserError(
                    f"{option} {word!r} is unknown{did_you_mean(word, known)}. Choose from: {', '.join(known)}."
                )
        return value

    return check


def read_by(parse: Callable[[str], Any]) -> Callable[[Any], Any]:
    """A callback that takes what a function can read; the command gets the text, or the list of texts, as it is.

    Args:
        parse: raises :class:`UserError` for another text.
    """

    def check(value: Any) -> Any:
        for text in _as_list(value):
            parse(text)
        return value

    return check


def _as_list(value: str | list[str] | None) -> list[str]:
    """What typer hands over, as a list: one text, those of an option that can be given several times, or None."""
    if isinstance(value, str):
        return [value]
    return value or []
