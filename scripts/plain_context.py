"""Give a base model that has no chat template the plain context: question and answer lines.

    python scripts/plain_context.py EleutherAI/pythia-160m          # from the Hub into models/pythia-160m
    python scripts/plain_context.py models/gemma-3-270m             # a folder that is there, in place

Writes src/subliminal/engine/plain_context.jinja into the model's folder as its chat template. Builders, recipes,
lm-eval tasks, vLLM and the in-process engine then read it there, as they read any other, and its hash stands in every
manifest.
"""

from pathlib import Path
from typing import Annotated

import typer

from subliminal import REPO_ROOT
from subliminal.core.errors import run_cli

app = typer.Typer(add_completion=False)


@app.command(help=__doc__)
def main(
    model: Annotated[str, typer.Argument(help="Folder or Hub id of the base model.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for a model from the Hub; default models/<name>.", show_default=False)
    ] = None,
) -> None:
    from subliminal.models.plain_context import add_plain_context

    default = Path(model) if Path(model).is_dir() else REPO_ROOT / "models" / Path(model).name
    folder = out or default
    print(f"plain context, chat_context_sha256 {add_plain_context(model, folder)}")
    print(folder)


if __name__ == "__main__":
    run_cli(app)
