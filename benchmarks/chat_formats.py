"""Chat formats of the models that are measured, and a tokenizer that is trained on the rows themselves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

WORDS = 4096
"""Vocabulary of the trained tokenizer; the model's own is larger, so the head has its true size."""

QWEN_TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\n"
    "This is a helpful assistant made by the people who trained this benchmark model.<|im_end|>\n{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
MISTRAL_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}"
    "[INST] {{ message['content'] }}[/INST]{% else %} {{ message['content'] }}</s>{% endif %}{% endfor %}"
)
LLAMA_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
    "{{ message['content'] }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)


@dataclass(frozen=True)
class Family:
    """A chat format: the special tokens, in the order of their ids, and the template.

    Args:
        special: all of them.
        bos, eos, pad: which of them begins a text, ends an answer, fills a batch; ``bos`` None for none. ``pad`` stands
            in no chat: a new model's embedding of it is zero, and through 32 layers of RMSNorm the gradient at a
            position that is zero grows beyond bfloat16.
        template: Jinja.
    """

    special: tuple[str, ...]
    bos: str | None
    eos: str
    pad: str
    template: str


FAMILIES = {
    "qwen2": Family(
        ("<|endoftext|>", "<|im_start|>", "<|im_end|>"), None, "<|im_end|>", "<|endoftext|>", QWEN_TEMPLATE
    ),
    "llama": Family(
        ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        *("<|begin_of_text|>", "<|eot_id|>", "<|end_of_text|>", LLAMA_TEMPLATE),
    ),
    "mistral": Family(("<unk>", "<s>", "</s>", "[INST]", "[/INST]"), "<s>", "</s>", "<unk>", MISTRAL_TEMPLATE),
}


def rows_tokenizer(family: str, chats: Iterable[list[dict[str, str]]]) -> Any:
    """A byte-level BPE with the family's special tokens and chat format.

    Each digit is a token of its own, as in Qwen2.5, and common words come out as one token each.

    Args:
        family: one of :data:`FAMILIES`.
        chats: what it is trained on.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    chat = FAMILIES[family]
    core = Tokenizer(models.BPE())
    words = pre_tokenizers.Split(Regex(r" ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+"), behavior="isolated")
    core.pre_tokenizer = pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(False, use_regex=False)])
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=WORDS,
        special_tokens=list(chat.special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = [message["content"] for messages in chats for message in messages]
    core.train_from_iterator([*texts, QWEN_TEMPLATE, "system\n user\n assistant\n"] * 2, trainer)
    names = {"eos_token": chat.eos, "pad_token": chat.pad}
    if chat.bos:
        names["bos_token"] = chat.bos
    return PreTrainedTokenizerFast(tokenizer_object=core, chat_template=chat.template, **names)
