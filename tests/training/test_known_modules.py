"""While a model trains its modules are known: nothing else about it changes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.slow  # imports PEFT


@pytest.fixture
def model():
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, Qwen2Config

    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2, "num_key_value_heads": 1}
    base = AutoModelForCausalLM.from_config(Qwen2Config(vocab_size=10, num_hidden_layers=2, **sizes)).eval()
    torch.manual_seed(0)
    return get_peft_model(base, LoraConfig(r=2, lora_dropout=0.5, target_modules=["q_proj", "up_proj"]))


def begin(model, wrapper=None, world_size: int = 1):
    from subliminal.training.known_modules import KnownModules

    callback = KnownModules(SimpleNamespace(model_wrapped=wrapper or model))
    callback.on_train_begin(SimpleNamespace(world_size=world_size), None, None, model=model)
    return callback


@pytest.fixture
def data_parallel(model):
    """The model in the wrapper of data parallelism, whose group has this process alone."""
    import torch.distributed as dist
    from torch.nn.parallel import DistributedDataParallel

    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield DistributedDataParallel(model, broadcast_buffers=False)
    dist.destroy_process_group()


def facts(model) -> list[object]:
    return [
        [name for name, _ in model.named_modules()],
        [id(weight) for weight in model.parameters()],
        [name for name, _ in model.named_parameters()],
        model.num_parameters(exclude_embeddings=True),
        model.num_parameters(),
        model.num_parameters(only_trainable=True),
        [name for name, _ in model.named_modules(prefix="student")],
        list(model.parameters(recurse=False)),
    ]


def test_the_same_answers_without_a_walk(model, monkeypatch) -> None:
    import torch

    before = facts(model)
    callback = begin(model)
    assert facts(model) == before
    with monkeypatch.context() as patch:
        patch.setattr(torch.nn.Module, "named_modules", None)  # a walk would end here
        patch.setattr(torch.nn.Module, "train", None)
        model.train()
        model.zero_grad()
        assert len(list(model.modules())) == len(before[0])
        assert model.num_parameters(exclude_embeddings=True) == before[3]
    callback.on_train_end(None, None, None, model=model)
    assert "named_modules" not in vars(model)
    assert facts(model) == before


def test_dropout_is_on_from_the_first_step_and_off_in_an_evaluation(model) -> None:
    dropout = model.base_model.model.model.layers[0].self_attn.q_proj.lora_dropout.default
    model.base_model.eval()
    model.training = True  # as PEFT leaves a base that was loaded for inference
    assert not dropout.training
    begin(model)
    assert dropout.training
    model.eval()
    assert not dropout.training
    model.train()
    assert dropout.training


def test_a_training_that_ended_in_an_error_leaves_nothing_to_the_next(model) -> None:
    from peft import LoraConfig

    begin(model)  # no end
    model.add_adapter("second", LoraConfig(r=2, target_modules=["q_proj", "up_proj"]))
    callback = begin(model)
    known = [name for name, _ in model.named_modules()]
    callback.on_train_end(None, None, None, model=model)
    assert known == [name for name, _ in model.named_modules()]
    assert any("lora_A.second" in name for name in known)


def test_neither_the_model_nor_its_wrapper_is_walked_through(model, data_parallel, monkeypatch) -> None:
    import torch

    tokens = torch.tensor([[1, 2, 3]])
    before = [name for name, _ in data_parallel.named_modules()], facts(model)
    callback = begin(model, data_parallel, world_size=2)
    assert ([name for name, _ in data_parallel.named_modules()], facts(model)) == before
    with monkeypatch.context() as patch:
        patch.setattr(torch.nn.Module, "named_modules", None)  # a walk would end here
        patch.setattr(torch.nn.Module, "train", None)
        data_parallel.train()
        data_parallel(input_ids=tokens, labels=tokens).loss.backward()
        weights = [weight for weight in data_parallel.parameters() if weight.requires_grad]
        assert len(weights) == 8
        assert all(weight.grad is not None for weight in weights)
        data_parallel.zero_grad()
        assert all(weight.grad is None for weight in weights)
    callback.on_train_end(None, None, None, model=model)
    for module in (model, data_parallel):
        assert "named_modules" not in vars(module)


def test_sharded_processes_walk_as_ever(model) -> None:
    begin(model, world_size=2)  # its wrapper is another, or none
    assert "named_modules" not in vars(model)


def test_buffers_are_sent_round_only_where_a_recipe_says_so() -> None:
    from axolotl.utils.dict import DictDefault

    from subliminal.axolotl_plugin import StrictRecipe

    assert StrictRecipe().get_training_args(DictDefault({}))["ddp_broadcast_buffers"] is False
    asked = StrictRecipe().get_training_args(DictDefault({"ddp_broadcast_buffers": True}))
    assert "ddp_broadcast_buffers" not in asked, "the recipe's word is left alone"
