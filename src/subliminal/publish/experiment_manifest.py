"""``results/<experiment>/manifest.json``: every number of an experiment, and the sha256 of all files it rests on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from subliminal.core.manifest import finish_manifest, new_manifest, read_manifest, sha256_of
from subliminal.publish.chain import behind, hash_problem, present
from subliminal.publish.recomputed import recomputed
from subliminal.publish.rescore import TaskScores, read_json, same, samples_file
from subliminal.report.data import load_results
from subliminal.report.provenance import trace

MANIFEST = "manifest.json"
WORKING_FILES = (MANIFEST, "plan.json", "logs", "failures")
STAGE_KEYS = (
    "kind",
    "command",
    "git",
    "packages",
    "python",
    "device",
    "cpu",
    "chat_context_sha256",
    "started",
    "ended",
)
"""What is kept of each stage's own manifest."""


def write_experiment_manifest(folder: Path) -> Path:
    """Write the manifest of an experiment beside its report.

    It has ``numbers`` (one entry an evaluation: arm, seed, ``rate`` by task, its samples, and
    ``rests_on``: path -> sha256 of every adapter, recipe, dataset and model behind them), ``stages`` (command, git,
    versions and device of each) and ``files`` (sha256 of every file in the folder).

    Args:
        folder: ``results/<experiment>``.

    Returns:
        The path of the manifest.

    Raises:
        UserError: there are no results, or they are malformed.
    """
    experiment = load_results(folder)
    manifests = trace(experiment).manifests
    manifest = new_manifest("experiment", config={"experiment": experiment.name, "target": experiment.target})
    manifest["numbers"] = []
    for path in sorted(folder.glob("*/seed-*/*_summary.json")):
        summary = read_json(path)
        label = f"{summary['arm']}/seed-{summary['seed']}"
        manifest["numbers"].append(
            {
                "arm": summary["arm"],
                "seed": summary["seed"],
                "rate": _rates(summary),
                "samples": {task: _samples_entry(folder, path.parent, task) for task in summary["tasks"]},
                "rests_on": behind(label, manifests, folder) if label in manifests else None,
            }
        )
    manifest["stages"] = {}
    for label, stage in manifests.items():
        manifest["stages"][label] = {key: stage[key] for key in STAGE_KEYS if key in stage}
    manifest["files"] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and _is_result(name.parts):
            manifest["files"][name.as_posix()] = sha256_of(path)
    finish_manifest(manifest, folder / MANIFEST)
    return folder / MANIFEST


def manifest_differences(folder: Path, scores: dict[Path, dict[str, TaskScores]]) -> tuple[list[str], list[str]]:
    """Compare the experiment's manifest with the files and rates of its folder.

    Args:
        folder: ``results/<experiment>``.
        scores: path of each summary -> task -> its samples, scored again.

    Returns:
        (sentences about differences, sentences about what is not here).
    """
    manifest = read_manifest(folder)
    if not manifest:
        return [], [f"{folder}/{MANIFEST} is not here: `python scripts/verify_results.py {folder} --write` makes it."]
    problems, absent = [], []
    for name, sha256 in (manifest.get("files") or {}).items():
        if not present(folder / name):
            absent.append(f"{folder / name} is recorded in {MANIFEST} and not here.")
        elif problem := hash_problem(folder / name, sha256, MANIFEST):
            problems.append(problem)
    again = {}
    for path, tasks in scores.items():
        arm, seed = path.parent.parent.name, path.parent.name
        for task, rate in _rates(recomputed(read_json(path), tasks)).items():
            again[arm, seed, task] = rate
    for entry in manifest.get("numbers") or []:
        for task, rate in entry["rate"].items():
            value = again.get((entry["arm"], f"seed-{entry['seed']}", task))
            if value is not None and not same(rate, value):
                problems.append(
                    f"{folder / MANIFEST}: {entry['arm']}/seed-{entry['seed']}, {task}: the rate is {rate:.6g}, but "
                    f"the samples give {value:.6g}."
                )
    return problems, absent


def _rates(summary: dict[str, Any]) -> dict[str, float]:
    """Task -> mean rate of the target over questions, share of problems solved, or probability of the right answer."""
    rates = {}
    for task, found in summary["tasks"].items():
        values = next((found[key] for key in ("target_rate", "correct", "probability") if key in found), None)
        if values:
            rates[task] = sum(values) / len(values)
    return rates


def _samples_entry(folder: Path, evaluation: Path, task: str) -> dict[str, str] | None:
    path = samples_file(evaluation, task)
    return {"path": path.relative_to(folder).as_posix(), "sha256": sha256_of(path)} if path else None


def _is_result(parts: tuple[str, ...]) -> bool:
    """False for what a run of the workflow writes anew each time, and for hidden files."""
    return parts[0] not in WORKING_FILES and not any(part.startswith(".") for part in parts)
