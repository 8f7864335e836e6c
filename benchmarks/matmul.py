"""What the card can do: bf16 matrix products on random data, and a copy through its memory.

    python -m benchmarks.matmul '[[8192, 8192, 8192]]'

prints one JSON object: TFLOP/s for each product (M, N, K), and the copy's TB/s, bytes read plus bytes written.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable

from benchmarks.inputs import Shape

SQUARE = (8192, 8192, 8192)
"""The product whose rate the percentages are of."""


def model_products(shape: Shape, tokens: int) -> list[tuple[int, int, int]]:
    """The (M, N, K) of a model's forward projections and head for ``tokens`` positions."""
    sides = [(shape.hidden, shape.hidden), (shape.intermediate, shape.hidden), (shape.hidden, shape.intermediate)]
    return [(tokens, *side) for side in [*sides, (shape.vocab, shape.hidden)]]


def measure(products: list[tuple[int, int, int]], *, repeats: int = 20) -> dict[str, object]:
    """Time products and a copy with CUDA events, median of ``repeats`` after five that warm up.

    Args:
        products: (M, N, K) of each; operands are normally distributed bf16.
        repeats: timed runs.
    """
    import torch

    def milliseconds(work: Callable[[], object]) -> float:
        for _ in range(5):
            work()
        times = []
        for _ in range(repeats):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            work()
            end.record()
            end.synchronize()
            times.append(start.elapsed_time(end))
        return statistics.median(times)

    rates = {}
    for m, n, k in products:
        left = torch.randn(m, k, device="cuda", dtype=torch.bfloat16)
        right = torch.randn(n, k, device="cuda", dtype=torch.bfloat16)
        out = torch.empty(m, n, device="cuda", dtype=torch.bfloat16)
        rates[f"{m}x{n}x{k}"] = round(2e-9 * m * n * k / milliseconds(lambda: torch.mm(left, right.T, out=out)), 1)  # noqa: B023
    source = torch.randn(2**31, device="cuda", dtype=torch.bfloat16)
    target = torch.empty_like(source)
    copied = 2 * source.numel() * source.element_size()
    return {
        "card": torch.cuda.get_device_name(0),
        "torch": torch.__version__,
        "tflops": rates,
        "copy_tb_per_s": round(1e-9 * copied / milliseconds(lambda: target.copy_(source)), 2),
    }


if __name__ == "__main__":
    print(json.dumps(measure([tuple(product) for product in json.loads(sys.argv[1])])))
