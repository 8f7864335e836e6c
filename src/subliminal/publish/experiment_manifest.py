"""``results/<experiment>/manifest.json``: every number of an experiment, and the sha256 of all files it rests on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError
from subliminal.core.files import read_object
from subliminal.core.manifest import finish_manifest, new_manifest, read_manifest, sha256_of
from subliminal.publish.chain import behind, hash_problem
from subliminal.publish.rescore import DERIVED, SUMMARY, difference, lost_answers, samples_files
from subliminal.report.load import load_results
from subliminal.report.provenance.trace import trace

MANIFEST = "manifest.json"
WORKING_FILES = (MANIFEST, "plan.json", "logs", "failures")
SCRIPT = "scripts/verify_results.py"
KEPT_OF_A_STAGE = (
    *("kind", "command", "git", "packages", "python", "environment", "device", "cpu"),
    *("chat_context_sha256", "started", "ended"),
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
        UserError: there are no results, they are malformed, or raw answers of them are gone.
    """
    experiment = load_results(folder)
    evaluations = sorted(folder.glob(f"*/seed-*/*{SUMMARY}"))
    for path in evaluations:
        # A rate that cannot be scored again must not become one that this manifest records.
        if lost := lost_answers(path.parent):
            raise UserError(f"{lost} {folder / MANIFEST} is left as it was.")
    manifests = trace(experiment).manifests
    manifest = new_manifest("experiment", config={"experiment": experiment.name, "target": experiment.target})
    manifest["numbers"] = []
    for path in evaluations:
        summary = read_object(path)
        label = f"{summary['arm']}/seed-{summary['seed']}"
        number = {"arm": summary["arm"], "seed": summary["seed"], "rate": _rates(summary)}
        number["samples"] = _samples(folder, path.parent)
        number["rests_on"] = None  # a result without a manifest says nothing of what made it
        if label in manifests:
            number["rests_on"] = behind(label, manifests, folder)
        manifest["numbers"].append(number)
    manifest["stages"] = {}
    for label, stage in manifests.items():
        manifest["stages"][label] = {key: stage[key] for key in KEPT_OF_A_STAGE if key in stage}
    manifest["files"] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and _is_result(name.parts):
            manifest["files"][name.as_posix()] = sha256_of(path)
    finish_manifest(manifest, folder / MANIFEST)
    return folder / MANIFEST


def manifest_differences(folder: Path, summaries: dict[Path, dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Compare the experiment's manifest with the files and rates of its folder.

    Args:
        folder: ``results/<experiment>``.
        summaries: path of each summary -> what the raw answers give.

    Returns:
        (sentences about differences, sentences about what is not here).
    """
    manifest = read_manifest(folder)
    if not manifest:
        return [], [f"{folder}/{MANIFEST} is not here: `python {SCRIPT} {folder} --write` makes it."]
    problems, absent = [], []
    for name, sha256 in (manifest.get("files") or {}).items():
        if name.endswith(DERIVED):
            continue
        if not (folder / name).is_file():
            absent.append(f"{folder / name} is recorded in {MANIFEST} and not here.")
        elif problem := hash_problem(folder / name, sha256, MANIFEST):
            if "/" not in name:  # a file of the report; the others are raw answers
                problem += f" If the report was written again, `python {SCRIPT} {folder} --write` records that."
            problems.append(problem)
    again = {}
    for path, summary in summaries.items():
        again[path.parent.parent.name, path.parent.name] = _rates(summary)
    for entry in manifest.get("numbers") or []:
        evaluation = (entry["arm"], f"seed-{entry['seed']}")
        if evaluation not in again:
            problems.append(
                f"{folder / MANIFEST} has rates of {'/'.join(evaluation)}, which holds no result. Evaluate that arm "
                f"again, or write the report without it: `python scripts/report.py {folder}`, then "
                f"`python {SCRIPT} {folder} --write`."
            )
            continue
        problem = difference(entry["rate"], again[evaluation])
        if problem:
            problems.append(f"{folder / MANIFEST}: the rate of {'/'.join(evaluation)}: {problem}")
    return problems, absent


def _rates(summary: dict[str, Any]) -> dict[str, float]:
    """Task -> mean rate of the target over questions, share of problems solved, or probability of the right answer."""
    rates = {}
    for task, found in summary["tasks"].items():
        # Whichever of the three a task has: a task has one kind of number.
        values = next((found[key] for key in ("target_rate", "correct", "probability") if key in found), None)
        if values:
            rates[task] = sum(values) / len(values)
    return rates


def _samples(folder: Path, evaluation: Path) -> dict[str, dict[str, str]]:
    """Task -> path and sha256 of its samples."""
    found = {}
    for task, path in samples_files(evaluation).items():
        found[task] = {"path": path.relative_to(folder).as_posix(), "sha256": sha256_of(path)}
    return found


def _is_result(parts: tuple[str, ...]) -> bool:
    """False for what a run of the workflow writes anew each time, and for hidden files."""
    return parts[0] not in WORKING_FILES and not any(part.startswith(".") for part in parts)
