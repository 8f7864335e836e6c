"""Publish a finished, audited dataset folder on the Hub, in one commit, and read it back to compare the bytes.

    python -m data_builders.push data/owl_numbers --repo my-team/owl-numbers
    python -m data_builders.push data/owl_numbers --repo my-team/owl-numbers --public --no-dry-run

What goes: the training rows as parquet, the manifest, the audit, and the dataset card. Raw and rejected rows stay here.
Without --no-dry-run nothing is sent; the command shows what would go. The token comes from HF_TOKEN or `hf auth login`.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from subliminal.core.errors import UserError, run_cli
from subliminal.core.files import read_jsonl, read_object, write_json, write_text
from subliminal.core.hub import PUSHED, Commit, check_repo, fetch_files, push_files
from subliminal.core.manifest import scrub, sha256_of
from subliminal.data.card import UNKNOWN_LICENCE, dataset_card
from subliminal.data.parquet import rebuilds, write_parquet
from subliminal.data.registry import finished_manifest

PARQUET = "data/train-00000-of-00001.parquet"

app = typer.Typer(add_completion=False)


@contextmanager
def staged_dataset(folder: Path, licence: str | None) -> Iterator[dict[str, Path]]:
    """What goes to the Hub, as path there -> local file; gone when the block ends.

    Args:
        folder: the dataset folder.
        licence: as the Hub names it; None is what the manifest says of rows that are other people's, or mit for rows
            that were made here.

    Raises:
        UserError: the folder is not finished, its audit is missing, stale or failed, or its rows would not come back;
            or they are other people's, of an unknown licence.
    """
    manifest = finished_manifest(folder)
    if licence is None and manifest.get("licence") == UNKNOWN_LICENCE:
        raise UserError(
            f"The rows of {folder} are other people's, and nobody said under which licence. Ask the authors, and name "
            "it with --licence."
        )
    audit = check_audit(folder, manifest)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".push-") as name:
        stage = Path(name)
        write_parquet(folder / "train.jsonl", stage / PARQUET)
        if not rebuilds(stage / PARQUET, folder / "train.jsonl"):
            raise UserError(
                f"{folder}/train.jsonl holds more than ids and messages, or writes them in another way: its bytes "
                "would not come back from the Hub. Derive it again with `python -m data_builders.refilter`."
            )
        example = next(read_jsonl(folder / "train.jsonl"))
        card = dataset_card(manifest, licence=licence, data_files="data/train-*.parquet", example=example, audit=audit)
        write_text(stage / "README.md", card)
        for made in ("manifest.json", "audit.json"):
            shutil.copyfile(folder / made, stage / made)
        for made in ("manifest.json", "audit.json", "README.md"):
            text = (stage / made).read_text(encoding="utf-8")
            # scrub() takes tokens out: a text that it changes holds one.
            if scrub(text) != text:
                raise UserError(f"{made} of {folder} holds what looks like an access token. Take it out, then push.")
        # A `with` block around the caller: the staged files are gone when it ends, also by an error.
        yield {made: stage / made for made in (PARQUET, "manifest.json", "audit.json", "README.md")}


def check_audit(folder: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """The folder's audit.

    Raises:
        UserError: it is missing, failed, or speaks of other rows; or the rows are not those of the manifest.
    """
    path = folder / "audit.json"
    if not path.is_file():
        raise UserError(f"{folder} is not audited. Run `python -m data_builders.audit {folder}` first.")
    audit = read_object(path, f"Run `python -m data_builders.audit {folder}` again.")
    if not {"checks", "passed", "train_sha256"} <= audit.keys() or not isinstance(audit["checks"], dict):
        raise UserError(f"{path} is not what an audit writes. Run `python -m data_builders.audit {folder}` again.")
    failed = [name for name, check in audit["checks"].items() if check["status"] == "fail"]
    if failed or not audit["passed"]:
        raise UserError(f"{folder} fails its audit ({', '.join(failed)}). Mend that, or audit it again with --allow.")
    sha256 = sha256_of(folder / "train.jsonl")
    if audit["train_sha256"] != sha256:
        raise UserError(
            f"The audit of {folder} speaks of other rows. Run `python -m data_builders.audit {folder}` again."
        )
    if manifest.get("outputs", {}).get("train.jsonl", {}).get("sha256") != sha256:
        raise UserError(
            f"The manifest of {folder} speaks of other rows. Run `python -m data_builders.refilter {folder}`."
        )
    return audit


def verify_push(repo: str, commit: Commit, files: dict[str, Path], train: Path, scratch: Path) -> None:
    """Download what was pushed at its revision and compare it with what was sent, and the rows with ``train``.

    Raises:
        UserError: something came back different.
    """
    with tempfile.TemporaryDirectory(dir=scratch, prefix=".verify-") as name:
        # At its commit: what someone pushes a moment later is not compared.
        fetch_files(repo, commit.revision, list(files), Path(name))
        changed = [made for made, path in files.items() if sha256_of(Path(name) / made) != sha256_of(path)]
        if changed or not rebuilds(Path(name) / PARQUET, train):
            raise UserError(
                f"{', '.join(changed) or 'The rows'} came back from {repo} at {commit.revision} different from what "
                "was sent. Do not use that revision; push again."
            )


@app.command(help=__doc__)
def main(
    folder: Annotated[Path, typer.Argument(help="Dataset folder, finished and audited.")],
    repo: Annotated[str, typer.Option(help="Dataset repository, namespace/name.")],
    private: Annotated[bool, typer.Option("--private/--public", help="How a new repository is made.")] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run/--no-dry-run", help="Show what would go, and send nothing.")
    ] = True,
    licence: Annotated[
        str | None,
        typer.Option(
            "--license", "--licence", help="As the Hub names it; default mit, or that of rows that import_rows took."
        ),
    ] = None,
) -> None:
    check_repo(repo)
    with staged_dataset(folder, licence) as files:
        print(f"{'would push' if dry_run else 'pushing'} to {repo} ({'private' if private else 'public'} if new):")
        for name, path in files.items():
            print(f"  {path.stat().st_size:>12,}  {name}")
        if dry_run:
            print("Nothing was sent. Add --no-dry-run to push.")
            return
        commit = push_files(repo, files, message=f"Add {folder.name}", private=private)
        verify_push(repo, commit, files, folder / "train.jsonl", folder)
        record = {"repo": repo, "revision": commit.revision, "train_sha256": sha256_of(folder / "train.jsonl")}
        # Noted only now that every byte has come back.
        write_json(folder / PUSHED, record)
    print(f"read back at {commit.revision}: all bytes equal")
    print(f"python -m data_builders.pull --repo {repo} --revision {commit.revision} --out data/{folder.name}")
    print(commit.url)


if __name__ == "__main__":
    run_cli(app)
