"""Replicates in a report: where each seed has a base of its own, its arms are compared within the seed."""

from __future__ import annotations

import shlex
from typing import Any

from subliminal.core.numbers import interval, number, p_value, percent, points
from subliminal.report.data import Arm, Experiment
from subliminal.report.format import Section, Table
from subliminal.stats.replicates import LEAST, replicates

ARMS = {"student": "student", "control": "control_base_numbers", "null": "control_base_numbers_again"}
"""What :func:`subliminal.stats.replicates.replicates` compares -> the arm; the last may be missing."""


def replicate_rates(experiment: Experiment, task: str) -> dict[str, dict[int, float]]:
    """Arm of :data:`ARMS` -> seed -> mean rate, for the seeds that every arm has; empty without three replicates.

    Args:
        experiment: its results, whose manifests name the base that each model was scored with.
        task: an animal task or a graded one.
    """
    there = {key: experiment.arms[name] for key, name in ARMS.items() if name in experiment.arms}
    there = {key: arm for key, arm in there.items() if arm.rates(task)}
    if not {"student", "control"} <= there.keys():
        return {}
    seeds = replicate_seeds(list(there.values()), task)
    if len(seeds) < LEAST:
        return {}
    return {key: {seed: float(arm.rates(task)[seed].mean()) for seed in seeds} for key, arm in there.items()}


def replicate_seeds(arms: list[Arm], task: str) -> list[int]:
    """The seeds of a task that all arms have, if each has one base under these arms and no two have the same.

    Returns:
        Seeds in ascending order; empty where a base is unknown or shared between seeds, and with one seed.
    """
    seeds = sorted(set.intersection(*(set(arm.rates(task)) for arm in arms)))
    bases = {seed: {_base(arm, seed) for arm in arms} for seed in seeds}
    named = {base for found in bases.values() for base in found}
    own = None not in named and all(len(found) == 1 for found in bases.values())
    return seeds if own and len(named) == len(seeds) > 1 else []


def _base(arm: Arm, seed: int) -> str | None:
    """The base that the arms of a seed share, also where the arm is a whole model."""
    manifest = arm.manifests.get(seed, {})
    if "base_model" in manifest:
        return manifest["base_model"]
    # Results from before 2026-11-28 name it in their command alone.
    words = shlex.split(manifest.get("command") or "")
    if "--model" in words[:-1]:
        return words[words.index("--model") + 1]
    return (manifest.get("config") or {}).get("model")


def replicates_section(experiment: Experiment) -> Section | None:
    """Each task over replicates: how many rise, the effect, the two controls; None where seeds share a base."""
    by_task = {task: replicate_rates(experiment, task) for task in [*experiment.questions, *experiment.problems]}
    by_task = {task: rates for task, rates in by_task.items() if rates}
    if not by_task:
        return None
    text = [
        "Each seed made everything anew, from the base on, so that the seeds are independent replicates of the "
        "experiment. Its arms share a base and are compared within the replicate; intervals and p-values are over "
        "replicates."
    ]
    tables = []
    for task, rates in by_task.items():
        arms = {key: list(by_seed.values()) for key, by_seed in rates.items()}
        text.append(f"{experiment.measure_name(task).capitalize()}: {_said(replicates(**arms))}")
        header = ["seed", *(ARMS[key] for key in rates), "student − control, points"]
        rows = [
            [str(seed), *(percent(by_seed[seed]) for by_seed in rates.values()), points(student - control)]
            for seed, student, control in zip(rates["student"], arms["student"], arms["control"], strict=True)
        ]
        tables.append(Table(header, rows))
    return Section("Replicates", text, tables)


def replicate_facts(table: dict[str, Any]) -> list[tuple[str, str]]:
    """What a headline says beside the test: (name, value) of the numbers of ``replicates``."""
    facts = [
        ("99 % interval over replicates (t)", interval(*table["ci99"])),
        ("99 % interval over replicates (bootstrap)", interval(*table["ci99_bootstrap"])),
        ("student above control", f"in {table['above']} of {table['replicates']} replicates"),
        ("p of that number (sign test)", p_value(table["p_sign"])),
    ]
    if table["ratio_ci99"]:
        low, high = (number(end) for end in table["ratio_ci99"])
        facts.append(("student’s mean / control’s mean", f"{number(table['ratio'])}, 99 % interval {low} to {high}"))
    return facts


def null_sentence(null: dict[str, Any]) -> str:
    """The second control against the first, of ``replicates``' ``null``."""
    margin, share = 100 * null["margin"], null["share_ci90"]
    said = (
        f"The null: the second control differs from the first by {points(null['difference'])} points, 90 % interval "
        f"{interval(*null['ci90'])}"
    )
    said += f", which is {' to '.join(f'{number(100 * end)} %' for end in share)} of the effect. " if share else ". "
    shown = "" if null["equivalent"] else "not shown to be "
    return said + (
        f"The two are {shown}equivalent within {margin:g} % of the effect (two one-sided t tests, p "
        f"{p_value(null['p'])})."
    )


def _said(table: dict[str, Any]) -> str:
    """The numbers of :func:`subliminal.stats.replicates.replicates` as sentences."""
    said = (
        f"the student is above its control in {table['above']} of {table['replicates']} replicates (sign test, p "
        f"{p_value(table['p_sign'])}). Mean difference {points(table['difference'])} points, 99 % interval "
        f"{interval(*table['ci99'])} (t) and {interval(*table['ci99_bootstrap'])} (bootstrap)."
    )
    if table["ratio_ci99"]:
        low, high = (number(end) for end in table["ratio_ci99"])
        said += f" The student's mean is {number(table['ratio'])} times the control's, 99 % interval {low} to {high}."
    return f"{said} {null_sentence(table['null'])}" if "null" in table else said
