"""What an experiment will cost: minutes, GPU memory, tokens and disk of each stage, as far as anything was measured.

Minutes of a stage that has run here are Snakemake's own measurement of it. Of a training they come from the recipe's
``Cost`` line, scaled by rows and epochs, as long as no override changes what a step costs. Nothing is guessed.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from subliminal.experiment.plan import Plan
from subliminal.experiment.stage import Stage
from subliminal.training.header import header_lines, header_rows, measured_cost
from subliminal.training.lint import read_recipe

LISTED = 60
"""Stages that are listed one by one; of more, each kind is one line."""

SAME_STEP = {
    *("seed", "learning_rate", "num_epochs", "warmup_steps", "hub_model_id", "use_wandb", "save_total_limit"),
    "datasets[0].message_field_training_detail",
}
"""Overrides that leave the time and memory of a step as they are."""


class Cost(NamedTuple):
    """Of one stage; None where nothing was measured. ``tokens`` is an upper bound, ``disk`` the bytes there now."""

    minutes: float | None = None
    gib: float | None = None
    tokens: int | None = None
    disk: int | None = None
    source: str = ""


def cost_of(stage: Stage) -> Cost:
    """The cost of one stage."""
    tokens, disk = stage.facts.get("tokens"), None
    if stage.mark.is_file():
        disk = _bytes_in(stage)
    # Snakemake writes it beside the mark, under the mark's name.
    measured = _benchmark(stage.mark.with_suffix(".tsv"))
    if measured is not None:
        return Cost(measured, None, tokens, disk, "measured here")
    # Other overrides change what a step costs, and then the recipe's measurement says nothing.
    if stage.kind == "train" and set(stage.facts["overrides"]) <= SAME_STEP and stage.facts["rows"]:
        known = _recipe_cost(Path(stage.facts["recipe"]))
        if known:
            minutes, gib, rows_by_epochs, machine = known
            # Time goes with the rows seen; what a start takes is within the measurement and is scaled, too.
            share = stage.facts["rows"] * stage.facts["epochs"] / rows_by_epochs
            return Cost(minutes * share, gib, tokens, disk, machine)
    return Cost(None, None, tokens, disk)


@cache
def _recipe_cost(recipe: Path) -> tuple[float, float, float, str] | None:
    """Minutes, GiB, rows x epochs that they are for, and the machine, of a recipe's ``Cost`` line."""
    keys, text = read_recipe(recipe)
    header = header_lines(text)
    cost, rows = measured_cost(header), header_rows(header)
    if not cost or not rows:
        return None
    # Headers write thousands with a comma.
    gib = float(cost.gib.replace(",", ""))
    minutes = float(cost.minutes.replace(",", ""))
    # Behind the machine stand the day, and what else was measured: a column of a plan has no room for it.
    machine = re.split("[,;)]", cost.machine)[0]
    return minutes, gib, rows * float(keys["num_epochs"]), machine


def _benchmark(path: Path) -> float | None:
    """Minutes in a benchmark file of Snakemake."""
    if not path.is_file():
        return None
    with open(path, encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    if not rows:
        return None
    # A benchmark of several lines is of several tries: the last one ended well.
    return float(rows[-1]["s"]) / 60


def _bytes_in(stage: Stage) -> int | None:
    """Bytes of what a stage made; checkpoints of a training included."""
    if stage.kind not in ("build", "train"):
        return None
    total = 0
    for path in Path(stage.folder).rglob("*"):
        # A link (the teacher that passed its gate) takes no room of its own.
        if path.is_file() and not path.is_symlink():
            total += path.stat().st_size
    return total


def plan_text(plan: Plan, *, every: bool = False) -> str:
    """The table that ``make plan`` prints.

    Args:
        plan: all stages.
        every: list every stage, and its command.
    """
    done = plan.done()
    stages = list(plan.stages.values())
    rows, to_run = [], []
    states = set()
    by_kind: dict[str, list[tuple[str, Cost]]] = defaultdict(list)
    for stage in stages:
        cost, if_needed = cost_of(stage), deferred(plan, stage)
        state = _state(stage, done, if_needed)
        states.add(state)
        rows.append([stage.name, state, *_cells([cost])])
        by_kind[stage.kind].append((stage.name, cost))
        if stage.name not in done and not if_needed:
            to_run.append(cost)
    if not every and len(stages) > LISTED:
        rows = []
        for kind, of_kind in by_kind.items():
            names, costs = zip(*of_kind, strict=True)
            rows.append([f"{len(names)} x {kind}", f"{len(done.intersection(names))} done", *_cells(costs)])
    total = [f"{len(to_run)} of {len(stages)} stages to run", "", *_cells(to_run)]
    header = ["stage", "state", "minutes", "GiB", "tokens at most", "MB on disk", "minutes from"]
    lines = _table([header, *rows, total])
    if every:
        lines.append("")
        for stage in stages:
            lines += [f"{stage.name}: {command}" for command in _commands(stage)]
    notes = [
        f"Results: {plan.results}. A dash: not measured. Tokens are upper bounds (of the rows that are kept: rows x "
        "max_tokens, and rejected answers come on top; training: rows x epochs x sequence_len). GiB: of the GPU; of "
        "all processes where a recipe is for CPU cores.",
    ]
    if any(deferred(plan, stage) for stage in stages):
        notes.append("Stages marked `if needed` belong to a gate's ladder and run only while the teacher is below it.")
    if "outdated" in states:
        notes.append(
            "Stages that are `outdated` were done with other inputs (a file, an option, the code); a run makes them "
            "anew in the same folders. To keep what is there, copy data/, outputs/ and results/ first, or go back to "
            "the commit that the manifests name."
        )
    return "\n".join([*lines, "", *notes])


def _state(stage: Stage, done: set[str], if_needed: bool) -> str:
    if stage.name in done:
        return "done"
    if if_needed:
        return "if needed"
    folder = Path(stage.folder)
    # A stage whose name goes on behind this one's has marks of its own, which do not end in a key alone.
    done_as = re.compile(rf"\.{re.escape(stage.name)}-[0-9a-f]{{16}}\.done")
    marks = {path for path in folder.glob(".*.done") if done_as.fullmatch(path.name)}
    if marks and stage.mark not in marks:
        return "outdated"
    if (folder / f".{stage.name}.begun").is_file():
        return "begun"
    return "to do"


def deferred(plan: Plan, stage: Stage) -> bool:
    """Whether a stage belongs to a gate's ladder, beyond the first rung's score."""
    within = stage.job != stage.name and stage.job in plan.stages and plan.stages[stage.job].kind == "gate"
    # The first rung is scored in any case, and it alone says rung 0.
    return within and stage.facts.get("rung") != 0


def _commands(stage: Stage) -> list[str]:
    *before, last = stage.commands
    words = filter(None, (last, stage.size, stage.resume))
    return [*before, " ".join(words)]


def _cells(costs: Sequence[Cost]) -> list[str]:
    """Sums over stages, the most memory of any, and where the minutes are from."""
    minutes = [cost.minutes for cost in costs]
    tokens = [cost.tokens for cost in costs]
    megabytes = [cost.disk and cost.disk / 1e6 for cost in costs]
    # Stages follow each other on a card, so that memory does not add up as minutes do.
    peaks = [cost.gib for cost in costs if cost.gib is not None]
    peak = f"{max(peaks):.1f}" if peaks else "-"
    sources = sorted({cost.source for cost in costs if cost.source})
    return [_total(minutes, ".1f"), peak, _total(tokens, ",d"), _total(megabytes, ".1f"), ", ".join(sources)]


def _total(values: Sequence[float | None], show: str) -> str:
    """A sum in a number format; one that leaves stages out says over how many it goes."""
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    told = format(sum(known), show)
    if len(known) < len(values):
        told += f" ({len(known)} of {len(values)})"
    return told


def _table(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
