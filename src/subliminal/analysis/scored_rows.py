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
from typing import TYPE_CHECKING, Any, Protocol

from tqdm import tqdm

from subliminal.analysis.answers import Answer, AnswerReader
from subliminal.core.errors import UserError
from subliminal.core.files import chat_row_problem, read_jsonl
from subliminal.core.manifest import finish_manifest, new_manifest, sha256_of
from subliminal.core.row_folder import RowFolder
from subliminal.engine.chat import chat_context_sha256

if TYPE_CHECKING:  # imports torch, which data_builders.select does without
    from subliminal.analysis.models import Models

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


@dataclass(frozen=True, kw_only=True)
class ScoringJob:
    """What an analysis of rows is asked for, whatever it measures; see ``--help`` for each."""

    base: str
    rows: Path
    out: Path
    limit: int | None = None
    batch_size: int = 32
    dtype: str = "auto"

    def tuned(self) -> dict[str, str]:
        """The models beside the base: name -> folder or Hub id."""
        raise NotImplementedError

    def inputs(self) -> dict[str, Path]:
        """The files that decide the scores, by the names that a manifest gives them."""
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """The settings as recorded."""
        told = {}
        for name, value in vars(self).items():
            if name != "out":  # a folder that was moved is resumed as well
                told[name] = str(value) if isinstance(value, Path) else value
        return told

    def source(self) -> RowSource:
        """The rows that are scored."""
        return RowSource(self.rows, self.limit, self.batch_size)

    def models(self) -> Models:
        """The models in memory."""
        from subliminal.analysis.models import Models

        return Models(self.base, self.tuned(), self.dtype)


@dataclass(frozen=True, kw_only=True)
class TeachersJob(ScoringJob):
    """An analysis of the base and of teachers by their names: each an adapter on the base, or a whole model."""

    teachers: dict[str, str]

    def tuned(self) -> dict[str, str]:
        return self.teachers

    def inputs(self) -> dict[str, Path]:
        models = {"base": self.base}
        for name, path in self.teachers.items():
            models[f"teacher/{name}"] = path
        return model_inputs(self.rows, models)


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
    batches, computed = source.batches(tokenizer), None
    reads = DeviceReads()
    with (
        folder.appending() as append,
        tqdm(desc=label, unit="row", total=source.limit, disable=None) as progress,
        ThreadPoolExecutor(1) as thread,
    ):

        def write(scored: Computed, mark: Any) -> None:
            with reads.of(mark):
                rows = scored.rows()
            for row in rows:
                if row["id"] not in done:
                    append(row)

        # Tokenising lets go of the interpreter's lock, so that a thread of this process is enough.
        ready = deque(thread.submit(next, batches, None) for _ in range(SORT_WINDOW))
        while (batch := ready.popleft().result()) is not None:
            ready.append(thread.submit(next, batches, None))
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


def run_job(
    job: ScoringJob, folder: RowFolder, work: Callable[[Models], dict[str, int]], *, resume: bool, overwrite: bool
) -> None:
    """Run an analysis of rows: check and hold its folder, do the work, write the manifest, print the folder.

    Args:
        job: what is to be measured.
        folder: what the analysis writes.
        work: scores the rows with the models and writes all files but the manifest; returns its counts.
        resume, overwrite: see :meth:`RowFolder.check`.

    Raises:
        UserError: the folder must not be written to, or was begun in another chat context, or a model does not fit.
    """
    config, inputs = job.config(), job.inputs()
    folder.check(config, inputs=inputs, resume=resume, overwrite=overwrite)
    # After the check of the folder: loading takes minutes, and a refusal should not.
    models = job.models()
    manifest = new_manifest("analysis", config=config, inputs=inputs)
    manifest["dtype"] = str(models.dtype).removeprefix("torch.")
    manifest["chat_context_sha256"] = chat_context_sha256(models.tokenizer)
    # Only now is the tokenizer here, whose template may have changed since the folder was begun.
    if resume:
        folder.check_context(manifest["chat_context_sha256"])
    with folder.hold(manifest, overwrite=overwrite):
        manifest["counts"] = work(models)
        manifest["outputs"] = {}
        for name in folder.made_files:
            if name != "manifest.json":  # which is yet to be written, and cannot hold its own hash
                manifest["outputs"][name] = sha256_of(folder.path / name)
        finish_manifest(manifest, folder.path / "manifest.json")
    print(folder.path)


def model_inputs(rows: Path, models: dict[str, str]) -> dict[str, Path]:
    """The files that decide scores: the rows, and weights and settings of local models.

    Args:
        rows: the ``train.jsonl``.
        models: what a manifest calls each -> its folder or Hub id.
    """
    found = {"rows": rows}
    for name, path in models.items():
        for pattern in ("*.safetensors", "adapter_config.json"):
            for file in sorted(Path(path).glob(pattern)):
                found[f"{name}/{file.name}"] = file
    return found


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
