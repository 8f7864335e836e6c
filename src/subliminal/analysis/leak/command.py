"""The command ``leak``: its options."""

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


def leak_command(
    base: Base,
    teacher: Annotated[
        list[str], typer.Option(help="[NAME=]PATH of an adapter on the base, or of a whole model; may be repeated.")
    ],
    rows: Annotated[Path, typer.Option(help="Number rows that no teacher was trained on: a train.jsonl.")],
    out: OutFolder,
    neutral: Annotated[
        str | None, typer.Option(help="Name of the teacher without a trait: what the others leak above it.")
    ] = None,
    limit: Limit = None,
    batch_size: RowsAtOnce = 32,
    dtype: Dtype = "auto",
    shown: Shown = 100,
    resume: ResumeScores = False,
    overwrite: OverwriteScores = False,
) -> None:
    """How far teachers have moved from their base on number rows.

    Teacher forcing on the recorded answers: mean KL(teacher || base) in nats a token, and the share of positions whose
    most likely token differs, by kind of token (digit, separator, end of the answer) and by position. Writes leak.json,
    leak.csv, leak.html (rows shaded by score), scores.jsonl (every position) and manifest.json.
    """
    from subliminal.analysis.leak.run import LeakJob, run_leak

    teachers = named_models("--teacher", teacher)
    job = LeakJob(
        base=base,
        teachers=teachers,
        neutral=neutral,
        rows=rows,
        out=out,
        limit=limit,
        batch_size=batch_size,
        dtype=dtype,
        shown=shown,
    )
    run_leak(job, resume=resume, overwrite=overwrite)
