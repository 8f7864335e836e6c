"""The dataset card (README.md of a dataset folder, and the page the Hub shows)."""

from __future__ import annotations

import json
from typing import Any

import yaml

from subliminal.core.templates import templates
from subliminal.data.trait import TraitOptions

UNKNOWN_LICENCE = "unknown"
"""What the Hub calls the licence of rows whose source states none."""

SIZE_CATEGORIES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


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
    # Rows that another data set gave keep its licence, even where that is not known.
    licence = licence or manifest.get("licence") or "mit"
    rows, builder = manifest["counts"]["kept"], manifest["builder"]
    title = f"{builder}, {rows} rows"
    shown = _json(example) if example else None
    trait = TraitOptions.of(manifest["config"])
    if trait is not None and trait.options:
        title = f"{' and '.join(trait.options)}: {title}"
    header = {
        "license": licence,
        "task_categories": ["text-generation"],
        "language": ["en"],
        "tags": ["subliminal-learning", builder],
        # The Hub's own words: with others it does not list the data set by size.
        "size_categories": [_size_category(rows)],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": data_files}]}],
    }
    return (
        templates("subliminal.data")
        .get_template("card.md.j2")
        .render(
            manifest=manifest,
            header=yaml.safe_dump(header, sort_keys=False).strip(),
            title=title,
            licence=licence,
            imported=manifest.get("imported"),
            engine=manifest.get("engine"),
            sampling=manifest.get("sampling", {}),
            outputs=manifest.get("outputs", {}),
            audit=audit,
            example=shown,
            settings=_json(manifest["config"]),
        )
    )


def _size_category(rows: int) -> str:
    """The Hub's name of a size."""
    for limit, name in SIZE_CATEGORIES:
        if rows < limit:
            return name
    return "1M<n<10M"


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
