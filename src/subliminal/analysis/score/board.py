"""The scoreboard of an experiment as a command (:mod:`subliminal.stats.board`)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from subliminal.core.errors import UserError
from subliminal.core.files import write_csv
from subliminal.stats.board import ONLY, RANDOM, WITHOUT, BoardRow, board, is_ranked
from subliminal.stats.carrier.parts import target_log_odds
from subliminal.stats.log_odds import CONTROL, EXACT_TASK, read_table

BOARD_HEADER = ("ranking", "measure", "runs", "share", "low", "high")


def scoreboard_command(
    results: Annotated[Path, typer.Argument(help="results/<experiment> of an experiment with ranked arms.")],
    task: Annotated[str, typer.Option(help="Whose answers are compared.")] = EXACT_TASK,
    beside: Annotated[str, typer.Option(help="The ranking that the others are held against; a null, say.")] = RANDOM,
    out: Annotated[Path | None, typer.Option(help="A CSV to write; default none.")] = None,
) -> None:
    """Which score finds the tokens that carry the effect: what a ranking's first tokens keep alone, and remove masked.

    Prints a table, tab-separated, and writes it with --out. The report of the experiment has it too.
    """
    places = read_board(results, task, beside)
    header = (*BOARD_HEADER, f"above {beside}")
    for line in ((*header, "low", "high"), *map(_cells, places)):
        print("\t".join(line))
    if out is not None:
        # No two columns of the file have one name, so that it can be read by name.
        write_csv(out, [*header, "above_low", "above_high"], map(_cells, places))
        print(out)


def read_board(results: Path, task: str, beside: str = RANDOM) -> list[BoardRow]:
    """The places of all rankings that an experiment's results have, kept first.

    Args:
        results: ``results/<experiment>``.
        task: whose answers are compared.
        beside: the ranking that the others are held against. Without such an arm random tokens are left out.

    Raises:
        UserError: no arm has the ranking ``beside``, there is no student, control or ranked arm with a common seed, or
            the student shows no effect.
    """
    runs = target_log_odds(read_table(results, task))
    if not is_ranked(set(runs)):
        raise UserError(
            f"{results} has no scoreboard: it takes the arms student, {CONTROL} and one of {ONLY}* or {WITHOUT}*, "
            f"scored by {task}. See experiments/owl_pocket_scoreboard.yml."
        )
    # A null beside which nothing stands would leave every column empty without a word.
    if beside != RANDOM and not {f"{ONLY}{beside}", f"{WITHOUT}{beside}"} & runs.keys():
        raise UserError(
            f"{results} has no arm {ONLY}{beside} or {WITHOUT}{beside}. Name another ranking with --beside."
        )
    return board(runs, beside)


def _cells(place: BoardRow) -> list[str]:
    """A line of the table; what is not known is empty."""
    above = f"{place.above:+.3f}" if place.above is not None else ""
    own = [place.ranking, place.measure, str(place.runs), f"{place.share:.3f}", *_ends(place.interval)]
    return [*own, above, *_ends(place.above_interval)]


def _ends(interval: tuple[float, float] | None) -> list[str]:
    if interval is None:
        return ["", ""]
    return [f"{end:.3f}" for end in interval]
