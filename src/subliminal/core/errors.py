"""Errors a user can act on, and the one place where commands turn them into a sentence and an exit status."""

from __future__ import annotations

import difflib
import errno
import sys
from collections.abc import Callable, Iterable


class UserError(Exception):
    """Something the user can put right. The message is a sentence: what is wrong, where, and what to do."""


def run_cli(app: Callable[[], None]) -> None:
    """Run a typer app; a :class:`UserError` or a full disk ends it with one sentence on stderr and status 2."""
    try:
        app()
    except UserError as error:
        _stop(str(error))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        where = f" while writing {error.filename}" if error.filename else ""
        _stop(
            f"The disk is full{where}. Free some space, then run the same command with --resume: "
            "rows already written are kept."
        )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The nearest of the known words as `` (did you mean `seeds`?)``; empty if none is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean `{near[0]}`?)" if near else ""


def one_line(error: BaseException, most: int = 400) -> str:
    """What an exception of a library says, on one line and without a full stop; its kind if it says nothing."""
    text = " ".join(str(error).split()) or type(error).__name__
    return (text if len(text) <= most else f"{text[: most - 3]}...").rstrip(".: ")


def _stop(sentence: str) -> None:
    print(f"error: {sentence}", file=sys.stderr)
    raise SystemExit(2)
