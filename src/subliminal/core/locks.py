"""File locks: what one process at a time may do. A lock ends with the process that holds it, however that ends."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from subliminal.core.errors import UserError


def take_lock(path: Path, *, shared: bool = False) -> IO[str] | None:
    """Lock a file, which is made if it is missing; the lock is given back by closing it.

    Args:
        path: the file.
        shared: others that ask for a shared lock may hold it, too.

    Returns:
        None if another process holds the lock.
    """
    # Opened for writing makes the file; nothing is ever written to it.
    lock = open(path, "w")  # noqa: SIM115 (held)
    try:
        # flock and not lockf: its lock belongs to the open file, so a child that inherits the file holds it too, and
        # closing another handle of the same file does not end it.
        fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


@contextmanager
def holding(path: Path, taken: str) -> Iterator[None]:
    """Hold the lock of a file, whose folder is made if it is missing, for the length of a ``with`` block.

    Args:
        path: the file.
        taken: a sentence that says who holds it and what to do.

    Raises:
        UserError: with that sentence, if another process holds the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = take_lock(path)
    if lock is None:
        raise UserError(taken)
    with lock:
        yield


@contextmanager
def waiting_for(path: Path) -> Iterator[int]:
    """Hold the lock of a file, once no other process does; yields its descriptor, for children that hold it too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()
