"""From a result's manifest to the adapter, the data, and the models they came from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from subliminal.core.files import read_jsonl, read_object
from subliminal.core.manifest import sha256_of
from subliminal.evaluation.lineage import places_of, roots_of_paths
from subliminal.report.data import Results

MAKE_AGAIN = "Make that folder again."
MODEL_KEYS = ("adapter", "model", "base_model")
"""Settings of a manifest that may name a folder with a manifest of its own."""


@dataclass
class Provenance:
    """What was found, by label ("student/seed-1", or a folder); ``notes`` are sentences."""

    manifests: dict[str, dict[str, Any]] = field(default_factory=dict)
    audits: dict[str, dict[str, Any]] = field(default_factory=dict)
    losses: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def of_kind(self, kind: str) -> dict[str, dict[str, Any]]:
        """The manifests of one kind, by label: ``result``, ``training``, ``dataset`` or ``model``."""
        found = {}
        for label, manifest in sorted(self.manifests.items()):
            if manifest.get("kind") == kind:
                found[label] = manifest
        return found

    def chat_contexts(self) -> dict[str, list[str]]:
        """Chat context hash -> labels of what used it.

        Results under a system prompt of their own, and another base with its own template, are left out.
        """
        contexts: dict[str, list[str]] = {}
        for label, manifest in {**self.of_kind("result"), **self.of_kind("training")}.items():
            if (manifest.get("config") or {}).get("system_prompt") is not None or "other_base" in label:
                continue
            for value in sorted(set(_values_of(manifest, "chat_context_sha256"))):
                contexts.setdefault(value, []).append(label)
        return contexts


def _values_of(value: Any, key: str) -> Iterator[str]:
    """Every string under ``key`` anywhere in nested dicts."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == key and isinstance(inner, str):
                yield inner
            else:
                yield from _values_of(inner, key)


def trace(results: Results) -> Provenance:
    """Follow the manifests of all arms as far as their folders are on this machine.

    :func:`subliminal.evaluation.lineage.places_of` says where relative paths are looked up.
    """
    found, roots = Provenance(), roots_of_paths(results.folder)
    queue: list[tuple[str, dict[str, Any]]] = []
    for arm, manifests in results.manifests.items():
        for seed, manifest in manifests.items():
            if manifest:
                queue.append((f"{arm}/seed-{seed}", {"kind": "result", **manifest}))
    seen: set[Path] = set()
    while queue:
        # The oldest first: what is nearest to the results comes before what is behind it.
        label, manifest = queue.pop(0)
        found.manifests[label] = manifest
        # What is named and not here is mostly a Hub id, and no fault of the run.
        for name in _named_paths(manifest):
            folder = next(filter(None, map(_folder, places_of(roots[0], name))), None)
            if folder is None:
                _note_absent(found, label, manifest, name)
                continue
            # Students share a teacher and its rows: each folder is read and shown once.
            if folder in seen:
                continue
            seen.add(folder)
            parent = read_object(folder / "manifest.json", MAKE_AGAIN)
            if parent:
                shown = _shown(folder, roots)
                queue.append((shown, parent))
                _read_beside(found, folder, shown, parent)
        _note_changed(found, label, manifest, roots[0])
    return found


def _shown(folder: Path, roots: tuple[Path, ...]) -> str:
    """A folder as reports name it: from the checkout, or from the current folder, if it lies in one of the two."""
    for root in roots:
        if folder.is_relative_to(root):
            return str(folder.relative_to(root))
    return str(folder)


def _read_beside(found: Provenance, folder: Path, label: str, manifest: dict[str, Any]) -> None:
    """What lies beside a manifest: the losses of a training, the audit of a dataset."""
    if manifest.get("kind") == "training":
        found.losses[label] = losses_in(folder / "metrics.jsonl")
    if manifest.get("kind") == "dataset" and (folder / "audit.json").is_file():
        found.audits[label] = read_object(folder / "audit.json", MAKE_AGAIN)


def _named_paths(manifest: dict[str, Any]) -> list[str]:
    """Paths (or Hub ids) of what a manifest was made from: its models, data sets and input files."""
    config = manifest.get("config") or {}
    names = [config.get(key) for key in MODEL_KEYS]
    for data in config.get("datasets") or []:
        if isinstance(data, dict):
            data = data.get("path")
        names.append(data)
    for entry in (manifest.get("inputs") or {}).values():
        names.append(entry.get("path"))
    named: dict[str, None] = {}  # each once, in the order in which they come up
    for name in names:
        if isinstance(name, str) and name:
            named[name] = None
    return list(named)


def _folder(path: Path) -> Path | None:
    """The folder with a manifest that a path names: itself, the folder of the file, or that of a checkpoint.

    Weights and rows may be gone, as those of a lent machine are: the manifest beside them says what they were.
    """
    for folder in (path, path.parent):
        if (folder / "manifest.json").is_file():
            return folder.resolve()
    return None


def _note_absent(found: Provenance, label: str, manifest: dict[str, Any], name: str) -> None:
    """Say so where an adapter's training is not here; other things that are named may well be Hub ids."""
    if manifest.get("kind") == "result" and name == (manifest.get("config") or {}).get("adapter"):
        found.notes.append(f"{label}: the adapter {name} has no manifest here, so its training and data are not shown.")


def _note_changed(found: Provenance, label: str, manifest: dict[str, Any], root: Path) -> None:
    """Say so where a data file is not the one that a run recorded: the counts shown are then those of other data."""
    for entry in (manifest.get("inputs") or {}).values():
        here = next(filter(Path.is_file, places_of(root, entry["path"])), None)
        if here is None or here.suffix != ".jsonl":  # rows alone: to hash weights again would take minutes
            continue
        if entry.get("sha256") not in (None, sha256_of(here)):
            found.notes.append(
                f"{entry['path']} has changed since {label} used it: its counts below are of other data."
            )


def losses_in(path: Path) -> list[tuple[int, float]]:
    """(step, loss) of a metrics.jsonl in order of steps; a step taken again after a resume counts once."""
    if not path.is_file():
        return []
    found = {}
    for row in read_jsonl(path, allow_empty=True):
        if "step" in row and "loss" in row:
            # Of a step that was taken again after a resume the later row stands: the weights of the first
            # were lost.
            found[row["step"]] = row["loss"]
    return sorted(found.items())
