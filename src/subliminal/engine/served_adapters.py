"""LoRA adapters for a server: NAME=FOLDER pairs, and whether vLLM can serve what is in a folder."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from subliminal.core.errors import UserError

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
        UserError: no such folder, no LoRA adapter, weights not in safetensors, another base model, or a rank over 512.
    """
    if not folder.is_dir():
        raise UserError(f"The adapter folder {folder} does not exist. Train it first, or check the path.")
    config_path = folder / "adapter_config.json"
    if not config_path.is_file():
        raise UserError(f"{folder} is not a PEFT adapter: it has no adapter_config.json. Name the folder that has one.")
    if not (folder / "adapter_model.safetensors").is_file():
        raise UserError(
            f"{folder} has no adapter_model.safetensors. Weights in .bin files are refused, because loading one can "
            "run code; save the adapter again with PEFT's save_pretrained, which writes safetensors."
        )
    config = json.loads(config_path.read_text(encoding="utf-8"))
    if config.get("peft_type") != "LORA":
        raise UserError(f"{folder} is a {config.get('peft_type')} adapter; vLLM serves LoRA only. Merge it first.")
    base = config.get("base_model_name_or_path")
    if base and not same_model(base, model):
        raise UserError(
            f"The adapter {folder} was trained on {base}, but the server is to hold {model}. "
            f"Serve it with --model {base}; if the two are the same, correct "
            f"base_model_name_or_path in {config_path}."
        )
    rank = max([config["r"], *(config.get("rank_pattern") or {}).values()])
    if rank > LORA_RANKS[-1]:
        raise UserError(f"The adapter {folder} has rank {rank}; vLLM stops at {LORA_RANKS[-1]}. Merge it first.")
    return rank


def same_model(one: str, other: str) -> bool:
    """Whether two names can mean one base model: the same folder, the same Hub id, or a copy under its own name."""
    if Path(one).exists() and Path(other).exists():
        return Path(one).resolve() == Path(other).resolve()
    return Path(one).name.lower() == Path(other).name.lower()
