"""Write the report of an experiment: answer, intervals, tests, figures, data, training and provenance.

python scripts/report.py results/owl-demo
python scripts/report.py results/owl-demo --csv --json
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from subliminal.core.errors import run_cli

app = typer.Typer(add_completion=False)


@app.command()
def main(
    folder: Annotated[Path, typer.Argument(help="results/<experiment>; holds <arm>/seed-<n>/*_summary.json.")],
    as_csv: Annotated[bool, typer.Option("--csv", help="Write report.csv too: every arm, task and seed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write report.json too: every number.")] = False,
) -> None:
    """Write report.md, report.html, top_<category>.csv, figure.png and all figures as SVG into FOLDER, over older ones.

    Where FOLDER holds a folder for each of several options, write overview.md: what they say together.
    """
    from subliminal.report.load import category_of_results
    from subliminal.report.write import animals_in, write_overview, write_report

    if animals_in(folder):
        print(write_overview(folder))
        return
    path = write_report(folder, as_csv=as_csv, as_json=as_json)
    more = ["report.csv"] * as_csv + ["report.json"] * as_json
    top = f"top_{category_of_results(folder).name}.csv"
    for name in ("figure.png", "figure.svg", top, *more, "report.md"):
        print(path.with_name(name))
    print(path)


if __name__ == "__main__":
    run_cli(app)
