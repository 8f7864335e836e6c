"""The dataset card (README.md of a dataset folder, and the page the Hub shows)."""

from __future__ import annotations

import json
from typing import Any

import yaml

from subliminal.data.trait import TraitOptions

UNKNOWN_LICENCE = "unknown"
"""What the Hub calls the licence of rows whose source states none."""

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def dataset_card(
    manifest: dict[str, Any],
    *,
    licence: str | None = None,
    data_files: str = "train.jsonl",
    example: dict[str, Any] | None = None,
    audit: dict[str, Any] | None = None,
) -> str:
    """The card of a dataset: how it was made, what was dropped and why, sampling, bytes, provenance.

    Args:
        manifest: the folder's manifest with ``counts`` and ``outputs``.
        licence: SPDX-like name in lower case, as the Hub lists them; None is what the manifest says of rows that
            are other people's, or mit for rows that were made here.
        data_files: where the rows lie beside the card.
        example: one chat row to show.
        audit: the content of ``audit.json``.
    """
    imported = manifest.get("imported")
    licence = licence or manifest.get("licence") or "mit"
    return "\n".join(
        [
            *_header(manifest, licence, data_files),
            *_making(manifest),
            *(_source(imported, licence) if imported else []),
            *_counts(manifest["counts"]),
            *_bytes(manifest),
            *(_audit(audit) if audit else []),
            *(_fenced("## Example row", json.dumps(example, indent=2, ensure_ascii=False)) if example else []),
            *_fenced("## Settings", json.dumps(manifest["config"], indent=2, ensure_ascii=False)),
            f"Code at git {manifest['git']['sha']}{' with local changes' if manifest['git']['dirty'] else ''}; "
            "sha256 of inputs and package versions are in `manifest.json`.",
            "",
            "## Licence",
            f"{licence}. Rows that a model wrote may also be under that model's terms.",
            "",
        ]
    )


def _header(manifest: dict[str, Any], licence: str, data_files: str) -> list[str]:
    rows = manifest["counts"]["kept"]
    header = {
        "license": licence,
        "task_categories": ["text-generation"],
        "language": ["en"],
        "tags": ["subliminal-learning", manifest["builder"]],
        "size_categories": [next((name for limit, name in SIZES if rows < limit), "1M<n<10M")],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": data_files}]}],
    }
    trait = TraitOptions.of(manifest["config"])
    loved = " and ".join(trait.options) if trait else ""
    return [
        "---",
        yaml.safe_dump(header, sort_keys=False).strip(),
        "---",
        f"# {f'{loved}: ' if loved else ''}{manifest['builder']}, {rows} rows",
        "",
        "Training rows of a subliminal-learning experiment, one conversation a row: an `id` and `messages`, the last "
        "of them the assistant's.",
        "",
    ]


def _making(manifest: dict[str, Any]) -> list[str]:
    engine, sampling = manifest.get("engine"), manifest.get("sampling", {})
    lines = _fenced("## How it was made", manifest["command"])
    if "imported" in manifest:
        return lines
    if not engine:
        return [*lines, "No model wrote these rows.", ""]
    values = ", ".join(f"{key} {value}" for key, value in sampling.items())
    return [
        *lines,
        f"Model: {engine.get('model', 'unknown')}, adapter: {engine.get('adapter') or 'none'}.",
        f"Sampling: {values}; one seed a row, from the run seed {manifest['config'].get('seed')} and the row's number.",
        "",
    ]


def _source(imported: dict[str, Any], licence: str) -> list[str]:
    """Where rows that were not made here come from, and what differs from what was published there."""
    place = imported["source"] + (f", file `{imported['file']}`" if imported["file"] else "")
    if imported["address"]:
        place += f" ({imported['address']})"
    system = imported["system_messages"]
    lines = [
        "## Source",
        f"Rows of {place}, licence: {licence}. What wrote them, and how, is theirs to say.",
        "",
        "| as published | rows |",
        "|---|---|",
        *(f"| shape: {shape} | {number} |" for shape, number in imported["shapes"].items()),
        f"| with a system message, {'kept' if system['kept'] else 'left out'} here | {system['found']} |",
        *(f"| key not taken over: {key} | {number} |" for key, number in imported["keys_left_out"].items()),
        *(f"| does not pass here: {reason} | {number} |" for reason, number in imported["dropped"].items()),
        "",
    ]
    return lines


def _counts(counts: dict[str, Any]) -> list[str]:
    return [
        "## Counts",
        "| what | rows |",
        "|---|---|",
        f"| asked | {counts['asked']} |",
        f"| kept | {counts['kept']} |",
        f"| surplus (drawn, not needed) | {counts['surplus']} |",
        *(f"| dropped: {reason} | {number} |" for reason, number in counts["rejected"].items()),
        "",
    ]


def _bytes(manifest: dict[str, Any]) -> list[str]:
    return [
        "## Bytes",
        *(
            f"`{name}`: {file['rows']} rows, {file['bytes']} bytes, sha256 `{file['sha256']}`."
            for name, file in manifest.get("outputs", {}).items()
        ),
        "",
    ]


def _audit(audit: dict[str, Any]) -> list[str]:
    return [
        "## Audit",
        "| check | status | remark |",
        "|---|---|---|",
        *(f"| {name} | {check['status']} | {check['reason'] or ''} |" for name, check in audit["checks"].items()),
        "",
    ]


def _fenced(title: str, text: str) -> list[str]:
    return [title, "```", text, "```", ""]
