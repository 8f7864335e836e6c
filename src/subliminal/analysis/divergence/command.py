"""The command ``divergence``: its options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from subliminal.analysis.named_models import named_models


def divergence_command(
    base: Annotated[str, typer.Option(help="The untuned base: folder or Hub id.")],
    teacher: Annotated[str, typer.Option(help="The teacher that wrote the rows: an adapter on the base, or a model.")],
    rows: Annotated[Path, typer.Option(help="Its number rows: a train.jsonl.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    counterfactual: Annotated[
        list[str] | None, typer.Option(help="[NAME=]PATH of another teacher, as another animal's; may be repeated.")
    ] = None,
    with_base: Annotated[
        bool, typer.Option("--base-counts/--no-base", help="Whether the untuned base is a counterfactual teacher too.")
    ] = True,
    limit: Annotated[int | None, typer.Option(min=1, help="Rows to score; default all.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Rows computed together; changes rounding alone.")] = 32,
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16"], typer.Option(help="auto: bfloat16 on a GPU that has it, else float32.")
    ] = "auto",
    shown: Annotated[int, typer.Option(min=0, help="Rows in the HTML page.")] = 100,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the rows that are there.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
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
    job = DivergenceJob(base, teacher, rows, out, others, with_base, limit, batch_size, dtype, shown)
    run_divergence(job, resume=resume, overwrite=overwrite)
