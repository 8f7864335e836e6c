"""How far teachers have moved from their base on number rows (``python -m subliminal.analysis leak``).

Leak: mean KL(p_T || p_0) in nats a token, and the share of positions whose most likely token differs (Schrodi et al.,
arXiv 2509.23886). The prefix is always the recorded one; positions are those of the answer, its end token counted
apart. A leak is a teacher's drift and its trait together: hold it against a neutral teacher's (``--neutral``).
"""

from __future__ import annotations

from dataclasses import dataclass

from subliminal.analysis.answers import Answer
from subliminal.analysis.jobs import TeachersJob, run_job
from subliminal.analysis.leak.page import HALF_SHADE, shaded
from subliminal.analysis.leak.scores import ScoredBatch, score_batch
from subliminal.analysis.leak.summary import LEAK_FIELDS, LeakSummary
from subliminal.analysis.models import Models
from subliminal.analysis.pages import write_scores_page
from subliminal.analysis.scored_rows import add_scores, append_scores, wanted_scores
from subliminal.core.errors import UserError
from subliminal.core.files import write_csv, write_json
from subliminal.core.row_folder import RowFolder


@dataclass(frozen=True, kw_only=True)
class LeakJob(TeachersJob):
    """What is to be measured; see ``--help`` for each."""

    neutral: str | None = None
    shown: int = 100


class LeakFolder(RowFolder):
    made_files = ("scores.jsonl", "leak.json", "leak.csv", "leak.html", "manifest.json")
    rows_file = "scores.jsonl"
    may_change = ("neutral", "limit", "batch_size", "shown")


def run_leak(job: LeakJob, *, resume: bool, overwrite: bool) -> None:
    """Score the rows, write summary, table, page and manifest, and print the folder last.

    Raises:
        UserError: the folder must not be written to, a row is malformed, or a model does not fit.
    """
    if job.neutral is not None and job.neutral not in job.teachers:
        raise UserError(f"--neutral {job.neutral} is no teacher's name. Those are: {', '.join(job.teachers)}.")
    folder = LeakFolder(job.out)

    def work(models: Models) -> dict[str, int]:
        score_rows(job, folder, models)
        return _write_summary(job, folder)

    run_job(job, folder, work, resume=resume, overwrite=overwrite)


def score_rows(job: LeakJob, folder: RowFolder, models: Models) -> None:
    """Append the scores of every row that has none yet."""

    def compute(batch: list[Answer], first: bool) -> ScoredBatch:
        return score_batch(models, batch, prove=first)

    append_scores(job.source(), folder, models.tokenizer, compute, "leak")


def _write_summary(job: LeakJob, folder: LeakFolder) -> dict[str, int]:
    """Write what follows from the scores; returns the counts of the manifest."""
    summary = LeakSummary(list(job.teachers))
    shown = add_scores(summary, wanted_scores(job.source(), folder), job.shown)
    result = summary.result(job.neutral)
    write_json(folder.path / "leak.json", result)
    table = summary.table()
    write_csv(folder.path / "leak.csv", LEAK_FIELDS, table)
    write_scores_page(
        folder.path / "leak.html",
        job.config(),
        result,
        table,
        rows=[shaded(row) for row in shown],
        half=HALF_SHADE,
    )
    return {"rows": result["rows"]}
