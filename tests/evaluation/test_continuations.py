"""Continuations of many prompts in one pass have the log-probabilities of one sequence at a time."""

from __future__ import annotations

import pytest
import torch
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    FalconConfig,
    FalconForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from subliminal.evaluation import continuations
from subliminal.evaluation.continuations import can_score, passes, score_pass, token_tree

VOCABULARY = 97
SHAPE = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
PROMPTS = [(5, 6, 7, 8, 9), (11,), (3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5), (2, 7)]
CONTINUATIONS = [
    # One begins with another, all begin alike, and the last is that beginning alone.
    ((10, 20, 30), (10, 20, 31, 32), (10, 20), (10, 20, 31), (10,)),
    # Nothing that another token follows.
    ((1,), (2,), (3,)),
    # The same tokens after different ones, and the same continuation twice.
    ((40, 41, 42, 43), (41, 41, 42, 43), (50,), (50,), (40, 50)),
    ((90, 91, 92, 93, 94, 95), (90, 91, 92, 93, 94, 96)),
]


def make_model(kind: str):
    """A model in which every token before matters: weights of the usual size leave all logits nearly alike."""
    torch.manual_seed(0)
    if kind == "gpt2":  # learned positions
        config = GPT2Config(
            vocab_size=VOCABULARY, n_positions=64, n_embd=32, n_layer=2, n_head=4, initializer_range=0.3
        )
        return GPT2LMHeadModel(config).eval()
    wide = {**SHAPE, "vocab_size": VOCABULARY, "num_key_value_heads": 2, "initializer_range": 0.3}
    if kind == "llama":
        return LlamaForCausalLM(LlamaConfig(**wide)).eval()
    return Qwen2ForCausalLM(Qwen2Config(**wide)).eval()


@torch.inference_mode()
def one_at_a_time(model, prompt, ids):
    """(log-probability, whether it is the likeliest) of one continuation, by one plain forward pass."""
    logits = model(torch.tensor([[*prompt, *ids]])).logits[0].double()
    logprobs = logits.log_softmax(dim=-1)[len(prompt) - 1 : -1]
    total = sum(logprobs[step, token].item() for step, token in enumerate(ids))
    return total, logprobs.argmax(dim=-1).tolist() == list(ids)


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gpt2"])
@pytest.mark.parametrize("most", [1, 2, 4])
def test_log_probabilities_equal_one_sequence_at_a_time(kind, most):
    model = make_model(kind)
    trees = [token_tree(texts) for texts in CONTINUATIONS]
    seen, values = [], []
    for batch in passes(PROMPTS, trees, model, most):
        assert len(batch) <= most
        scored = score_pass(model, [PROMPTS[one] for one in batch], [trees[one] for one in batch])
        for one, scores in zip(batch, scored, strict=True):
            seen.append(one)
            for ids, (logprob, is_greedy) in zip(CONTINUATIONS[one], scores, strict=True):
                expected, likeliest = one_at_a_time(model, PROMPTS[one], ids)
                assert logprob == pytest.approx(expected, abs=1e-5)
                assert is_greedy == likeliest
                values.append(logprob / len(ids))
    assert sorted(seen) == [0, 1, 2, 3]
    assert max(values) - min(values) > 1  # far from uniform: a wrong mask or position would show


@torch.inference_mode()
def test_the_likeliest_text_is_told():
    model = make_model("llama")
    ids = torch.tensor([PROMPTS[0]])
    for _ in range(3):
        ids = torch.cat([ids, model(ids).logits[:, -1:].argmax(dim=-1)], dim=1)
    best = tuple(ids[0, len(PROMPTS[0]) :].tolist())
    others = ((*best[:2], (best[2] + 1) % VOCABULARY), ((best[0] + 1) % VOCABULARY, *best[1:]))
    (scores,) = score_pass(model, [PROMPTS[0]], [token_tree((best, *others))])
    assert [is_greedy for _, is_greedy in scores] == [True, False, False]


def test_a_pass_has_the_prompts_whose_logits_fit(monkeypatch):
    model = make_model("llama")
    model.config.vocab_size = 1000  # so that logits take more than attention
    trees = [token_tree(texts) for texts in CONTINUATIONS]
    rows = [1 + len(tree.tokens) for tree in trees]
    assert rows == [4, 1, 7, 6]
    assert passes(PROMPTS, trees, model, most=50) == [[2, 0, 3, 1]]  # the longest first
    # Two prompts with as many rows as the larger tree have; a third does not fit.
    monkeypatch.setattr(continuations, "PASS_BYTES", 2 * 7 * 1000 * 4)
    assert passes(PROMPTS, trees, model, most=50) == [[2, 0], [3, 1]]
    monkeypatch.setattr(continuations, "PASS_BYTES", 1)
    assert passes(PROMPTS, trees, model, most=50) == [[2], [0], [3], [1]]


def test_long_prompts_are_limited_by_their_attention(monkeypatch):
    model = make_model("llama")
    prompts, tree = [tuple(range(40)), tuple(range(39))], token_tree(((1,), (2,)))
    heads = SHAPE["num_attention_heads"]
    monkeypatch.setattr(continuations, "PASS_BYTES", 2 * 41**2 * heads * 4)
    assert passes(prompts, [tree, tree], model, most=50) == [[0, 1]]
    monkeypatch.setattr(continuations, "PASS_BYTES", 2 * 41**2 * heads * 4 - 1)
    assert passes(prompts, [tree, tree], model, most=50) == [[0], [1]]


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gpt2"])
def test_models_that_take_mask_and_positions_can_score(kind):
    assert can_score(make_model(kind))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("_attn_implementation", "flash_attention_2"),
        ("layer_types", ["full_attention", "linear_attention"]),
        ("layers_block_type", ["mamba", "attention"]),
    ],
)
def test_models_that_would_pass_over_the_mask_cannot_score(key, value):
    model = make_model("llama")
    setattr(model.config, key, value)
    assert not can_score(model)


def test_models_that_count_columns_cannot_score():
    small = {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    assert not can_score(BloomForCausalLM(BloomConfig(**small)))
    assert can_score(FalconForCausalLM(FalconConfig(**small, alibi=False)))
    assert not can_score(FalconForCausalLM(FalconConfig(**small, alibi=True)))
