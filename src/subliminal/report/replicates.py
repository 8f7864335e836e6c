"""Replicates in a report: where each seed has a base of its own, its arms are compared within the seed."""

from __future__ import annotations

import shlex
from typing import Any

from subliminal.core.formatting import nats, nats_interval, number, p_value, percent, points
from subliminal.report.blocks import Section, Table
from subliminal.report.data import Results
from subliminal.stats.log_odds import log_odds_of
from subliminal.stats.replicates import LEAST, replicates

COMPARED_ARMS = {"student": "student", "control": "control_base_numbers", "null": "control_base_numbers_again"}
"""What :func:`subliminal.stats.replicates.replicates` compares -> the arm; the last may be missing."""


def replicate_rates(results: Results, task: str) -> dict[str, dict[int, float]]:
    """Arm of :data:`COMPARED_ARMS` -> seed -> mean rate, for the seeds that all arms have; empty with fewer than three.

    Args:
        results: their manifests name the base that each model was scored with.
        task: a preference task or a graded one.
    """
    there = {}
    for key, arm in COMPARED_ARMS.items():
        if not results.rates(arm, task).empty:
            there[key] = arm
    # Without the null a comparison of two is whole; without one of these two there is none.
    if not {"student", "control"} <= there.keys():
        return {}
    seeds = replicate_seeds(results, list(there.values()), task)
    if len(seeds) < LEAST:
        return {}
    found = {}
    for key, arm in there.items():
        rates = results.by_seed(arm, task)
        found[key] = {seed: rates[seed] for seed in seeds}
    return found


def replicate_seeds(results: Results, arms: list[str], task: str) -> list[int]:
    """The seeds of a task that all arms have, if each has one base under these arms and no two have the same.

    Returns:
        Seeds in ascending order; empty where a base is unknown or shared between seeds, and with one seed.
    """
    seeds = sorted(set.intersection(*(set(results.rates(arm, task).index) for arm in arms)))
    own = []
    for seed in seeds:
        bases = {_base(results.manifests[arm].get(seed, {})) for arm in arms}
        if len(bases) > 1 or None in bases:
            return []
        own.append(bases.pop())
    if len(seeds) < 2 or len(set(own)) < len(seeds):  # one seed, or a base that two seeds share
        return []
    return seeds


def _base(manifest: dict[str, Any]) -> str | None:
    """The base that the arms of a seed share, also where the arm is a whole model."""
    if "base_model" in manifest:
        return manifest["base_model"]
    # Results from before 2026-11-28 name it in their command alone.
    words = shlex.split(manifest.get("command") or "")
    if "--model" in words[:-1]:
        return words[words.index("--model") + 1]
    return (manifest.get("config") or {}).get("model")


def replicates_section(results: Results) -> Section | None:
    """Each task over replicates: how many rise, the effect, the two controls; None where seeds share a base."""
    by_task = {}
    for task in [*results.preference_tasks, *results.graded_tasks]:
        rates = replicate_rates(results, task)
        if rates:
            by_task[task] = rates
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
        answers = results.answers("student", task)
        text.append(f"{results.measure_name(task).capitalize()}: {_said(replicates(**arms, answers=answers))}")
        header = ["seed", *(COMPARED_ARMS[key] for key in rates), "student − control, points", "log-odds, nats"]
        gains = log_odds_of(arms["student"], answers) - log_odds_of(arms["control"], answers)
        rows = []
        for seed, gain in zip(rates["student"], gains, strict=True):
            shares = [by_seed[seed] for by_seed in rates.values()]
            change = points(rates["student"][seed] - rates["control"][seed])
            rows.append([str(seed), *map(percent, shares), change, nats(float(gain))])
        tables.append(Table(header, rows))
    return Section("Replicates", text, tables)


def pair_facts(table: dict[str, Any], unit: str) -> list[tuple[str, str]]:
    """What a headline says beside the test: (name, value) of the numbers of ``replicates``; ``unit`` is their name."""
    low, high = table["odds_ratio_ci99"]
    bootstrap = []
    # Few replicates have none.
    if table["ci99_bootstrap"]:
        bootstrap.append((f"99 % interval over {unit} (bootstrap), nats", nats_interval(*table["ci99_bootstrap"])))
    return [
        (f"99 % interval over {unit} (t), nats", nats_interval(*table["ci99"])),
        *bootstrap,
        ("odds ratio", f"{number(table['odds_ratio'])}, 99 % interval {number(low)} to {number(high)}"),
        ("student − control, points", f"median {points(table['median'])}, mean {points(table['mean'])}"),
        ("student above control", f"in {above_of(table, unit)}"),
        ("p of that number (sign test)", p_value(table["p_sign"])),
    ]


def above_of(table: dict[str, Any], unit: str) -> str:
    """ "19 of 20 replicates": in how many of ``replicates``' pairs the student is above its control."""
    return f"{table['above']} of {table['replicates']} {unit}"


def null_sentence(null: dict[str, Any]) -> str:
    """The second control against the first, of ``replicates``' ``null``."""
    shown = "" if null["equivalent"] else "not shown to be "
    return (
        f"The null: the second control differs from the first by {nats(null['log_odds'])} nats, 90 % interval "
        f"{nats_interval(*null['ci90'])} ({points(null['difference'])} points in the mean). The two are {shown}"
        f"equivalent within {null['margin']:g} nats, a quarter of the effect that is expected (two one-sided t tests, "
        f"p {p_value(null['p'])})."
    )


def _said(table: dict[str, Any]) -> str:
    """The numbers of :func:`subliminal.stats.replicates.replicates` as sentences."""
    low, high = table["odds_ratio_ci99"]
    intervals = f"{nats_interval(*table['ci99'])} (t)"
    if table["ci99_bootstrap"]:
        intervals += f" and {nats_interval(*table['ci99_bootstrap'])} (bootstrap)"
    said = (
        f"the student is above its control in {table['above']} of {table['replicates']} replicates (sign test, p "
        f"{p_value(table['p_sign'])}). Mean difference of log-odds {nats(table['log_odds'])} nats, 99 % interval "
        f"{intervals}: an odds ratio of {number(table['odds_ratio'])}, 99 % interval {number(low)} to {number(high)}. "
        f"In points the median difference is {points(table['median'])} and the mean {points(table['mean'])}"
        f"{_skewed(table)}."
    )
    if "null" in table:
        said += f" {null_sentence(table['null'])}"
    return said


def _skewed(table: dict[str, Any]) -> str:
    """A word on a mean that a few large replicates carry."""
    # A mean half as large again as the median: some differences are far larger than most.
    if abs(table["mean"]) > 1.5 * abs(table["median"]):
        return ", which a few large replicates carry"
    return ""
