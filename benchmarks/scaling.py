"""What several GPUs of one host give to the 7B student, side by side in one run. No network is needed.

\b
    python -m benchmarks.training prepare --work /tmp/bench --gpus 0,1
    python -m benchmarks.scaling --work /tmp/bench --out OUT --gpus 0,1

Trains one student on one GPU while the others rest; then one on each GPU at once; then one student on all of them, with
the recipe's 60 rows a step and, where that leaves a GPU fewer than 30, with 30 rows for each as well. Steps are the
same in all of them. Results are kept in WORK/results.jsonl as they come, with a copy in OUT. --tiny rehearses on a CPU.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.shapes import SHAPES
from benchmarks.tables import Measured, one_decimal, speed, status
from benchmarks.training import prepare_bench, run_all
from benchmarks.variants import FLAT, FLAT_KEYS, KERNELS, LIGER, LIGER_KEYS, PLAIN, QWEN, SHARDING_PROBE, step_settings
from benchmarks.variants import tiny as tiny_one
from benchmarks.workspace import Bench, Variant, met_or_missed
from subliminal.core.errors import UserError, run_cli

ROWS_A_STEP = 60
MICRO = 30
"""Rows of a micro-batch in the recipe."""
STEPS = 24
ALONE = "one GPU, alone"
AT_ONCE = "at once"
AIMS = {2: 1.9, 4: 3.6}
"""GPUs -> times one GPU that a student on all of them is to be as fast as."""
AIM_AT_ONCE = 0.975
"""Of a student alone, that each of several at once is to be as fast as: 3.9 on four."""

app = typer.Typer(add_completion=False, rich_markup_mode=None)


def student_over(name: str, gpus: int, rows: int, expected: str) -> Variant:
    """The 7B student over some GPUs.

    Args:
        name: of the run.
        gpus: how many.
        rows: in a step, shared out among them, in micro-batches of at most :data:`MICRO`.
        expected: what it was expected to give.
    """
    micro = min(MICRO, rows // gpus)
    settings: dict[str, Any] = PLAIN | KERNELS | FLAT_KEYS | LIGER_KEYS
    settings = settings | step_settings(micro, rows // gpus // micro) | {"effective_batch": rows}
    plugins = [FLAT, LIGER]
    launcher = "single_gpu"
    if gpus > 1:
        launcher = "ddp"
        plugins.append(SHARDING_PROBE)
    return Variant(
        name,
        QWEN,
        settings=settings,
        plugins=tuple(plugins),
        launcher=launcher,
        gpus=gpus,
        batch=rows,
        steps=STEPS,
        expected=expected,
    )


def side_by_side(gpus: int) -> list[Variant]:
    """A student on each GPU."""
    runs = []
    for number in range(1, gpus + 1):
        runs.append(student_over(f"{number} of {gpus} {AT_ONCE}", 1, ROWS_A_STEP, "0.98 x alone: they share the host"))
    return runs


def together(gpus: int) -> list[Variant]:
    """One student on all GPUs."""
    runs = [student_over(f"{gpus} GPUs, {ROWS_A_STEP} rows a step", gpus, ROWS_A_STEP, "1.85 x on two, 3 x on four")]
    if ROWS_A_STEP // gpus < MICRO:
        rows = MICRO * gpus
        runs.append(student_over(f"{gpus} GPUs, {rows} rows a step", gpus, rows, "3.6 x on four"))
    return runs


def scaling_table(results: Sequence[Measured]) -> str:
    """The runs in Markdown, and whether the aims are met."""
    runs = {}
    for result in results:
        if result["name"] == ALONE or AT_ONCE in result["name"] or " GPUs, " in result["name"]:
            runs[result["name"]] = (result, speed(result, SHAPES[QWEN], None))
    alone = runs.get(ALONE, (None, {}))[1].get("tokens_per_second")
    lines = [
        "| run | status | GPUs | useful tokens/s | x one GPU | peak GiB | predicted |",
        "|---|---|---|---|---|---|---|",
    ]
    verdicts = []
    shared: dict[str, list[float]] = defaultdict(list)
    for name, (result, values) in runs.items():
        cells = [name, status(result), str(result["processes"]), "", "", one_decimal(result["peak_gib"])]
        if values:
            cells[3] = f"{values['tokens_per_second']:,.0f}"
        if values and alone:
            times = values["tokens_per_second"] / alone
            cells[4] = f"{times:.2f}"
            aim = AIMS.get(result["processes"])
            if aim:
                verdicts.append(f"{name}: {times:.2f} x one GPU; {aim} wanted: {met_or_missed(times >= aim)}.")
            if AT_ONCE in name:
                # "1 of 2 at once": a run on two GPUs and one on four may lie in one folder.
                shared[name.partition(" of ")[2]].append(times)
        lines.append(f"| {' | '.join([*cells, result['expected']])} |")
    for times_of in shared.values():
        total = sum(times_of)
        wanted = AIM_AT_ONCE * len(times_of)
        met = met_or_missed(total >= wanted)
        verdicts.append(f"{len(times_of)} students at once: {total:.2f} x one; {wanted:.2f} wanted: {met}.")
    return "\n".join([*lines, "", *verdicts])


@app.command(help=__doc__)
def main(
    work: Annotated[Path, typer.Option(help="Folder for rows, models, runs and results.")] = Path("outputs/bench"),
    out: Annotated[Path | None, typer.Option(help="Folder that gets a copy of the results.")] = None,
    gpus: Annotated[str, typer.Option(help="CUDA indices, comma-separated; two or more.")] = "0,1",
    minutes: Annotated[float, typer.Option(help="Stop after this long.")] = 600,
    tiny: Annotated[
        bool, typer.Option("--tiny", help="Rehearse: small model, two steps, CPU, one run at a time.")
    ] = False,
) -> None:
    cards = tuple(gpus.split(","))
    count = len(cards)
    if count < 2:
        raise UserError("Several GPUs are to be compared with one. Name two or more: --gpus 0,1.")
    if tiny:
        cards = ()
    bench = Bench(work.resolve(), out, cards, time.monotonic() + 60 * minutes)
    if tiny:
        prepare_bench(bench, 64, tiny=True)
    elif not bench.model(QWEN).is_dir():
        raise UserError(
            f"{bench.model(QWEN)} is missing. Make it: python -m benchmarks.training prepare --work {work}."
        )
    alone = [student_over(ALONE, 1, ROWS_A_STEP, "13,500 tokens/s")]
    for variants in (alone, side_by_side(count), together(count)):
        if tiny:
            variants = [replace(tiny_one(variant), name=variant.name) for variant in variants]
        run_all(bench, variants)
    bench.tell("scaling.md", scaling_table(bench.results()))


if __name__ == "__main__":
    run_cli(app)
