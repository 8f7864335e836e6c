"""What a model folder holds and lacks; its weights by the headers of their safetensors files: names and shapes.

A header says how long its file must be, so a file that a full disk or a broken copy cut off is found before anything
is loaded.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError, one_line

COPY_AGAIN = "Copy or make it again."
WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
"""Names the files of weights that are in several."""
TOKENIZERS = (
    ("tokenizer.json",),
    ("tokenizer.model",),
    ("vocab.json", "merges.txt"),
    ("spiece.model",),
    ("sentencepiece.bpe.model",),
    ("vocab.txt",),
    ("tekken.json",),
)
"""Forms of a tokenizer that transformers reads: the files of each."""


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
    single, index = folder / WEIGHTS, folder / WEIGHTS_INDEX
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


def model_folder_problem(folder: Path, *, weights: bool = True) -> str | None:
    """What keeps a folder that is there from being used as a model.

    Args:
        folder: of the model.
        weights: whether it must have some; a training that draws them anew needs shape and tokenizer alone.

    Returns:
        Sentences that name the folder, what it lacks and what to do; None if it lacks nothing.
    """
    lacking = []
    if not (folder / "config.json").is_file():
        lacking.append("config.json")
    if weights and not (folder / WEIGHTS).is_file() and not (folder / WEIGHTS_INDEX).is_file():
        lacking.append(
            f"weights ({WEIGHTS}, or {WEIGHTS_INDEX} with its files; other formats are refused, because loading one "
            "can run code)"
        )
    forms = []
    for names in TOKENIZERS:
        forms.append(" with ".join(names))
        if all((folder / name).is_file() for name in names):
            break
    else:
        lacking.append(f"tokenizer ({', '.join(forms[:-1])} or {forms[-1]})")
    if lacking:
        return (
            f"The model folder {folder} has no {' and no '.join(lacking)}. Copy the whole model into it, or fetch or "
            "train it again."
        )
    if not weights:
        return None
    try:
        model_shapes(folder)
    except UserError as error:
        return str(error)
    return None
