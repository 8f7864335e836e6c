"""Everything that the results of the training measurements say, as one text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.costs import DEPTHS, cost_lines
from benchmarks.experiment_time import experiment_table
from benchmarks.inputs import SHAPES
from benchmarks.tables import (
    Result,
    ceiling,
    depth_lines,
    fall,
    loss_table,
    number,
    packed_lines,
    paper_gib,
    ratio_lines,
    speed_table,
    status,
)

PAIRS = (
    *((name, "trl published") for name in ("flat 30 + liger", "flat 60 + liger", "kernels 30", "packed 7680 + liger")),
    ("flat 30 + liger", "trl no checkpointing"),
    ("flat 30 + liger, in turns", "flat 30 + liger"),
    ("two gpus: flat 30 + liger", "flat 30 + liger"),
    ("two gpus: flat 30 + liger", "flat 60 + liger"),
)
"""Runs whose speeds are compared."""


def report(results: Sequence[Result], serving: Sequence[dict[str, Any]] = ()) -> str:
    """Every table that the results have rows for.

    Args:
        results: of the training measurements, oldest first.
        serving: of the serving and evaluation measurements, for the sum over the whole experiment.
    """
    shape, llama = SHAPES["qwen2.5-7b"], SHAPES["llama-3-70b"]
    rate = ceiling(results)
    students = [r for r in results if r.get("model") in ("qwen2.5-7b", "tiny-qwen") and "losses" in r]
    others = [r for r in results if r.get("losses")]
    parts = [f"bf16 product of 8192 x 8192 x 8192: {rate:.0f} TFLOP/s" if rate else "no card measured"]
    parts += [speed_table(students, shape, rate)]
    parts += [loss_table(students, reference) for reference in ("plain 6", "flat 30 + liger, in turns")]
    for name in ("mistral-7b", "llama-3-8b"):
        runs = [r for r in results if r.get("model") == name and "losses" in r]
        parts += [f"{name}:\n\n{speed_table(runs, SHAPES[name], rate)}"] if runs else []
    parts += packed_lines(students, "plain 6") + ratio_lines(results, shape, PAIRS)
    for shallow, deep in DEPTHS:
        parts += depth_lines(results, shallow, deep, (2, 4), llama.layers)
    for rows in (4, 8):
        paper = paper_gib(llama, 128, rows=rows, longest=256)
        sizes = ", ".join(f"{name} {size:.1f}" for name, size in paper.items())
        parts.append(f"70B on paper, micro-batch of {rows}, GiB: {sizes}")
    parts += [
        fall_line(r) for r in others if r not in students or r["launcher"] != "single_gpu" or "qlora" in r["name"]
    ]
    parts += [f"{r['name']}: {r['sentence']}" for r in results if "sentence" in r]
    parts += cost_lines(results)
    parts.append(experiment_table(results, serving))
    return "\n\n".join(parts)


def fall_line(result: Result) -> str:
    """Whether a run learned, its memory, and how its parameters lay on the processes."""
    first, last, fell = fall(result["losses"])
    probes = result.get("probes") or []
    held = ", ".join(f"{p['parameters_held']:.3g} of {p['parameters']:.3g} parameters" for p in probes)
    return (
        f"{result['name']} ({result['launcher']}, {result['processes']} processes, {status(result)}): "
        f"{len(result['losses'])} steps, loss {first:.3f} to {last:.3f} (means of five), "
        f"{'falls' if fell else 'does NOT fall'} by more than noise; peak {number(result['peak_gib'])} GiB"
        + (f"; on each process {held}" if held else "")
    )
