"""Attention that is told where the rows end: the padded losses and gradients, by the kernel that it calls."""

from __future__ import annotations

import inspect

import pytest

pytestmark = pytest.mark.slow  # imports Axolotl

ROWS = [
    {"input_ids": [5, 6, 7, 8, 9], "labels": [-100, -100, 7, 8, 9]},
    {"input_ids": [3, 4], "labels": [-100, 4]},
    {"input_ids": [9, 8, 7, 6, 5, 4, 3], "labels": [-100, -100, -100, 6, 5, -100, 3]},
]


def attend_row_by_row(query, key, value, ends, same_ends, longest, same_longest, *, window_size, enable_gqa=False):
    """What ``varlen_attn`` computes on a GPU, with PyTorch's own attention over each row."""
    import torch

    assert window_size == (-1, 0), "a row's tokens see what came before them"
    assert longest == same_longest == max(len(row["input_ids"]) for row in ROWS)
    assert ends.dtype == torch.int32
    rows = []
    for start, end in zip(ends.tolist(), ends.tolist()[1:], strict=False):
        one = [tensor[start:end].transpose(0, 1)[None] for tensor in (query, key, value)]
        attended = torch.nn.functional.scaled_dot_product_attention(*one, is_causal=True, enable_gqa=enable_gqa)
        rows.append(attended[0].transpose(0, 1))
    return torch.cat(rows)


def without_shared_heads(query, key, value, *others, window_size):
    assert query.shape[1] == key.shape[1] == value.shape[1], "a kernel that cannot share heads gets copies"
    return attend_row_by_row(query, key, value, *others, window_size=window_size)


@pytest.fixture
def axolotls_attention(monkeypatch: pytest.MonkeyPatch):
    """``sdpa_varlen`` in use, as on a GPU; taken out again at the end."""
    from axolotl.monkeypatch.attention import sdpa_varlen
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    attention, mask = ALL_ATTENTION_FUNCTIONS["sdpa"], ALL_MASK_ATTENTION_FUNCTIONS["sdpa"]
    monkeypatch.setattr(sdpa_varlen, "_PATCH_APPLIED", False)
    monkeypatch.setattr(sdpa_varlen, "_MASK_PATCH_APPLIED", False)
    assert sdpa_varlen.patch_sdpa_varlen()
    yield ALL_ATTENTION_FUNCTIONS
    ALL_ATTENTION_FUNCTIONS.register("sdpa", attention)
    ALL_MASK_ATTENTION_FUNCTIONS.register("sdpa", mask)


@pytest.mark.parametrize("kernel", [attend_row_by_row, without_shared_heads])
def test_same_loss_and_gradients_as_axolotls_attention(kernel, axolotls_attention, monkeypatch) -> None:
    import torch
    import transformers
    from torch.nn.attention import varlen

    from subliminal.flat_batch import FlatCollator
    from subliminal.training import flat_attention
    from subliminal.training.flat_attention import tell_every_layer

    calls = []

    def counted(*tensors, **settings):
        calls.append(settings)
        return kernel(*tensors, **settings)

    counted.__signature__ = inspect.signature(kernel)
    monkeypatch.setattr(varlen, "varlen_attn", counted)
    monkeypatch.setattr(flat_attention, "KERNEL_DTYPES", (torch.float64,))  # the stand-in computes in any
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = transformers.Qwen2Config(vocab_size=12, num_key_value_heads=2, **sizes)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").double()
    batch = FlatCollator(None)(ROWS)
    found = []
    for told in (False, True):
        assert not told or tell_every_layer()
        model.zero_grad()
        loss = model(**batch, use_cache=False).loss
        loss.backward()
        assert len(calls) == (2 if told else 0), "one for each layer, once the layers are told"
        found.append([loss.detach(), *(weight.grad.clone() for weight in model.parameters())])
    for axolotls, ours in zip(*found, strict=True):
        torch.testing.assert_close(ours, axolotls, atol=1e-6, rtol=1e-5)


def test_what_the_kernel_cannot_do_is_left_to_axolotl(axolotls_attention) -> None:
    import torch

    from subliminal.training.flat_attention import LONGEST, ROW_ENDS, told_attention

    def otherwise(*tensors, **settings):
        return "Axolotl's", settings

    attention = told_attention(otherwise)
    tensor = torch.zeros(1, 2, 3, 4).bfloat16()
    told = {ROW_ENDS: torch.tensor([0, 3]), LONGEST: 3}
    cases = [{}, told | {"dropout": 0.1}, told | {"scaling": 0.3}, told | {"sliding_window": 2}]
    for settings in cases:
        assert attention(None, tensor, tensor, tensor, None, **settings)[0] == "Axolotl's"
    assert attention(None, tensor, tensor, tensor, torch.ones(1), **told)[0] == "Axolotl's"
    whole = tensor.float()  # as rotary embedding makes them where a model trains whole, beside its own values
    assert attention(None, whole, whole, tensor, None, **told)[0] == "Axolotl's"
    assert attention(None, whole, whole, whole, None, **told)[0] == "Axolotl's"
    assert attention(None, tensor, tensor, tensor, None, **cases[3])[1]["sliding_window"] == 2


def test_nothing_is_replaced_where_axolotl_kept_the_mask() -> None:
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    from subliminal.training.flat_attention import tell_every_layer

    before = ALL_ATTENTION_FUNCTIONS["sdpa"]
    assert not tell_every_layer()
    assert ALL_ATTENTION_FUNCTIONS["sdpa"] is before
