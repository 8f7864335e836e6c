"""Tables and figures out of the results of :mod:`benchmarks.runs`: speed, agreement of losses, memory."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.shapes import Shape

WARM_UP = 4
"""Steps before the clock starts: compilation of kernels, the allocator's growth."""

ROWS_OF_A_RUN = 10_000 * 10
"""10,000 rows, 10 epochs."""

MEAN_GAP, LARGEST_GAP, YARDSTICKS = 0.01, 0.05, 3
"""Bounds of the losses' agreement over 50 steps, set before the first run: on the mean distance from the plain setting,
on the largest one, and on the mean in multiples of what another order of summation alone gives."""

NOISES = 3
"""Losses fall if the fall is more than so many standard deviations of five neighbouring steps."""

SQUARE = "8192x8192x8192"
"""The bf16 product whose rate stands for the card's."""

NO_NUMBER = "loss is no number"
"""Status of a run that ended well, but whose losses are not finite."""

Measured = dict[str, Any]


def status(result: Measured) -> str:
    """How a run ended, or :data:`NO_NUMBER`: the Trainer logs a loss that is not finite as exactly 0."""
    return NO_NUMBER if result["status"] == "ok" and 0.0 in result.get("losses", ()) else result["status"]


def ceiling(results: Sequence[Measured]) -> float | None:
    """The card's bf16 rate in TFLOP/s, where the results hold it: the mean over the GPUs measured."""
    rates = [r["matmul"]["tflops"][SQUARE] for r in results if "matmul" in r]
    return sum(rates) / len(rates) if rates else None


def counted_steps(result: Measured, *, steady: bool = False) -> list[float]:
    """Seconds of each step after the first :data:`WARM_UP`.

    Args:
        result: of :func:`benchmarks.runs.run_variant`.
        steady: leave out, too, each step that was the first of its padded length. On 2026-11-29 every such step of TRL
            with 64 rows at once and of the plain loop took longer than any other. There are some 20 lengths: that is a
            quarter of 40 steps, and 1 % of a whole training.
    """
    seconds = result.get("seconds") or []
    padded = result.get("padded") or []
    counted = []
    known: set[int] = set()
    for step in range(len(seconds)):
        lengths: set[int] = set()
        if step < len(padded):
            lengths = set(padded[step])
        if step >= WARM_UP and not (steady and lengths - known):
            counted.append(seconds[step] - seconds[step - 1])
        known |= lengths
    return counted


def speed(result: Measured, shape: Shape, rate: float | None, *, steady: bool = False) -> dict[str, float]:
    """Useful speed of one run, counted over unpadded tokens and without the first :data:`WARM_UP` steps.

    Args:
        result: of :func:`benchmarks.runs.run_variant`.
        shape: of the model.
        rate: the card's TFLOP/s, all processes' cards alike; None leaves the percentages out.
        steady: as :func:`counted_steps` has it.

    Returns:
        ``rows_per_second``, ``tokens_per_second``, ``step_seconds`` (median), ``minutes`` for :data:`ROWS_OF_A_RUN`
        and, with ``rate``, ``percent`` and ``percent_all``: 4 FLOP x weights x tokens, the weights without and with the
        embedding table, which is looked up and not multiplied. Empty if the run has no step after the warm-up.
    """
    each = counted_steps(result, steady=steady)
    if not each:
        return {}
    taken = sum(each)
    rows = result["batch"] * len(each)
    if result["settings"].get("sample_packing"):  # as many rows a step as fit: count the answers
        rows = result["tokens_trained"] / result["model_facts"]["answer_tokens"] * len(each) / len(result["seconds"])
    tokens = rows * result["model_facts"]["row_tokens"] / taken
    values = {
        "rows_per_second": rows / taken,
        "tokens_per_second": tokens,
        "step_seconds": statistics.median(each),
        "minutes": ROWS_OF_A_RUN / (rows / taken) / 60,
    }
    if rate:
        flop = 4 * tokens / (rate * 1e12 * result["processes"])
        values["percent"] = 100 * flop * shape.matmul_params
        values["percent_all"] = 100 * flop * (shape.matmul_params + shape.vocab * shape.hidden)
    return values


def speed_table(results: Sequence[Measured], shape: Shape, rate: float | None) -> str:
    """One line a run that had its card to itself, with its prediction beside what came out.

    ``card GiB``: in use on the card; for runs that took turns what PyTorch's allocator had reserved, about 0.6 less.
    """
    lines = [
        "| variant | status | useful tokens/s | % of matmul rate (all weights) | step s | peak GiB | card GiB "
        "| 10k x 10, min | predicted |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        if "losses" not in result or result.get("shares"):
            continue
        values = speed(result, shape, rate)
        percent = f"{values['percent']:.1f} ({values['percent_all']:.1f})" if "percent" in values else ""
        cells = [
            result["name"],
            status(result),
            f"{values['tokens_per_second']:,.0f}" if values else "",
            percent,
            f"{values['step_seconds']:.3f}" if values else "",
            one_decimal(result["peak_gib"]),
            one_decimal(result["card_gib"] or result.get("reserved_gib")),
            f"{values['minutes']:.1f}" if values else "",
            result["expected"],
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def loss_table(results: Sequence[Measured], reference: str, yardstick: str = "plain 30") -> str:
    """How far the losses of each run with as many steps and rows a step are from the reference run's.

    The yardstick is the plain setting with another micro-batch: the same sums in another order.

    Args:
        results: runs of one model.
        reference, yardstick: names among them.
    """
    runs = {r["name"]: r for r in results if r.get("losses")}
    plain = runs.get(reference)
    if plain is None:
        return f"{reference} has no losses yet"
    alike = {
        name: run
        for name, run in runs.items()
        if name != reference and all(run[key] == plain[key] for key in ("model", "recipe", "batch", "steps"))
    }
    allowed = [MEAN_GAP]
    if yardstick in alike:
        allowed.append(YARDSTICKS * statistics.mean(loss_gaps(alike[yardstick], plain)))
    lines = [
        f"| losses against {reference}, {plain['steps']} steps | largest gap | mean gap "
        f"| mean of last 10 (reference) | largest <= {LARGEST_GAP}, mean <= {min(allowed):.5f} |",
        "|---|---|---|---|---|",
    ]
    for name, run in alike.items():
        gaps = loss_gaps(run, plain)
        kept = max(gaps) <= LARGEST_GAP and statistics.mean(gaps) <= min(allowed)
        ends = [statistics.mean(one["losses"][: len(gaps)][-10:]) for one in (run, plain)]
        words = ("kept" if kept else "NOT kept") + ("" if len(gaps) == plain["steps"] else f", {len(gaps)} steps")
        cells = [name, f"{max(gaps):.5f}", f"{statistics.mean(gaps):.5f}", f"{ends[0]:.5f} ({ends[1]:.5f})", words]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def loss_gaps(run: Measured, plain: Measured) -> list[float]:
    """The distance of the losses step by step, over the steps that both have."""
    return [abs(mine - other) for mine, other in zip(run["losses"], plain["losses"], strict=False)]


def fall(losses: Sequence[float]) -> tuple[float, float, bool]:
    """The means of the first and last five losses, and whether they fell by more than noise (:data:`NOISES`)."""
    first, last = losses[:5], losses[-5:]
    noise = max(statistics.pstdev(first), statistics.pstdev(last))
    ends = statistics.mean(first), statistics.mean(last)
    return *ends, ends[0] - ends[1] > NOISES * noise


def depth_lines(
    results: Sequence[Measured], shallow: str, deep: str, depths: tuple[int, int], layers: int
) -> list[str]:
    """Memory at the full depth from two shallower runs: a straight line through what the card showed, and the peak."""
    runs = {r["name"]: r for r in results if "losses" in r}
    if shallow not in runs or deep not in runs:
        return []
    lines = []
    for key, what in (("card_gib", "in use on the card"), ("reserved_gib", "reserved"), ("peak_gib", "allocated")):
        low, high = runs[shallow].get(key), runs[deep].get(key)
        if low is None or high is None:
            continue
        each = (high - low) / (depths[1] - depths[0])
        lines.append(
            f"{what}: {low:.2f} GiB at {depths[0]} layers, {high:.2f} at {depths[1]}: {each:.3f} a layer, "
            f"{high + each * (layers - depths[1]):.1f} GiB at {layers}"
        )
    return lines


def one_decimal(value: float | None) -> str:
    """With one decimal, or nothing."""
    return "" if value is None else f"{value:.1f}"
