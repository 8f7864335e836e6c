"""Tokens of a teacher's rows that another teacher would not have written (``subliminal.analysis divergence``).

Binary and graded divergence scores (Schrodi et al., arXiv 2509.23886) of the recorded tokens. The prefix is always the
recorded one; positions are those of the answer, its end token counted apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from subliminal.analysis.answers import Answer
from subliminal.analysis.divergence.page import shaded
from subliminal.analysis.divergence.scores import Divergence, score_batch
from subliminal.analysis.divergence.summary import DivergenceSummary, spelled_out
from subliminal.analysis.grades import graded
from subliminal.analysis.jobs import ScoringJob, model_inputs, run_job
from subliminal.analysis.logits import BASE
from subliminal.analysis.models import Models
from subliminal.analysis.pages import write_scores_page
from subliminal.analysis.scored_rows import ScoreIndex, add_scores, append_scores, wanted_scores
from subliminal.analysis.selection.spans import alignment_problem, with_spans
from subliminal.core.errors import UserError
from subliminal.core.files import write_csv, write_json, write_jsonl
from subliminal.core.row_folder import RowFolder

TEACHER = "the teacher"
"""The name of the teacher that wrote the rows, which no counterfactual one has."""


@dataclass(frozen=True, kw_only=True)
class DivergenceJob(ScoringJob):
    """What is to be measured; see ``--help`` for each."""

    teacher: str
    counterfactuals: dict[str, str] = field(default_factory=dict)
    with_base: bool = True
    shown: int = 100

    def names(self) -> list[str]:
        """The counterfactual teachers, the base first."""
        if self.with_base:
            return [BASE, *self.counterfactuals]
        return list(self.counterfactuals)

    def tuned(self) -> dict[str, str]:
        return {TEACHER: self.teacher, **self.counterfactuals}

    def inputs(self) -> dict[str, Path]:
        models = {"base": self.base, "teacher": self.teacher}
        for name, path in self.counterfactuals.items():
            models[f"counterfactual/{name}"] = path
        return model_inputs(self.rows, models)


class DivergenceFolder(RowFolder):
    made_files = (
        "scores.jsonl",
        "divergence.json",
        "divergence.csv",
        "divergence.html",
        "rows.jsonl",
        "manifest.json",
    )
    rows_file = "scores.jsonl"
    may_change = ("limit", "batch_size", "shown")


def run_divergence(job: DivergenceJob, *, resume: bool, overwrite: bool) -> None:
    """Score the rows, write what follows from the scores, and print the folder last.

    Raises:
        UserError: the folder must not be written to, a row is malformed, or a model does not fit.
    """
    # Models are kept by name: one of these would take the base's or the teacher's place without a word.
    wrong = sorted({BASE, TEACHER} & job.counterfactuals.keys())
    if wrong:
        raise UserError(f"--counterfactual {wrong[0]}=...: that name is taken. Give it another.")
    if not job.names():
        raise UserError("There is no counterfactual teacher. Name one with --counterfactual, or leave out --no-base.")
    folder = DivergenceFolder(job.out)

    def work(models: Models) -> dict[str, int]:
        score_rows(job, folder, models)
        return _write_summary(job, folder)

    run_job(job, folder, work, resume=resume, overwrite=overwrite)


def score_rows(job: DivergenceJob, folder: RowFolder, models: Models) -> None:
    """Append the scores of every row that has none yet."""

    def compute(batch: list[Answer], first: bool) -> Divergence:
        return score_batch(models, batch, TEACHER, job.names(), prove=first)

    append_scores(job.source(), folder, models.tokenizer, compute, "divergence")


def _write_summary(job: DivergenceJob, folder: DivergenceFolder) -> dict[str, int]:
    """Write what follows from the scores; returns the counts of the manifest."""
    summary = DivergenceSummary(job.names())
    shown = add_scores(summary, wanted_scores(job.source(), folder), job.shown)
    result = {"teacher": job.teacher, "counterfactuals": job.names(), **summary.result()}
    table = summary.table()
    write_json(folder.path / "divergence.json", result)
    spelled = spelled_out(table)
    write_csv(folder.path / "divergence.csv", list(spelled[0]), spelled)
    rows = [shaded(row) for row in shown]
    write_scores_page(folder.path / "divergence.html", job.config(), result, table, rows=rows)
    kept = write_jsonl(folder.path / "rows.jsonl", _rows_with_spans(job, folder))
    return {"rows": result["rows"], "rows_with_spans": kept}


def _rows_with_spans(job: DivergenceJob, folder: DivergenceFolder) -> Iterator[dict[str, Any]]:
    """The rows in their order, with loss on divergence tokens alone; those that can have no spans are left out."""
    scores = ScoreIndex(folder.rows)
    for row in job.source().rows():
        scored = scores[row["id"]]
        # Spans are of characters: where tokens of the row and of its answer alone differ they would mark other tokens.
        if alignment_problem(row, scored) is None:
            counts = graded(scored["matches"], scored["disagrees"])[:-1]  # the end token has no span
            yield with_spans(row, scored, [count >= 1 for count in counts])
