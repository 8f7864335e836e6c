"""Builders by name: what a dataset's manifest calls its ``builder`` is a module here, with hooks that other tools use.

verdict_for(config) -> Verdict            every builder: how its raw rows are judged (refilter)
quotas_for(config) -> {source: rows}      optional: how many rows of each source are kept (refilter)
content_for(config) -> Content            optional: what of an answer its training row holds (refilter)
expectation_for(config) -> Expectation    optional: what an audit of its rows must know (audit)
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from subliminal.core.errors import UserError
from subliminal.core.files import from_the_root
from subliminal.core.manifest import read_manifest
from subliminal.data.folder import Content


@dataclass(frozen=True)
class Expectation:
    """What an audit must know of a dataset beyond its rows.

    Args:
        numbers: every answer is a number list.
        excused: check -> why its failure is what the builder means to make.
        overlaps: evaluation sets (as the audit names them) whose texts the rows are meant to hold.
    """

    numbers: bool = False
    excused: Mapping[str, str] = field(default_factory=dict)
    overlaps: Collection[str] = ()


def finished_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a finished dataset folder.

    Raises:
        UserError: there is no such folder, it is no dataset folder, or its run did not end.
    """
    if not folder.is_dir():
        hint = from_the_root(folder) or " Name a dataset folder, as data/owl_numbers, or a JSONL file of rows."
        raise UserError(f"There is no folder {folder}.{hint}")
    manifest = read_manifest(folder)
    if manifest.get("kind") != "dataset" or "builder" not in manifest:
        raise UserError(
            f"{folder} is no dataset folder: it has no manifest.json of a builder. Make it with a builder; of rows of "
            "your own name the JSONL file."
        )
    # A folder that a kill left has a manifest without an end.
    if "ended" not in manifest:
        raise UserError(f"{folder} is not finished. Run the command that makes it again, with --resume, to the end.")
    counts = manifest.get("counts") or {}
    # What reads a manifest takes these for there: a damaged one is refused here, by name.
    counted = all(isinstance(counts.get(name), int) for name in ("asked", "kept", "surplus"))
    if not counted or not isinstance(counts.get("rejected"), dict) or not isinstance(manifest.get("config"), dict):
        raise UserError(f"{folder}/manifest.json has no counts and settings of a builder. Make the folder again.")
    builder_module(manifest, folder / "manifest.json")
    return manifest


def builder_module(manifest: dict[str, Any], where: Path | str = "The manifest") -> ModuleType:
    """The module that made a dataset.

    Args:
        manifest: of the dataset.
        where: the manifest's file, for the message.

    Raises:
        UserError: this code has no such builder.
    """
    name = str(manifest["builder"])
    module = None
    # A name from a file is looked for before it is imported: what is imported runs.
    if re.fullmatch(r"\w+", name) and importlib.util.find_spec(f"data_builders.{name}"):
        module = importlib.import_module(f"data_builders.{name}")
    if not hasattr(module, "verdict_for"):
        raise UserError(f"{where} names the builder {name!r}, which this code does not have. Check out its commit.")
    return module


def quotas_of(module: ModuleType, config: dict[str, Any]) -> Mapping[str, int] | None:
    """Rows to keep of each source; None for a builder that takes the rows as they come."""
    if not hasattr(module, "quotas_for"):
        return None
    return module.quotas_for(config)


def content_of(module: ModuleType, config: dict[str, Any]) -> Content | None:
    """What of a kept answer becomes the training row's; None for a builder that takes answers as they arrived."""
    if not hasattr(module, "content_for"):
        return None
    return module.content_for(config)


def expectation_of(manifest: dict[str, Any]) -> Expectation:
    """What the builder says of its rows; nothing unless it has ``expectation_for``."""
    module = builder_module(manifest)
    if not hasattr(module, "expectation_for"):
        return Expectation()
    return module.expectation_for(manifest["config"])
