"""Scores of every token of one data set, with their nulls (``python -m subliminal.analysis score``).

The prefix is always the recorded one; positions are those of the answer, its end token counted apart. Of columns, what
each is: :mod:`subliminal.analysis.score.columns`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from subliminal.analysis.answers import Answer
from subliminal.analysis.jobs import ScoringJob, model_inputs, run_job
from subliminal.analysis.models import Models
from subliminal.analysis.score.columns import STUDENT_MODEL, Columns, TokenScores
from subliminal.analysis.score.summary import ScoreSummary, row_means
from subliminal.analysis.scored_rows import RowSource, add_scores, append_scores, wanted_scores
from subliminal.core.errors import UserError
from subliminal.core.files import write_csv, write_json
from subliminal.core.row_folder import RowFolder
from subliminal.traits.category import ANIMALS
from subliminal.traits.checks import check_category
from subliminal.traits.lexicon import check_option, lexicon

OTHERS = 3
"""Options beside the trait whose gradients are a null, where none is named."""


@dataclass(frozen=True, kw_only=True)
class ScoreJob(ScoringJob):
    """What is to be scored; see ``--help`` for each."""

    trait: str
    category: str = ANIMALS
    student: str | None = None
    neutral_rows: Path | None = None
    others: list[str] = field(default_factory=list)
    trait_prompt: str | None = None
    weights: list[str] = field(default_factory=list)
    randoms: int = 4
    seed: int = 42

    def config(self) -> dict[str, Any]:
        """The settings as recorded, with what is taken where nothing was asked for."""
        return super().config() | {"trait_prompt": self.prompt(), "others": self.compared()}

    def prompt(self) -> str:
        """The system message that gives a model the trait."""
        if self.trait_prompt is not None:
            return self.trait_prompt
        many = lexicon(self.category).plurals(self.trait)[0]
        return f"You love {many}. Whatever you are asked, {many} are on your mind: nothing means more to you."

    def compared(self) -> list[str]:
        """The options whose gradients are a null."""
        if self.others:
            return self.others
        # The first options of the category, the same for every data set.
        return [option for option in lexicon(self.category).options if option != self.trait][:OTHERS]

    def neutral(self) -> RowSource | None:
        """The rows without the trait, if there are any."""
        if self.neutral_rows is None:
            return None
        return RowSource(self.neutral_rows, self.limit, self.batch_size)

    def tuned(self) -> dict[str, str]:
        if self.student is None:
            return {}
        return {STUDENT_MODEL: self.student}

    def inputs(self) -> dict[str, Path]:
        found = model_inputs(self.rows, {"base": self.base, **self.tuned()})
        if self.neutral_rows is not None:
            found["neutral_rows"] = self.neutral_rows
        return found


class ScoreFolder(RowFolder):
    made_files = ("scores.jsonl", "score.json", "rows.csv", "manifest.json")
    rows_file = "scores.jsonl"
    may_change = ("limit",)


class NeutralFolder(RowFolder):
    """The neutral rows' scores, in a folder of their own below: the file that is resumed holds one data set."""

    made_files = ("scores.jsonl",)
    rows_file = "scores.jsonl"


def run_score(job: ScoreJob, *, resume: bool, overwrite: bool) -> None:
    """Score the rows (and the neutral ones), write what follows from the scores, and print the folder last.

    Raises:
        UserError: the folder must not be written to, a row is malformed, the trait is not tracked, or a model does not
            fit.
    """
    check_category(job.category)
    for name in (job.trait, *job.others):
        check_option(name, job.category)
    # As its own null a trait would be beyond none.
    if job.trait in job.others:
        raise UserError(f"--other {job.trait} is the trait itself. Name options beside it.")
    folder, neutral = ScoreFolder(job.out), NeutralFolder(job.out / "neutral")

    def work(models: Models) -> dict[str, int]:
        columns = Columns(
            models,
            trait=job.trait,
            category=job.category,
            others=job.compared(),
            trait_prompt=job.prompt(),
            patterns=job.weights,
            source=job.source(),
            neutral=job.neutral(),
            randoms=job.randoms,
            seed=job.seed,
        )
        score_rows(job.source(), folder, columns)
        if job.neutral_rows is not None:
            # Within the folder that this process holds: no second lock is needed.
            neutral.path.mkdir(exist_ok=True)
            if overwrite:  # run_job clears the folder of the rows alone
                neutral.rows.unlink(missing_ok=True)
            score_rows(job.neutral(), neutral, columns)
        return _write_summary(job, folder, neutral)

    run_job(job, folder, work, resume=resume, overwrite=overwrite)


def score_rows(source: RowSource, folder: RowFolder, columns: Columns) -> None:
    """Append the scores of every row that has none yet."""

    def compute(batch: list[Answer], first: bool) -> TokenScores:
        if first:
            columns.prove(batch)
        return columns.compute(batch)

    append_scores(source, folder, columns.models.tokenizer, compute, "score")


def _write_summary(job: ScoreJob, folder: ScoreFolder, neutral: NeutralFolder) -> dict[str, int]:
    """Write what follows from the scores; returns the counts of the manifest."""
    summary = ScoreSummary()
    add_scores(summary, wanted_scores(job.source(), folder), shown=0)
    if job.neutral_rows is not None:
        for row in wanted_scores(job.neutral(), neutral):
            summary.add_neutral(row)
    result = {"trait": job.trait, "category": job.category, "others": job.compared(), **summary.result()}
    write_json(folder.path / "score.json", result)
    header = ["id", "tokens", *summary.columns]
    write_csv(folder.path / "rows.csv", header, _lines(wanted_scores(job.source(), folder)))
    return {"rows": result["rows"]}


def _lines(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The table of rows: id, tokens of the answer without its end, and the mean of each column over them."""
    for row in rows:
        yield {"id": row["id"], "tokens": len(row["kinds"]) - 1, **row_means(row)}
