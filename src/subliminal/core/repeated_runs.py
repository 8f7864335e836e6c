"""One training counts once: which results of an arm are of the same weights, whatever seeds their folders are named by.

Runs are the unit of every test in a report, and two folders with one training's weights are one run.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError
from subliminal.core.manifest import read_manifest


def weights_of(manifest: dict[str, Any]) -> str | None:
    """What tells the weights of a result from others, read from its manifest.

    Args:
        manifest: of a result; its ``inputs`` record the sha256 of the weights that were scored.

    Returns:
        ``sha256 <hex>`` of the adapter, or of the model where there is no adapter; the name of the folder or Hub id
        where no weights were recorded; None where the manifest names neither.
    """
    config, inputs = (manifest.get(key) or {} for key in ("config", "inputs"))
    kind = "adapter" if config.get("adapter") else "model"
    hashes = []
    for name, file in sorted(inputs.items()):
        if name.startswith(f"{kind}/") and name.endswith(".safetensors") and file.get("sha256"):
            hashes.append(file["sha256"])
    if len(hashes) == 1:
        return f"sha256 {hashes[0]}"
    if hashes:
        return f"sha256 {hashlib.sha256(' '.join(hashes).encode()).hexdigest()} of {len(hashes)} files"
    name = config.get(kind)
    if isinstance(name, str) and name:
        return name
    return None


def repeated_runs(folder: Path) -> dict[Path, Path]:
    """Results whose weights an earlier seed of the same arm has already.

    Args:
        folder: holds ``<arm>/seed-<n>/manifest.json``; what cannot be read is left to those who read it.

    Returns:
        Folder of the result -> folder of the first seed of its arm with these weights.
    """
    first: dict[tuple[str, str], Path] = {}
    repeats: dict[Path, Path] = {}
    for result in sorted(folder.glob("*/seed-*"), key=_arm_and_seed):
        try:
            weights = weights_of(read_manifest(result))
        except (UserError, AttributeError):
            continue
        # A result without a summary did not end, and no report counts it.
        if weights is None or not any(result.glob("*_summary.json")):
            continue
        key = (result.parent.name, weights)
        if key in first:
            repeats[result] = first[key]
        else:
            first[key] = result
    return repeats


def repeats_sentence(repeat: Path, first: Path) -> str:
    """What a report and a check say about one entry of :func:`repeated_runs`."""
    weights = weights_of(read_manifest(repeat))
    arm = repeat.parent.name
    return (
        f"{arm}/{repeat.name} has the weights of {arm}/{first.name} ({weights}): the two are one training and count as "
        "one run. Train another seed, or delete one of the two folders."
    )


def _arm_and_seed(result: Path) -> tuple[str, int, str]:
    seed = result.name.removeprefix("seed-")
    return (result.parent.name, int(seed) if seed.isdigit() else 0, seed)
