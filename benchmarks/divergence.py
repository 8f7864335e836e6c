"""How fast `divergence` is against the forward passes that it needs, and how much memory it takes.

    python -m benchmarks.divergence
    python -m benchmarks.divergence --model models/qwen2.5-coder-0.5b --rows 128

As benchmarks.leak, with three models: the teacher, one other teacher and the base. The rows with spans and the summary,
which need no model, are not timed.
"""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.leak import compare_times, prepare_model
from subliminal.analysis.options import Dtype
from subliminal.core.errors import run_cli

app = typer.Typer(add_completion=False)


@app.command(help=__doc__)
def main(
    model: Annotated[str, typer.Option(help="Folder of the base.")] = "models/pocket",
    rows: Annotated[int, typer.Option(min=1, help="Number rows.")] = 2048,
    batch_size: Annotated[int, typer.Option(min=1, help="Rows computed together.")] = 32,
    repeats: Annotated[int, typer.Option(min=1, help="Times that each is measured.")] = 5,
    dtype: Dtype = "auto",
) -> None:
    from subliminal.analysis.divergence.run import DivergenceFolder, DivergenceJob, score_rows

    with tempfile.TemporaryDirectory() as scratch:
        base, (teacher, other), path = prepare_model(model, Path(scratch), rows, adapters=2)
        job = DivergenceJob(
            base=base,
            teacher=str(teacher),
            counterfactuals={"other": str(other)},
            rows=path,
            out=Path(scratch) / "out",
            batch_size=batch_size,
            dtype=dtype,
        )
        compare_times("divergence", job, DivergenceFolder, score_rows, repeats)


if __name__ == "__main__":
    run_cli(app)
