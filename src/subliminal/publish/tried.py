"""What a search tried: a row of ``tried.csv`` for each configuration of a swept experiment.

    python scripts/results.py tried results/owl_pocket_strength_search --out results/published/strength-search/tried.csv

The seeds of a search are spent: an experiment that follows from it has others. Rows of other searches in the file stay,
and those of this one are replaced.
"""

from __future__ import annotations

import csv
from pathlib import Path

from subliminal.core.errors import UserError
from subliminal.core.files import write_csv
from subliminal.experiment.arms import BY_NAME
from subliminal.experiment.sweep.factors import BY_FACTOR, arm_at, point_label, point_of
from subliminal.report.analyses.leak import leak_of_teachers
from subliminal.report.load import category_of_results
from subliminal.stats.log_odds import Row, read_table

COLUMNS = (
    "stage",
    "description",
    "bases",
    "teacher_percent",
    "kl_nats",
    "pass_ratio",
    "student_percent",
    "control_percent",
    "note",
)
"""Of ``tried.csv``; a cell of several values has one for each seed, in the order of the seeds."""
ARMS_TOLD = ("teacher", "student", "control_base_numbers")


def write_tried(results: Path, out: Path) -> int:
    """Write the configurations of a search; returns their number.

    Args:
        results: ``results/<experiment>`` of one target.
        out: the CSV file.

    Raises:
        UserError: there are no results of a sweep, a summary is damaged, or the file has other columns.
    """
    rows = _rows(results)
    if not rows:
        raise UserError(f"{results} has no arm of a sweep: nothing was tried there. Name the results of a search.")
    others = [row for row in _read(out) if row["stage"] != results.name]
    write_csv(out, COLUMNS, [*others, *rows])
    return len(rows)


def _read(out: Path) -> list[dict[str, str]]:
    if not out.is_file():
        return []
    with open(out, encoding="utf-8", newline="") as handle:
        reader = csv.DictReader(handle)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise UserError(f"{out} has other columns than {', '.join(COLUMNS)}. Name another file with --out.")
        return list(reader)


def _rows(results: Path) -> list[dict[str, object]]:
    every = read_table(results, category_of_results(results).task("preference_logprob"))
    table = [row for row in every if row.asked == row.animal]
    seeds = sorted({row.seed for row in table})
    leaks = leak_of_teachers(results)
    found = []
    for values in _points({row.arm for row in table}):
        # At this point each arm has the name that its own factors give it.
        teacher, student, control = (arm_at(BY_NAME[name], values) for name in ARMS_TOLD)
        target = table[0].animal + teacher.removeprefix("teacher")  # as the leak stage calls it
        leak_of = leaks.get(target, {})
        found.append(
            {
                "stage": results.name,
                "description": ", ".join(f"{name} {value:g}" for name, value in values.items()),
                "bases": len(seeds),
                "teacher_percent": _percents(table, teacher, seeds),
                "kl_nats": " ".join(f"{leak_of[seed]:.3f}" for seed in seeds if seed in leak_of),
                "student_percent": _percents(table, student, seeds),
                "control_percent": _percents(table, control, seeds),
                "note": f"seeds {' '.join(map(str, seeds))}",
            }
        )
    return found


def _points(arms: set[str]) -> list[dict[str, float]]:
    """The points of all arms with a value of each factor, in ascending order."""
    given = [point_of(arm)[1] for arm in arms]
    varied = set().union(*given)
    names = [name for name in BY_FACTOR if name in varied]
    found = {}
    for values in given:
        # An arm that does not name a factor stands where that changes nothing, if there is such a value.
        full = {name: values.get(name, BY_FACTOR[name].nothing) for name in names}
        if names and None not in full.values():
            found[point_label(full)] = full
    return sorted(found.values(), key=lambda values: list(values.values()))


def _percents(table: list[Row], arm: str, seeds: list[int]) -> str:
    """How often an arm names the target in each seed, in per cent; empty where it was not trained."""
    shares = {row.seed: row.share for row in table if row.arm == arm}
    return " ".join(f"{100 * shares[seed]:.1f}" for seed in seeds if seed in shares)
