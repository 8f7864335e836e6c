"""How far teachers have moved from their base on number rows (``python -m subliminal.analysis leak``).

Leak: mean KL(p_T || p_0) in nats a token, and the share of positions whose most likely token differs (Schrodi et al.,
arXiv 2509.23886). The prefix is always the recorded one; positions are those of the answer, its end token counted
apart. A leak is a teacher's drift and its trait together: hold it against a neutral teacher's (``--neutral``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from subliminal.analysis.answers import Answer
from subliminal.analysis.kl import ScoredBatch, score_batch
from subliminal.analysis.leak_page import write_page
from subliminal.analysis.leak_summary import LeakSummary, write_csv
from subliminal.analysis.models import Models
from subliminal.analysis.scored_rows import RowSource, append_scores, begin_manifest, model_inputs, scores_in
from subliminal.core.errors import UserError
from subliminal.core.files import write_json
from subliminal.core.manifest import finish_manifest, sha256_of
from subliminal.core.row_folder import RowFolder


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

    def source(self) -> RowSource:
        """The rows that are scored."""
        return RowSource(self.rows, self.limit, self.batch_size)

    def inputs(self) -> dict[str, Path]:
        """The files that decide the scores."""
        models = {"base": self.base}
        for name, path in self.teachers.items():
            models[f"teacher/{name}"] = path
        return model_inputs(self.rows, models)


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
    manifest = begin_manifest(folder, job.config(), inputs, models, resume=resume)
    with folder.hold(manifest, overwrite=overwrite):
        score_rows(job, folder, models)
        _finish(job, folder, manifest)
    print(job.out)


def score_rows(job: Leak, folder: RowFolder, models: Models) -> None:
    """Append the scores of every row that has none yet."""

    def compute(batch: list[Answer], first: bool) -> ScoredBatch:
        return score_batch(models, batch, prove=first)

    append_scores(job.source(), folder, models.tokenizer, compute, "leak")


def sorted_batches(job: Leak, tokenizer: Any) -> Iterator[list[Answer]]:
    """The rows as answers, in batches of like length; the same batches on every run."""
    return job.source().batches(tokenizer)


def _finish(job: Leak, folder: LeakFolder, manifest: dict[str, Any]) -> None:
    """Everything that follows from the scores."""
    wanted = {row["id"] for row in job.source().rows()}
    summary, shown = LeakSummary(list(job.teachers)), []
    for row in scores_in(folder):
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
