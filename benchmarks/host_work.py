"""What a step of the 0.5B student asks of the processor, in one process and in two, counted on a CPU.

    python -m benchmarks.host_work --work outputs/host_work

Trains a narrow model with the student's 24 layers for a few steps, with the recipe's kernels, each as one operation
(benchmarks.stand_ins): first in one process, then in two that share out each step's rows. Prints how many operations a
step dispatches, how many of them compute, and how many functions it calls. These numbers say nothing of the clock; but
a GPU waits for them wherever its own work is short. Results are kept in WORK/results.jsonl as they come.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.counts import CALLS_STEP
from benchmarks.shapes import SHAPES, make_model, make_rows
from benchmarks.small_student import COUNTED, OURS, small_variants, tiny_small
from benchmarks.tables import Measured, status
from benchmarks.training import run_all
from benchmarks.workspace import Bench, Variant
from subliminal.core.errors import run_cli

MODEL = "narrow-qwen"
ROWS_A_STEP = 4
PROBE = "benchmarks.probe.HostProbe"
NAMES = {1: "one process", 2: "two processes"}

app = typer.Typer(add_completion=False, rich_markup_mode=None)


def host_variants() -> list[Variant]:
    """The student's recipe with stand-ins for its kernels, in one process and in two."""
    student = next(variant for variant in small_variants() if variant.name == OURS + COUNTED)
    student = tiny_small(student)
    plugins = [PROBE if "KernelProbe" in plugin else plugin for plugin in student.plugins]
    runs = []
    for processes, name in NAMES.items():
        settings = student.settings | {
            "micro_batch_size": ROWS_A_STEP // processes,
            "gradient_accumulation_steps": 1,
            "effective_batch": ROWS_A_STEP,
        }
        run = replace(student, name=name, settings=settings, plugins=tuple(plugins))
        runs.append(replace(run, gpus=processes, steps=CALLS_STEP, expected=""))
    return runs


def host_table(results: Sequence[Measured]) -> str:
    """The runs in Markdown."""
    lines = [
        "| run | status | operations a step | computing | Python calls a step | most frequent |",
        "|---|---|---|---|---|---|",
    ]
    for result in results:
        cells = [result["name"], status(result), "", "", "", ""]
        operations, calls = result["operations"], result["python_calls"]
        if operations:
            cells[2:4] = f"{operations['operations']:,}", f"{operations['computing']:,}"
        if calls:
            name, count = next(iter(calls["most_frequent"].items()))
            cells[4:6] = f"{calls['calls']:,}", f"{name}, {count:,}"
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


@app.command(help=__doc__)
def main(
    work: Annotated[Path, typer.Option(help="Folder for rows, model, runs and results.")] = Path("outputs/host_work"),
    minutes: Annotated[float, typer.Option(help="Stop after this long.")] = 600,
) -> None:
    bench = Bench(work.resolve(), None, (), time.monotonic() + 60 * minutes)
    bench.work.mkdir(parents=True, exist_ok=True)
    rows = make_rows(bench.work / "rows", 64)
    make_model(SHAPES[MODEL], bench.model(MODEL), rows)
    run_all(bench, host_variants())
    bench.tell("host_work.md", host_table(bench.results()))


if __name__ == "__main__":
    run_cli(app)
