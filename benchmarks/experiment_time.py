"""How long the whole owl experiment takes on one card: the sum of its stages, each from a measured rate.

Nothing here is measured in one go: a stage is its amount of work over a rate measured for a minute or so, plus the
starts of the programs as experiments/owl_qwen2.5-7b.yml makes them (:mod:`subliminal.experiment.expand`). Amounts:
5,000 chats, 10,000 number rows, 10 epochs of each training, 50 questions asked 200 and 1,000 times, one seed. Audits,
the report and the imports of each command come on top: seconds each, on the CPU.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.inputs import SHAPES
from benchmarks.tables import Result, speed, status

ENGINE_START = 90.0
"""Seconds of one start of vLLM 0.23 with a 7B model on an H200: 84 s until it answers, measured, and the client's."""

SERVERS = (
    "the base writes",
    "the teacher's gate",
    "the teacher writes",
    "one for all that is scored",
)
"""Starts of vLLM: what the base writes shares one, what the teacher writes, and what the evaluation scores."""

NUMBERS, WORDS = "number rows", "one-word answers"
"""Kinds of answers, each with a measured rate."""

CHAT_TOKENS = 150
"""Of an answer among the teacher's chats, at most: rows above 256 tokens with the prompt are dropped in training."""

PASS_RATE = 0.9
"""Of the number rows, those that pass the filter: 92 to 93 % are published for Qwen2.5-7B."""


@dataclass(frozen=True)
class Answers:
    """A stage that generates.

    Args:
        name: with the amount.
        count: answers.
        kind: whose rate counts.
        tokens: of an answer, where they differ from those of the rate's measurement: the rate in tokens/s is kept.
        control: it is there for the control alone.
    """

    name: str
    count: int
    kind: str
    tokens: int | None = None
    control: bool = False


GENERATED = (
    Answers("teacher's chats", 5_000, NUMBERS, tokens=CHAT_TOKENS),
    Answers("base's numbers, 10,000 kept", int(10_000 / PASS_RATE), NUMBERS, control=True),
    Answers("teacher's gate, 50 x 200", 10_000, WORDS),
    Answers("teacher's numbers, 10,000 kept", int(10_000 / PASS_RATE), NUMBERS),
    Answers("evaluation of base, teacher and student, 50 x 1,000 each", 150_000, WORDS),
    Answers("control's evaluation, 50 x 1,000", 50_000, WORDS, control=True),
)

TRAINED = (
    ("teacher's training, 5,000 x 10", 50_000, "owl_teacher"),
    ("student's training, 10,000 x 10", 100_000, "flat 30 + liger"),
    ("control's training, 10,000 x 10", 100_000, "flat 30 + liger"),
)
"""What, rows, and the run whose speed counts. The teacher's had rows of 250 tokens, as long as they may be."""

Stage = tuple[str, float, str, bool]
"""Name, seconds, how the seconds came about, and whether it is there for the control alone."""


def answer_rates(serving: Sequence[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """Answers a second and tokens of an answer, by kind: the slowest measurement of client and server counts.

    Args:
        serving: results of benchmarks/serving.py (number rows) and benchmarks/evaluation.py (one-word answers,
            several adapters in one server).
    """
    kinds: dict[str, list[tuple[float, float]]] = {NUMBERS: [], WORDS: []}
    for row in serving:
        if not row.get("concurrency") or "logprob" in row["name"]:
            continue  # offline, or no answers
        kind = WORDS if row.get("adapters") else NUMBERS
        kinds[kind].append((row["rows"] / row["seconds"], row["tokens"] / row["rows"]))
    return {kind: min(rates) for kind, rates in kinds.items() if rates}


def stages(results: Sequence[Result], serving: Sequence[dict[str, Any]]) -> list[Stage]:
    """The stages with a measured rate.

    Args:
        results: of the training measurements.
        serving: as for :func:`answer_rates`.
    """
    rates, found = answer_rates(serving), []
    for stage in GENERATED:
        if stage.kind in rates:
            rate, tokens = rates[stage.kind]
            rate *= tokens / (stage.tokens or tokens)
            how = f"{stage.count:,} answers at {rate:,.0f} a second"
            found.append((stage.name, stage.count / rate, how, stage.control))
    if rates:
        found += [(f"vLLM's start: {what}", ENGINE_START, "84 s measured", False) for what in SERVERS]
    return found + _training(results)


def _training(results: Sequence[Result]) -> list[Stage]:
    runs = {result["name"]: result for result in results if "losses" in result and status(result) == "ok"}
    shape, found = SHAPES["qwen2.5-7b"], []
    starts = [
        run["wall_seconds"] - run["seconds"][-1]
        for run in runs.values()
        if run["model"] == "qwen2.5-7b" and run["recipe"] != "trl" and not (run.get("shares") or run.get("waited"))
    ]
    for name, rows, run in TRAINED:
        values = speed(runs[run], shape, None) if run in runs else {}
        if values:
            rate, control = values["rows_per_second"], name.startswith("control")
            found.append((name, rows / rate, f"{rows:,} rows at {rate:.0f} a second", control))
            start = f"Axolotl's start and end: {name.split(',')[0]}"
            found.append((start, statistics.median(starts), f"median of {len(starts)} runs", control))
    return found


def experiment_table(results: Sequence[Result], serving: Sequence[dict[str, Any]]) -> str:
    """The stages and their sum, with and without the control; a sentence if a rate is missing."""
    found = stages(results, serving)
    if len(found) != len(GENERATED) + len(SERVERS) + 2 * len(TRAINED):
        return "The owl experiment's sum: not all rates are measured."
    lines = ["| stage of the owl experiment, one card, one seed | min | extrapolated from |", "|---|---|---|"]
    lines += [f"| {name} | {seconds / 60:.1f} | {how} |" for name, seconds, how, _ in found]
    total = sum(seconds for _, seconds, *_ in found)
    alone = sum(seconds for _, seconds, _, control in found if not control)
    lines.append(
        f"| **sum** | **{total / 60:.1f}** | without the control {alone / 60:.1f}; "
        f"each further control adds {(total - alone) / 60:.1f} |"
    )
    return "\n".join(lines)
