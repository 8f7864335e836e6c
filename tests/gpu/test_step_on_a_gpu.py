"""What spares a small model's step operations gives a GPU's losses and gradients as before it.

pytest -m gpu tests/gpu/test_step_on_a_gpu.py    # one card, under a minute, models made here
"""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.gpu

ROW_LENGTHS = (120, 3, 87, 131, 64)


@pytest.fixture
def batch(card: str) -> dict[str, Any]:
    """Rows end to end, with loss on their second halves."""
    import random

    from subliminal.flat_batch import FlatCollator

    drawn = random.Random(1)
    rows = []
    for length in ROW_LENGTHS:
        tokens = [drawn.randrange(1, 500) for _ in range(length)]
        rows.append({"input_ids": tokens, "labels": [-100] * (length // 2) + tokens[length // 2 :]})
    flat = FlatCollator(None)(rows)
    return {name: value.to(card) if hasattr(value, "to") else value for name, value in flat.items()}


def qwen(card: str, layers: int = 2) -> Any:
    """Random weights with the heads of Qwen2.5-0.5B: 14 for queries, 2 for keys, 64 wide."""
    import torch
    from transformers import AutoModelForCausalLM, Qwen2Config

    torch.manual_seed(0)
    sizes = {"hidden_size": 896, "intermediate_size": 512, "num_attention_heads": 14, "num_key_value_heads": 2}
    config = Qwen2Config(vocab_size=512, num_hidden_layers=layers, **sizes)
    return AutoModelForCausalLM.from_config(config, attn_implementation="sdpa", dtype=torch.bfloat16).to(card)


def loss_and_gradients(model: Any, batch: dict[str, Any]) -> tuple[float, list[Any]]:
    model.zero_grad()
    loss = model(**batch, use_cache=False).loss
    loss.backward()
    return loss.item(), [weight.grad.float() for weight in model.parameters()]


def assert_alike(one: tuple[float, list[Any]], other: tuple[float, list[Any]]) -> None:
    """Alike as far as bfloat16 goes, which keeps 8 bits: each gradient within 3 % of its length."""
    assert one[0] == pytest.approx(other[0], abs=2e-3)
    for mine, yours in zip(one[1], other[1], strict=True):
        assert (mine - yours).norm() <= 0.03 * yours.norm() + 1e-6


def test_attention_that_is_told_the_rows_ends(card: str, batch: dict[str, Any], monkeypatch) -> None:
    from axolotl.monkeypatch.attention import sdpa_varlen
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    from benchmarks.operations import WAITS, OperationCount
    from subliminal.training.flat_attention import tell_every_layer

    attention, mask = ALL_ATTENTION_FUNCTIONS["sdpa"], ALL_MASK_ATTENTION_FUNCTIONS["sdpa"]
    monkeypatch.setattr(sdpa_varlen, "_PATCH_APPLIED", False)
    monkeypatch.setattr(sdpa_varlen, "_MASK_PATCH_APPLIED", False)
    model = qwen(card)
    try:
        assert sdpa_varlen.patch_sdpa_varlen()
        axolotls = loss_and_gradients(model, batch)
        assert tell_every_layer()
        with OperationCount() as count:
            told = loss_and_gradients(model, batch)
    finally:
        ALL_ATTENTION_FUNCTIONS.register("sdpa", attention)
        ALL_MASK_ATTENTION_FUNCTIONS.register("sdpa", mask)
    assert_alike(told, axolotls)
    assert count.names["torch_attn._varlen_attn.default"] == 2, "one for each layer"
    assert sum(count.names[name] for name in WAITS) <= 2, "the loss, and transformers' look for packed rows"


def test_ligers_rotary_embedding_is_the_models_own(card: str, batch: dict[str, Any], monkeypatch) -> None:
    from liger_kernel.transformers.rope import liger_rotary_pos_emb
    from transformers.models.qwen2 import modeling_qwen2

    model = qwen(card)
    own = loss_and_gradients(model, batch)
    monkeypatch.setattr(modeling_qwen2, "apply_rotary_pos_emb", liger_rotary_pos_emb)
    assert_alike(loss_and_gradients(model, batch), own)


def test_weights_that_are_cast_together_are_the_same_to_the_bit(card: str) -> None:
    import torch

    from subliminal.training.adapter_casts import CastTogether

    torch.manual_seed(0)
    weights = [torch.randn(8, 896 + index, device=card, requires_grad=True) for index in range(336)]
    copies = CastTogether.apply(torch.bfloat16, *weights)
    assert all(torch.equal(copy, weight.bfloat16()) for copy, weight in zip(copies, weights, strict=True))
    torch.autograd.backward([(copy * copy).sum() for copy in copies])
    for weight, copy in zip(weights, copies, strict=True):
        assert torch.equal(weight.grad, (copy + copy).detach().float())
