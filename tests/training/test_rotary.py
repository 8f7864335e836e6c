"""Liger's rotary embedding reaches the attention that Axolotl writes for its adapter kernels."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow  # imports Axolotl

KEYS = {"lora_qkv_kernel": True, "lora_o_kernel": True, "liger_rope": True}


@pytest.fixture
def config(tmp_path, monkeypatch: pytest.MonkeyPatch):
    """The keys of a recipe for a Qwen2 model, whose class is as it was at the end."""
    from axolotl.monkeypatch import lora_kernels
    from axolotl.utils.dict import DictDefault
    from transformers import Qwen2Config
    from transformers.models.qwen2 import modeling_qwen2

    monkeypatch.setattr(modeling_qwen2.Qwen2Attention, "forward", modeling_qwen2.Qwen2Attention.forward)
    for name in ("apply_rotary_pos_emb", "axolotl_attn_forward"):
        monkeypatch.setitem(vars(lora_kernels), name, None)
    monkeypatch.setattr(modeling_qwen2, "apply_rotary_pos_emb", modeling_qwen2.apply_rotary_pos_emb)
    Qwen2Config(num_hidden_layers=1).save_pretrained(tmp_path)
    yield DictDefault(KEYS | {"base_model": str(tmp_path)})
    if hasattr(modeling_qwen2.Qwen2Attention, "_original_forward"):
        del modeling_qwen2.Qwen2Attention._original_forward


def test_ligers_takes_the_place_of_the_models_own(config) -> None:
    """In Axolotl's order: the attention is written, then Liger's plugin comes, then the model is loaded."""
    from axolotl.monkeypatch.lora_kernels import patch_self_attn_lora
    from liger_kernel.transformers.monkey_patch import apply_liger_kernel_to_qwen2
    from liger_kernel.transformers.rope import liger_rotary_pos_emb
    from transformers.models.qwen2.modeling_qwen2 import Qwen2Attention, apply_rotary_pos_emb

    from subliminal.training.rotary import NAME, take_rotary_of_model

    patch_self_attn_lora(config)
    apply_liger_kernel_to_qwen2(rope=True, rms_norm=False, swiglu=False, fused_linear_cross_entropy=False)
    used = Qwen2Attention.forward.__globals__
    assert used[NAME] is apply_rotary_pos_emb, "Axolotl mended its order: subliminal.training.rotary can go"
    assert take_rotary_of_model(config)
    assert used[NAME] is liger_rotary_pos_emb


def test_nothing_to_give(config) -> None:
    from subliminal.training.rotary import take_rotary_of_model

    assert not take_rotary_of_model(config), "an attention that Axolotl did not write looks in the model's module"
    assert not take_rotary_of_model(config | {"liger_rope": False})
    assert not take_rotary_of_model(config | {"lora_qkv_kernel": False, "lora_o_kernel": False})
