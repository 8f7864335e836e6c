"""How far teachers have moved from their base on number rows (``python -m subliminal.analysis leak``).

Leak: mean KL(p_T || p_0) in nats a token, and the share of positions whose most likely token differs (Schrodi et al.,
arXiv 2509.23886). The prefix is always the recorded one; positions are those of the answer, its end token counted
apart. A leak is a teacher's drift and its trait together: hold it against a neutral teacher's (``--neutral``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from tqdm import tqdm

from subliminal.analysis.answers import Answer, AnswerReader
from subliminal.analysis.kl import ScoredBatch, score_batch
from subliminal.analysis.leak_page import write_page
from subliminal.analysis.leak_summary import LeakSummary, write_csv
from subliminal.analysis.models import Models
from subliminal.core.errors import UserError
from subliminal.core.files import chat_row_problem, read_jsonl, write_json
from subliminal.core.manifest import finish_manifest, new_manifest, sha256_of
from subliminal.core.row_folder import RowFolder
from subliminal.engine.chat import chat_context_sha256

SORT_WINDOW = 8
"""Batches whose rows are sorted by length together, so that little filling is computed."""


@dataclass(frozen=True)
class Leak:
    """What is to be measured; see ``--help`` for each."""

    base: str
    teachers: dict[str, str]
    rows: Path
    out: Path
    neutral: str | None = None
    limit: int | None = None
    batch_size: int = 32
    dtype: str = "auto"
    shown: int = 100

    def config(self) -> dict[str, Any]:
        """The settings as recorded."""
        return {
            "base": self.base,
            "teachers": self.teachers,
            "rows": str(self.rows),
            "dtype": self.dtype,
            "neutral": self.neutral,
            "limit": self.limit,
            "batch_size": self.batch_size,
            "shown": self.shown,
        }

    def inputs(self) -> dict[str, Path]:
        """The files that decide the scores."""
        found = {"rows": self.rows}
        for name, path in (("base", self.base), *((f"teacher/{name}", path) for name, path in self.teachers.items())):
            for pattern in ("*.safetensors", "adapter_config.json"):
                found |= {f"{name}/{file.name}": file for file in sorted(Path(path).glob(pattern))}
        return found


class LeakFolder(RowFolder):
    made_files = ("scores.jsonl", "leak.json", "leak.csv", "leak.html", "manifest.json")
    rows_file = "scores.jsonl"
    size_keys = ("neutral", "limit", "batch_size", "shown")


def run_leak(job: Leak, *, resume: bool, overwrite: bool) -> None:
    """Score the rows, write summary, table, page and manifest, and print the folder last.

    Raises:
        UserError: the folder must not be written to, a row is malformed, or a model does not fit.
    """
    if job.neutral is not None and job.neutral not in job.teachers:
        raise UserError(f"--neutral {job.neutral} is no teacher's name. Those are: {', '.join(job.teachers)}.")
    folder, inputs = LeakFolder(job.out), job.inputs()
    folder.check(job.config(), inputs=inputs, resume=resume, overwrite=overwrite)
    models = Models(job.base, job.teachers, job.dtype)
    manifest = new_manifest("analysis", config=job.config(), inputs=inputs)
    manifest["dtype"] = str(models.dtype).removeprefix("torch.")
    manifest["chat_context_sha256"] = chat_context_sha256(models.tokenizer)
    if resume:
        folder.check_context(manifest["chat_context_sha256"])
    with folder.hold(manifest, overwrite=overwrite):
        score_rows(job, folder, models)
        _finish(job, folder, manifest)
    print(job.out)


def score_rows(job: Leak, folder: RowFolder, models: Models) -> None:
    """Append the scores of every row that has none yet.

    A GPU is kept busy: the next batch is made ready in a thread, and the scores of a batch are fetched and written
    while the one behind it is computed.
    """
    done = {row["id"] for row in _scores(folder)}
    batches, computed = sorted_batches(job, models.tokenizer), None
    with (
        folder.appending() as append,
        tqdm(desc="leak", unit="row", total=job.limit, disable=None) as progress,
        ThreadPoolExecutor(1) as thread,
    ):

        def write(scored: ScoredBatch) -> None:
            for row in scored.rows():
                if row["id"] not in done:
                    append(row)

        ready = thread.submit(next, batches, None)
        while (batch := ready.result()) is not None:
            ready = thread.submit(next, batches, None)
            # A batch that was stopped within is computed again as a whole: its rows come out as they would have.
            if any(answer.id not in done for answer in batch):
                before, computed = computed, score_batch(models, batch, prove=computed is None)
                if before is not None:
                    write(before)
            progress.update(len(batch))
        if computed is not None:
            write(computed)


def sorted_batches(job: Leak, tokenizer: Any) -> Iterator[list[Answer]]:
    """The rows as answers, in batches of like length; the same batches on every run."""
    reader = AnswerReader(tokenizer)
    for window in _batches(_rows(job), job.batch_size * SORT_WINDOW):
        answers = sorted(reader.read(window), key=lambda answer: len(answer.tokens))
        yield from _batches(answers, job.batch_size)


def _rows(job: Leak) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    for row in islice(read_jsonl(job.rows, chat_row_problem), job.limit):
        if row["id"] in seen:
            raise UserError(f"{job.rows} has two rows with the id {row['id']}. Give each an id of its own.")
        seen.add(row["id"])
        yield row


def _batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    left = iter(items)
    while batch := list(islice(left, size)):
        yield batch


def _scores(folder: RowFolder) -> Iterator[dict[str, Any]]:
    if folder.rows.exists():
        folder.cut_torn_line()
        yield from read_jsonl(folder.rows, allow_empty=True)


def _finish(job: Leak, folder: LeakFolder, manifest: dict[str, Any]) -> None:
    """Everything that follows from the scores."""
    wanted = {row["id"] for row in _rows(job)}
    summary, shown = LeakSummary(list(job.teachers)), []
    for row in _scores(folder):
        if row["id"] in wanted:
            summary.add(row)
            if len(shown) < job.shown:
                shown.append(row)
    result = summary.result(job.neutral)
    write_json(folder.path / "leak.json", result)
    write_csv(folder.path / "leak.csv", summary)
    write_page(folder.path / "leak.html", job.config(), result, summary.table(), shown)
    outputs = {name: sha256_of(folder.path / name) for name in folder.made_files if name != "manifest.json"}
    finish_manifest({**manifest, "counts": {"rows": result["rows"]}, "outputs": outputs}, job.out / "manifest.json")
