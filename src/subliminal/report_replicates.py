"""Replicates in a report: where each seed has a base of its own, its arms are compared within the seed."""

from __future__ import annotations

from subliminal.report_data import Arm, Experiment
from subliminal.report_format import Section, Table, interval, number, p_value, percent, points
from subliminal.stats_replicates import LEAST, replicates

ARMS = {"student": "student", "control": "control_base_numbers", "null": "control_base_numbers_again"}
"""What :func:`subliminal.stats_replicates.replicates` compares -> the arm; the last may be missing."""


def replicate_rates(experiment: Experiment, task: str) -> dict[str, dict[int, float]]:
    """Arm of :data:`ARMS` -> seed -> mean rate, for the seeds that every arm has; empty without replicates.

    Args:
        experiment: its results, whose manifests name the base that each model was scored on.
        task: an animal task.
    """
    there = {key: experiment.arms[name] for key, name in ARMS.items() if name in experiment.arms}
    there = {key: arm for key, arm in there.items() if task in arm.measures}
    if not {"student", "control"} <= there.keys():
        return {}
    seeds = [seed for seed in there["student"].measures[task].rates if all(_has(a, task, seed) for a in there.values())]
    bases = {_base(there["student"], seed) for seed in seeds}
    if None in bases or len(bases) < max(len(seeds), LEAST):
        return {}
    if any(_base(arm, seed) != _base(there["student"], seed) for arm in there.values() for seed in seeds):
        return {}
    return {
        key: {seed: float(arm.measures[task].rates[seed].mean()) for seed in sorted(seeds)}
        for key, arm in there.items()
    }


def _has(arm: Arm, task: str, seed: int) -> bool:
    return seed in arm.measures[task].rates


def _base(arm: Arm, seed: int) -> str | None:
    """The base that a result was scored on."""
    return (arm.manifests.get(seed, {}).get("config") or {}).get("model")


def replicates_section(experiment: Experiment) -> Section | None:
    """Each task over replicates: how many rise, the effect, the two controls; None where seeds share a base."""
    by_task = {task: replicate_rates(experiment, task) for task in experiment.questions}
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


def _said(table: dict) -> str:
    """The numbers of :func:`subliminal.stats_replicates.replicates` as sentences."""
    said = (
        f"the student is above its control in {table['above']} of {table['replicates']} replicates (sign test, p "
        f"{p_value(table['p_sign'])}). Mean difference {points(table['difference'])} points, 99 % interval "
        f"{interval(*table['ci99'])} (t) and {interval(*table['ci99_bootstrap'])} (bootstrap)."
    )
    if table["ratio_ci99"]:
        low, high = (number(end) for end in table["ratio_ci99"])
        said += f" The student's mean is {number(table['ratio'])} times the control's, 99 % interval {low} to {high}."
    if null := table.get("null"):
        margin, share = 100 * null["margin"], null["share_ci90"]
        said += (
            f" The null: the second control differs from the first by {points(null['difference'])} points, 90 % "
            f"interval {interval(*null['ci90'])}"
        )
        said += (
            f", which is {' to '.join(f'{number(100 * end)} %' for end in share)} of the effect. " if share else ". "
        )
        shown = "" if null["equivalent"] else "not shown to be "
        said += (
            f"The two are {shown}equivalent within {margin:g} % of the effect (two one-sided t tests, p "
            f"{p_value(null['p'])})."
        )
    return said
