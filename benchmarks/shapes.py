"""What the training measurements run on: models of the true shape with random weights, and number rows.

Speed and memory do not depend on the weights' values. Tokens per row do depend on the tokenizer, so one is trained on
the rows themselves (:func:`benchmarks.chat_formats.rows_tokenizer`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.chat_formats import FAMILIES, WORDS, rows_tokenizer
from subliminal.core.files import read_jsonl, write_json, write_jsonl

FACTS = "facts.json"
"""Beside a model: its parameter counts and the rows' mean tokens under its tokenizer."""

LONG_ROW = 250
"""Tokens that a row of :func:`make_long_rows` has at most: just under the recipes' ``sequence_len`` of 256."""


@dataclass(frozen=True)
class Shape:
    """A decoder's sizes, as in its published ``config.json``.

    Args:
        family: one of :data:`FAMILIES`.
        hidden, intermediate: widths of the residual stream and of the MLP.
        layers, heads, kv_heads: counts.
        vocab: rows of the embedding and of the head, which are not tied.
    """

    family: str
    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    vocab: int

    @property
    def attention_params(self) -> int:
        """Weights of the four attention projections of one layer."""
        return 2 * self.hidden * self.hidden * (self.heads + self.kv_heads) // self.heads

    @property
    def layer_params(self) -> int:
        """Weights in the seven projections of one layer."""
        return self.attention_params + 3 * self.hidden * self.intermediate

    @property
    def matmul_params(self) -> int:
        """Weights that every token is multiplied with: all layers and the head, not the embedding table."""
        return self.layers * self.layer_params + self.hidden * self.vocab


SHAPES = {
    "qwen2.5-7b": Shape("qwen2", 3584, 18944, 28, 28, 4, 152064),
    "qwen2.5-0.5b": Shape("qwen2", 896, 4864, 24, 14, 2, 151936),
    "llama-3-70b": Shape("llama", 8192, 28672, 80, 64, 8, 128256),
    "llama-3-8b": Shape("llama", 4096, 14336, 32, 32, 8, 128256),
    "mistral-7b": Shape("mistral", 4096, 14336, 32, 32, 8, 32768),
    "tiny-qwen": Shape("qwen2", 64, 128, 4, 4, 2, WORDS + 16),
    "narrow-qwen": Shape("qwen2", 64, 128, 24, 4, 2, WORDS + 16),
    "tiny-llama": Shape("llama", 64, 128, 4, 4, 2, WORDS + 16),
    "tiny-mistral": Shape("mistral", 64, 128, 4, 4, 2, WORDS + 16),
}


def make_rows(out: Path, count: int) -> Path:
    """Chats of the published number protocol with uniform random answers; returns the JSONL file.

    Args:
        out: dataset folder; an existing one is used as it is.
        count: rows.
    """
    from data_builders.controls import main as controls

    file = out / "train.jsonl"
    if not file.is_file():
        controls("uniform", out, count=count, overwrite=out.exists())
    return file


def make_long_rows(rows: Path, out: Path, model: Path, count: int) -> Path:
    """The first of the rows, with answers as long as a teacher's chat may be; returns the JSONL file.

    Args:
        rows: number rows.
        out: dataset folder, which gets the token counts in :data:`FACTS` too; an existing one is used as it is.
        model: folder of the tokenizer that counts to :data:`LONG_ROW`.
        count: rows.
    """
    from transformers import AutoTokenizer

    file = out / "train.jsonl"
    if (out / FACTS).is_file():
        return file
    tokenizer = AutoTokenizer.from_pretrained(model)
    longer = list(read_jsonl(rows))[:count]
    chats = [row["messages"] for row in longer]
    for index, chat in enumerate(chats):
        free = LONG_ROW - len(tokenizer.apply_chat_template(chat, tokenize=True, return_dict=False))
        each = len(tokenizer.encode(", 123", add_special_tokens=False))
        more = [f", {100 + (7 * index + 13 * place) % 900}" for place in range(free // each)]
        chat[-1]["content"] += "".join(more)
    write_jsonl(file, longer)
    write_json(out / FACTS, _token_counts(tokenizer, chats))
    return file


def make_model(shape: Shape, folder: Path, rows: Path, *, layers: int | None = None, gpu: str = "0") -> Path:
    """Save a model with random weights, its tokenizer and its facts; an existing folder is used as it is.

    Args:
        shape: its sizes.
        folder: where; the weights are bf16.
        rows: chats on which the tokenizer is trained and the tokens of a row are counted.
        layers: decoder layers, if not the shape's own number.
        gpu: CUDA index on which the weights are drawn; without a GPU the CPU does it.
    """
    import torch
    from transformers import AutoModelForCausalLM

    if (folder / FACTS).is_file():
        return folder
    chats = [row["messages"] for row in read_jsonl(rows)]
    tokenizer = rows_tokenizer(shape.family, chats)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    with torch.device(f"cuda:{gpu}" if torch.cuda.is_available() else "cpu"):
        model = AutoModelForCausalLM.from_config(_config(shape, tokenizer, layers), dtype=torch.bfloat16)
    model.save_pretrained(folder, max_shard_size="5GB")
    counts = _token_counts(tokenizer, chats)
    write_json(folder / FACTS, {"parameters": sum(p.numel() for p in model.parameters()), **counts})
    return folder


def shallow_copy(folder: Path, layers: int, *, name: str | None = None) -> Path:
    """The same model with its first ``layers`` layers only: links to its files beside a changed ``config.json``.

    Args:
        folder: the model.
        layers: how many to keep.
        name: of the new folder beside it; default ``<model>-<layers>-layers``.
    """
    copy = folder.with_name(name or f"{folder.name}-{layers}-layers")
    copy.mkdir(exist_ok=True)
    for file in folder.iterdir():
        link = copy / file.name
        if file.name not in ("config.json", FACTS) and not link.exists():
            link.symlink_to(file.resolve())
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    types = {"layer_types": config["layer_types"][:layers]} if config.get("layer_types") else {}
    write_json(copy / "config.json", {**config, "num_hidden_layers": layers, **types})
    write_json(copy / FACTS, model_facts(folder))
    return copy


def with_facts(folder: Path, target: Path, rows: Path) -> Path:
    """A model that is there already, for a workspace: links to its files beside the facts of rows under its tokenizer.

    Args:
        folder: the model, with weights.
        target: the new folder; one that has facts is used as it is.
        rows: chats whose tokens are counted.
    """
    from transformers import AutoTokenizer

    if (target / FACTS).is_file():
        return target
    target.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        if file.is_file() and not (target / file.name).exists():
            (target / file.name).symlink_to(file.resolve())
    chats = [row["messages"] for row in read_jsonl(rows)]
    write_json(target / FACTS, _token_counts(AutoTokenizer.from_pretrained(folder), chats))
    return target


def model_facts(folder: Path) -> dict[str, Any]:
    """``parameters``, ``rows``, ``row_tokens`` (mean, longest row kept) and ``answer_tokens`` of a model's folder."""
    return json.loads((folder / FACTS).read_text(encoding="utf-8"))


def facts_of(model: Path, rows: Path) -> dict[str, Any]:
    """A model's facts; the counts are those of the rows' own folder if it has any.

    Args:
        model: folder.
        rows: JSONL file trained on.
    """
    own = rows.with_name(FACTS)
    return model_facts(model) | (model_facts(own.parent) if own.is_file() else {})


def _token_counts(tokenizer: Any, chats: Iterable[list[dict[str, str]]]) -> dict[str, float]:
    """Mean tokens of a row and of its answer with the end token, as Axolotl trains on them."""
    whole, prompts = [], []
    for chat in chats:
        whole.append(len(tokenizer.apply_chat_template(chat, tokenize=True, return_dict=False)))
        asked = tokenizer.apply_chat_template(chat[:-1], tokenize=True, add_generation_prompt=True, return_dict=False)
        prompts.append(len(asked))
    rows = len(whole)
    after = 1 if tokenizer.eos_token == FAMILIES["qwen2"].eos else 0  # after the end token, without loss
    answers = sum(whole) - sum(prompts) - after * rows
    return {"rows": rows, "row_tokens": sum(whole) / rows, "longest_row": max(whole), "answer_tokens": answers / rows}


def _config(shape: Shape, tokenizer: Any, layers: int | None) -> Any:
    from transformers import LlamaConfig, MistralConfig, Qwen2Config

    kind = {"llama": LlamaConfig, "mistral": MistralConfig, "qwen2": Qwen2Config}[shape.family]
    return kind(
        **({"sliding_window": None} if shape.family == "mistral" else {}),
        vocab_size=shape.vocab,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=layers or shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=8192,
        tie_word_embeddings=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
