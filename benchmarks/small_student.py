"""The student of 0.5B parameters beside TRL's SFTTrainer and a plain PyTorch loop, on one GPU. No network is needed.

    python -m benchmarks.small_student --model models/qwen2.5-coder-0.5b --work /tmp/small --out OUT

Trains each for some steps of the same rows, one after another, and prints a table: seconds a step, rows a second, how
many times TRL that is, how many operations a step dispatches, and what part of it the card has a kernel running. Steps
that a long training hardly has, the first ones and the first of each padded length, are not counted. The runs that
decide come first and once more after that, as a host's speed changes within minutes. Results are kept in
WORK/results.jsonl as they come, with a copy in OUT; the same command again makes what is missing. --tiny rehearses on a
CPU: a small model of its own, two steps, and five where operations are counted.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.counts import COUNTED_STEP
from benchmarks.matmul import rate_of_card
from benchmarks.shapes import SHAPES, make_model, make_rows, with_facts
from benchmarks.tables import Measured, ceiling, counted_steps, one_decimal, speed, status
from benchmarks.training import run_all
from benchmarks.variants import tiny as tiny_one
from benchmarks.workspace import Bench, Variant, met_or_missed
from subliminal.core.errors import run_cli

MODEL = "qwen2.5-0.5b"
RECIPE = "recipes/qwen2.5-coder-0.5b/student.yml"
ROWS_A_STEP = 64
OURS = "student"
PUBLISHED = "trl, published settings"
BEST = "trl, 64 rows at once"
LOOP = "plain loop"
AIM_PUBLISHED, AIM_BEST = 3.0, 1.3
"""Times TRL with the published settings, and TRL at its best, that the student is to be as fast as."""
COUNTED = ", counted"
"""End of the name of a run that is slowed by counting: it says what a step consists of and not how fast the run is."""
AGAIN = ", again"
"""End of the name of a run that is made a second time: the mean of both is compared."""
COUNTED_STEPS = 12

STAND_INS = "benchmarks.stand_ins.StandIns"

app = typer.Typer(add_completion=False, rich_markup_mode=None)


def small_variants() -> list[Variant]:
    """What is trained, with what it was expected to give before any of it ran: most telling first."""
    whole: dict[str, Any] = {"per_device_train_batch_size": ROWS_A_STEP, "gradient_accumulation_steps": 1}
    whole["gradient_checkpointing"] = False
    liger = {**whole, "use_liger_kernel": True}
    flat = {**liger, "padding_free": True, "max_length": None}
    counted = {"kernels": True}
    deciding = [
        _ours(OURS, expected="0.2 s: 0.214 and 0.188 on 2026-11-29"),
        _trl(BEST, whole, expected="0.26 s, as on 2026-11-29"),
        _loop(LOOP, {}, expected="0.21 s, as on 2026-11-29"),
    ]
    again = [replace(variant, name=variant.name + AGAIN, expected="the same within a fifth") for variant in deciding]
    probe = ("benchmarks.probe.KernelProbe",)
    brief = {"steps": COUNTED_STEPS}
    return [
        *deciding,
        *again,
        _trl(PUBLISHED, {}, batch=66, steps=16, expected="1.7 s, as on 2026-11-29"),
        _ours(OURS + COUNTED, plugins=probe, **brief, expected="the card works for a third of a step"),
        _trl(
            BEST + COUNTED,
            {**whole, **counted},
            **brief,
            expected="11,200 operations, 6,300 computing",
        ),
        _loop(LOOP + COUNTED, counted, **brief, expected="11,300 operations, 6,300 computing"),
        _trl("trl, 64 rows at once, liger", liger, expected="0.27 s: 1.05 x the time without it, as on 2026-11-29"),
        _trl("trl, 64 rows without padding, liger", flat, expected="0.4 s, and a loss that is no number"),
        _ours("student, compiled", settings={"torch_compile": True}, expected="fails, or compiles for minutes"),
    ]


def _ours(name: str, *, steps: int = 40, **fields: Any) -> Variant:
    return Variant(name, MODEL, RECIPE, batch=ROWS_A_STEP, steps=steps, as_written=True, **fields)


def _trl(name: str, settings: dict[str, Any], *, batch: int = ROWS_A_STEP, steps: int = 40, **fields: Any) -> Variant:
    return Variant(name, MODEL, program="trl", settings=settings, batch=batch, steps=steps, **fields)


def _loop(name: str, settings: dict[str, Any], *, steps: int = 40, **fields: Any) -> Variant:
    settings = {"batch": ROWS_A_STEP, **settings}
    return Variant(name, MODEL, program="loop", settings=settings, batch=ROWS_A_STEP, steps=steps, **fields)


def tiny_small(variant: Variant) -> Variant:
    """The same program for a rehearsal on a CPU: width 64, 4 layers, two steps of four rows.

    Where operations are counted the model has 24 layers, as many as the true one, and the student its recipe's kernels.
    """
    fields: dict[str, Any] = {"model": "tiny-qwen", "batch": 4, "steps": 2}
    if variant.name.endswith(COUNTED):
        fields |= {"model": "narrow-qwen", "steps": COUNTED_STEP + 1, "limit": 600}
    settings = dict(variant.settings)
    if variant.name == OURS + COUNTED:
        settings = {"micro_batch_size": 4, "effective_batch": 4, "tf32": False}
        return replace(variant, **fields, settings=settings, plugins=(STAND_INS, *variant.plugins))
    if variant.program == "axolotl":
        return tiny_one(replace(variant, settings={"torch_compile": False}))
    settings.pop("use_liger_kernel", None)  # needs Triton
    if variant.program == "trl":
        settings |= {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 1}
    else:
        settings["batch"] = 4
    return replace(variant, **fields, settings=settings)


def student_table(results: Sequence[Measured]) -> str:
    """The runs in Markdown, and whether the aims are met.

    The rows' own tokens are counted, without padding. A step is the mean of those that a long training consists of:
    without the first ones, and without the first of each padded length (:func:`benchmarks.tables.counted_steps`).
    """
    rate = ceiling(results)
    speeds = {}
    for result in results:
        if "losses" in result and not result["name"].endswith(COUNTED):
            speeds[result["name"]] = speed(result, SHAPES[MODEL], rate, steady=True)
    rates = mean_rates(speeds)
    published = rates.get(PUBLISHED, 0.0)
    best = max((rate for name, rate in rates.items() if name.startswith("trl")), default=0.0)
    lines = [
        "| run | status | s a step | rows/s | useful tokens/s | % of matmul rate | peak GiB | x TRL published "
        "| x TRL best | predicted |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        if "losses" not in result:
            continue
        values = speeds.get(result["name"])
        cells = [result["name"], status(result), *[""] * 7, result["expected"]]
        if values:
            cells[2] = f"{result['batch'] / _rows(values):.3f}"
            cells[3:5] = f"{_rows(values):.0f}", f"{values['tokens_per_second']:,.0f}"
            if "percent" in values:
                cells[5] = f"{values['percent']:.1f}"
            cells[7] = _times(_rows(values), published)
            cells[8] = _times(_rows(values), best)
        cells[6] = one_decimal(result["peak_gib"])
        lines.append(f"| {' | '.join(cells)} |")
    counts = [*_left_out_lines(results), *_operation_lines(results), *_kernel_lines(results, speeds)]
    return "\n".join([*lines, "", *counts, *_verdict(rates.get(OURS, 0.0), published, best)])


def mean_rates(speeds: dict[str, dict[str, float]]) -> dict[str, float]:
    """Rows a second by a run's name: the mean over its first run and the one made again."""
    rates: dict[str, list[float]] = {}
    for name, values in speeds.items():
        if values:
            rates.setdefault(name.removesuffix(AGAIN), []).append(values["rows_per_second"])
    return {name: statistics.fmean(each) for name, each in rates.items()}


def _rows(values: dict[str, float] | None) -> float:
    if not values:
        return 0.0
    return values["rows_per_second"]


def _times(rate: float, of: float) -> str:
    if not of:
        return ""
    return f"{rate / of:.2f}"


def _left_out_lines(results: Sequence[Measured]) -> list[str]:
    """What the steps took that are left out as the first of their padded length."""
    lines = []
    for result in results:
        if "losses" not in result or result["name"].endswith(COUNTED):
            continue
        every, steady = counted_steps(result), counted_steps(result, steady=True)
        if len(steady) == len(every):
            continue
        mean = (sum(every) - sum(steady)) / (len(every) - len(steady))
        lines.append(
            f"{result['name']}: {len(every) - len(steady)} of {len(every)} steps were the first of their padded length "
            f"and are not counted: {mean:.3f} s on average, {statistics.fmean(every):.3f} with all."
        )
    return lines


def _kernel_lines(results: Sequence[Measured], speeds: dict[str, dict[str, float]]) -> list[str]:
    """What part of a step kernels run, the step's time taken from the run that no profiler slows."""
    lines = []
    for result in results:
        kernels = result.get("kernels")
        name = result["name"].removesuffix(COUNTED)
        if not kernels or not speeds.get(name):
            continue
        step = result["batch"] / _rows(speeds[name])
        busy = kernels["kernel_seconds_a_step"]
        lines.append(
            f"{name}: {kernels['kernels_a_step']:,} kernels a step, which run for {busy:.3f} of its {step:.3f} s "
            f"({busy / step:.0%}); with nothing but them, {step / busy:.1f} x as fast."
        )
    return lines


def _operation_lines(results: Sequence[Measured]) -> list[str]:
    """How many operations a step dispatches, beside the plain loop's: a number that any machine can count."""
    counts = {}
    for result in results:
        if result.get("operations"):
            counts[result["name"].removesuffix(COUNTED)] = result["operations"]
    lines = []
    for name, count in counts.items():
        line = f"{name}: {count['operations']:,} operations a step, of which {count['computing']:,} compute"
        line += f" and {count['waits']} wait for the card"
        if name != LOOP and LOOP in counts:
            line += f"; computing ones {count['computing'] / counts[LOOP]['computing']:.2f} x the plain loop's"
        lines.append(f"{line}.")
    return lines


def _verdict(ours: float, published: float, best: float) -> list[str]:
    if not ours:
        return ["Nothing to compare: the student has no result."]
    lines = []
    for label, other, aim in (("published settings", published, AIM_PUBLISHED), ("best settings", best, AIM_BEST)):
        if not other:
            lines.append(f"Nothing to compare with TRL at its {label}: it has no result.")
            continue
        met = met_or_missed(ours / other >= aim)
        lines.append(f"{ours / other:.2f} x TRL at its {label}; {aim} wanted: {met}.")
    return lines


@app.command(help=__doc__)
def main(
    model: Annotated[Path, typer.Option(help="Folder of the base, with weights.")] = Path("models/qwen2.5-coder-0.5b"),
    work: Annotated[Path, typer.Option(help="Folder for rows, runs and results.")] = Path("outputs/bench_small"),
    out: Annotated[Path | None, typer.Option(help="Folder that gets a copy of the results.")] = None,
    gpu: Annotated[str, typer.Option(help="CUDA index.")] = "0",
    minutes: Annotated[float, typer.Option(help="Stop after this long.")] = 600,
    only: Annotated[list[str] | None, typer.Option(help="Run by name; repeat for more. Default: all.")] = None,
    rows: Annotated[int, typer.Option(min=ROWS_A_STEP, help="Number rows to train on.")] = 4000,
    tiny: Annotated[bool, typer.Option("--tiny", help="Rehearse: small model, two steps, CPU.")] = False,
) -> None:
    cards = () if tiny else (gpu,)
    bench = Bench(work.resolve(), out, cards, time.monotonic() + 60 * minutes)
    bench.work.mkdir(parents=True, exist_ok=True)
    file = make_rows(bench.work / "rows", rows)
    variants = [variant for variant in small_variants() if not only or variant.name in only]
    if tiny:
        for shape in ("tiny-qwen", "narrow-qwen"):
            make_model(SHAPES[shape], bench.model(shape), file)
        variants = [tiny_small(variant) for variant in variants]
    else:
        with_facts(model, bench.model(MODEL), file)
        if ceiling(bench.results()) is None:
            bench.keep(rate_of_card(gpu))
    run_all(bench, variants)
    bench.tell("small_student.md", student_table(bench.results()))


if __name__ == "__main__":
    run_cli(app)
