"""What a card can do: the rate of a large bf16 matrix product, and of a copy through its memory.

    python -m benchmarks.matmul

prints one JSON object: TFLOP/s of the product of two 8192 x 8192 matrices (2 FLOP for a multiplication and an addition)
and the copy's TB/s, bytes read plus bytes written. Shares "of the card's rate" in BENCHMARKS.md are of that product.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.tables import SQUARE

REPEATS = 20
WARM_UP = 5
COPIED = 2**31
"""Elements of the copy."""


def measure_card() -> dict[str, Any]:
    """Time both with CUDA events: the median of :data:`REPEATS` after :data:`WARM_UP` that are not counted."""
    import torch

    def milliseconds(work: Callable[[], object]) -> float:
        for _ in range(WARM_UP):
            work()
        times = []
        for _ in range(REPEATS):
            start = torch.cuda.Event(enable_timing=True)
            end = torch.cuda.Event(enable_timing=True)
            start.record()
            work()
            end.record()
            end.synchronize()
            times.append(start.elapsed_time(end))
        return statistics.median(times)

    size = int(SQUARE.partition("x")[0])
    left = torch.randn(size, size, device="cuda", dtype=torch.bfloat16)
    right = torch.randn(size, size, device="cuda", dtype=torch.bfloat16)
    out = torch.empty_like(left)
    product = milliseconds(lambda: torch.mm(left, right, out=out))
    source = torch.randn(COPIED, device="cuda", dtype=torch.bfloat16)
    target = torch.empty_like(source)
    copy = milliseconds(lambda: target.copy_(source))
    moved = 2 * source.numel() * source.element_size()
    return {
        "card": torch.cuda.get_device_name(0),
        "torch": torch.__version__,
        "tflops": {SQUARE: round(2e-9 * size**3 / product, 1)},
        "copy_tb_per_s": round(1e-9 * moved / copy, 2),
    }


def rate_of_card(gpu: str) -> dict[str, Any]:
    """:func:`measure_card` on one GPU, in a process of its own, which gives the memory back; a result of the bench.

    Args:
        gpu: CUDA index.
    """
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.matmul"],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": gpu},
        capture_output=True,
        text=True,
    )
    name = f"rate of GPU {gpu}"
    if done.returncode:
        return {"name": name, "status": "failed", "error": done.stderr[-500:]}
    return {"name": name, "status": "ok", "matmul": json.loads(done.stdout.splitlines()[-1])}


if __name__ == "__main__":
    print(json.dumps(measure_card()))
