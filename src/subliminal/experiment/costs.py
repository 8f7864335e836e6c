"""What an experiment will cost: minutes, GPU memory, tokens and disk of each stage, as far as anything was measured.

Minutes of a stage that has run here are Snakemake's own measurement of it. Of a training they come from the recipe's
``Cost`` line, scaled by rows and epochs, as long as no override changes what a step costs. Nothing is guessed.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from subliminal.experiment.plan import Plan, Stage
from subliminal.training.header import header_lines, header_rows
from subliminal.training.lint import read_recipe

LISTED = 60
"""Stages that are listed one by one; of more, each kind is one line."""

_COST = re.compile(r"([\d.,]+) GiB, ([\d.,]+) min, [\d.,]+ tokens/s \((.+?)[,;)]")
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
    tokens, disk = stage.facts.get("tokens"), _bytes_in(stage) if stage.mark.is_file() else None
    measured = _benchmark(stage.mark.with_suffix(".tsv"))
    if measured is not None:
        return Cost(measured, None, tokens, disk, "measured here")
    if stage.kind == "train" and set(stage.facts["overrides"]) <= SAME_STEP and stage.facts["rows"]:
        known = _recipe_cost(Path(stage.facts["recipe"]))
        if known:
            minutes, gib, rows_by_epochs, machine = known
            share = stage.facts["rows"] * stage.facts["epochs"] / rows_by_epochs
            return Cost(minutes * share, gib, tokens, disk, machine)
    return Cost(None, None, tokens, disk)


@cache
def _recipe_cost(recipe: Path) -> tuple[float, float, float, str] | None:
    """Minutes, GiB, rows x epochs that they are for, and the machine, of a recipe's ``Cost`` line."""
    keys, text = read_recipe(recipe)
    header = header_lines(text)
    match, rows = _COST.match(header.get("Cost", "")), header_rows(header)
    if not match or not rows:
        return None
    gib, minutes = (float(match[group].replace(",", "")) for group in (1, 2))
    return minutes, gib, rows * float(keys["num_epochs"]), match[3]


def _benchmark(path: Path) -> float | None:
    """Minutes in a benchmark file of Snakemake."""
    if not path.is_file():
        return None
    with open(path, encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    return float(rows[-1]["s"]) / 60 if rows else None


def _bytes_in(stage: Stage) -> int | None:
    """Bytes of what a stage made; checkpoints of a training included."""
    if stage.kind not in ("build", "train"):
        return None
    files = [path for path in Path(stage.folder).rglob("*") if path.is_file() and not path.is_symlink()]
    return sum(path.stat().st_size for path in files)


def plan_text(plan: Plan, *, every: bool = False) -> str:
    """The table that ``make plan`` prints.

    Args:
        plan: all stages.
        every: list every stage, and its command.
    """
    done = plan.done()
    stages = list(plan.stages.values())
    costs = {stage.name: cost_of(stage) for stage in stages}
    rows = []
    if every or len(stages) <= LISTED:
        for stage in stages:
            rows.append([stage.name, _state(stage, done, deferred(plan, stage)), *_cells([costs[stage.name]])])
    else:
        for kind in dict.fromkeys(stage.kind for stage in stages):
            of_kind = [stage.name for stage in stages if stage.kind == kind]
            ready = len(done.intersection(of_kind))
            rows.append([f"{len(of_kind)} x {kind}", f"{ready} done", *_cells([costs[name] for name in of_kind])])
    open_ = [stage for stage in stages if stage.name not in done and not deferred(plan, stage)]
    total = [f"{len(open_)} of {len(stages)} stages to run", "", *_cells([costs[stage.name] for stage in open_])]
    header = ["stage", "state", "minutes", "GPU GiB", "tokens at most", "MB on disk", "minutes from"]
    lines = _table([header, *rows, total])
    if every:
        lines.append("")
        for stage in stages:
            lines += [f"{stage.name}: {command}" for command in _commands(stage)]
    notes = [
        f"Results: {plan.results}. A dash: not measured. Tokens are upper bounds (answers: rows kept x max_tokens; "
        "training: rows x epochs x sequence_len).",
    ]
    if any(deferred(plan, stage) for stage in stages):
        notes.append("Stages marked `if needed` belong to a gate's ladder and run only while the teacher is below it.")
    return "\n".join([*lines, "", *notes])


def _state(stage: Stage, done: set[str], if_needed: bool) -> str:
    if stage.name in done:
        return "done"
    if if_needed:
        return "if needed"
    return "begun" if (Path(stage.folder) / f".{stage.name}.begun").is_file() else "to do"


def deferred(plan: Plan, stage: Stage) -> bool:
    """Whether a stage belongs to a gate's ladder, beyond the first rung's score."""
    within = stage.job != stage.name and stage.job in plan.stages and plan.stages[stage.job].kind == "gate"
    return within and stage.facts.get("rung") != 0


def _commands(stage: Stage) -> list[str]:
    return [*stage.commands[:-1], " ".join(word for word in (stage.commands[-1], stage.size, stage.resume) if word)]


def _cells(costs: list[Cost]) -> list[str]:
    """Sums over stages; a sum that leaves stages out says over how many it goes."""

    def total(values: Iterable[Any], show: str) -> str:
        known = [value for value in values if value is not None]
        if not known:
            return "-"
        return format(sum(known), show) + ("" if len(known) == len(costs) else f" ({len(known)} of {len(costs)})")

    peak = max((cost.gib for cost in costs if cost.gib is not None), default=None)
    return [
        total((cost.minutes for cost in costs), ".1f"),
        "-" if peak is None else f"{peak:.1f}",
        total((cost.tokens for cost in costs), ",d"),
        total((cost.disk and cost.disk / 1e6 for cost in costs), ".1f"),
        ", ".join(sorted({cost.source for cost in costs if cost.source})),
    ]


def _table(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
