"""LoRA adapters for a server: NAME=FOLDER pairs, and whether vLLM can serve what is in a folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from subliminal.core.errors import UserError
from subliminal.engine.adapters import check_adapter

LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""The values that vLLM takes for ``--max-lora-rank`` (it also takes 1, too small for any recipe here)."""


def parse_adapters(pairs: Iterable[str]) -> dict[str, Path]:
    """``["owl-teacher=outputs/owl_teacher", ...]`` as name -> folder.

    Raises:
        UserError: a pair without ``=``, or a name given twice.
    """
    adapters: dict[str, Path] = {}
    for pair in pairs:
        name, equals, path = pair.partition("=")
        if not (name and equals and path):
            raise UserError(f"--adapter {pair} is not NAME=FOLDER, such as owl-teacher=outputs/owl_teacher.")
        if name in adapters:
            raise UserError(f"The adapter name {name} is given twice. Give each adapter a name of its own.")
        adapters[name] = Path(path)
    return adapters


def adapter_rank(folder: Path, model: str) -> int:
    """The largest LoRA rank in an adapter folder, after checking that vLLM can serve it on ``model``.

    Args:
        folder: what PEFT saved: ``adapter_config.json`` and ``adapter_model.safetensors``.
        model: the base model as it will be served, a Hub id or a folder.

    Raises:
        UserError: see :func:`subliminal.engine.adapters.check_adapter`; or a rank over 512.
    """
    config = check_adapter(folder, model)
    # rank_pattern gives single modules other ranks, and vLLM's limit is for the largest.
    rank = max([config["r"], *(config.get("rank_pattern") or {}).values()])
    if rank > LORA_RANKS[-1]:
        raise UserError(f"The adapter {folder} has rank {rank}; vLLM stops at {LORA_RANKS[-1]}. Merge it first.")
    return rank
