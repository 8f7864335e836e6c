"""An experiment file for the card that is here: the same science, with what the card lacks left out.

    python -m subliminal.experiment fit experiments/owl_qwen2.5-coder-0.5b.yml --out experiments/owl_t4.yml

The files in experiments/ are written for an H200: 141 GB, bfloat16. On a notebook host it may be a T4: 16 GB, no
bfloat16, two CPU cores. Only who computes, in which precision and how many at once is changed; rows, epochs, learning
rates and arms stay. Precision changes rounding, so results of two kinds of card are not compared row by row.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from subliminal.core.errors import UserError
from subliminal.core.files import write_text
from subliminal.core.nvidia import ask_nvidia_smi
from subliminal.training.lint import read_recipe

BF16_SINCE = 8.0
"""Compute capability from which on NVIDIA's cards have bfloat16 (Ampere)."""
TRAINING_GIB = 25
"""Memory of a card that a training of a model of 0.5B holds, PyTorch's cache included; it allocates 10.5 at most.

Three on an H200 held 70 to 80 GiB together in the median, 98 at most, with nothing in their way (``gpu.csv`` of
``results/published/2026-11-28-h200-animals``, 21:47 to 21:54).
"""
LOCAL_BATCH = 256
"""Rows decoded together in process."""
FP16 = {"bf16": False, "fp16": True, "tf32": False}


@dataclass(frozen=True)
class Card:
    """A GPU: its name, its memory in GiB, and its compute capability (7.5 is a T4, 8.0 an A100)."""

    name: str
    gib: float
    capability: float


def card_here() -> Card:
    """The first GPU of this machine.

    Raises:
        UserError: there is none, or its driver does not answer.
    """
    gpus = ask_nvidia_smi("name", "memory.total", "compute_cap")
    if not gpus:
        raise UserError(
            "nvidia-smi names no GPU here. Choose a machine with one (in a notebook: its runtime type), or run "
            "experiments/pocket_demo.yml, which needs none."
        )
    # The first GPU stands for all of them: a notebook host has one, and others have them of one kind.
    name, mebibytes, capability = gpus[0]
    return Card(name, int(mebibytes) / 1024, float(capability))


def fitted(content: dict[str, Any], card: Card, cores: int) -> tuple[dict[str, Any], list[str]]:
    """An experiment's content for a card.

    Args:
        content: of an experiment file.
        card: the GPU.
        cores: CPU cores of the machine.

    Returns:
        The content, and a sentence for each change; none where the card takes the experiment as it is.
    """
    made, changes = copy.deepcopy(content), []  # the caller keeps the file as it was
    if card.capability < BF16_SINCE:
        changes += _without_bf16(made)
    resources = made.get("resources", {})
    places = max(1, int(card.gib // TRAINING_GIB))
    if resources.get("per_gpu", 1) > places:
        resources["per_gpu"] = places
        changes.append(f"trainings on the card at a time: {places}; it has {card.gib:.0f} GiB")
    if (resources.get("threads") or 1) > cores:
        resources["threads"] = cores
        changes.append(f"{cores} threads a job: as many as there are cores")
    server = made.get("server", {})
    if server.get("api_server_count", 1) > max(1, cores // 2):
        server["api_server_count"] = max(1, cores // 2)
        changes.append(f"{server['api_server_count']} processes speak HTTP: {cores} cores")
    return made, changes


def _without_bf16(made: dict[str, Any]) -> Iterator[str]:
    """Change an experiment's content for a card without bfloat16; yields a sentence for each change."""
    for name in ("base", "teacher", "student", "other_base"):
        section = made.get(name)
        if section is not None and "recipe" in section:
            section["overrides"] = {**section.get("overrides", {}), **FP16}
    yield "training in fp16: this card has no bfloat16"
    if made["engine"] == "server":
        made["engine"] = "local"
        made.pop("server", None)
        for writes in (made["teacher"], made["numbers"], *made["numbers"].get("data_types", [])):
            options = writes.setdefault("options", {})
            # Concurrency and server options are vLLM's.
            options.pop("concurrency", None)
            options["batch_size"] = LOCAL_BATCH
        yield "transformers writes the rows, in float32: vLLM does not run a bfloat16 model on this card"
    options = made["evaluation"].setdefault("options", {})
    if options.get("dtype") == "bfloat16":
        options["dtype"] = "float32"
        yield "scoring in float32"


def write_fitted(file: Path, out: Path, card: Card, cores: int) -> list[str]:
    """Write the experiment ``file`` for a card as ``out``, whose name it takes.

    Returns:
        What was changed, a sentence each.
    """
    # YAML with the same rules as a recipe: no key twice, one mapping.
    content, _ = read_recipe(file)
    made, changes = fitted(content, card, cores)
    made["name"] = out.stem
    said = "".join(f"# - {change}\n" for change in changes) or "# - nothing\n"
    header = f"# {file} for {card.name}. Changed:\n{said}"
    write_text(out, header + yaml.safe_dump(made, sort_keys=False, allow_unicode=True))
    return changes
