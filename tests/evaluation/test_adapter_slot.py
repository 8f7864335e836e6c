"""Adapters that take turns on a base: each computes what it does alone, and the base is itself again after them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

from subliminal.core.errors import UserError
from subliminal.engine.local import with_adapter
from subliminal.evaluation import adapter_slot
from subliminal.evaluation.adapter_slot import AdapterSlot

PROBE = [3, 1, 4, 1, 5, 9, 2, 6]


@pytest.fixture(scope="module")
def save(tiny_model, tmp_path_factory):
    """A function that saves an adapter with weights of its own."""

    def save_one(seed, scale=0.5, *, dtype=torch.float32, rank=2, base=tiny_model, **settings) -> str:
        torch.manual_seed(seed)
        config = LoraConfig(r=rank, target_modules=["q_proj", "up_proj"], **settings)
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=scale)
            if "lora_" in name:
                weight.data = weight.data.to(dtype)
        folder = tmp_path_factory.mktemp("adapters") / f"seed-{seed}"
        model.save_pretrained(folder)
        return str(folder)

    return save_one


def load(tiny_model):
    return AutoModelForCausalLM.from_pretrained(tiny_model).eval()


@torch.inference_mode()
def logits(model) -> torch.Tensor:
    return model(torch.tensor([PROBE])).logits


def alone(tiny_model, adapter: str) -> tuple[torch.Tensor, float]:
    """Logits and effect of an adapter that is the first on its base."""
    model, effect = with_adapter(load(tiny_model), adapter, "the base", PROBE)
    return logits(model), effect


def test_every_adapter_computes_what_it_does_alone(tiny_model, save):
    adapters = [
        save(1),
        save(2),
        save(3, rank=4),
        save(4, rank=4, lora_alpha=32),
        save(5, rank=4, lora_alpha=32, use_rslora=True),
        save(6, dtype=torch.bfloat16),
        save(7),
    ]
    base = load(tiny_model)
    bare = logits(base)
    slot = AdapterSlot(base, "the base", PROBE)
    for adapter in [*adapters, *reversed(adapters)]:
        model = slot.put_on(adapter)
        wanted, effect = alone(tiny_model, adapter)
        assert torch.equal(logits(model), wanted)
        assert slot.effect == effect > 0
    assert slot.take_off() is base
    assert slot.effect is None
    assert torch.equal(logits(base), bare)


def test_adapters_of_the_same_settings_share_their_layers(tiny_model, save, monkeypatch):
    made = []
    monkeypatch.setattr(adapter_slot, "with_adapter", lambda *words: made.append(words[1]) or with_adapter(*words))
    slot = AdapterSlot(load(tiny_model), "the base", PROBE)
    first, second, other = save(1), save(2), save(3, lora_alpha=32)
    for adapter in (first, second, first, other):
        slot.put_on(adapter)
    assert made == [first, other]
    slot.take_off()
    slot.put_on(second)
    assert made == [first, other, second]


@pytest.mark.parametrize(
    "settings", [{"modules_to_save": ["lm_head"]}, {"bias": "all"}, {"init_lora_weights": "pissa"}]
)
def test_what_an_adapter_has_beside_its_layers_goes_with_it(tiny_model, save, tmp_path, settings):
    config = AutoConfig.from_pretrained(tiny_model, attention_bias=True)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    base = load(tmp_path)
    bare = logits(base)
    slot = AdapterSlot(base, "the base", PROBE)
    first, second, other = save(1, base=tmp_path, **settings), save(2, base=tmp_path, **settings), save(3)
    for folder in (first, second):
        change_all_weights(folder)
    for adapter in (first, second, other, first):
        wanted, effect = alone(tmp_path, adapter)
        assert torch.equal(logits(slot.put_on(adapter)), wanted)
        assert slot.effect == effect > 0
    slot.take_off()
    assert torch.equal(logits(base), bare)


def change_all_weights(folder: str) -> None:
    """Make every weight of a saved adapter differ from what its base has."""
    from safetensors.torch import load_file, save_file

    file = Path(folder) / "adapter_model.safetensors"
    save_file({name: weight + 0.1 for name, weight in load_file(file).items()}, file, metadata={"format": "pt"})


def test_weights_that_a_file_lacks_are_not_those_of_the_adapter_before(tiny_model, save):
    from safetensors.torch import load_file, save_file

    first, second = save(1), save(2)
    file = Path(second) / "adapter_model.safetensors"
    weights = load_file(file)
    for name in list(weights):
        if "up_proj" in name:
            del weights[name]
    save_file(weights, file)
    slot = AdapterSlot(load(tiny_model), "the base", PROBE)
    slot.put_on(first)
    with pytest.warns(UserWarning, match="missing adapter keys"):
        model = slot.put_on(second)
    with pytest.warns(UserWarning, match="missing adapter keys"):
        wanted, _ = alone(tiny_model, second)
    assert torch.equal(logits(model), wanted)


def test_an_adapter_that_is_refused_leaves_the_base_alone(tiny_model, save):
    base = load(tiny_model)
    bare = logits(base)
    slot = AdapterSlot(base, "the base", PROBE)
    slot.put_on(save(1))
    with pytest.raises(UserError, match="changes nothing"):
        slot.put_on(save(2, scale=0.0))
    assert slot.effect is None
    assert torch.equal(logits(base), bare)
    assert slot.put_on(save(1)) is not base


def test_an_adapter_that_was_cut_off_is_told_and_leaves_the_base_alone(tiny_model, save):
    base = load(tiny_model)
    bare = logits(base)
    slot = AdapterSlot(base, "the base", PROBE)
    slot.put_on(save(1))
    torn = save(3)
    weights = Path(torn) / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(UserError, match=r"The adapter .* cannot be loaded on the base"):
        slot.put_on(torn)
    slot.take_off()
    assert torch.equal(logits(base), bare)


def test_an_adapter_whose_weights_do_not_fit_leaves_the_base_alone(tiny_model, save):
    """Weights that do fit are in its layers by the time that the others are refused."""
    from safetensors.torch import load_file, save_file

    folder = save(2)
    file = Path(folder) / "adapter_model.safetensors"
    weights = load_file(file)
    name = sorted(weights)[-1]
    weights[name] = torch.zeros(3, 3)
    save_file(weights, file)
    base = load(tiny_model)
    bare, modules = logits(base), len(list(base.modules()))
    slot = AdapterSlot(base, "the base", PROBE)
    slot.put_on(save(1, rank=4))
    with pytest.raises(UserError, match="cannot be loaded"):
        slot.put_on(folder)
    assert torch.equal(logits(base), bare)
    assert len(list(base.modules())) == modules
