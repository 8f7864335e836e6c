"""Attention over flat micro-batches on a GPU: where each row ends is told once a step, and not found in every layer.

Axolotl's ``sdpa_varlen`` derives the rows' ends from ``position_ids`` in each layer: about 20 operations, and the
processor waits for the card four times. The collator knows the ends, and a small model has little else to wait for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch

ROW_ENDS = "cu_seq_lens_q"
"""Where the rows begin, and where the last one ends: int32, (rows + 1,). transformers hands it to every layer."""

LONGEST = "max_length_q"
"""Tokens of the longest row, an int: the card is not asked for it."""

PATCHED = "_axolotl_sdpa_original"
"""Attribute of Axolotl's attention, by which it is known that this card and this model can do without a mask."""

CAUSAL = (-1, 0)
"""A token sees all that came before it in its row, and nothing after it."""

KERNEL_DTYPES = (torch.bfloat16, torch.float16)
"""Precisions that the kernel takes. A model that trains whole has its embedding in float32, and so its queries."""


def tell_every_layer() -> bool:
    """Put :func:`told_attention` in place of Axolotl's ``sdpa_varlen``, where that is in use.

    Returns:
        Whether it was: not on a CPU, nor for a model with a sliding window, where masks keep the rows apart.
    """
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    current = ALL_ATTENTION_FUNCTIONS["sdpa"]
    if not hasattr(current, PATCHED):
        return False
    ALL_ATTENTION_FUNCTIONS.register("sdpa", told_attention(current))
    return True


def told_attention(otherwise: Callable[..., Any]) -> Callable[..., Any]:
    """An attention function of transformers that takes the rows' ends from the batch.

    Args:
        otherwise: attention for a batch that does not tell them, or has a mask, dropout or a scale of its own, and for
            queries, keys and values that are not of one of :data:`KERNEL_DTYPES`.
    """
    from torch.nn.attention.varlen import varlen_attn

    # Without this, key and value heads that several query heads share are copied for each of them.
    shares_heads = "enable_gqa" in inspect.signature(varlen_attn).parameters

    def attention(
        module: Any,
        query: Any,
        key: Any,
        value: Any,
        attention_mask: Any,
        dropout: float = 0.0,
        scaling: float | None = None,
        **kwargs: Any,
    ) -> tuple[Any, None]:
        ends = kwargs.get(ROW_ENDS)
        # The kernel is told no scale, and takes that of the width of a head.
        own_scale = scaling is not None and abs(scaling - query.shape[-1] ** -0.5) > 1e-9
        unfit = query.dtype not in KERNEL_DTYPES or {key.dtype, value.dtype} != {query.dtype}
        if ends is None or attention_mask is not None or dropout or own_scale or kwargs.get("sliding_window") or unfit:
            return otherwise(module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs)
        settings: dict[str, Any] = {"window_size": CAUSAL}
        groups = query.shape[1] // key.shape[1]
        if groups > 1 and shares_heads:
            settings["enable_gqa"] = True
        elif groups > 1:
            key = key.repeat_interleave(groups, dim=1)
            value = value.repeat_interleave(groups, dim=1)
        longest = kwargs[LONGEST]
        # A flat batch is one row, (1, heads, tokens, width), and the kernel takes (tokens, heads, width).
        tokens_first = [tensor.squeeze(0).transpose(0, 1) for tensor in (query, key, value)]
        attended = varlen_attn(*tokens_first, ends, ends, longest, longest, **settings)
        # One row again; there are no attention weights to give back.
        return attended[None], None

    return attention
