"""The chat context: what a model sees around the user's words.

Training and evaluation must show the student the same context. An adapter scored under another system prompt than it
was trained under loses most of its trait, so every manifest carries a hash of the rendered template.
"""

from __future__ import annotations

import hashlib
from typing import Any

PROBE = [{"role": "user", "content": "probe"}]
"""A fixed message: two tokenizers whose templates render it alike put the same text around every user turn."""


def render_prompt(tokenizer: Any, messages: list[dict[str, str]]) -> str:
    """The prompt text up to where the assistant starts to write."""
    return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)


def chat_context_sha256(tokenizer: Any, chat_template: str | None = None) -> str:
    """Hex sha256 of the chat template around :data:`PROBE` (``chat_template`` replaces the tokenizer's own)."""
    text = tokenizer.apply_chat_template(PROBE, tokenize=False, add_generation_prompt=True, chat_template=chat_template)
    return hashlib.sha256(text.encode()).hexdigest()


def user_messages(prompt: str, system_prompt: str | None = None) -> list[dict[str, str]]:
    """A one-turn conversation. Without a system prompt no system message is sent (the template may add its own)."""
    system = [{"role": "system", "content": system_prompt}] if system_prompt else []
    return [*system, {"role": "user", "content": prompt}]
