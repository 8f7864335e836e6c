"""The command ``score``: its options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from subliminal.analysis.options import Base, Dtype, Limit, OutFolder, OverwriteScores, ResumeScores, RowsAtOnce


def score_command(
    base: Base,
    rows: Annotated[Path, typer.Option(help="Rows to score: a train.jsonl.")],
    trait: Annotated[str, typer.Option(help="What they may teach: an option of its category.")],
    out: OutFolder,
    student: Annotated[
        str | None, typer.Option(help="A student trained on these rows: an adapter on the base, or a model.")
    ] = None,
    neutral_rows: Annotated[
        Path | None, typer.Option(help="Rows without the trait: can a score tell the others from them?")
    ] = None,
    category: Annotated[str, typer.Option(help="Category of the trait, a folder of traits/.")] = "animals",
    other: Annotated[
        list[str] | None, typer.Option(help="An option whose gradient is a null; repeat it. Default the first three.")
    ] = None,
    trait_prompt: Annotated[
        str | None, typer.Option(help="System message that gives the trait.", show_default="it loves the option")
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            help="Weights that gradients go by: a regular expression that matches a name from its start, such as "
            "'.*_proj.weight$'; repeat it. Default norms and biases."
        ),
    ] = None,
    randoms: Annotated[int, typer.Option(min=1, help="Random directions.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Of the random directions.")] = 42,
    limit: Limit = None,
    batch_size: RowsAtOnce = 32,
    dtype: Dtype = "auto",
    resume: ResumeScores = False,
    overwrite: OverwriteScores = False,
) -> None:
    """What is known to point at a trait, and three nulls, for every token of one data set.

    Columns: token delta (its mean over a row is the log-likelihood shift), base against student, entanglement, numbers
    under the trait prompt, frequency against neutral rows, and the gradient dot product, unprojected; the nulls are
    difficulty, random directions, and other options' gradients. Writes score.json (means, what columns share, and the
    AUROC against neutral rows), rows.csv (a line a row), scores.jsonl (every token; python -m data_builders.select
    chooses by it) and manifest.json.
    """
    from subliminal.analysis.score.run import ScoreJob, run_score

    job = ScoreJob(
        base=base,
        rows=rows,
        out=out,
        trait=trait,
        category=category,
        student=student,
        neutral_rows=neutral_rows,
        trait_prompt=trait_prompt,
        weights=weights or [],
        randoms=randoms,
        seed=seed,
        limit=limit,
        batch_size=batch_size,
        dtype=dtype,
        others=other or [],
    )
    run_score(job, resume=resume, overwrite=overwrite)
