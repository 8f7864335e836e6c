"""Publish the adapter of a finished training run on the Hub: the end on ``main``, epochs on branches, the run as a tag.

What goes is the adapter's two files, the card and the manifest. Optimiser states and pickles stay here. Nothing on the
Hub is overwritten: a branch or tag that holds other bytes is refused before anything is sent, and one that holds the
same bytes is passed over, so that a killed push goes on when its command is repeated.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError
from subliminal.core.files import read_jsonl, read_object, write_json, write_text
from subliminal.core.hub import PUSHED, is_hub_id
from subliminal.core.manifest import read_manifest
from subliminal.publish.cards import Data, Place, adapter_card, portable

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
MAIN = "main"


class Snapshot(NamedTuple):
    """Weights of a run: the folder they lie in, the branch they go to, the epoch (None at the end of the run)."""

    folder: Path
    branch: str
    epoch: int | None


def finished_run(folder: Path) -> dict[str, Any]:
    """The manifest of a finished run that trained an adapter.

    Raises:
        UserError: the folder is missing, the run unfinished or foreign, or it trained no adapter.
    """
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}. Name the output_dir of a finished run.")
    manifest = read_manifest(folder)
    if not manifest:
        raise UserError(
            f"{folder} holds no finished run: its manifest.json, which training writes last, is missing. "
            "Finish the run with the command that began it, then push."
        )
    known = manifest.get("kind") == "training" and "ended" in manifest
    if not known or "recipe" not in manifest.get("inputs", {}) or "training" not in manifest:
        raise UserError(f"{folder}/manifest.json is not that of a training run. Name the output_dir of a run.")
    if not manifest["config"].get("adapter"):
        raise UserError(f"{folder} holds a whole model, not an adapter. Only adapters are published here.")
    return manifest


def run_tag(manifest: Mapping[str, Any]) -> str:
    """The tag that names a run: the first 12 digits of its recipe's sha256, and its seed."""
    # A recipe's hash and a seed: the same run gives the same tag, wherever it is pushed from.
    return f"run-{manifest['inputs']['recipe']['sha256'][:12]}-seed-{manifest['config']['seed']}"


def find_snapshots(folder: Path, manifest: Mapping[str, Any], every_epochs: int | None) -> list[Snapshot]:
    """The weights to publish, the end of the run last.

    Args:
        folder: ``output_dir`` of the run.
        manifest: of :func:`finished_run`.
        every_epochs: publish the checkpoint of every so many epochs too; None: the end only.

    Raises:
        UserError: a checkpoint is missing or incomplete, or weights cannot be read.
    """
    snapshots = []
    if every_epochs is not None:
        snapshots = _epoch_snapshots(folder, manifest, every_epochs)
    # The end of the run last: main names the branches, so that they are there when it is read.
    snapshots.append(Snapshot(folder, MAIN, None))
    for snapshot in snapshots:
        _check_adapter(snapshot.folder)
    return snapshots


def _epoch_snapshots(folder: Path, manifest: Mapping[str, Any], every_epochs: int) -> list[Snapshot]:
    """The checkpoints of every so many epochs.

    Raises:
        UserError: one is missing.
    """
    # Of 2.5 epochs the last whole one is the second.
    last = int(float(manifest["config"]["num_epochs"]))
    wanted = range(every_epochs, last + 1, every_epochs)
    by_epoch = _checkpoints_by_epoch(folder, manifest)
    missing = [str(epoch) for epoch in wanted if epoch not in by_epoch]
    if missing:
        there = "of no whole epoch"
        if by_epoch:
            there = f"only of epoch {', '.join(map(str, sorted(by_epoch)))}"
        raise UserError(
            f"{folder} has no checkpoint of epoch {', '.join(missing)}, {there}. Train with `save_strategy: epoch` and "
            f"a `save_total_limit` that keeps them, or leave out --every-epochs to publish the end of the run only."
        )
    return [Snapshot(by_epoch[epoch], f"epoch-{epoch}", epoch) for epoch in wanted]


def _checkpoints_by_epoch(folder: Path, manifest: Mapping[str, Any]) -> dict[int, Path]:
    """Epoch -> checkpoint, of those that were saved where an epoch ends, to less than half a step."""
    found, epochs = {}, float(manifest["config"]["num_epochs"])
    for path in folder.glob("checkpoint-*"):
        try:
            state = json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))
            step, epoch = int(state["global_step"]), float(state["epoch"])
        except (OSError, ValueError, KeyError, TypeError):
            raise UserError(
                f"{path} is incomplete: its trainer_state.json is missing or cannot be read. Delete that checkpoint, "
                "or train the run again."
            ) from None
        # Axolotl ends a run after ceil(rows x epochs / batch) steps, where the trainer may count epoch 9.98 of 10.
        if step == manifest["training"]["steps"]:
            epoch = epochs
        if abs(epoch - round(epoch)) < 0.5 * epoch / max(step, 1):
            found[round(epoch)] = path
    return found


def _check_adapter(folder: Path) -> None:
    """Raises a UserError unless the adapter's two files are there and whole."""
    from safetensors import SafetensorError, safe_open

    try:
        # Any key would do: it tells an adapter's configuration from other JSON.
        json.loads((folder / CONFIG).read_text(encoding="utf-8"))["peft_type"]
        with safe_open(folder / WEIGHTS, framework="numpy") as weights:  # compares the header with the file's size
            if not weights.keys():
                raise SafetensorError("it holds no tensor")
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise UserError(
            f"{folder} is incomplete: {CONFIG} or {WEIGHTS} is missing or cannot be read ({type(error).__name__}). "
            "Delete that folder, or train the run again."
        ) from None


def training_data(manifest: Mapping[str, Any]) -> list[Data]:
    """The run's datasets, with their place on the Hub if they were pulled from it, pushed to it, or read from it."""
    found = []
    for index, dataset in enumerate(manifest["config"].get("datasets") or []):
        path = str(dataset["path"])
        entries = []
        for name, entry in manifest["inputs"].items():
            if name.split("/")[0] == f"datasets[{index}]":  # of several files each has a name behind a slash
                entries.append(entry)
        for entry in entries or [{"path": path, "sha256": None}]:
            origin = _origin(Path(entry["path"]), entry["sha256"])
            if is_hub_id(path):
                origin = {"repo": path, "revision": dataset.get("revision")}
            found.append(Data(entry["path"], entry["sha256"], origin.get("repo"), origin.get("revision")))
    return found


def _origin(path: Path, sha256: str | None) -> dict[str, Any]:
    """``{"repo", "revision"}`` of a dataset folder that was pulled or pushed with these very rows, else empty."""
    folder = path.parent
    # Paths in a manifest are relative to the checkout, and this may run elsewhere.
    if not (folder / "manifest.json").is_file():
        folder = REPO_ROOT / path.parent
    if sha256 is None or not (folder / "manifest.json").is_file():
        return {}
    pushed = folder / PUSHED
    if pushed.is_file():
        record = read_object(pushed)
        if record.get("train_sha256") == sha256:
            return record
    manifest = read_manifest(folder)
    if manifest.get("outputs", {}).get("train.jsonl", {}).get("sha256") == sha256:
        return manifest.get("pulled", {})
    return {}


@contextmanager
def staged_adapter(
    folder: Path, repo: str, *, every_epochs: int | None, licence: str
) -> Iterator[tuple[str, dict[str, dict[str, Path]]]]:
    """The run's tag, and branch -> path on the Hub -> local file; what was made for it is gone when the block ends.

    Raises:
        UserError: see :func:`finished_run` and :func:`find_snapshots`; or a text holds what looks like a token.
    """
    manifest = finished_run(folder)
    snapshots = find_snapshots(folder, manifest, every_epochs)
    metrics = []
    if (folder / "metrics.jsonl").is_file():
        metrics = list(read_jsonl(folder / "metrics.jsonl", allow_empty=True))
    data, tag = training_data(manifest), run_tag(manifest)
    epochs = tuple(snapshot.epoch for snapshot in snapshots if snapshot.epoch)
    with tempfile.TemporaryDirectory(prefix="push-adapter-") as name:
        branches = {}
        for snapshot in snapshots:
            stage = Path(name) / snapshot.branch
            place = Place(repo, snapshot.branch, tag, epochs)
            card = adapter_card(manifest, metrics, data, place, licence=licence, epoch=snapshot.epoch)
            config = json.loads((snapshot.folder / CONFIG).read_text(encoding="utf-8"))
            # The folder's name on this machine means nothing to whoever loads it.
            config["base_model_name_or_path"] = portable(manifest["config"]["base_model"])
            write_json(stage / CONFIG, portable(config))
            write_json(stage / "manifest.json", portable(manifest))
            write_text(stage / "README.md", card)
            made = {name: stage / name for name in (CONFIG, "README.md", "manifest.json")}
            branches[snapshot.branch] = {WEIGHTS: snapshot.folder / WEIGHTS, **made}
        yield tag, branches
