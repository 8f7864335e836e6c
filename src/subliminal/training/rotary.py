"""``liger_rope: true`` beside ``lora_qkv_kernel`` or ``lora_o_kernel``: without this Axolotl leaves it without effect.

For its adapter kernels Axolotl writes the attention of a model anew, and takes the rotary embedding into it that the
model has then. Liger's plugin comes after that, and puts its own where the new attention never looks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAME = "apply_rotary_pos_emb"
"""Of the function, in each model's module of transformers and in Axolotl's new attention."""


def take_rotary_of_model(config: Mapping[str, Any]) -> bool:
    """Give the attention that Axolotl wrote the rotary embedding that stands in the model's module now.

    Args:
        config: the recipe's keys.

    Returns:
        Whether there is one to give: Axolotl wrote an attention, and the recipe asks for Liger's rotary embedding.
    """
    if not config.get("liger_rope") or not (config.get("lora_qkv_kernel") or config.get("lora_o_kernel")):
        return False
    from axolotl.monkeypatch import lora_kernels

    attention = lora_kernels.get_attention_cls_from_config(config)
    known = attention.forward.__globals__
    if not hasattr(attention, "_original_forward") or NAME not in known:
        return False  # a model whose attention Axolotl did not write anew
    import importlib

    known[NAME] = getattr(importlib.import_module(attention.__module__), NAME)
    return True
