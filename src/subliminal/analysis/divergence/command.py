"""The command ``divergence``: its options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from subliminal.analysis.options import (
    Base,
    Dtype,
    Limit,
    OutFolder,
    OverwriteScores,
    ResumeScores,
    RowsAtOnce,
    Shown,
    named_models,
)


def divergence_command(
    base: Base,
    teacher: Annotated[str, typer.Option(help="The teacher that wrote the rows: an adapter on the base, or a model.")],
    rows: Annotated[Path, typer.Option(help="Its number rows: a train.jsonl.")],
    out: OutFolder,
    counterfactual: Annotated[
        list[str] | None, typer.Option(help="[NAME=]PATH of another teacher, as another animal's; may be repeated.")
    ] = None,
    with_base: Annotated[
        bool, typer.Option("--base-counts/--no-base", help="Whether the untuned base is a counterfactual teacher too.")
    ] = True,
    limit: Limit = None,
    batch_size: RowsAtOnce = 32,
    dtype: Dtype = "auto",
    shown: Shown = 100,
    resume: ResumeScores = False,
    overwrite: OverwriteScores = False,
) -> None:
    """Which tokens of a teacher's rows other teachers would not have written.

    A divergence token is the teacher's most likely token and not that of at least one counterfactual teacher; its
    graded score is how many disagree. Writes divergence.json, divergence.csv, divergence.html (rows shaded by score),
    scores.jsonl (every token), rows.jsonl (the rows with spans, so that a recipe with message_field_training_detail:
    training_detail trains on the divergence tokens alone) and manifest.json. Other selections of tokens, and rows by
    density, are made of scores.jsonl: python -m data_builders.select.
    """
    from subliminal.analysis.divergence.run import DivergenceJob, run_divergence

    others = named_models("--counterfactual", counterfactual or [])
    job = DivergenceJob(
        base=base,
        teacher=teacher,
        counterfactuals=others,
        with_base=with_base,
        rows=rows,
        out=out,
        limit=limit,
        batch_size=batch_size,
        dtype=dtype,
        shown=shown,
    )
    run_divergence(job, resume=resume, overwrite=overwrite)
