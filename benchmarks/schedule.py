"""Who runs when: results are appended to ``results.jsonl`` as they come, and a variant that is there is not run again.

On each GPU two runs take turns (:mod:`benchmarks.turn`); those of which only the losses count go side by side.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.runs import run_variant
from benchmarks.workspace import Bench, Variant

IN_TURN = 2
"""Runs on one GPU of which one trains."""

SIDE_BY_SIDE = 3
"""Runs on one GPU that train at the same time; of those that need several GPUs one fewer."""


def run_all(bench: Bench, variants: Sequence[Variant]) -> None:
    """Run what has no result yet: what needs one GPU in turns on each; then what needs several, alone."""
    waiting = _waiting(bench, variants)
    _spread(bench, waiting, IN_TURN)
    for variant in waiting:
        if variant.gpus > 1:
            run_and_keep(bench, variant, bench.gpus[: variant.gpus])


def run_side_by_side(bench: Bench, variants: Sequence[Variant], more: Sequence[Callable[[str], None]] = ()) -> None:
    """Run what has no result yet, several at a time on each GPU.

    Args:
        bench: the workspace.
        variants: to run.
        more: other work for one GPU each, called with its CUDA index ("" on a machine without).
    """
    waiting = _waiting(bench, variants)
    if not bench.gpus:
        for job in more:
            job("")
        return _spread(bench, waiting, 1)
    with ThreadPoolExecutor(SIDE_BY_SIDE - 1) as pool:
        several = [variant for variant in waiting if variant.gpus > 1]
        for variant in several:
            pool.submit(_alone, run_and_keep, bench, variant, bench.gpus[: variant.gpus])
        _spread(bench, waiting, SIDE_BY_SIDE, more)


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


def _waiting(bench: Bench, variants: Sequence[Variant]) -> list[Variant]:
    done = bench.done()
    return [variant for variant in variants if variant.name not in done]


def _spread(
    bench: Bench, variants: Sequence[Variant], at_a_time: int, more: Sequence[Callable[[str], None]] = ()
) -> None:
    """Hand the one-GPU work to the GPUs in order, the next to whichever is free; without a GPU one after the other."""
    work = list(more)
    work += [lambda gpu, v=v: run_and_keep(bench, v, (gpu,) if gpu else ()) for v in variants if v.gpus == 1]
    lanes = [gpu for _ in range(at_a_time) for gpu in bench.gpus] or [""]
    waiting = iter(work)

    def lane(gpu: str) -> None:
        while (job := _next(waiting, bench)) is not None:
            _alone(job, gpu)

    with ThreadPoolExecutor(len(lanes)) as pool:
        list(pool.map(lane, lanes))


def _next(jobs: Iterator[Callable[[str], None]], bench: Bench) -> Callable[[str], None] | None:
    with bench.lock:
        return next(jobs, None)


def _alone(job: Callable[..., None], *arguments: Any) -> None:
    """Do a job; a mistake in its bookkeeping must not cost the others their time on the card."""
    try:
        job(*arguments)
    except Exception:
        traceback.print_exc()
