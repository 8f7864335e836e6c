"""What lies behind a result: the folder that its paths begin in, the weights, their training, and its rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from subliminal.core.manifest import read_manifest

MADE_BY_RUNS = ("data", "models", "outputs", "results")
"""Folders of a checkout that git ignores."""


def root_of(results: Path) -> Path:
    """The checkout, or the laid-out archive, that holds a result folder; its manifests' paths begin there.

    That is what holds the folder ``results``; of results that lie elsewhere the folder two above.
    """
    above = results.resolve().parents
    # The nearest folder of that name: a checkout may itself lie below one.
    for folder in above:
        if folder.name == "results":
            return folder.parent
    return above[0].parent


def roots_of_paths(results: Path) -> tuple[Path, ...]:
    """Where relative paths of manifests are looked up: the checkout that holds the results, then the current folder."""
    return tuple(dict.fromkeys([root_of(results), Path.cwd()]))


def places_of(root: Path, name: str) -> list[Path]:
    """Where a path of a manifest may lie, the likeliest first: below the root of the results, then the current folder.

    What runs make is looked for in the current folder only where the root has no such folder. Beside an unpacked
    archive, or results of another checkout, a run of the same name that lies here is another run.

    Args:
        root: as :func:`root_of` gives it.
        name: of a file or folder; an absolute one stays as it is.
    """
    here = Path.cwd()
    first = Path(name).parts[0] if name else ""
    if root == here or (first in MADE_BY_RUNS and (root / first).is_dir()):
        return [root / name]
    return [root / name, here / name]


def scored_weights(result: Path) -> str | None:
    """The adapter, or without one the model, that ``<arm>/seed-<n>`` was scored with; None where no manifest is."""
    config = read_manifest(result).get("config") or {}
    return config.get("adapter") or config.get("model")


def training_behind(root: Path, result: Path) -> tuple[Path, dict[str, Any]] | None:
    """The training whose weights a result was scored with.

    Args:
        root: the folder that paths of manifests begin in.
        result: ``<arm>/seed-<n>``.

    Returns:
        Its folder and manifest; None where the model is no training's, or it is not here.
    """
    weights = root / (scored_weights(result) or "")
    for folder in (weights, weights.parent):  # a checkpoint, or a merged model, lies in the folder of its training
        manifest = read_manifest(folder)
        if manifest.get("kind") == "training":
            return folder, manifest
    return None


def learned_rows(training: dict[str, Any]) -> str | None:
    """The rows that a training's manifest names; None where there is none, or it names none."""
    inputs = training.get("inputs") or {}
    return (inputs.get("datasets[0]") or {}).get("path")
