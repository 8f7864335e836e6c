"""What a folder of weights holds, read from the headers of its safetensors files: names and shapes, no numbers.

A header says how long its file must be, so a file that a full disk or a broken copy cut off is found before anything
is loaded. Format: https://github.com/huggingface/safetensors (8 bytes of length, JSON, then the numbers).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError
from subliminal.core.files import from_the_root

MOST_HEADER_BYTES = 100_000_000
"""The longest header that the format allows."""
COPY_AGAIN = "Copy or make it again."
MADE_HERE = ("data", "models", "outputs", "results")
"""Folders of the checkout that runs write; no owner on the Hub is meant by their names."""


def is_hub_id(name: str) -> bool:
    """Whether a name is owner/name on the Hub, and not meant as a folder, of this repository perhaps."""
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name):
        return False
    owner = name.split("/")[0]
    # A folder that a run would make is none on the Hub, although it is not there yet.
    return owner not in MADE_HERE and not Path(owner).is_dir() and not (REPO_ROOT / name).is_dir()


def folder_or_hub_id(name: str, what: str, file: str = "") -> Path | None:
    """The folder that a name means; None for a Hub id, which is left to the Hub.

    Args:
        name: of a model, an adapter or a tokenizer.
        what: which of them, for the sentence.
        file: one that the folder must hold, if any.

    Raises:
        UserError: the folder is missing, or has no such file.
    """
    path = Path(name)
    if path.is_dir():
        if file and not (path / file).is_file():
            raise UserError(f"The {what} folder {name} has no {file}. Name one that training or fetching wrote.")
        return path
    if is_hub_id(name):
        return None
    hint = from_the_root(path) or " Train or fetch it first, or give a Hub id such as owner/name."
    raise UserError(f"The {what} {name} does not exist.{hint}")


def read_header(path: Path) -> dict[str, list[int]]:
    """Name -> shape of every tensor in a safetensors file.

    Raises:
        UserError: the file is missing, cut off, or none of this format.
    """
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            # The shortest JSON object has two bytes.
            if not 2 <= length <= min(size - 8, MOST_HEADER_BYTES):
                raise UserError(f"{path} is no safetensors file, or was cut off at {size:,} bytes. {COPY_AGAIN}")
            header = json.loads(file.read(length))
        end, shapes = 8 + length, {}
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            shapes[name] = list(map(int, entry["shape"]))
            end = max(end, 8 + length + entry["data_offsets"][1])  # offsets count from behind the header
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}). {COPY_AGAIN}") from None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise UserError(f"{path} is no safetensors file: its header cannot be read. {COPY_AGAIN}") from None
    if size < end:
        raise UserError(f"{path} was cut off: its header speaks of {end:,} bytes and it has {size:,}. {COPY_AGAIN}")
    return shapes


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
