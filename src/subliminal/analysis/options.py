"""Command-line options that several analyses share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from subliminal.core.errors import UserError

Base = Annotated[str, typer.Option(help="The untuned base: folder or Hub id.")]
OutFolder = Annotated[Path, typer.Option(help="Folder to write.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Rows to score; default all.")]
RowsAtOnce = Annotated[int, typer.Option(min=1, help="Rows computed together; changes rounding alone.")]
Dtype = Annotated[
    Literal["auto", "float32", "bfloat16"], typer.Option(help="auto: bfloat16 on a GPU that has it, else float32.")
]
Shown = Annotated[int, typer.Option(min=0, help="Rows in the HTML page.")]
ResumeScores = Annotated[bool, typer.Option("--resume", help="Go on with the rows that are there.")]
OverwriteScores = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]


def named_models(option: str, entries: list[str]) -> dict[str, str]:
    """Models by name from ``NAME=PATH``, or ``PATH`` whose last part is the name.

    Raises:
        UserError: two of one name, or one without.
    """
    models: dict[str, str] = {}
    for entry in entries:
        # At the first sign: a path may have others.
        name, separator, path = entry.partition("=")
        if not separator:
            path, name = entry, Path(entry).name
        if name in models or not name:
            raise UserError(f"{option} {entry}: give every teacher a name of its own, as {option} NAME=PATH.")
        models[name] = path
    return models
