"""The ``Cost:`` lines of the recipes' headers, out of the measured runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.shapes import SHAPES
from benchmarks.tables import WARM_UP, Measured, speed, status
from subliminal.training.header import header_lines, header_rows
from subliminal.training.lint import RECIPES, read_recipe

COSTS = {
    "flat 30 + liger": ("owl_student", "owl_control"),
    "owl_teacher": ("owl_teacher",),
    "owl_student_strong": ("owl_student_strong", "owl_control_strong"),
    "mistral, flat 30 + liger": ("owl_student_mistral", "owl_control_mistral"),
    "llama3, flat 30 + liger": ("owl_student_llama3", "owl_control_llama3"),
    "math mistral, flat 16 + liger": ("math_student_mistral", "math_control_mistral"),
    "qlora 7b, flat 30 + liger": ("owl_student_qlora", "owl_control_qlora"),
}
"""A run -> the recipes whose cost it says."""

DEPTHS = (("qlora 70b, 2 layers, flat 8 + liger", "qlora 70b, 4 layers, flat 8 + liger"),)
"""Pairs of runs of 2 and 4 layers, out of which the cost of all 80 follows by a straight line."""


def cost_lines(results: Sequence[Measured]) -> list[str]:
    """One line a recipe whose run is there: the recipe's name and the text for its header."""
    runs = {result["name"]: result for result in results if "losses" in result and status(result) == "ok"}
    lines = []
    for name, recipes in COSTS.items():
        values = speed(runs[name], SHAPES["qwen2.5-7b"], None) if name in runs else {}
        lines += [f"{recipe}: {_cost(recipe, runs[name], values)}" for recipe in recipes if values]
    for shallow, deep in DEPTHS:
        if {shallow, deep} <= runs.keys():
            cost = _deep_cost(runs[shallow], runs[deep])
            lines += [f"math_student, math_control, out of {deep}: {cost}"] if cost else []
    return lines


def _cost(recipe: str, result: Measured, values: dict[str, float]) -> str:
    keys, text = read_recipe(RECIPES / f"{recipe}.yml")
    rows = (header_rows(header_lines(text)) or 0) * keys["num_epochs"]
    reserved = result.get("reserved_gib") or result.get("card_gib")
    return _line(
        result["peak_gib"],
        rows / values["rows_per_second"] / 60,
        values["tokens_per_second"],
        f"{_date(result)}, random weights; {reserved:.1f} GiB with the allocator's cache; minutes extrapolated from "
        f"{len(result['losses']) - WARM_UP} steps: BENCHMARKS.md",
    )


def _deep_cost(shallow: Measured, deep: Measured) -> str:
    """From runs of 2 and 4 layers: memory and time of a step grow along a straight line; "" if the time does not."""
    shape = SHAPES["llama-3-70b"]
    keys, text = read_recipe(RECIPES / "math_student.yml")
    rows = (header_rows(header_lines(text)) or 0) * keys["num_epochs"]

    def at_full_depth(low: float, high: float) -> float:
        return high + (high - low) / 2 * (shape.layers - 4)

    low, high = (speed(run, shape, None)["step_seconds"] for run in (shallow, deep))
    if low >= high:
        return ""
    step = at_full_depth(low, high)
    return _line(
        at_full_depth(shallow["peak_gib"], deep["peak_gib"]),
        rows / deep["batch"] * step / 60,
        deep["batch"] * deep["model_facts"]["row_tokens"] / step,
        f"{_date(deep)}, random weights; extrapolated from 2 and 4 layers to 80: BENCHMARKS.md",
    )


def _line(gib: float, minutes: float, tokens: float, where: str) -> str:
    return f"{gib:.1f} GiB, {minutes:,.1f} min, {tokens:,.0f} tokens/s (1 x H200, {where})"


def _date(result: dict[str, Any]) -> str:
    return str(result["ended"])[:10]
