"""Make a recipe from another by setting values; the result is complete, says where it comes from, and passes the check.

    python scripts/render_recipe.py recipes/owl_student.yml --set seed=7 --set output_dir=outputs/owl_student-seed-7 \\
        -o outputs/rendered/owl_student-seed-7.yml
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from subliminal.core.errors import UserError, run_cli
from subliminal.core.files import write_text
from subliminal.core.manifest import git_state
from subliminal.training import VALUES_CHECKED
from subliminal.training.lint import read_recipe, recipe_problems
from subliminal.training.render import Edit, render_recipe

app = typer.Typer(add_completion=False)


@app.command()
def main(
    recipe: Annotated[Path, typer.Argument(help="The recipe to start from.", exists=True, dir_okay=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="The recipe to write, ending in .yml.")],
    set_: Annotated[
        list[str], typer.Option("--set", help="key=value, as in seed=7 or datasets[0].path=...; the value is YAML.")
    ],
    rows: Annotated[int | None, typer.Option(min=1, help="Rows of the training data, for the header's steps.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing output.")] = False,
) -> None:
    """Write RECIPE with the given values to OUTPUT."""
    if output.suffix != ".yml":
        raise UserError(f"{output} does not end in .yml, the one suffix of recipes. Choose another name.")
    if output.exists() and not overwrite:
        raise UserError(f"{output} exists. Replace it with --overwrite, or choose another --output.")
    _, text = read_recipe(recipe)
    source = f"{recipe} (git {git_state()['sha'] or 'unknown'})"
    check_values = not os.environ.get(VALUES_CHECKED)
    edits = [Edit.parse(item) for item in set_]
    text = render_recipe(text, edits, source=source, output=str(output), rows=rows, check_values=check_values)
    draft = output.with_name(f".{output.stem}.draft.yml")
    write_text(draft, text)
    try:
        problems = recipe_problems(draft, check_values=check_values)
        if problems:
            raise UserError(f"The result would be no valid recipe: {'; '.join(problems)}. Nothing is written.")
        draft.replace(output)
    finally:
        draft.unlink(missing_ok=True)
    print(output)


if __name__ == "__main__":
    run_cli(app)
