"""The parts of ``benchmarks/training.py``: each makes results in a workspace, and goes on where it stopped."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

from benchmarks import variants as bench_variants
from benchmarks.inputs import SHAPES, make_long_rows, make_model, make_rows, shallow_copy
from benchmarks.matmul import SQUARE, model_products
from benchmarks.resume import judge, resume_jobs
from benchmarks.schedule import run_all, run_side_by_side
from benchmarks.variants import LLAMA, LONG_ROWS, QWEN
from benchmarks.workspace import Bench
from subliminal import REPO_ROOT
from subliminal.core.errors import UserError

RESUME_LAYERS = 4
"""Depth of the model on which kill and resume are tried: the same code, started in less time."""

DEPTHS = (2, 4)
"""Layers of the 70B model whose memory is measured."""

DEEP = f"{LLAMA}-{max(DEPTHS)}-layers"

LONG_COUNT = 1000
"""Rows as long as a teacher's: enough for one short run."""


def prepare(bench: Bench, rows: int, *, tiny: bool) -> None:
    """Make the rows and models of a workspace, one model at a time on each GPU; what is there is used as it is.

    The models that ``losses`` needs come first; the others are still being made in the background when this returns
    (:func:`wait_for_models`).

    Args:
        bench: the workspace.
        rows: number rows.
        tiny: small models only.
    """
    bench.work.mkdir(parents=True, exist_ok=True)
    file = make_rows(bench.work / "rows", rows)
    names = [QWEN, DEEP, bench_variants.MISTRAL, bench_variants.LLAMA_8B]
    if tiny:
        names = ["tiny-qwen", "tiny-llama", "tiny-mistral"]
    cards = bench.gpus or ("0",)
    # In processes of their own, which give the GPU's memory back when they end.
    pools = [ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) for _ in cards]
    jobs = []
    for index, name in enumerate(names):
        turn = index % len(cards)
        shape, layers = (SHAPES[LLAMA], max(DEPTHS)) if name == DEEP else (SHAPES[name], None)
        job = pools[turn].submit(make_model, shape, bench.model(name), file, layers=layers, gpu=cards[turn])
        jobs.append(job)
    for pool in pools:
        pool.shutdown(wait=False)
    for job in jobs[:2]:
        job.result()
    bench.background += jobs[2:]
    make_long_rows(file, bench.work / LONG_ROWS, bench.model(names[0]), min(rows, LONG_COUNT))
    if not tiny:
        shallow_copy(bench.model(QWEN), RESUME_LAYERS)
        shallow_copy(bench.model(DEEP), min(DEPTHS), name=f"{LLAMA}-{min(DEPTHS)}-layers")


def wait_for_models(bench: Bench) -> None:
    """Wait until what :func:`prepare` left in the background is made."""
    while bench.background:
        bench.background.pop().result()


def ceilings(bench: Bench) -> None:
    """Measure each GPU in a process of its own, all at the same time, as the speed variants run."""
    if not bench.gpus or f"ceiling of GPU {bench.gpus[0]}" in bench.done():
        return
    shape = SHAPES[QWEN]
    products = [SQUARE] + [product for tokens in (780, 3930, 7860) for product in model_products(shape, tokens)]
    words = [sys.executable, "-m", "benchmarks.matmul", json.dumps(products)]
    paths = os.pathsep.join([str(REPO_ROOT / "src"), str(REPO_ROOT), os.environ.get("PYTHONPATH", "")])
    processes = {
        gpu: subprocess.Popen(
            words,
            env={**os.environ, "PYTHONPATH": paths, "CUDA_VISIBLE_DEVICES": gpu},
            stdout=subprocess.PIPE,
            text=True,
        )
        for gpu in bench.gpus
    }
    for gpu, process in processes.items():
        text, _ = process.communicate(timeout=300)
        if process.returncode:
            raise UserError(f"The matrix products failed on GPU {gpu}; see above.")
        measured = json.loads(text.splitlines()[-1])
        print(json.dumps(measured), flush=True)
        bench.keep({"name": f"ceiling of GPU {gpu}", "status": "ok", "matmul": measured})


def losses(bench: Bench, *, tiny: bool) -> None:
    """Runs of which only the losses count: sharded, the plain setting once more, killed and resumed."""
    stopped = bench_variants.resume_variant(f"{QWEN}-{RESUME_LAYERS}-layers")
    variants = bench_variants.loss_variants()
    if tiny:
        stopped = replace(bench_variants.tiny(stopped), steps=stopped.steps)
        variants = [bench_variants.tiny(variant) for variant in variants]
    run_side_by_side(bench, variants, resume_jobs(bench, stopped))
    judge(bench, stopped)


def run_part(bench: Bench, part: str, only: Sequence[str], *, tiny: bool) -> None:
    """Run the variants of ``speed`` or ``two-gpus``.

    Raises:
        UserError: ``only`` names a variant that the part lacks.
    """
    wait_for_models(bench)
    variants = {"speed": bench_variants.speed_variants, "two-gpus": bench_variants.two_gpu_variants}[part]()
    unknown = set(only) - {variant.name for variant in variants}
    if unknown:
        raise UserError(
            f"The part {part} has no variant {sorted(unknown)[0]!r}. It has: {', '.join(v.name for v in variants)}."
        )
    chosen = [variant for variant in variants if not only or variant.name in only]
    run_all(bench, [bench_variants.tiny(variant) for variant in chosen] if tiny else chosen)
