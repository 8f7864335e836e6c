"""Can this machine do the work? Prints ok, warning and problem lines; status 1 if a problem would stop it.

python scripts/doctor.py --experiment experiments/owl_smollm2-135m.yml
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from subliminal.core.errors import run_cli

app = typer.Typer(add_completion=False)


@app.command(help=__doc__)
def main(
    experiment: Annotated[Path | None, typer.Option(help="Also look at what this experiment file needs.")] = None,
) -> None:
    from subliminal.doctor.examine import examine
    from subliminal.doctor.experiment import examine_experiment, first_row_lines

    findings = [examine()]
    if experiment:
        findings += [examine_experiment(experiment), first_row_lines(experiment)]
    problems = 0
    for line in chain.from_iterable(findings):
        print(line, flush=True)
        problems += line.level == "problem"
    print(f"{problems} problem{'s' * (problems != 1)}" if problems else "no problem")
    raise typer.Exit(int(problems > 0))


if __name__ == "__main__":
    run_cli(app)
