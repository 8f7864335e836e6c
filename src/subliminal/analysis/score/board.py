"""The scoreboard: how much of an effect the first tokens of each ranking keep alone, and how much goes without them.

Within a training run (a seed), in log-odds of the animal: kept is ``only - control`` as a share of ``student -
control``, removed is ``student - without`` as a share of the same. Beside each stands the same minus that of as many
random tokens. Intervals are Fieller's over runs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from subliminal.core.errors import UserError
from subliminal.core.files import write_csv
from subliminal.stats.carrier.parts import target_log_odds
from subliminal.stats.log_odds import CONTROL, EXACT_TASK, STUDENT, read_table
from subliminal.stats.shares import share_of

ONLY, WITHOUT, RANDOM = "student_only_", "student_without_", "random"
HEADER = ("ranking", "measure", "runs", "share", "low", "high", "above random", "low", "high")


@dataclass(frozen=True)
class BoardRow:
    """A ranking on the board.

    Attributes:
        ranking: its name.
        measure: ``kept`` or ``removed``.
        runs: seeds.
        share: of the effect.
        interval: Fieller's, 95 %; None where any share is possible.
        above_random: the share minus that of as many random tokens; None without such an arm.
        above_interval: of that.
    """

    ranking: str
    measure: str
    runs: int
    share: float
    interval: tuple[float, float] | None
    above_random: float | None = None
    above_interval: tuple[float, float] | None = None

    def cells(self) -> list[str]:
        """As a line of the table; what is not known is empty."""
        above = ""
        if self.above_random is not None:
            above = f"{self.above_random:+.3f}"
        own = [self.ranking, self.measure, str(self.runs), f"{self.share:.3f}", *_ends(self.interval)]
        return [*own, above, *_ends(self.above_interval)]


def scoreboard_command(
    results: Annotated[Path, typer.Argument(help="results/<experiment> of an experiment with ranked arms.")],
    task: Annotated[str, typer.Option(help="Whose answers are compared.")] = EXACT_TASK,
    out: Annotated[Path | None, typer.Option(help="A CSV to write; default none.")] = None,
) -> None:
    """Which score finds the tokens that carry the effect: what a ranking's first tokens keep alone, and remove masked.

    Prints a table, tab-separated, and writes it with --out.
    """
    places = board(results, task)
    for line in (HEADER, *(place.cells() for place in places)):
        print("\t".join(line))
    if out is not None:
        # No two columns of the file have one name, so that it can be read by name.
        write_csv(out, [*HEADER[:7], "above_low", "above_high"], [place.cells() for place in places])
        print(out)


def board(results: Path, task: str) -> list[BoardRow]:
    """The places of all rankings that an experiment's results have, kept first.

    Raises:
        UserError: there is no student, control or ranked arm with a common seed, or the student shows no effect.
    """
    runs = target_log_odds(read_table(results, task))
    ranked = [arm for arm in runs if arm.startswith((ONLY, WITHOUT))]
    if not {STUDENT, CONTROL} <= runs.keys() or not ranked:
        raise UserError(
            f"{results} has no scoreboard: it takes the arms student, {CONTROL} and one of {ONLY}* or {WITHOUT}*, "
            f"scored by {task}. See experiments/owl_pocket_scoreboard.yml."
        )
    places = []
    for start, measure in ((ONLY, "kept"), (WITHOUT, "removed")):
        for arm in ranked:
            if arm.startswith(start):
                places.append(_place(runs, arm, start, measure))
    return places


def _place(runs: dict[str, dict[int, float]], arm: str, start: str, measure: str) -> BoardRow:
    random = f"{start}{RANDOM}"
    needed = [STUDENT, CONTROL, arm]
    if random in runs and arm != random:
        needed.append(random)
    seeds = sorted(set.intersection(*(set(runs[name]) for name in needed)))
    if not seeds:
        raise UserError(f"No seed has all of {', '.join(needed)}. Run the experiment to its end.")
    of = {name: np.array([runs[name][seed] for seed in seeds]) for name in needed}
    whole = of[STUDENT] - of[CONTROL]
    if whole.mean() <= 0:
        raise UserError("The student shows no effect over its control, so there is nothing to keep or to remove.")
    part = of[STUDENT] - of[arm]
    if measure == "kept":
        part = of[arm] - of[CONTROL]
    place = BoardRow(arm.removeprefix(start), measure, len(seeds), *share_of(part, whole))
    if arm == random or random not in needed:
        return place
    beyond = of[random] - of[arm]
    if measure == "kept":
        beyond = -beyond
    above, above_interval = share_of(beyond, whole)
    return replace(place, above_random=above, above_interval=above_interval)


def _ends(interval: tuple[float, float] | None) -> list[str]:
    if interval is None:
        return ["", ""]
    return [f"{end:.3f}" for end in interval]
