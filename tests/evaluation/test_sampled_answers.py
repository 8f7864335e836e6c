"""Answers sampled in this process: the same ones in whatever batches and rounds they are written."""

from __future__ import annotations

import math

import pytest
import torch
from lm_eval.api.instance import Instance

from subliminal.evaluation import local_model

PROMPTS = ("one word", "a question of some more words", "two and three")
SAMPLING = {"do_sample": True, "temperature": 1.0, "top_p": 1.0, "top_k": 0, "repetition_penalty": 1.0}


@pytest.fixture(scope="module")
def model(tiny_model):
    return local_model.SharedPrefixLM(pretrained=str(tiny_model), device="cpu", batch_size=50, seed=5)


def asks(**arguments):
    arguments = {**SAMPLING, "max_gen_toks": 12, "until": [], **arguments}
    return [Instance("generate_until", {}, (prompt, arguments), 0) for prompt in PROMPTS for _ in range(12)]


@pytest.fixture
def steps(model, monkeypatch):
    """How many tokens at most, and for how many answers, each call was for."""
    calls = []
    write = model._write

    def counted(answers, most):
        calls.append((len(answers), most))
        return write(answers, most)

    monkeypatch.setattr(model, "_write", counted)
    return calls


@pytest.mark.parametrize("arguments", [{}, {"until": ["e", "\n"]}, {"repetition_penalty": 1.3}, {"top_k": 5}])
@pytest.mark.parametrize("batch_size", [50, 7])
def test_rounds_change_no_answer(model, steps, monkeypatch, arguments, batch_size):
    model.batch_size_per_gpu = 50
    monkeypatch.setattr(local_model, "_SHORT", 0)
    at_once = model.generate_until(asks(**arguments), disable_tqdm=True)
    assert steps == [(36, 12)]
    assert len(set(at_once)) > 30
    monkeypatch.setattr(local_model, "_SHORT", 64)
    model.batch_size_per_gpu = batch_size
    assert model.generate_until(asks(**arguments), disable_tqdm=True) == at_once


def test_only_answers_that_go_on_are_in_the_second_round(model, steps, monkeypatch):
    """A token of the tiny model that is made the end of a turn ends a part of the answers in each round."""
    ends = sorted({*model.stop_ids, *range(5, 60)})
    monkeypatch.setattr(model, "stop_ids", ends)
    monkeypatch.setattr(model.model.generation_config, "eos_token_id", ends)
    model.batch_size_per_gpu = 50
    model.generate_until(asks(), disable_tqdm=True)
    (first, second) = steps
    assert first == (36, 4)
    assert second[1] == 8
    assert 0 < second[0] < 36
    steps.clear()
    model.generate_until(asks(max_gen_toks=100), disable_tqdm=True)
    assert steps == [(36, 100)]  # long answers are written in one go


def test_answers_of_so_few_tokens_take_one_round(model, steps):
    model.batch_size_per_gpu = 50
    model.generate_until(asks(max_gen_toks=4), disable_tqdm=True)
    assert steps == [(36, 4)]


def test_an_answer_that_has_ended_keeps_no_generator(model, monkeypatch):
    ends = sorted({*model.stop_ids, *range(5, 60)})
    monkeypatch.setattr(model, "stop_ids", ends)
    monkeypatch.setattr(model.model.generation_config, "eos_token_id", ends)
    model.batch_size_per_gpu = 50
    calls = []
    write = model._write

    def watched(answers, most):
        unfinished = write(answers, most)
        calls.append((len(unfinished), sum(answer.generator is not None for answer in answers), len(answers)))
        return unfinished

    monkeypatch.setattr(model, "_write", watched)
    model.generate_until(asks(), disable_tqdm=True)
    assert len(calls) == 2
    for unfinished, kept, all_answers in calls:
        assert kept == unfinished < all_answers


@pytest.mark.parametrize("batch_size", [50, 9])
def test_a_prompt_is_computed_once_a_batch_and_its_answers_are_the_same(model, monkeypatch, batch_size):
    model.batch_size_per_gpu = batch_size
    seen = []  # (rows, columns) of each forward pass that is of more than one new token
    watch = model.model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    try:
        shared = model.generate_until(asks(max_gen_toks=4), disable_tqdm=True)
        by_prompt = [shape for shape in seen if shape[1] > 1]
        seen.clear()
        monkeypatch.setattr(model, "_computed_prompts", lambda ids, mask, rows: None)
        assert model.generate_until(asks(max_gen_toks=4), disable_tqdm=True) == shared
        by_answer = [shape for shape in seen if shape[1] > 1]
    finally:
        watch.remove()
    batches = math.ceil(36 / batch_size)
    assert len(by_prompt) == len(by_answer) == batches
    assert sum(rows for rows, _ in by_answer) == 36
    # A batch has the prompts of its answers, three in all; where one ends in a batch and the next begins, both.
    assert len(PROMPTS) <= sum(rows for rows, _ in by_prompt) <= len(PROMPTS) + batches - 1
    assert max(columns for _, columns in by_prompt) == max(columns for _, columns in by_answer) - 1


def test_a_recurrent_model_computes_each_prompt_anew(model, monkeypatch):
    monkeypatch.setattr(local_model, "can_score", lambda base: False)
    ids, mask = model.tok_batch_encode(list(PROMPTS))
    assert model._computed_prompts(ids, mask, torch.tensor([0, 0, 1, 2])) is None
