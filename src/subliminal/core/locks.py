"""File locks: what one process at a time may do. A lock ends with the process that holds it, however that ends."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
    # Opened for writing makes the file, and for appending leaves what its holder wrote there.
    lock = open(path, "a+")  # noqa: SIM115 (held)
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
        taken: what another process does that holds it, and what to do: how a sentence goes on that names the process.

    Raises:
        UserError: with that sentence, if another process holds the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = take_lock(path)
    if lock is None:
        raise UserError(f"Another process{_holder(path)} {taken}")
    with lock:
        # A disk that is full takes no name, and the lock holds all the same.
        with suppress(OSError):
            os.ftruncate(lock.fileno(), 0)
            os.write(lock.fileno(), f"{os.getpid()} {socket.gethostname()}\n".encode())
        try:
            yield
        finally:
            # No name of a machine stays in a folder that may be published.
            with suppress(OSError):
                os.ftruncate(lock.fileno(), 0)


def _holder(path: Path) -> str:
    """The process that holds a lock, as `` (id 4711)``, with its machine where that is another; empty if unknown."""
    try:
        number, host = path.read_text(encoding="utf-8").split()
    except (OSError, ValueError):  # its holder has not written yet
        return ""
    if host != socket.gethostname():
        return f" (id {number} on {host})"
    # One that is gone has left the lock to a child, whose id nobody wrote.
    if not Path("/proc", number).exists():
        return ""
    return f" (id {number})"


@contextmanager
def waiting_for(path: Path) -> Iterator[int]:
    """Hold the lock of a file, once no other process does; yields its descriptor, for children that hold it too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()
