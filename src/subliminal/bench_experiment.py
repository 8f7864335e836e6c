"""How long the whole owl experiment takes on one card: the sum of its stages, each from a measured rate.

Nothing here is measured in one go: a stage is its amount of work over a rate measured for a minute or so, plus the
starts of the programs. Work: FACTS.md 1.1 and experiments/owl_qwen2.5-7b.yml.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from subliminal.bench_inputs import SHAPES
from subliminal.bench_tables import Result, speed

ENGINE_START = 90.0
"""Seconds of one start of vLLM 0.23 with a 7B model on an H200: 67 s by its log ("init engine"), the rest imports."""

STARTS = (("base model", 1), ("teacher", 1), ("student", 1), ("control", 1))
"""Each model is served once; what it writes and its evaluation go through one server."""

CHAT_TOKENS = 150
"""Of an answer among the teacher's chats, at most: rows above 256 tokens with the prompt are dropped in training."""

PASS_RATE = 0.9
"""Of the number rows, those that pass the filter: 92 to 93 % are published for Qwen2.5-7B."""

GENERATED = (
    ("teacher's chats", 5_000, CHAT_TOKENS),
    ("teacher's evaluation, 50 x 200", 10_000, 0),
    ("teacher's numbers, 10,000 kept", int(10_000 / PASS_RATE), 0),
    ("base's numbers, 10,000 kept", int(10_000 / PASS_RATE), 0),
    ("student's evaluation, 50 x 1,000", 50_000, 0),
    ("control's evaluation, 50 x 1,000", 50_000, 0),
)
"""What, answers, tokens of an answer (0: no longer than those of the measurement, whose rate is then a lower bound)."""

TRAINED = (
    ("teacher's training, 5,000 x 10", 50_000, "owl_teacher"),
    ("student's training, 10,000 x 10", 100_000, "flat 30 + liger"),
    ("control's training, 10,000 x 10", 100_000, "flat 30 + liger"),
)


def stages(results: Sequence[Result], serving: Sequence[dict[str, Any]]) -> list[tuple[str, float, str]]:
    """The stages with a measured rate: name, seconds, and how the seconds came about.

    Args:
        results: of the training measurements.
        serving: rows of ``serving.jsonl``; the slowest row of client and server is taken.
    """
    found = []
    served = [row for row in serving if row.get("concurrency")]
    if served:
        slowest = min(served, key=lambda row: row["rows"] / row["seconds"])
        rate, tokens = slowest["rows"] / slowest["seconds"], slowest["tokens"] / slowest["rows"]
        for name, answers, length in GENERATED:
            each = max(length / tokens, 1.0)
            found.append((name, answers * each / rate, f"{answers:,} answers at {rate / each:.0f} a second"))
        found += [(f"vLLM's start: {who}", ENGINE_START * count, "from its log") for who, count in STARTS]
    runs = {result["name"]: result for result in results if result.get("status") == "ok" and "losses" in result}
    shape = SHAPES["qwen2.5-7b"]
    starts = [
        run["wall_seconds"] - run["seconds"][-1]
        for run in runs.values()
        if run["model"] == "qwen2.5-7b" and run["recipe"] != "trl" and not run.get("shares")
    ]
    for name, rows, run in TRAINED:
        values = speed(runs[run], shape, None) if run in runs else {}
        if values:
            rate = values["rows_per_second"]
            found.append((name, rows / rate, f"{rows:,} rows at {rate:.0f} a second"))
            found.append((f"Axolotl's start and end: {name.split(',')[0]}", statistics.median(starts), "median"))
    return found


def experiment_table(results: Sequence[Result], serving: Sequence[dict[str, Any]]) -> str:
    """The stages and their sum, with and without the control; empty if a rate is missing."""
    found = stages(results, serving)
    if len(found) != len(GENERATED) + len(STARTS) + 2 * len(TRAINED):
        return "The owl experiment's sum: not all rates are measured."
    lines = ["| stage of the owl experiment, one card | min | extrapolated from |", "|---|---|---|"]
    lines += [f"| {name} | {seconds / 60:.1f} | {how} |" for name, seconds, how in found]
    total = sum(seconds for _, seconds, _ in found)
    alone = sum(seconds for name, seconds, _ in found if "control" not in name and "base's numbers" not in name)
    lines.append(f"| **sum** | **{total / 60:.1f}** | without the control {alone / 60:.1f} |")
    return "\n".join(lines)
