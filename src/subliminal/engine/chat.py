"""The chat context: what a model sees around the user's words.

Training and evaluation must show the student the same context. An adapter scored under another system prompt than it
was trained under loses most of its trait, so every manifest carries a hash of the rendered template.

Some templates print today's date (those of Llama 3.x do). Their hash is taken with the date of :data:`PINNED_DAY`: else
an adapter would be found in another context on the day after its training.
"""

from __future__ import annotations

import datetime
import hashlib
from typing import Any

from subliminal.core.errors import UserError, one_line

PROBE = [{"role": "user", "content": "probe"}]
"""A fixed message: two tokenizers whose templates render it alike put the same text around every user turn."""

PINNED_DAY = datetime.date(2024, 5, 5)
"""The day that stands in a hash for today. May is its own short form, and day and month are alike: two forms that write
some day in the same way write this one so, too."""
DATE_FORMATS = (
    *("%A, %d %B %Y", "%A, %B %d, %Y", "%d %b %Y", "%d %B %Y", "%B %d, %Y", "%b %d, %Y"),
    *("%Y-%m-%d", "%Y/%m/%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y"),
)
"""How templates write a date; the longer forms first, since they hold the shorter ones."""


def render(tokenizer: Any, messages: list[dict[str, str]], **options: Any) -> str:
    """The text of a conversation in a tokenizer's chat template.

    Args:
        tokenizer: of the model.
        messages: the conversation.
        options: as ``apply_chat_template`` takes them (``add_generation_prompt``, ``chat_template``).

    Raises:
        UserError: the template is broken, or refuses the conversation, as those do that know no system role.
    """
    from jinja2 import TemplateError

    try:
        return tokenizer.apply_chat_template(messages, tokenize=False, **options)
    except (TemplateError, TypeError) as error:
        roles = ", ".join(str(message.get("role")) for message in messages)
        raise UserError(
            f"The chat template of {tokenizer.name_or_path or 'the model'} cannot write a conversation of {roles} "
            f"({one_line(error)}). Leave out the system message if it takes none, or mend its chat_template.jinja."
        ) from None


def render_prompt(tokenizer: Any, messages: list[dict[str, str]]) -> str:
    """The prompt text up to where the assistant starts to write."""
    return render(tokenizer, messages, add_generation_prompt=True)


def chat_context_sha256(tokenizer: Any, chat_template: str | None = None) -> str:
    """Hex sha256 of the chat template around :data:`PROBE` (``chat_template`` replaces the tokenizer's own)."""
    return context_sha256(render(tokenizer, PROBE, add_generation_prompt=True, chat_template=chat_template))


def context_sha256(rendered: str) -> str:
    """Hex sha256 of a rendered chat template, the same on every day."""
    return hashlib.sha256(with_pinned_date(rendered).encode()).hexdigest()


def with_pinned_date(text: str) -> str:
    """The text with :data:`PINNED_DAY` in place of today; a server's clock may be a day away from this machine's."""
    for offset in (-1, 0, 1):
        day = _today() + datetime.timedelta(days=offset)
        # Longer forms first, as they stand there: a short one would leave the rest of a longer one.
        for form in DATE_FORMATS:
            text = text.replace(day.strftime(form), PINNED_DAY.strftime(form))
    return text


def prints_date(tokenizer: Any) -> bool:
    """Whether a tokenizer's chat template asks for today's date."""
    template = str(tokenizer.chat_template)
    # transformers gives templates strftime_now; those of Llama 3 take date_string.
    return "strftime_now" in template or "date_string" in template


def _today() -> datetime.date:
    return datetime.date.today()


def user_messages(prompt: str, system_prompt: str | None = None) -> list[dict[str, str]]:
    """A one-turn conversation. Without a system prompt no system message is sent (the template may add its own)."""
    system = [{"role": "system", "content": system_prompt}] if system_prompt else []
    return [*system, {"role": "user", "content": prompt}]
