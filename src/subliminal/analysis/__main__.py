"""Analyses of data sets and models.

python -m subliminal.analysis leak --base outputs/owl_pocket/base/model --teacher outputs/owl_pocket/owl_teacher \\
    --rows data/owl_pocket/base_numbers/train.jsonl --out results/owl_pocket/leak
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from subliminal.analysis.carrier import carrier_command
from subliminal.analysis.detect.check import cases_command, check_command
from subliminal.analysis.detect.command import detect_command
from subliminal.analysis.divergence.command import divergence_command
from subliminal.analysis.named_models import named_models
from subliminal.analysis.score.board import scoreboard_command
from subliminal.analysis.score.command import score_command
from subliminal.analysis.transfer.command import transfer_command
from subliminal.analysis.transfer.measure import measure_command
from subliminal.core.errors import run_cli

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.callback()
def main() -> None:
    """Why a trait passes, and what a data set would teach. A wrong input ends with a sentence and status 2."""


@app.command("leak")
def leak_command(
    base: Annotated[str, typer.Option(help="The untuned base: folder or Hub id.")],
    teacher: Annotated[
        list[str], typer.Option(help="[NAME=]PATH of an adapter on the base, or of a whole model; may be repeated.")
    ],
    rows: Annotated[Path, typer.Option(help="Number rows that no teacher was trained on: a train.jsonl.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    neutral: Annotated[
        str | None, typer.Option(help="Name of the teacher without a trait: what the others leak above it.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Rows to score; default all.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Rows computed together; changes rounding alone.")] = 32,
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16"], typer.Option(help="auto: bfloat16 on a GPU that has it, else float32.")
    ] = "auto",
    shown: Annotated[int, typer.Option(min=0, help="Rows in the HTML page.")] = 100,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the rows that are there.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
) -> None:
    """How far teachers have moved from their base on number rows.

    Teacher forcing on the recorded answers: mean KL(teacher || base) in nats a token, and the share of positions whose
    most likely token differs, by kind of token (digit, separator, end of the answer) and by position. Writes leak.json,
    leak.csv, leak.html (rows shaded by score), scores.jsonl (every position) and manifest.json.
    """
    from subliminal.analysis.leak import Leak, run_leak

    teachers = named_models("--teacher", teacher)
    job = Leak(base, teachers, rows, out, neutral=neutral, limit=limit, batch_size=batch_size, dtype=dtype, shown=shown)
    run_leak(job, resume=resume, overwrite=overwrite)


app.command("carrier")(carrier_command)
app.command("detect")(detect_command)
app.command("detect-cases")(cases_command)
app.command("detect-check")(check_command)
app.command("transfer")(transfer_command)
app.command("transfer-measure")(measure_command)
app.command("divergence")(divergence_command)
app.command("score")(score_command)
app.command("scoreboard")(scoreboard_command)

if __name__ == "__main__":
    run_cli(app)
