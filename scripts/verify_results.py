"""Recompute a report from the raw answers, and check the sha256 of everything behind it.

python scripts/verify_results.py results/owl_smollm2-135m

ends with "the same", or names each file and value that differs, and raw answers that are gone, and ends with status 1.
--write first leaves manifest.json in the folder, which ties every number to its samples, adapter, recipe, datasets and
versions; it refuses while raw answers are gone.

python scripts/verify_results.py results/pocket_demo --like /tmp/other/results/pocket_demo

compares the verdicts of two runs of one experiment, names each figure that disagrees, and says what another kind of CPU
may change. It ends with status 1 if a verdict is another, or on one kind of CPU a figure.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from subliminal.core.errors import run_cli

app = typer.Typer(add_completion=False)


@app.command(help=__doc__)
def main(
    folders: Annotated[list[Path], typer.Argument(help="results/<experiment>; several may be named.")],
    like: Annotated[Path | None, typer.Option(help="Another run: compare the verdicts instead.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Write manifest.json into each folder first.")] = False,
) -> None:
    from subliminal.publish.experiment_manifest import write_experiment_manifest
    from subliminal.publish.verify_report import verify

    if like is not None:
        from subliminal.publish.compare_runs import compare_runs

        compared = [compare_runs(folder, like) for folder in folders]
        print("\n".join(line for each in compared for line in each.lines()), flush=True)
        raise typer.Exit(int(not all(each.agree for each in compared)))
    different = False
    for folder in folders:
        if write:
            print(write_experiment_manifest(folder))
        verdict = verify(folder)
        print("\n".join(verdict.lines(folder)), flush=True)
        different |= bool(verdict.problems)
    raise typer.Exit(int(different))


if __name__ == "__main__":
    run_cli(app)
