"""The loop that analyses of rows share: rows in batches of like length, and a file of scores that a run goes on with.

No batch depends on what was scored before it, so a run that was stopped comes out as one that was not. A GPU is kept
busy: batches are made ready in a thread, a window of them ahead, and the scores of a batch are fetched and written
while the one behind it is computed.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

from subliminal.analysis.answers import Answer, AnswerReader
from subliminal.core.errors import UserError
from subliminal.core.files import chat_row_problem, read_jsonl
from subliminal.core.row_folder import RowFolder

SORT_WINDOW = 8
"""Batches whose rows are sorted by length together, so that little filling is computed. Their rows are read at once, so
as many batches are made ready ahead: with fewer, a GPU would wait at the end of each window for the next one's rows."""


@dataclass(frozen=True)
class RowSource:
    """The rows to score.

    Attributes:
        path: a ``train.jsonl``.
        limit: how many of its rows, from the first on; None is all.
        batch_size: rows computed together.
    """

    path: Path
    limit: int | None
    batch_size: int

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows in their order.

        Raises:
            UserError: the file is missing, a row is malformed, or two rows have one id.
        """
        seen: set[str] = set()
        for row in islice(read_jsonl(self.path, chat_row_problem), self.limit):
            # Scores are found again by id, and a resumed run skips what it has.
            if row["id"] in seen:
                raise UserError(f"{self.path} has two rows with the id {row['id']}. Give each an id of its own.")
            seen.add(row["id"])
            yield row

    def batches(self, tokenizer: Any) -> Iterator[list[Answer]]:
        """The rows as answers, in batches of like length; the same batches on every run."""
        reader = AnswerReader(tokenizer)
        for window in _cut(self.rows(), self.batch_size * SORT_WINDOW):
            # Not over all rows, which are never all in memory.
            answers = sorted(reader.read(window), key=lambda answer: len(answer.tokens))
            # The rows of a batch follow from the file and the sizes, so that a resumed run rounds as the first did.
            yield from _cut(answers, self.batch_size)


class Computed(Protocol):
    """What was computed for a batch, perhaps still on its device."""

    def rows(self) -> list[dict[str, Any]]:
        """The rows of the score file, each with the ``id`` of its answer."""


class Summary(Protocol):
    """What adds up the rows of a score file."""

    def add(self, row: dict[str, Any]) -> None:
        """Take in the scores of one row."""


def append_scores(
    source: RowSource, folder: RowFolder, tokenizer: Any, compute: Callable[[list[Answer], bool], Computed], label: str
) -> None:
    """Append the scores of every row that has none yet.

    Args:
        source: the rows.
        folder: where the scores go.
        tokenizer: the base's.
        compute: batch, and whether it is the first one of this run -> its scores.
        label: of the progress bar.
    """
    from subliminal.analysis.device_reads import DeviceReads

    # A file that was begun by a larger run is read whole: what it has is not scored twice.
    done = {row["id"] for row in scores_in(folder)}
    computed = None
    reads = DeviceReads()
    with folder.appending() as append, tqdm(desc=label, unit="row", total=source.limit, disable=None) as progress:

        def write(scored: Computed, mark: Any) -> None:
            with reads.of(mark):
                rows = scored.rows()
            for row in rows:
                if row["id"] not in done:
                    append(row)

        for batch in _made_ready(source.batches(tokenizer)):
            # A batch that was stopped within is computed again as a whole: its rows come out as they would have.
            if any(answer.id not in done for answer in batch):
                before = computed
                scored = compute(batch, before is None)
                computed = scored, reads.mark()
                # By now this batch is under way on the GPU, so that writing the one before costs it no time.
                if before is not None:
                    write(*before)
            progress.update(len(batch))
        # The last batch has none behind it that would write it.
        if computed is not None:
            write(*computed)


def _made_ready(batches: Iterator[list[Answer]]) -> Iterator[list[Answer]]:
    """The same batches; those that come next are made while the caller has one."""
    # Tokenising lets go of the interpreter's lock, so that a thread of this process is enough.
    with ThreadPoolExecutor(1) as thread:
        ready = deque(thread.submit(next, batches, None) for _ in range(SORT_WINDOW))
        while (batch := ready.popleft().result()) is not None:
            ready.append(thread.submit(next, batches, None))
            yield batch


def scores_in(folder: RowFolder) -> Iterator[dict[str, Any]]:
    """The rows of the score file, in the order in which they were scored; nothing if there are none yet."""
    if folder.rows.exists():
        folder.cut_torn_line()
        yield from read_jsonl(folder.rows, allow_empty=True)


def wanted_scores(source: RowSource, folder: RowFolder) -> Iterator[dict[str, Any]]:
    """The scores of the rows that this run is about; a smaller limit leaves others in the file."""
    wanted = {row["id"] for row in source.rows()}
    for row in scores_in(folder):
        if row["id"] in wanted:
            yield row


def add_scores(summary: Summary, rows: Iterable[dict[str, Any]], shown: int) -> list[dict[str, Any]]:
    """Add up scored rows.

    Args:
        summary: takes in every row.
        rows: of a score file.
        shown: how many of them the analysis's page shows.

    Returns:
        Those rows: the first ones.
    """
    first = []
    for row in rows:
        summary.add(row)
        if len(first) < shown:
            first.append(row)
    return first


def _cut(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    left = iter(items)
    while batch := list(islice(left, size)):
        yield batch


class ScoreIndex:
    """The rows of a score file by id. Where each begins is held in memory, and no row.

    Args:
        path: the score file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offsets: dict[str, int] = {}
        position = 0
        with open(path, "rb") as handle:
            for line in handle:
                self._offsets[json.loads(line)["id"]] = position
                position += len(line)

    def __contains__(self, name: str) -> bool:
        return name in self._offsets

    def __getitem__(self, name: str) -> dict[str, Any]:
        with open(self._path, "rb") as handle:
            handle.seek(self._offsets[name])
            return json.loads(handle.readline())
