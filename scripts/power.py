"""What an experiment can see before it is run, and how large it must be for an effect.

    python scripts/power.py --questions 50 --samples 200 --baseline 0.012 --seeds 3

    python scripts/power.py --questions 50 --samples 200 --baseline 0.012 --seeds 3 --effect 0.005

The same as JSON: `python -m subliminal.stats power`.
"""

from __future__ import annotations

from typing import Annotated

import typer

from subliminal.core.errors import run_cli

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(help=__doc__)
def main(
    questions: Annotated[int, typer.Option(help="Questions that every model answers.")],
    baseline: Annotated[float, typer.Option(help="The control's rate, a fraction: 0.012 is 1.2 %.")],
    seeds: Annotated[int, typer.Option(help="Training runs per arm.")],
    samples: Annotated[
        int | None, typer.Option(help="Answers per question and run; left out: exact probabilities.")
    ] = None,
    effect: Annotated[float | None, typer.Option(help="Also say what would do to see this rise, a fraction.")] = None,
    power: Annotated[float, typer.Option(help="The chance of seeing it.")] = 0.8,
    alpha: Annotated[float, typer.Option(help="Level of the two-sided test.")] = 0.05,
    run_sd: Annotated[float, typer.Option(help="Standard deviation of log-odds between training runs.")] = 0.25,
    icc: Annotated[float, typer.Option(help="Share of an answer's variance between questions, 0 to 1.")] = 0.05,
    likeness: Annotated[float, typer.Option(help="Correlation of a question's rates in the two arms, 0 to 1.")] = 0.0,
) -> None:
    from subliminal.stats import Design, power_table

    design = Design(questions, samples, seeds, baseline, run_sd, icc, likeness)
    for sentence in power_table(design, power, alpha, effect)["sentences"]:
        print(sentence)


if __name__ == "__main__":
    run_cli(app)
