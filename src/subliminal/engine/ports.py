"""Ports of this machine for servers that are about to start.

with reserved_port() as port:
    ...  # start a server that listens there
"""

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from subliminal.core.errors import UserError
from subliminal.core.locks import take_lock

HOST = "127.0.0.1"
OTHER_PORT = "Give another with --port (0 takes any free one)."


@contextmanager
def reserved_port(port: int = 0) -> Iterator[int]:
    """A free port that no other server of ours on this machine takes before the one in this block listens there.

    Args:
        port: the one that is wanted; 0 takes any.

    Raises:
        UserError: the port is in use.
    """
    folder = Path(tempfile.gettempdir()) / f"subliminal-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    # Two servers that start at once find the same free port: the lock tells which of them has it.
    while True:
        free = free_port(port)
        lock = take_lock(folder / f"{free}.lock")
        if lock is not None:
            break
        if port:
            raise UserError(f"Port {port} is in use by a server that is starting. {OTHER_PORT}")
    with lock:
        yield free


def free_port(port: int = 0) -> int:
    """``port`` itself if nobody listens there, or any free one for 0.

    Raises:
        UserError: the port is in use.
    """
    with socket.socket() as listener:
        # As the server binds: a port that a stopped server left a moment ago is free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            raise UserError(
                f"Port {port} is in use. {OTHER_PORT} To use the server that runs there: "
                f"--base-url http://{HOST}:{port}/v1."
            ) from None
        return listener.getsockname()[1]
