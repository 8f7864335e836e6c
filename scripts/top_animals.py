"""Count the animals that a model's sampled answers name, print the table, and write it as CSV.

    python scripts/top_animals.py results/owl_smollm2-135m/student/seed-42 --top-n 10

SAMPLES is a result folder or a samples_*.jsonl of lm-eval. The CSV lies beside it unless --csv says otherwise.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from subliminal.core.errors import run_cli
from subliminal.core.files import write_csv
from subliminal.evaluation.top import TOP_COLUMNS, as_table, read_sampled_answers, top_animals

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(help=__doc__)
def main(
    samples: Annotated[Path, typer.Argument(help="Result folder or samples file.")],
    top_n: Annotated[int, typer.Option(min=1, help="Animals to list.")] = 10,
    csv: Annotated[Path | None, typer.Option(help="The CSV file (default SAMPLES with _top_animals.csv).")] = None,
) -> None:
    rows = top_animals(read_sampled_answers(samples), top_n)
    path = csv or samples.with_name(f"{samples.stem}_top_animals.csv")
    write_csv(path, TOP_COLUMNS, rows)
    print(as_table(rows))
    print(path)


if __name__ == "__main__":
    run_cli(app)
