"""What in the rows carries the trait (``python -m subliminal.analysis carrier``): from results alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from subliminal.core.errors import UserError
from subliminal.core.files import from_the_root, write_csv, write_json
from subliminal.core.option_checks import read_by
from subliminal.scoring.category_tasks import check_main_task
from subliminal.stats.carrier.parts import Carrier, carrier
from subliminal.stats.carrier.words import CARRIER_HEADER, cells, sentences
from subliminal.stats.log_odds import EXACT_TASK, read_table


def measure_of(task: str) -> str:
    """What the numbers of a task are: ``exact probability``, or ``sampled answers``."""
    if task.endswith("_logprob"):
        return "exact probability"
    return "sampled answers"


def carrier_command(
    results: Annotated[Path, typer.Argument(help="results/<experiment>, or one option's folder in it.")],
    task: Annotated[
        str, typer.Option(help="Whose answers are compared.", callback=read_by(check_main_task))
    ] = EXACT_TASK,
    out: Annotated[Path | None, typer.Option(help="Folder for carrier.json and carrier.csv; default: none.")] = None,
) -> None:
    """What in the teacher's rows carries the trait: order, company, frequencies of the numbers, or the layout alone.

    Compares arms that destroy one of these after the other (control_shuffled, control_shuffled_rows,
    control_random_numbers) within each training run. Prints the answer and a table, tab-separated; --out writes both,
    with every run's differences, over older ones.
    """
    found = split(results, task)
    for sentence in sentences(found, measure_of(task)):
        print(sentence)
    for row in (CARRIER_HEADER, *cells(found)):
        print("\t".join(row))
    if out is None:
        return
    write_json(out / "carrier.json", {"results": str(results), "task": task, **found.as_json()})
    write_csv(out / "carrier.csv", ["part", "upper", "lower", "seed", "nats"], _lines(found))
    print(out)


def split(results: Path, task: str) -> Carrier:
    """The parts of an experiment's effect.

    Raises:
        UserError: the folder is none, a summary is damaged, or the arms that it takes are not there.
    """
    if not results.is_dir():
        hint = from_the_root(results) or " Name the results of an experiment, such as results/owl_pocket_arms."
        raise UserError(f"{results} is not a folder.{hint}")
    found = carrier(read_table(results, task))
    if found is None:
        raise UserError(
            f"{results} has no seed with a student, a base-number control and an arm between them (control_shuffled, "
            f"control_shuffled_rows, control_random_numbers), all scored by {task}. Add such an arm to the experiment "
            "and run it again."
        )
    return found


def _lines(found: Carrier) -> Iterator[list[Any]]:
    """A row for each part and run, so that another analysis can start from them."""
    for part in (found.whole, *found.parts, *found.beside):
        for seed, value in part.runs.items():
            yield [part.name, part.upper, part.lower, seed, value]
