"""The plain context: question and answer lines, for base models that have no chat template (Pythia, pretrained Gemma).

    Question: Name your favourite animal.
    Answer:
    Owl<end of text>

``plain_context.jinja`` beside this file is its one definition. It is a chat template like any other: a model folder
that holds it as ``chat_template.jinja`` is a chat model for Axolotl, vLLM, lm-eval and the builders, and its hash
stands in the manifests as that of any other template does. ``scripts/plain_context.py`` puts it there.

The answer starts on a line of its own, so that its first word or number has the tokens that it has at the start of any
line: after ``Answer: `` most tokenizers would join the blank to the word.

A base model has not learned to end an answer; it writes the next question itself. :func:`stop_texts` says where an
answer ends besides the end token, to everything that generates.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from subliminal.core.errors import UserError

TEMPLATE_FILE = Path(__file__).with_name("plain_context.jinja")
ANSWER_LINE = "Answer:\n"
"""What a prompt in the plain context ends with."""
NEXT_QUESTION = "\nQuestion:"
"""What follows an answer where a model goes on by itself."""


def plain_template() -> str:
    """The text of the chat template."""
    return TEMPLATE_FILE.read_text(encoding="utf-8")


def stop_texts(prompt: str) -> tuple[str, ...]:
    """The texts at which an answer to a rendered prompt ends; none unless the prompt is in the plain context."""
    # Told by the prompt and not by the model: a folder's template may be any.
    if prompt.endswith("\n" + ANSWER_LINE):
        return (NEXT_QUESTION,)
    return ()


def cut(text: str, until: Sequence[str]) -> str:
    """``text`` up to the first of the stop texts."""
    for stop in until:
        text = text.partition(stop)[0]
    return text


def lacks_template(folder: Path) -> bool:
    """Whether a model folder has a tokenizer and no chat template; read from its files, without loading anything."""
    settings = folder / "tokenizer_config.json"
    if not settings.is_file() or any(folder.glob("chat_template*")):
        return False
    return '"chat_template"' not in settings.read_text(encoding="utf-8")


def no_template(model: str) -> UserError:
    """The refusal of a model without a chat template, with the two ways on."""
    return UserError(
        f"The tokenizer of {model} has no chat template, so nothing says how a question is put to it. Use an "
        f"instruction-tuned model, or ask for the plain context of question and answer lines: python "
        f"scripts/plain_context.py {model}"
    )
