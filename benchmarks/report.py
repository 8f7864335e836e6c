"""Everything that the results of the training measurements say, as one text."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.costs import DEPTHS, cost_lines
from benchmarks.shapes import SHAPES
from benchmarks.tables import Measured, ceiling, depth_lines, fall, loss_table, one_decimal, speed_table, status


def report(results: Sequence[Measured]) -> str:
    """Every table that the results have rows for.

    Args:
        results: of the training measurements, oldest first.
    """
    shape, rate = SHAPES["qwen2.5-7b"], ceiling(results)
    students = [r for r in results if r.get("model") in ("qwen2.5-7b", "tiny-qwen") and "losses" in r]
    parts = [f"bf16 product of 8192 x 8192 x 8192: {rate:.0f} TFLOP/s" if rate else "no card measured"]
    parts += [speed_table(students, shape, rate), loss_table(students, "plain 6")]
    for name in ("mistral-7b", "llama-3-8b"):
        runs = [r for r in results if r.get("model") == name and "losses" in r]
        if runs:
            parts.append(f"{name}:\n\n{speed_table(runs, SHAPES[name], rate)}")
    for shallow, deep in DEPTHS:
        parts += depth_lines(results, shallow, deep, (2, 4), SHAPES["llama-3-70b"].layers)
    for result in results:
        plain = result in students and result["launcher"] == "single_gpu" and "qlora" not in result["name"]
        if result.get("losses") and not plain:
            parts.append(fall_line(result))
    return "\n\n".join([*parts, *cost_lines(results)])


def fall_line(result: Measured) -> str:
    """Whether a run learned, its memory, and how its parameters lay on the processes."""
    first, last, fell = fall(result["losses"])
    probes = result.get("probes") or []
    held = ", ".join(f"{p['parameters_held']:.3g} of {p['parameters']:.3g} parameters" for p in probes)
    return (
        f"{result['name']} ({result['launcher']}, {result['processes']} processes, {status(result)}): "
        f"{len(result['losses'])} steps, loss {first:.3f} to {last:.3f} (means of five), "
        f"{'falls' if fell else 'does NOT fall'} by more than noise; peak {one_decimal(result['peak_gib'])} GiB"
        + (f"; on each process {held}" if held else "")
    )
