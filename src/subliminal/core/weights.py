"""What a folder of weights holds, read from the headers of its safetensors files: names and shapes, no numbers.

A header says how long its file must be, so a file that a full disk or a broken copy cut off is found before anything
is loaded.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError, one_line

COPY_AGAIN = "Copy or make it again."


def read_header(path: Path) -> dict[str, list[int]]:
    """Name -> shape of every tensor in a safetensors file.

    Raises:
        UserError: the file is missing, cut off, or none of this format.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{path} is no whole safetensors file ({one_line(error)}): it was cut off, or is of another format. "
            f"{COPY_AGAIN}"
        ) from None


def model_shapes(folder: Path) -> dict[str, list[int]]:
    """Name -> shape of every weight of a model folder, over all of its shards.

    Raises:
        UserError: the folder has no weights in safetensors, or a file is missing, cut off, or none of this format.
    """
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file():
        return read_header(single)
    if not index.is_file():
        raise UserError(
            f"{folder} has no weights: neither {single.name} nor {index.name} is there. Fetch or train the model "
            "again; weights in other formats are refused, because loading one can run code."
        )
    try:
        content: Any = json.loads(index.read_text(encoding="utf-8"))
        shards = sorted(set(content["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{index} names no files of weights. {COPY_AGAIN}") from None
    shapes: dict[str, list[int]] = {}
    for shard in shards:
        shapes |= read_header(folder / str(shard))
    return shapes
