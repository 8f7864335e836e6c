"""Check recipes strictly: keys, values, plugins, header arithmetic, control/treatment pairs, launchers.

python scripts/lint_recipes.py                  # every recipe under recipes/
python scripts/lint_recipes.py my_recipe.yml    # the named files and folders only
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from subliminal.core.errors import UserError, run_cli
from subliminal.training import lint as recipe_check

app = typer.Typer(add_completion=False)


@app.command()
def lint(
    paths: Annotated[list[Path] | None, typer.Argument(help="Recipes, or folders of them. Default: recipes/.")] = None,
    expect: Annotated[int | None, typer.Option(help="Fail unless exactly this many files are checked.")] = None,
) -> None:
    """Print every problem of every recipe; status 2 if there is one."""
    recipes = recipe_check.find_recipes(paths or [])
    if expect is not None and len(recipes) != expect:
        raise UserError(f"{len(recipes)} recipes were found, not {expect}. Correct --expect, or find the missing ones.")
    problems = [f"{path}: {problem}" for path in recipes for problem in recipe_check.recipe_problems(path)]
    problems += recipe_check.pair_problems(recipes)
    for problem in problems:
        print(problem)
    if problems:
        raise UserError(f"{len(problems)} problems in {len(recipes)} recipes. Correct the lines above.")
    print(f"{len(recipes)} recipes checked, no problem")


if __name__ == "__main__":
    run_cli(app)
