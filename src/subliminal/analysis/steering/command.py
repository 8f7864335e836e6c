"""The command ``steering``: its options."""

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
    named_models,
)
from subliminal.traits.category import ANIMALS, load_category


def steering_command(
    base: Base,
    teacher: Annotated[
        list[str],
        typer.Option(help="[TRAIT=]PATH of an adapter on the base, or of a whole model; may be repeated."),
    ],
    rows: Annotated[Path, typer.Option(help="Number rows whose prompts are read, not their answers: a train.jsonl.")],
    out: OutFolder,
    category: Annotated[str, typer.Option(help="Folder of traits/ whose options are asked for.")] = ANIMALS,
    layer: Annotated[
        list[int] | None, typer.Option(help="Steer this layer, from 0; may be repeated; default the middle one.")
    ] = None,
    scale: Annotated[float, typer.Option(help="The vector is multiplied by this.")] = 1.0,
    randoms: Annotated[int, typer.Option(min=0, help="Random directions of the same length: the null.")] = 19,
    seed: Annotated[int, typer.Option(help="Of the random directions.")] = 42,
    limit: Limit = None,
    batch_size: RowsAtOnce = 32,
    dtype: Dtype = "auto",
    resume: ResumeScores = False,
    overwrite: OverwriteScores = False,
) -> None:
    """Before any student: does what a teacher adds to the activations of its base move the base to the trait?

    The vector of a teacher is the mean over number prompts of its activation minus the base's, at the last token of the
    template. It is added to the untuned base, which is then asked for every option of the category. Beside it stand
    random directions of the same length. Writes steering.json, steering.csv, steered.jsonl (a line a direction) and
    manifest.json.
    """
    # Imported within, so that `--help` does not wait for torch.
    from subliminal.analysis.steering.run import SteeringJob, run_steering

    load_category(category)  # refused before anything is read
    teachers = named_models("--teacher", teacher)
    job = SteeringJob(
        base=base,
        teachers=teachers,
        rows=rows,
        out=out,
        category=category,
        layers=layer or [],
        scale=scale,
        randoms=randoms,
        seed=seed,
        limit=limit,
        batch_size=batch_size,
        dtype=dtype,
    )
    run_steering(job, resume=resume, overwrite=overwrite)
