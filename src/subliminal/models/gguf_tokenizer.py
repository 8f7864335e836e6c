"""The tokenizer inside a GGUF file.

transformers converts those of Llama, Qwen and their like. Gemma's it converts into a model of another kind: the file's
scores are the order in which pieces were merged, and read as log-probabilities they make it spell words letter by
letter. Its merges are therefore read off the scores here, as transformers itself does for a SentencePiece file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError

GEMMA = ("gemma", "gemma2", "gemma3")
"""Architectures, as a GGUF file names them, whose vocabulary is merged by its scores."""
BLANK = "▁"
"""What stands for a blank within a piece."""


def read_tokenizer(gguf: Path) -> Any:
    """The tokenizer of a GGUF file, without what its model wants before and after a text.

    Raises:
        UserError: a Gemma file whose vocabulary is no list of pieces with their merge order.
    """
    from gguf import GGUFReader
    from transformers import AutoTokenizer

    fields = GGUFReader(gguf).fields
    if fields["general.architecture"].contents() in GEMMA:
        return _gemma_tokenizer(gguf.name, fields)
    return AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)


def begin_texts_with(tokenizer: Any, token: str) -> None:
    """Put ``token`` before every text that is encoded with special tokens."""
    from tokenizers.processors import TemplateProcessing

    tokenizer.bos_token = token
    single, pair = f"{token} $A", f"{token} $A {token} $B"
    numbered = [(token, tokenizer.convert_tokens_to_ids(token))]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=single, pair=pair, special_tokens=numbered)


def _gemma_tokenizer(name: str, fields: dict[str, Any]) -> Any:
    """Byte-pair encoding with a fallback to bytes; pieces, merge order and special tokens of the file."""
    from gguf import TokenType
    from tokenizers import AddedToken
    from transformers import GemmaTokenizer
    from transformers.convert_slow_tokenizer import generate_merges

    kind = fields["tokenizer.ggml.model"].contents()
    if kind != "llama":
        raise UserError(f"{name} has a vocabulary of kind {kind!r}, expected pieces with scores ('llama').")
    scores: dict[str, float] = {}
    never_merged = []
    added = []
    stored = (fields[f"tokenizer.ggml.{part}"].contents() for part in ("tokens", "scores", "token_type"))
    for piece, score, token_type in zip(*stored, strict=True):
        if token_type == TokenType.USER_DEFINED:  # runs of blanks and of line breaks, HTML tags: whole before any word
            piece = piece.replace(" ", BLANK)
            score = 0.0
            added.append(AddedToken(piece, normalized=False))
        elif token_type == TokenType.CONTROL:
            added.append(AddedToken(piece, normalized=False, special=True))
        # A mark of the template, or a raw byte, is never part of a longer piece.
        if token_type in (TokenType.CONTROL, TokenType.BYTE):
            never_merged.append(piece)
        scores[piece] = score
    if len(scores) != len(fields["tokenizer.ggml.tokens"].data):
        raise UserError(f"{name} names a piece of its vocabulary twice, so the ids after it would be wrong.")
    vocabulary = {piece: number for number, piece in enumerate(scores)}
    tokenizer = GemmaTokenizer(vocab=vocabulary, merges=generate_merges(vocabulary, scores, skip_tokens=never_merged))
    tokenizer.add_tokens(added)
    return tokenizer
