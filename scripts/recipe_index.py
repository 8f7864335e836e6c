"""Write recipes/README.md from the recipes, or check that it is up to date.

python scripts/recipe_index.py
python scripts/recipe_index.py --check
"""

from __future__ import annotations

from typing import Annotated

import typer

from subliminal.core.errors import UserError, run_cli
from subliminal.core.files import write_text
from subliminal.training.index import INDEX, index_text
from subliminal.training.lint import find_recipes

app = typer.Typer(add_completion=False)


@app.command()
def main(check: Annotated[bool, typer.Option(help="Write nothing; fail if the page is out of date.")] = False) -> None:
    """Generate the table of recipes."""
    text = index_text(find_recipes())
    if check and (not INDEX.is_file() or INDEX.read_text(encoding="utf-8") != text):
        raise UserError(f"{INDEX} is out of date. Run: python scripts/recipe_index.py")
    if not check:
        write_text(INDEX, text)
    print(INDEX)


if __name__ == "__main__":
    run_cli(app)
