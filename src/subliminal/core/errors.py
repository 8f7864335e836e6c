"""Errors a user can act on, and the one place where commands turn them into a sentence and an exit status."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable


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


def _stop(sentence: str) -> None:
    print(f"error: {sentence}", file=sys.stderr)
    raise SystemExit(2)
