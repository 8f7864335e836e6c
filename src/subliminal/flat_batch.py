"""Axolotl plugin: micro-batches without padding, and logits only where there is loss.

    plugins:
      - subliminal.axolotl_plugin.StrictRecipe
      - subliminal.flat_batch.FlatBatch
    sdpa_varlen: true

Rows of a micro-batch are laid end to end in one sequence; ``position_ids`` restart at each row, and Axolotl's
``sdpa_varlen`` keeps the rows apart in attention (:mod:`subliminal.training.flat_attention` tells it where they end,
once a step). Unlike with ``sample_packing``, a step takes the very rows that it
takes with padding, so the sums that the optimiser sees are the same.

The head of a model with 152,000 words is 8 % of its arithmetic, and its logits in float32 are a large part of the
memory. Three quarters of a number row's positions are prompt and carry no loss; ``logits_to_keep`` names the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from axolotl.integrations.base import BasePlugin

from subliminal.core.errors import UserError
from subliminal.training import flat_attention, preflight

IGNORED = -100
"""Label of a position without loss."""

NEEDS = {"sample_packing": False, "pad_to_sequence_len": False, "sdpa_varlen": True, "attn_implementation": "sdpa"}
"""Recipe keys and the values without which flat micro-batches would be wrong or slow."""


class FlatCollator:
    """Lay the rows of a micro-batch end to end.

    The model gets ``shift_labels``, one for each position in ``logits_to_keep``, as the loss is computed from those
    alone; the full ``labels`` are there for counting tokens.

    Args:
        tokenizer: saved with each checkpoint by the trainer.
        options: of Axolotl's padding collators; there is nothing to pad.
    """

    def __init__(self, tokenizer: Any, **options: Any) -> None:
        self.tokenizer = tokenizer

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """One micro-batch.

        Args:
            rows: each with ``input_ids`` and ``labels``, equally long lists of ints.

        Returns:
            ``input_ids``, ``labels`` and ``position_ids`` of shape (1, tokens of all rows), ``logits_to_keep`` of shape
            (positions with loss,) and ``shift_labels`` of shape (1, positions with loss). For attention on a GPU
            ``cu_seq_lens_q``, int32 of shape (rows + 1,): 0 and where each row ends, and ``max_length_q``, an int.
        """
        import torch

        tokens: list[int] = []
        labels: list[int] = []
        positions: list[int] = []
        kept: list[int] = []
        ends = [0]
        for row in rows:
            start = len(tokens)
            tokens += row["input_ids"]
            labels += [IGNORED, *row["labels"][1:]]  # nothing predicts a row's first token
            positions += range(len(row["input_ids"]))
            # The logits of a position predict the next one: where a token carries loss, the place before it is kept.
            kept += [start + index - 1 for index, label in enumerate(row["labels"]) if index and label != IGNORED]
            ends.append(len(tokens))
        return {
            "input_ids": torch.tensor([tokens]),
            "labels": torch.tensor([labels]),
            "position_ids": torch.tensor([positions]),
            "logits_to_keep": torch.tensor(kept),
            "shift_labels": torch.tensor([[labels[index + 1] for index in kept]]),
            flat_attention.ROW_ENDS: torch.tensor(ends, dtype=torch.int32),
            flat_attention.LONGEST: max(len(row["input_ids"]) for row in rows),
        }


class FlatBatch(BasePlugin):
    """See the module's docstring."""

    def register(self, cfg: Any) -> None:
        """Refuse a training whose other keys do not go with flat micro-batches.

        Axolotl's other commands (merge_lora, inference) make no batches, and merge_lora takes the kind of attention
        out of the recipe.
        """
        if not preflight.is_training():
            return
        # A key that is left out is false for Axolotl.
        wrong = [f"`{key}: {str(value).lower()}`" for key, value in NEEDS.items() if (cfg.get(key) or False) != value]
        if wrong:
            raise UserError(f"The plugin FlatBatch needs {', '.join(wrong)} in the recipe. Set it, or drop the plugin.")

    def pre_model_load(self, cfg: Any) -> None:
        """Axolotl has chosen the attention by now."""
        flat_attention.tell_every_layer()

    def get_collator_cls_and_kwargs(self, cfg: Any, is_eval: bool = False) -> tuple[type[FlatCollator], dict[str, Any]]:
        return FlatCollator, {}
