"""What of the 7B student's step does not shrink with its rows, on one GPU. No network is needed.

    python -m benchmarks.step_parts --work /tmp/bench --out OUT

Several GPUs share out a step's rows, so they are never faster than one of them with its share of the rows. Trains the
student with the rows a step of one GPU (60), of each of two (30) and of each of four (15), and the last two once more
with a profiler that says how long the card has a kernel running. Prints the bound that this sets to several GPUs,
before any communication. The model is that of benchmarks.serving. Results are kept in WORK/results.jsonl as they come,
with a copy in OUT; the same command again makes what is missing. --tiny rehearses on a CPU.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.scaling import ROWS_A_STEP, student_over
from benchmarks.shapes import SHAPES, make_model, make_rows
from benchmarks.small_student import COUNTED, COUNTED_STEPS
from benchmarks.tables import Measured, speed, status
from benchmarks.training import run_all
from benchmarks.variants import QWEN
from benchmarks.variants import tiny as tiny_one
from benchmarks.workspace import Bench, Variant
from subliminal.core.errors import run_cli

ROWS = 4000
SHARES = {60: 1, 30: 2, 15: 4}
"""Rows a step -> GPUs that share out 60 so that each has as many."""
PREDICTED = {60: "0.49 s", 30: "0.26 s", 15: "0.20 s, bound by the host"}
PROBE = "benchmarks.probe.KernelProbe"

app = typer.Typer(add_completion=False, rich_markup_mode=None)


def name_of(rows: int) -> str:
    return f"one GPU, {rows} rows a step"


def step_variants() -> list[Variant]:
    """What is trained: the plain runs first, as they decide."""
    plain = {}
    for rows, prediction in PREDICTED.items():
        plain[rows] = student_over(name_of(rows), 1, rows, prediction)
    counted = []
    for rows, gpus in SHARES.items():
        if gpus > 1:
            run = plain[rows]
            counted.append(replace(run, name=run.name + COUNTED, plugins=(*run.plugins, PROBE), steps=COUNTED_STEPS))
    return [*plain.values(), *counted]


def step_table(results: Sequence[Measured]) -> str:
    """The runs in Markdown, what kernels take of a step, and how fast several GPUs could be at most."""
    by_name = {result["name"]: result for result in results}
    lines = [
        "| run | status | s a step (median) | useful tokens/s | kernels | s with a kernel running | predicted |",
        "|---|---|---|---|---|---|---|",
    ]
    steps = {}
    for rows, prediction in PREDICTED.items():
        result = by_name.get(name_of(rows))
        if result is None:
            continue
        cells = [result["name"], status(result), "", "", "", "", prediction]
        values = speed(result, SHAPES[QWEN], None)
        if values:
            steps[rows] = values["step_seconds"]
            cells[2] = f"{steps[rows]:.3f}"
            cells[3] = f"{values['tokens_per_second']:,.0f}"
        kernels = by_name.get(result["name"] + COUNTED, {}).get("kernels")
        if kernels:
            cells[4] = f"{kernels['kernels_a_step']:,}"
            cells[5] = f"{kernels['kernel_seconds_a_step']:.3f}"
        lines.append(f"| {' | '.join(cells)} |")
    bounds = []
    for rows, gpus in SHARES.items():
        if gpus > 1 and rows in steps and ROWS_A_STEP in steps:
            times = steps[ROWS_A_STEP] / steps[rows]
            bound = f"at most {times:.2f} x one, by what {rows} rows take alone"
            bounds.append(f"{gpus} GPUs with {ROWS_A_STEP} rows a step: {bound}.")
    return "\n".join([*lines, "", *bounds])


@app.command(help=__doc__)
def main(
    work: Annotated[Path, typer.Option(help="Folder for rows, models, runs and results.")] = Path("outputs/bench"),
    out: Annotated[Path | None, typer.Option(help="Folder that gets a copy of the results.")] = None,
    gpu: Annotated[str, typer.Option(help="CUDA index.")] = "0",
    minutes: Annotated[float, typer.Option(help="Stop after this long.")] = 600,
    tiny: Annotated[bool, typer.Option("--tiny", help="Rehearse: small model, two steps, CPU.")] = False,
) -> None:
    cards = () if tiny else (gpu,)
    bench = Bench(work.resolve(), out, cards, time.monotonic() + 60 * minutes)
    bench.work.mkdir(parents=True, exist_ok=True)
    file = make_rows(bench.work / "rows", 64 if tiny else ROWS)
    variants = step_variants()
    shape = QWEN
    if tiny:
        shape = "tiny-qwen"
        variants = [replace(tiny_one(variant), name=variant.name) for variant in variants]
    make_model(SHAPES[shape], bench.model(shape), file, gpu=gpu)
    run_all(bench, variants)
    bench.tell("step_parts.md", step_table(bench.results()))


if __name__ == "__main__":
    run_cli(app)
