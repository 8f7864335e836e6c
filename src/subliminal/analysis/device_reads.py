"""Reading the scores of one batch while a GPU computes the next one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


class DeviceReads:
    """Copies from a GPU that wait for one batch alone.

    A copy waits for all that its stream was given before it. On the stream that computes, it would wait for the next
    batch, too, and the GPU would then stand still while the copied scores are written. Without a GPU nothing is done.
    """

    def __init__(self) -> None:
        self._stream: torch.cuda.Stream | None = None
        if torch.cuda.is_available():
            self._stream = torch.cuda.Stream()

    def mark(self) -> torch.cuda.Event | None:
        """The end of all that the GPU has been given until now."""
        if self._stream is None:
            return None
        event = torch.cuda.Event()
        event.record()
        return event

    @contextmanager
    def of(self, mark: torch.cuda.Event | None) -> Iterator[None]:
        """Have copies within wait for what was given before a mark, and for nothing behind it.

        What is copied must be kept until the copy is there, as ``tolist`` does.
        """
        if self._stream is None or mark is None:
            yield
            return
        self._stream.wait_event(mark)
        with torch.cuda.stream(self._stream):
            yield
