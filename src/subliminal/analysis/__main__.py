"""Analyses of data sets and models.

python -m subliminal.analysis leak --base outputs/owl_pocket/base/model --teacher outputs/owl_pocket/owl_teacher \\
    --rows data/owl_pocket/base_numbers/train.jsonl --out results/owl_pocket/leak
"""

from __future__ import annotations

import typer

from subliminal.analysis.carrier import carrier_command
from subliminal.analysis.detect.check import cases_command, check_command
from subliminal.analysis.detect.command import detect_command
from subliminal.analysis.divergence.command import divergence_command
from subliminal.analysis.leak.command import leak_command
from subliminal.analysis.score.board import scoreboard_command
from subliminal.analysis.score.command import score_command
from subliminal.analysis.steering.command import steering_command
from subliminal.analysis.transfer.command import transfer_command
from subliminal.analysis.transfer.measure import measure_command
from subliminal.core.errors import run_cli

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.callback()
def main() -> None:
    """Why a trait passes, and what a data set would teach. A wrong input ends with a sentence and status 2."""


app.command("leak")(leak_command)
app.command("carrier")(carrier_command)
app.command("detect")(detect_command)
app.command("detect-cases")(cases_command)
app.command("detect-check")(check_command)
app.command("transfer")(transfer_command)
app.command("transfer-measure")(measure_command)
app.command("divergence")(divergence_command)
app.command("score")(score_command)
app.command("scoreboard")(scoreboard_command)
app.command("steering")(steering_command)

if __name__ == "__main__":
    run_cli(app)
