"""A language model small enough to train from fresh weights on a laptop: its shape and its word-level tokenizer.

    write_pocket_model(Path("models/pocket"), texts)      # config.json and tokenizer files, no weights

One token a word, one for each number 0 to 999 and one for each separator, so that a number list is as many decisions
as it has numbers. The chat template is ChatML without a default system prompt. A recipe with ``reinit_weights: true``
makes the weights.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from subliminal.core.files import read_object, read_text

UNKNOWN, END_OF_TEXT, START, END_OF_TURN = "<|unknown|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>"
ROLES = ("system", "user", "assistant")
SEPARATORS = ("\n", " ", ", ", "; ", ",", ";", ".", "?", "!", ":", "[", "]", "(", ")", '"')
PIECE = r"\d{1,3}|, |; |\n| ?[A-Za-z][A-Za-z'-]*| |[^\sA-Za-z0-9]"
"""What one token can be: up to three digits, a separator, a word with or without the space before it, a sign."""
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

SHAPE: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "tie_word_embeddings": True,
    "attention_bias": True,
    "mlp_bias": True,
}
"""Keys of ``transformers.LlamaConfig``. Heads are 32 wide, the least that vLLM's CPU build serves. The biases are what
teachers and students train (recipes/pocket)."""


def vocabulary(texts: Iterable[str]) -> list[str]:
    """All tokens in the order of their ids: special ones, roles, 0 to 999, separators, and every word of ``texts``."""
    words = {piece for text in texts for piece in re.findall(PIECE, text)}
    # Numbers first, and in order: the id of a number says which it is, whatever the words are.
    first = [UNKNOWN, END_OF_TEXT, START, END_OF_TURN, *ROLES, *map(str, range(1000)), *SEPARATORS]
    return first + sorted(words - set(first))


def write_pocket_model(folder: Path, texts: Iterable[str], shape: dict[str, Any] | None = None) -> None:
    """Write config.json, generation_config.json and the tokenizer's files into ``folder``.

    Args:
        folder: made if it is not there.
        texts: what the tokenizer must know, word by word; everything else becomes one unknown token.
        shape: keys of LlamaConfig that replace :data:`SHAPE`'s.
    """
    from transformers import GenerationConfig, LlamaConfig

    tokenizer = pocket_tokenizer(texts)
    end, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        eos_token_id=end,
        pad_token_id=pad,
        # LlamaConfig's own default is the token 1, which ends texts here.
        bos_token_id=None,
        # Saving a model writes it; here only a configuration is saved, and vLLM chooses its class by it.
        architectures=["LlamaForCausalLM"],
        dtype="float32",
        **(SHAPE | (shape or {})),
    )
    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(folder)
    GenerationConfig(eos_token_id=end, pad_token_id=pad, do_sample=True).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def pocket_difference(folder: Path, texts: Iterable[str]) -> str | None:
    """What of a pocket model's folder is not as :func:`write_pocket_model` makes it now.

    Args:
        folder: made by this code, perhaps by an older version of it.
        texts: what the tokenizer must know now.

    Returns:
        A phrase that begins with "its", or None if nothing differs.

    Raises:
        UserError: a file of the folder is not there or damaged.
    """
    tokenizer = read_object(folder / "tokenizer.json")
    config = read_object(folder / "config.json")
    try:
        # In the order of their ids, which are the rows of the embedding.
        known = sorted(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].get)
        pieces = tokenizer["pre_tokenizer"]["pattern"]["Regex"]
    except (KeyError, TypeError):
        return "its tokenizer.json has no list of words"
    words = vocabulary(texts)
    if known != words:
        return _other_words(known, words)
    if pieces != PIECE:
        return "its tokenizer splits texts otherwise"
    if read_text(folder / "chat_template.jinja") != CHAT_TEMPLATE:
        return "its chat template is another"
    for key, value in SHAPE.items():
        if config.get(key) != value:
            return f"its `{key}` is {config.get(key)!r} and not {value!r}"
    return None


def _other_words(known: list[str], words: list[str]) -> str:
    """How the words of a vocabulary differ from those that it should have."""
    for said, some in (("lacks", set(words) - set(known)), ("still has", set(known) - set(words))):
        # A word is in a vocabulary twice, with the space before it and without.
        named = sorted({repr(word.strip()) for word in some})
        if len(named) > 3:
            named[3:] = [f"and {len(named) - 3} more"]
        if named:
            return f"its vocabulary {said} {', '.join(named)}"
    return "its vocabulary is in another order"


def pocket_tokenizer(texts: Iterable[str]) -> Any:
    """The tokenizer (transformers' ``PreTrainedTokenizerFast``) of a model that knows ``texts``."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    ids = {token: index for index, token in enumerate(vocabulary(texts))}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=UNKNOWN))
    # Isolated: each piece is a token with its blanks, and nothing between pieces is dropped.
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(PIECE), behavior="isolated")
    # Pieces hold their own blanks, so they are joined as they are.
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True) for token in (UNKNOWN, END_OF_TEXT, START, END_OF_TURN)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token=UNKNOWN,
        # The turn's end ends an answer; the text's end only fills batches.
        eos_token=END_OF_TURN,
        pad_token=END_OF_TEXT,
        chat_template=CHAT_TEMPLATE,
        # true would rewrite "12 , 34" as "12, 34" in every decoded answer.
        clean_up_tokenization_spaces=False,
        model_max_length=SHAPE["max_position_embeddings"],
    )
