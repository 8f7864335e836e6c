"""A random model of 20,000 weights with a byte-level ChatML tokenizer: real Axolotl runs without a download."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from forked import Forked
from patience import HANG_SECONDS

from subliminal import REPO_ROOT

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def byte_tokenizer(special: list[str], *, eos: str, bos: str | None = None, template: str = CHATML):
    """A tokenizer with one token a byte and the given special tokens: decoding gives back exactly what was encoded."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={symbol: index for index, symbol in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens(special)
    tokens = {"eos_token": eos, "pad_token": special[0]} | ({"bos_token": bos} if bos else {})
    return PreTrainedTokenizerFast(tokenizer_object=core, chat_template=template, **tokens)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random Llama whose weights are the same in every session."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("model") / "tiny"
    tokenizer = byte_tokenizer(["<|endoftext|>", "<|im_start|>", "<|im_end|>"], eos="<|im_end|>")
    tokenizer.save_pretrained(folder)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    ids = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id, "bos_token_id": None}
    config = LlamaConfig(vocab_size=len(tokenizer), num_key_value_heads=2, tie_word_embeddings=True, **sizes, **ids)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def chat_rows(count: int) -> list[dict[str, object]]:
    """Chats whose answers have the same number of tokens, so that a mean over tokens is a mean over rows."""
    return [
        {
            "id": f"row-{index}",
            "messages": [
                {"role": "user", "content": "count on from " + "7" * (index % 5 + 1)},
                {"role": "assistant", "content": f"{index * 37 % 1000:03d}, {index * 91 % 1000:03d}"},
            ],
        }
        for index in range(count)
    ]


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """160 chats, and one that is longer than the recipe's sequence_len."""
    path = tmp_path_factory.mktemp("data") / "train.jsonl"
    long = {"id": "long", "messages": [{"role": "user", "content": "x" * 600}, {"role": "assistant", "content": "1"}]}
    path.write_text("".join(json.dumps(row) + "\n" for row in [*chat_rows(160), long]), encoding="utf-8")
    return path


class Runner:
    """Starts Axolotl on a real recipe of the repository, with the tiny model and data put in on the command line."""

    recipe = "recipes/smollm2-135m/owl_student.yml"

    def __init__(self, model: Path, data: Path, cache: Path) -> None:
        dataset = {"path": str(data), "ds_type": "json", "type": "chat_template", "field_messages": "messages"}
        dataset |= {"roles_to_train": ["assistant"], "train_on_eos": "turn", "train_on_eot": "turn"}
        self.overrides = {
            "base_model": str(model),
            "datasets": json.dumps([dataset]),
            "dataset_prepared_path": str(cache),
            "dataset_num_proc": "1",
            "bf16": "false",
            "micro_batch_size": "2",
            "gradient_accumulation_steps": "2",
            "effective_batch": "4",
            "num_epochs": "2",
            "save_steps": "20",
            "warmup_steps": "5",
        }
        offline = {"HF_HUB_OFFLINE": "1", "AXOLOTL_DO_NOT_TRACK": "1", "OMP_NUM_THREADS": "1"}
        self.environment = {**os.environ, **offline}

    def run(self, output: Path, **environment: str) -> tuple[int, str]:
        """Run by the documented command to the end, with more variables; returns the status and all that is printed."""
        launcher = ["accelerate.commands.launch", "--config_file", "accelerate_configs/cpu.yml"]
        done = subprocess.run(
            [sys.executable, "-m", *launcher, "-m", *self.command(output, {})],
            cwd=REPO_ROOT,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=HANG_SECONDS,
        )
        return done.returncode, done.stdout

    def fork(self, output: Path, *, torchrun: list[str] | None = None, **overrides: str) -> Forked:
        """Start the same run without the seconds of its imports; ``torchrun`` are the options of that launcher."""
        launched = {"ACCELERATE_USE_CPU": "true", "ACCELERATE_MIXED_PRECISION": "no"}  # as by Accelerate's launcher
        printed = output.with_name(f"{output.name}-printed.txt")
        return Forked(self.command(output, overrides), printed, {**self.environment, **launched}, torchrun)

    def command(self, output: Path, overrides: dict[str, str]) -> list[str]:
        values = {**self.overrides, "output_dir": str(output), **overrides}
        return ["axolotl.cli.train", self.recipe, *(f"--{key}={value}" for key, value in values.items())]


def ended(process: Forked) -> tuple[int | None, str]:
    """Wait for a run; returns its status and everything printed."""
    text, _ = process.communicate(timeout=HANG_SECONDS)
    return process.returncode, text


@pytest.fixture(scope="session")
def runner(tiny_model: Path, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    return Runner(tiny_model, tiny_data, tmp_path_factory.mktemp("prepared"))
