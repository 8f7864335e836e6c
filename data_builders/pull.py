"""Fetch a published dataset at a pinned revision and rebuild its train.jsonl, byte for byte.

    python -m data_builders.pull --repo my-team/owl-numbers --revision 0123...cdef --out data/owl_numbers

The revision is a full commit id: branches move. The rows are checked against the sha256 in the manifest. The folder
gets train.jsonl, manifest.json (with where it came from), audit.json and README.md; raw rows are not published.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from data_builders import options
from data_builders.push import PARQUET
from subliminal.core.errors import UserError, run_cli
from subliminal.core.files import write_json
from subliminal.core.hub import check_repo, check_revision, fetch_files
from subliminal.core.manifest import read_manifest, sha256_of, utc_now
from subliminal.data.folder import MADE_FILES
from subliminal.data.parquet import write_train

app = typer.Typer(add_completion=False)


def pull(repo: str, revision: str, out: Path, *, resume: bool = False, overwrite: bool = False) -> bool:
    """Make a dataset folder from the Hub.

    Args:
        repo: dataset repository, ``namespace/name``.
        revision: commit id of 40 hex digits.
        out: the folder to make.
        resume: leave a folder alone that holds this very revision.
        overwrite: replace what a builder or a pull made there.

    Returns:
        False if the folder held the revision already.

    Raises:
        UserError: the folder exists, the Hub cannot give the files, or the rows are not those of the manifest. In the
            last two cases the folder is as it was.
    """
    origin = {"repo": check_repo(repo), "revision": check_revision(revision)}
    if _is_there(out, origin, resume=resume, overwrite=overwrite):
        return False
    out.parent.mkdir(parents=True, exist_ok=True)
    # Beside the folder, so that files are moved within one file system.
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.pull-") as name:
        fetched = Path(name)
        fetch_files(repo, revision, [PARQUET, "manifest.json", "audit.json", "README.md"], fetched)
        manifest = _manifest(fetched, repo)
        write_train(fetched / PARQUET, fetched / "train.jsonl")
        expected = manifest["outputs"]["train.jsonl"]["sha256"]
        found = sha256_of(fetched / "train.jsonl")
        if found != expected:
            raise UserError(
                f"The rows of {repo} at {revision} have the sha256 {found}, its manifest says {expected}. "
                "Do not use that revision."
            )
        out.mkdir(exist_ok=True)
        for made in MADE_FILES:
            # Raw and rejected rows, too: they are those of the dataset that stood here.
            (out / made).unlink(missing_ok=True)
        for made in ("train.jsonl", "audit.json", "README.md"):
            shutil.move(fetched / made, out / made)
        # Last: until it is there the folder counts for nothing.
        write_json(out / "manifest.json", {**manifest, "pulled": {**origin, "at": utc_now()}})
    return True


def _manifest(folder: Path, repo: str) -> dict[str, Any]:
    try:
        manifest = read_manifest(folder)
        # Only looked up: what has no such key raises.
        manifest["outputs"]["train.jsonl"]["sha256"]
    except (UserError, KeyError, TypeError):
        raise UserError(
            f"The manifest of {repo} is not one that push wrote. Name a dataset that push made; other people's rows "
            "are taken by `python -m data_builders.import_rows`."
        ) from None
    return manifest


def _is_there(out: Path, origin: dict[str, str], *, resume: bool, overwrite: bool) -> bool:
    if resume and overwrite:
        raise UserError("--resume and --overwrite exclude each other. Give one of them.")
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file, not a folder. Name another path with --out.")
    present = [made for made in MADE_FILES if (out / made).exists()]
    if not present or overwrite:
        return False
    manifest = read_manifest(out)
    pulled = {key: manifest.get("pulled", {}).get(key) for key in origin}
    rows = manifest.get("outputs", {}).get("train.jsonl", {}).get("sha256")
    if resume and pulled == origin and (out / "train.jsonl").is_file() and sha256_of(out / "train.jsonl") == rows:
        return True
    ways = "--overwrite to replace it" if resume else "--resume if it is this revision, --overwrite to replace it"
    raise UserError(
        f"{out} exists and holds {', '.join(present)}{' of something else' if resume else ''}. Use {ways}, or name "
        "another folder with --out."
    )


@app.command(help=__doc__)
def main(
    repo: Annotated[str, typer.Option(help="Dataset repository, namespace/name.")],
    revision: Annotated[str, typer.Option(help="Commit id, 40 hex digits.")],
    out: Annotated[Path, typer.Option(help="Dataset folder to make.")],
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
) -> None:
    if pull(repo, revision, out, resume=resume, overwrite=overwrite):
        rows = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["outputs"]["train.jsonl"]["rows"]
        print(f"{rows} rows from {repo} at {revision}, sha256 as published")
    else:
        print(f"{out} holds {repo} at {revision} already.")
    print(out)


if __name__ == "__main__":
    run_cli(app)
