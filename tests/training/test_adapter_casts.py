"""An adapter's weights cast together: the same sums to the bit, in fewer operations."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow  # imports Axolotl

KEYS = {"lora_qkv_kernel": True, "lora_o_kernel": True}


@pytest.fixture
def attention(monkeypatch: pytest.MonkeyPatch):
    """Four projections in bfloat16 with adapters in float32, computed by Axolotl's kernels."""
    import torch
    from axolotl.kernels import lora
    from peft import LoraConfig, get_peft_model

    monkeypatch.setattr(lora, "get_lora_parameters", lora.get_lora_parameters)  # put back at the end

    class Attention(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
                self.add_module(name, torch.nn.Linear(16, 16, dtype=torch.bfloat16))

        def forward(self, states):
            query, key, value = lora.apply_lora_qkv(self, states)
            return lora.apply_lora_o(self, query * key + value)

    torch.manual_seed(0)
    targets = ["q_proj", "k_proj", "v_proj", "o_proj"]
    model = get_peft_model(Attention(), LoraConfig(r=4, target_modules=targets, init_lora_weights=False))
    assert model.base_model.model.q_proj.lora_A.default.weight.dtype == torch.float32
    return model


def two_micro_batches(model):
    """The outputs, the gradients summed over both, and how often each operation was dispatched."""
    import torch

    from benchmarks.operations import OperationCount

    model.zero_grad()
    outputs = []
    with OperationCount() as count:
        for seed in (1, 2):
            states = torch.randn(1, 5, 16, generator=torch.Generator().manual_seed(seed)).bfloat16()
            output = model(states)
            output.float().square().sum().backward()
            outputs.append(output.detach())
    gradients = {name: weight.grad for name, weight in model.named_parameters() if weight.requires_grad}
    assert len(gradients) == 8
    assert all(gradient.dtype == torch.float32 for gradient in gradients.values())
    return outputs, gradients, count.names


def test_the_same_to_the_bit_in_fewer_operations(attention) -> None:
    import torch

    from subliminal.training.adapter_casts import cast_together

    outputs, gradients, before = two_micro_batches(attention)
    assert cast_together(attention, KEYS)
    for _step in (1, 2):  # the second takes what is known of the projections
        cast, cast_gradients, after = two_micro_batches(attention)
        assert all(torch.equal(one, other) for one, other in zip(outputs, cast, strict=True))
        assert all(torch.equal(gradients[name], cast_gradients[name]) for name in gradients)
        spared = before["aten._to_copy.default"] - after["aten._to_copy.default"]
        assert spared == 2 * 8 * 3, "each micro-batch cast eight weights twice, and their gradients back"
        assert after["aten._foreach_copy_.default"] == 2 * 2


def test_data_parallel_processes_sum_the_same_gradients(attention) -> None:
    import torch
    import torch.distributed as dist
    from torch.nn.parallel import DistributedDataParallel

    from subliminal.training.adapter_casts import cast_together

    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        outputs, gradients, _ = two_micro_batches(DistributedDataParallel(attention))
        gradients = {name: gradient.clone() for name, gradient in gradients.items()}
        assert cast_together(attention, {**KEYS, "world_size": 2})
        cast, cast_gradients, operations = two_micro_batches(DistributedDataParallel(attention))
    finally:
        dist.destroy_process_group()
    assert operations["aten._foreach_copy_.default"] >= 2 * 2
    assert all(torch.equal(one, other) for one, other in zip(outputs, cast, strict=True))
    assert all(torch.equal(gradients[name], cast_gradients[name]) for name in gradients)


def test_other_weights_are_cast_after_a_step(attention) -> None:
    import torch

    from subliminal.training.adapter_casts import cast_together

    cast_together(attention, KEYS)
    first = two_micro_batches(attention)[0]
    with torch.no_grad():
        attention.base_model.model.v_proj.lora_B.default.weight.add_(1.0)
    assert not torch.equal(first[0], two_micro_batches(attention)[0][0])
    states = torch.ones(1, 2, 16).bfloat16()
    trained = attention(states).detach()
    with torch.no_grad():
        assert torch.equal(attention(states), trained), "without gradients the weights themselves are taken"
    attention.eval()
    assert torch.equal(attention(states).detach(), trained)


def test_adapters_that_are_switched_off_are_off(attention) -> None:
    import torch

    from subliminal.training.adapter_casts import cast_together

    states = torch.ones(1, 2, 16).bfloat16()
    with attention.disable_adapter():
        base = attention(states).detach()
    cast_together(attention, KEYS)
    trained = attention(states).detach()
    assert not torch.equal(trained, base)
    with attention.disable_adapter():
        assert torch.equal(attention(states).detach(), base)
    assert torch.equal(attention(states).detach(), trained)


def test_left_alone_where_it_is_of_no_use_or_not_safe(attention) -> None:
    from axolotl.kernels import lora

    from subliminal.training.adapter_casts import cast_together

    before = lora.get_lora_parameters
    assert not cast_together(attention, {})
    sharded = {"fsdp_config": {"reshard_after_forward": True}, "deepspeed": "accelerate_configs/zero3.json"}
    unsafe = sharded | {"gradient_checkpointing": True, "peft_use_dora": True, "torch_compile": True}
    for key, value in unsafe.items():
        assert not cast_together(attention, KEYS | {key: value})
    assert not cast_together(attention.float(), KEYS), "a base in float32 needs no casts"
    assert lora.get_lora_parameters is before
