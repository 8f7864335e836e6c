"""Measure training on this machine's GPUs, with models of the true shape and random weights. No network is needed.

\b
    python -m benchmarks.training prepare speed sharded two-gpus --work /tmp/bench --out results/bench

runs the named parts in the order given and prints their tables. Results are kept in WORK/results.jsonl as they come,
with a copy in OUT; the same command again goes on where it stopped. --tiny rehearses on a CPU with a small model.

\b
prepare   rows, and with random weights 7B and 8B models and 2 and 4 layers of Llama-3-70B (about 60 GB in WORK)
card      the rate of a large matrix product, of which the speeds are shares
speed     the 7B student in many settings, other recipes, 4-bit: tokens/s, memory, losses
sharded   few layers of the 70B model over two GPUs: FSDP2, ZeRO-3, ZeRO-2
two-gpus  data parallel
report    nothing is run: the tables
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Annotated

import typer

from benchmarks.matmul import rate_of_card
from benchmarks.report import report
from benchmarks.runs import run_variant
from benchmarks.shapes import SHAPES, make_long_rows, make_model, make_rows, shallow_copy
from benchmarks.variants import (
    LLAMA,
    LLAMA_8B,
    LONG_ROWS,
    MISTRAL,
    QWEN,
    sharded_variants,
    speed_variants,
    two_gpu_variants,
)
from benchmarks.variants import tiny as tiny_one
from benchmarks.workspace import Bench, Variant
from subliminal.core.errors import UserError, run_cli

DEPTHS = (2, 4)
"""Layers of the 70B model whose memory is measured."""

DEEP = f"{LLAMA}-{max(DEPTHS)}-layers"
LONG_COUNT = 1000
"""Rows as long as a teacher's: enough for one short run."""

VARIANTS = {"speed": speed_variants, "sharded": sharded_variants, "two-gpus": two_gpu_variants}
PARTS = ("prepare", "card", *VARIANTS, "report")
app = typer.Typer(add_completion=False, rich_markup_mode=None)


def prepare_bench(bench: Bench, rows: int, *, tiny: bool) -> None:
    """Make the rows and models of a workspace; what is there is used as it is.

    Args:
        bench: the workspace.
        rows: number rows.
        tiny: small models only.
    """
    bench.work.mkdir(parents=True, exist_ok=True)
    file = make_rows(bench.work / "rows", rows)
    names = ["tiny-qwen", "tiny-llama", "tiny-mistral"] if tiny else [QWEN, DEEP, MISTRAL, LLAMA_8B]
    for name in names:
        shape, layers = (SHAPES[LLAMA], max(DEPTHS)) if name == DEEP else (SHAPES[name], None)
        # In a process of its own, which gives the GPU's memory back when it ends.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            pool.submit(make_model, shape, bench.model(name), file, layers=layers).result()
    make_long_rows(file, bench.work / LONG_ROWS, bench.model(names[0]), min(rows, LONG_COUNT))
    if not tiny:
        shallow_copy(bench.model(DEEP), min(DEPTHS), name=f"{LLAMA}-{min(DEPTHS)}-layers")


def run_all(bench: Bench, variants: Sequence[Variant]) -> None:
    """Run what has no result yet: what needs one GPU side by side, one on each; then what needs several, alone."""
    done = bench.done()
    waiting = [variant for variant in variants if variant.name not in done]
    queue: SimpleQueue[Variant] = SimpleQueue()
    for variant in waiting:
        if variant.gpus == 1:
            queue.put(variant)

    def lane(gpu: str) -> None:
        while True:
            try:
                variant = queue.get_nowait()
            except Empty:
                return
            run_and_keep(bench, variant, (gpu,) if gpu else ())

    lanes = bench.gpus or ("",)
    with ThreadPoolExecutor(len(lanes)) as pool:
        list(pool.map(lane, lanes))
    for variant in waiting:
        if variant.gpus > 1:
            run_and_keep(bench, variant, bench.gpus[: variant.gpus])


def run_and_keep(bench: Bench, variant: Variant, gpus: Sequence[str]) -> None:
    """Run a variant and keep its result, if there are the GPUs and the time for it."""
    left = bench.deadline - time.monotonic()
    if left < 20:
        print(f"{variant.name}: no time left; run the same command again", flush=True)
        return
    if bench.gpus and len(gpus) < variant.gpus:
        print(f"{variant.name}: needs {variant.gpus} GPUs", flush=True)
        return
    result, log = run_variant(bench, variant, gpus, timeout=left)
    bench.keep(result, "" if result["status"] == "ok" else log)


def variants_of(part: str, only: Sequence[str]) -> list[Variant]:
    """The variants of a part, or those of them that ``only`` names.

    Raises:
        UserError: ``only`` names a variant that the part lacks.
    """
    variants = VARIANTS[part]()
    unknown = set(only) - {variant.name for variant in variants}
    if unknown:
        names = ", ".join(variant.name for variant in variants)
        raise UserError(f"The part {part} has no variant {sorted(unknown)[0]!r}. It has: {names}.")
    return [variant for variant in variants if not only or variant.name in only]


@app.command(help=__doc__)
def main(
    parts: Annotated[list[str], typer.Argument(help=f"Any of: {', '.join(PARTS)}.")],
    work: Annotated[Path, typer.Option(help="Folder for rows, models, runs and results.")] = Path("outputs/bench"),
    out: Annotated[Path | None, typer.Option(help="Folder that gets a copy of the results.")] = None,
    gpus: Annotated[str, typer.Option(help="CUDA indices, comma-separated.")] = "0",
    minutes: Annotated[float, typer.Option(help="Stop after this long.")] = 600,
    only: Annotated[list[str] | None, typer.Option(help="Variant by name; repeat for more. Default: all.")] = None,
    rows: Annotated[int, typer.Option(min=1, help="Number rows to train on.")] = 4000,
    tiny: Annotated[bool, typer.Option(help="Rehearse: small model, two steps, CPU.")] = False,
) -> None:
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        raise UserError(f"There is no part {unknown[0]!r}. Name any of: {', '.join(PARTS)}.")
    cards = () if tiny else tuple(gpus.split(","))
    bench = Bench(work.resolve(), out.resolve() if out else None, cards, time.monotonic() + 60 * minutes)
    for part in parts:
        if part == "prepare":
            prepare_bench(bench, rows, tiny=tiny)
        elif part == "card":
            for gpu in bench.gpus:
                bench.keep(rate_of_card(gpu))
        elif part != "report":
            variants = variants_of(part, only or [])
            run_all(bench, [tiny_one(variant) for variant in variants] if tiny else variants)
    bench.tell("report.md", report(bench.results()))


if __name__ == "__main__":
    run_cli(app)
