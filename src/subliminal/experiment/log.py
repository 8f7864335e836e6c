"""A stage's output: to a log without the moves of progress bars, and to the terminal unless that is quiet."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from pathlib import Path

QUIET = "SUBLIMINAL_QUIET"
"""The environment variable that keeps a stage's output off the terminal: the run's display is there."""
LINES_KEPT = 2000
"""Lines of a command that are kept in memory, to say why it failed."""


class Tee:
    """Copies what a command writes to this process's stderr and, without the moves of progress bars, to a log file.

    The command writes into a pipe, also on a terminal: bars that look for a terminal are not drawn. Where :data:`QUIET`
    is set the log gets everything and stderr nothing.

    Args:
        log: the file; a stage that runs again adds to it.

    Attributes:
        last: the last lines, also where the log's disk was too full to hold them.
    """

    def __init__(self, log: Path) -> None:
        self.last: deque[str] = deque(maxlen=LINES_KEPT)
        self.log = open(log, "ab", buffering=0)  # noqa: SIM115 (closed by close)
        self.quiet = bool(os.environ.get(QUIET))

    def __enter__(self) -> Tee:
        self.source, self.output = os.pipe()
        # A daemon: where the run ends in an error, it does not wait for a command that still holds the pipe.
        self.thread = threading.Thread(target=self._copy, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Wait until everything that was written has been copied."""
        if self.output >= 0:
            os.close(self.output)
            self.output = -1
            # Ten seconds at most: a child that outlives its command would hold the pipe open for ever.
            self.thread.join(timeout=10)
            self.log.close()

    def say(self, line: str) -> None:
        """Write a line of our own."""
        os.write(self.output, f"{line}\n".encode())

    def _copy(self) -> None:
        line = b""
        while True:
            data = os.read(self.source, 65536)
            if not data:  # the command and all that it started have closed their end
                break
            if not self.quiet:
                with contextlib.suppress(OSError):  # a terminal that is gone does not stop the stage
                    os.write(2, data)
            *whole, line = (line + data).split(b"\n")
            for text in whole:
                self._write(_without_bars(text), b"\n")
        self._write(_without_bars(line))
        os.close(self.source)

    def _write(self, text: bytes, end: bytes = b"") -> None:
        self.last.append(text.decode(errors="replace"))
        with contextlib.suppress(OSError):  # a full disk stops the log, and not the reading that the command waits for
            self.log.write(text + end)


def _without_bars(line: bytes) -> bytes:
    """The last state of a line that was drawn over and over."""
    return line.rstrip(b"\r").rpartition(b"\r")[2]
