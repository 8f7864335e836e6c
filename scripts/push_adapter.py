"""Publish the adapter of a finished training run on the Hub, and read it back to compare the bytes.

python scripts/push_adapter.py outputs/owl_student --repo my-team/owl-student --every-epochs 2
python scripts/push_adapter.py outputs/owl_student --repo my-team/owl-student --every-epochs 2 --no-dry-run

The end of the run goes to main with a tag that names the run, checkpoints go to branches epoch-2, epoch-4, ...; each
with its card and manifest. Without --no-dry-run nothing is sent; the command shows what would go. What the Hub holds is
never overwritten; a killed push goes on when repeated. The token comes from HF_TOKEN or `hf auth login`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from subliminal.core.errors import run_cli
from subliminal.core.hub import check_repo, page_address

app = typer.Typer(add_completion=False)


@app.command(help=__doc__)
def main(
    folder: Annotated[Path, typer.Argument(help="output_dir of a finished run.")],
    repo: Annotated[str, typer.Option(help="Model repository, namespace/name.")],
    every_epochs: Annotated[
        int | None, typer.Option(min=1, help="Publish the checkpoint of every so many epochs too, each on a branch.")
    ] = None,
    private: Annotated[bool, typer.Option("--private/--public", help="How a new repository is made.")] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run/--no-dry-run", help="Show what would go, and send nothing.")
    ] = True,
    licence: Annotated[str, typer.Option("--license", "--licence", help="Licence, as the Hub names it.")] = "mit",
) -> None:
    from subliminal.publish.adapter_push import publish_adapter
    from subliminal.publish.adapters import staged_adapter

    check_repo(repo)
    with staged_adapter(folder, repo, every_epochs=every_epochs, licence=licence) as (tag, branches):
        print(f"{'would push' if dry_run else 'pushing'} to {repo} ({'private' if private else 'public'} if new):")
        for branch, files in branches.items():
            for name, path in files.items():
                print(f"  {path.stat().st_size:>14,}  {branch}: {name}")
        print(f"  tag {tag} on main")
        if dry_run:
            print("Nothing was sent. Add --no-dry-run to push.")
            return
        publish_adapter(repo, branches, tag=tag, name=folder.name, private=private)
    print(page_address(repo, tag))


if __name__ == "__main__":
    run_cli(app)
