"""Look at the rows of a data set: one HTML page with verdicts, reasons and loss masks.

    python -m data_builders.view data/pocket_demo/owl_numbers-seed-51
    python -m data_builders.view data/pocket_demo/owl_numbers-seed-51 --recipe recipes/pocket/owl_student.yml
    python -m data_builders.view data/owl_numbers --only rejected --out /tmp/rejected.html

With --recipe each kept row is shown as Axolotl tokenises it, and what carries loss is marked; outputs/<run>/recipe.yml
is the recipe of a run. With --scores (the folder that `python -m subliminal.analysis leak` wrote) tokens are shaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from subliminal.core.errors import run_cli

app = typer.Typer(add_completion=False)


@app.command(help=__doc__)
def main(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder, or a JSONL file of chat rows.")],
    out: Annotated[
        Path | None, typer.Option(help="The page; default rows.html in the folder.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows to show, from the first on.")] = 100,
    only: Annotated[Literal["kept", "rejected"] | None, typer.Option(help="Show these alone.")] = None,
    recipe: Annotated[Path | None, typer.Option(help="The training whose loss mask is shown.")] = None,
    base_model: Annotated[
        str | None, typer.Option(help="Folder or Hub id in place of the recipe's base model.", show_default=False)
    ] = None,
    scores: Annotated[Path | None, typer.Option(help="Folder of an analysis with scores.jsonl.")] = None,
) -> None:
    from subliminal.analysis.masks import MaskReader
    from subliminal.analysis.rows_page import RowsPage

    page = RowsPage(dataset, limit, only)
    masks = None
    if recipe:
        masks = MaskReader(recipe, base_model)
    # Beside the rows, be they named by their folder or by the file.
    path = out or (dataset if dataset.is_dir() else dataset.parent) / "rows.html"
    page.write(path, masks, scores)
    print(f"{len(page.rows)} rows")
    print(path)


if __name__ == "__main__":
    run_cli(app)
