"""Scores are read from a GPU when the next batch is under way there, and wait for their own batch alone."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from patience import HANG_SECONDS

from subliminal.analysis import device_reads
from subliminal.analysis.answers import Answer
from subliminal.analysis.divergence.run import DivergenceFolder
from subliminal.analysis.scored_rows import SORT_WINDOW, append_scores
from subliminal.core.manifest import new_manifest


@pytest.fixture
def told(monkeypatch) -> list[str]:
    """What a GPU is asked for, in order. There is none: its streams and events only tell."""
    found: list[str] = []

    class Event:
        count = 0

        def record(self) -> None:
            Event.count += 1
            self.number = Event.count
            found.append(f"mark {self.number}")

    class Stream:
        def wait_event(self, event: Event) -> None:
            found.append(f"wait for mark {event.number}")

    @contextmanager
    def stream(_: Stream) -> Iterator[None]:
        found.append("other stream")
        yield
        found.append("own stream")

    cuda = SimpleNamespace(is_available=lambda: True, Event=Event, Stream=Stream, stream=stream)
    monkeypatch.setattr(device_reads, "torch", SimpleNamespace(cuda=cuda))
    return found


def test_a_batch_is_read_when_the_next_one_has_begun(told, tmp_path: Path):
    class Scored:
        def __init__(self, batch: list[Answer]) -> None:
            self.ids = [answer.id for answer in batch]

        def rows(self) -> list[dict]:
            told.append("read")
            return [{"id": name} for name in self.ids]

    def compute(batch: list[Answer], first: bool) -> Scored:
        told.append(f"compute, first: {first}")
        return Scored(batch)

    answers = [Answer(str(number), [1], 0, ["x"], ["digit"]) for number in range(6)]
    batches = [answers[:2], answers[2:4], answers[4:]]
    source = SimpleNamespace(limit=None, batches=lambda tokenizer: iter(batches))
    folder = DivergenceFolder(tmp_path / "out")
    with folder.hold(new_manifest("analysis", config={}), overwrite=False):
        append_scores(source, folder, None, compute, "test")
    read = {}
    for number in (1, 2, 3):
        read[number] = [f"wait for mark {number}", "other stream", "read", "own stream"]
    begun = ["compute, first: True", "mark 1", "compute, first: False", "mark 2"]
    assert told == [*begun, *read[1], "compute, first: False", "mark 3", *read[2], *read[3]]
    written = [json.loads(line)["id"] for line in folder.rows.read_text().splitlines()]
    assert written == [answer.id for answer in answers]


def test_a_window_of_batches_is_made_ready_ahead(tmp_path: Path):
    """A window's rows are read at once: with one batch ahead, a GPU would wait for them at the end of each window."""
    is_next_window_begun = threading.Event()

    def batches(_) -> Iterator[list[Answer]]:
        for number in range(3 * SORT_WINDOW):
            if number == SORT_WINDOW:
                is_next_window_begun.set()
            yield [Answer(str(number), [1], 0, ["x"], ["digit"])]

    computed = []

    def compute(batch: list[Answer], first: bool) -> SimpleNamespace:
        if not computed:
            assert is_next_window_begun.wait(timeout=HANG_SECONDS)
        computed.append(batch[0].id)
        return SimpleNamespace(rows=lambda: [{"id": batch[0].id}])

    folder = DivergenceFolder(tmp_path / "out")
    with folder.hold(new_manifest("analysis", config={}), overwrite=False):
        append_scores(SimpleNamespace(limit=None, batches=batches), folder, None, compute, "test")
    in_order = [str(number) for number in range(3 * SORT_WINDOW)]
    assert computed == in_order
    assert [json.loads(line)["id"] for line in folder.rows.read_text().splitlines()] == in_order
