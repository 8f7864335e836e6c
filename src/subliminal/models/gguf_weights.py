"""From a GGUF file to a folder of bfloat16 safetensors; its tokenizer begins, ends and pads as the model wants."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError
from subliminal.models.catalogue import ModelSource

EMBEDDING = ("token_embd.weight", "output.weight")
"""The names of the input and of the output embedding in a GGUF file."""
SAME_MATRIX = 0.25
"""Mean absolute difference of two stored forms of one matrix, as a share of its mean absolute value, at most.

Q4_K against Q6_K of Qwen2.5-Coder-1.5B: 0.08; Q5_0 against Q8_0 of the 0.5B: 0.05; unrelated matrices: above 1.
"""


def expand_gguf(gguf: Path, model: ModelSource, made: Path) -> dict[str, Any]:
    """Write the model of a GGUF file as safetensors.

    Args:
        gguf: the file; it is parsed once, and each of its tensors expanded once.
        model: its tokens.
        made: the folder to write.

    Returns:
        Facts for the manifest: the quantisation types of the file's weights, and which form of a tied embedding that
        is stored twice was taken.

    Raises:
        UserError: two stored embeddings are not forms of one matrix.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    from subliminal.models.gguf_tokenizer import begin_texts_with, read_tokenizer

    if not sys.stderr.isatty():
        logging.disable_progress_bar()
    print("Expanding the quantised weights to bfloat16 safetensors ...", file=sys.stderr)
    with _parsed_once():
        tokenizer = read_tokenizer(gguf)
        weights = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16)
        facts = _tie_embedding(weights, gguf)
    # The converter takes no end token over: without these lines generation never stops at the end of a turn.
    tokenizer.eos_token = model.end_token
    tokenizer.pad_token = model.pad_token
    if model.begin_token:
        begin_texts_with(tokenizer, model.begin_token)
    tokenizer.clean_up_tokenization_spaces = False  # true would rewrite "12 , 34" as "12, 34" in every decoded answer
    tokenizer.model_max_length = weights.config.max_position_embeddings
    end, pad = tokenizer.convert_tokens_to_ids([model.end_token, model.pad_token])
    for config in (weights.config, weights.generation_config):
        config.bos_token_id = tokenizer.bos_token_id
        config.eos_token_id = end
        config.pad_token_id = pad
    if model.stop_tokens:
        weights.generation_config.eos_token_id = [end, *tokenizer.convert_tokens_to_ids(list(model.stop_tokens))]
    # How this process was told to load it: a model made without a network would differ from one made with it.
    for key in ("is_local", "local_files_only"):
        tokenizer.init_kwargs.pop(key, None)
    weights.save_pretrained(made)
    tokenizer.save_pretrained(made)
    return facts


@contextmanager
def _parsed_once() -> Iterator[None]:
    """Within the block a GGUF file is parsed at its first reading alone.

    transformers parses it anew for the configuration, the tokenizer and the weights, five times in all, and each time
    every word of the vocabulary becomes an array of its own, which takes longer than all else.
    """
    import gguf

    parse = gguf.GGUFReader
    once = cache(parse)
    # Looked up in the package at each reading, by transformers and by us.
    gguf.GGUFReader = lambda path: once(os.path.abspath(path))
    try:
        yield
    finally:
        gguf.GGUFReader = parse


def _tie_embedding(weights: Any, gguf: Path) -> dict[str, Any]:
    """Give input and output embedding the finer of the two forms that the file stores of one matrix.

    llama.cpp keeps the output embedding finer than the input's. A model that ties them has one matrix for both, and
    reading each from its own tensor leaves two that differ by their rounding: those that ``weights`` come with.
    """
    from gguf import GGUFReader
    from gguf.constants import GGML_QUANT_SIZES

    types = {tensor.name: tensor.tensor_type for tensor in GGUFReader(gguf).tensors}
    facts: dict[str, Any] = {"types": sorted({kind.name for kind in types.values()})}
    if not all(name in types for name in EMBEDDING):
        return facts

    def bits(name: str) -> float:
        # Bytes of a block, with its scales, over the values in it.
        values, size = GGML_QUANT_SIZES[types[name]]
        return 8 * size / values

    loaded = dict(zip(EMBEDDING, (weights.get_input_embeddings(), weights.get_output_embeddings()), strict=True))
    coarse, fine = sorted(EMBEDDING, key=bits)
    matrix = loaded[fine].weight.data.float()
    difference = float((matrix - loaded[coarse].weight.data.float()).abs().mean() / matrix.abs().mean())
    if difference > SAME_MATRIX:
        raise UserError(
            f"{gguf.name} stores two embeddings that differ by {difference:.0%} of their mean size, so they are not "
            "two forms of one tied matrix. This command expands tied models only; take the model from the Hub."
        )
    weights.config.tie_word_embeddings = True
    # One object for both, so that the file gets the matrix once.
    weights.get_input_embeddings().weight = weights.get_output_embeddings().weight = loaded[fine].weight
    return facts | {"embedding": f"{fine} ({types[fine].name})", "forms_differ_by": round(difference, 4)}
