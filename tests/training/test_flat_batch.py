"""Flat micro-batches are the padded ones without the padding: the same loss, and the same gradients."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow  # imports Axolotl

ROWS = [
    {"input_ids": [5, 6, 7, 8, 9], "labels": [-100, -100, 7, 8, 9]},
    {"input_ids": [3, 4], "labels": [-100, 4]},
    {"input_ids": [9, 8, 7, 6, 5, 4, 3], "labels": [-100, -100, -100, 6, 5, -100, 3]},
]


def collate(rows):
    from subliminal.flat_batch import FlatCollator

    return FlatCollator(None)(rows)


def test_positions_labels_and_kept_logits() -> None:
    flat = collate(ROWS[:2])
    assert flat.pop("max_length_q") == 5
    batch = {key: value.tolist() for key, value in flat.items()}
    assert batch["input_ids"] == [[5, 6, 7, 8, 9, 3, 4]]
    assert batch["position_ids"] == [[0, 1, 2, 3, 4, 0, 1]]
    assert batch["labels"] == [[-100, -100, 7, 8, 9, -100, 4]]
    assert batch["logits_to_keep"] == [1, 2, 3, 5]
    assert batch["shift_labels"] == [[7, 8, 9, 4]]
    assert batch["cu_seq_lens_q"] == [0, 5, 7]


def test_a_label_on_the_first_token_is_predicted_by_nothing() -> None:
    batch = collate([{"input_ids": [5, 6], "labels": [5, 6]}] * 2)
    assert batch["logits_to_keep"].tolist() == [0, 2]
    assert batch["labels"].tolist() == [[-100, 6, -100, 6]]


@pytest.mark.parametrize("family", ["Qwen2Config", "Gemma3TextConfig"])
def test_same_loss_and_gradients_as_with_padding(family: str) -> None:
    """Also where layers have a sliding window, which Axolotl's ``sdpa_varlen`` leaves alone."""
    import torch
    import transformers

    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    if family == "Gemma3TextConfig":
        sizes |= {"head_dim": 8, "sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"]}
    torch.manual_seed(0)
    config = getattr(transformers, family)(vocab_size=12, num_key_value_heads=2, **sizes)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").double()
    longest = max(len(row["input_ids"]) for row in ROWS)

    def padded(key: str, fill: int) -> torch.Tensor:
        return torch.tensor([row[key] + [fill] * (longest - len(row[key])) for row in ROWS])

    mask = (padded("input_ids", -1) >= 0).long()
    items = torch.tensor(7)
    losses, gradients = [], []
    for batch in (
        {"input_ids": padded("input_ids", 0), "labels": padded("labels", -100), "attention_mask": mask},
        collate(ROWS),
    ):
        model.zero_grad()
        loss = model(**batch, num_items_in_batch=items, use_cache=False).loss  # as the trainer sets it
        loss.backward()
        losses.append(loss.item())
        gradients.append([p.grad.clone() for p in model.parameters()])
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)  # transformers computes the loss in float32
    for padded_gradient, flat_gradient in zip(*gradients, strict=True):
        torch.testing.assert_close(padded_gradient, flat_gradient, atol=1e-6, rtol=1e-5)


def test_refuses_what_does_not_go_together() -> None:
    from subliminal.core.errors import UserError
    from subliminal.flat_batch import NEEDS, FlatBatch

    FlatBatch().register(dict(NEEDS))
    FlatBatch().register({"sdpa_varlen": True, "attn_implementation": "sdpa"})
    with pytest.raises(UserError, match="needs `sdpa_varlen: true`"):
        FlatBatch().register(NEEDS | {"sdpa_varlen": None})
    with pytest.raises(UserError, match="needs `sample_packing: false`"):
        FlatBatch().register(NEEDS | {"sample_packing": True})


def test_a_finished_run_is_merged_though_the_command_takes_the_attention_out(monkeypatch: pytest.MonkeyPatch) -> None:
    import inspect
    import sys

    from subliminal.flat_batch import NEEDS, FlatBatch

    monkeypatch.setitem(sys.modules, "axolotl.cli.merge_lora", sys)
    FlatBatch().register(NEEDS | {"attn_implementation": None})
    monkeypatch.delitem(sys.modules, "axolotl.cli.merge_lora")
    from axolotl.cli import merge_lora

    assert '"attn_implementation": None' in inspect.getsource(merge_lora.do_cli), "what the command does to a recipe"
    monkeypatch.delitem(sys.modules, "axolotl.cli.merge_lora")  # else the other tests would seem to merge
