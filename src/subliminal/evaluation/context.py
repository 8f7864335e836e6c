"""The chat context that a model is scored in: that of its training, or one that was asked for by name."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError, one_line
from subliminal.core.manifest import read_manifest
from subliminal.engine.chat import PROBE, chat_context_sha256, context_sha256, prints_date, render_prompt
from subliminal.engine.local import LOADING_FAILED
from subliminal.engine.plain_context import no_template
from subliminal.evaluation.spec import EvaluationSpec


def chat_context(spec: EvaluationSpec, allowed: str | None = None) -> dict[str, Any]:
    """The chat context that a model is scored in, compared with the one that its adapter was trained in.

    Args:
        spec: model, adapter and system prompt. A system prompt is a wanted change of context: it is recorded and left
            out of the comparison.
        allowed: start (12 digits or more) of the hash of a context that may differ from the training's.

    Returns:
        ``chat_context_sha256`` as scored, and ``trained_chat_context_sha256`` (None if the training says nothing).

    Raises:
        UserError: no such model, no chat template, or the adapter was trained in another context.
    """
    # Loaded once, however many adapters on one base are scored.
    tokenizer = _chat_tokenizer(spec.model)
    own = chat_context_sha256(tokenizer)
    trained = None
    if spec.adapter:
        trained = read_manifest(Path(spec.adapter)).get("chat_context_sha256")
    # Twelve digits, as manifests and messages shorten a hash: fewer could fit by accident.
    is_allowed = bool(allowed) and len(allowed) >= 12 and own.startswith(allowed)
    if trained not in (None, own) and not is_allowed:
        dated = ""
        if prints_date(tokenizer):
            dated = (
                "The template prints today's date, and that may be all that differs: trainings before 28 November 2026 "
                "hashed the date of their day. "
            )
        raise UserError(
            f"The adapter {spec.adapter} was trained in another chat context ({trained[:12]}) than {spec.model} gives "
            f"now ({own[:12]}). {dated}"
            "Scored so, it would lose most of its trait: use the chat template of its training. "
            f"If you want to measure just that, name the context: --allow-context {own[:12]}"
        )
    scored = own
    if spec.system_prompt is not None:
        scored = context_with(tokenizer, spec.system_prompt)
    return {"chat_context_sha256": scored, "trained_chat_context_sha256": trained}


@cache
def _chat_tokenizer(model: str) -> Any:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(model)
    except LOADING_FAILED as error:
        raise UserError(f"The tokenizer of {model} cannot be loaded: {one_line(error)}.") from None
    if not tokenizer.chat_template:
        raise no_template(model)
    return tokenizer


def context_with(tokenizer: Any, system_prompt: str) -> str:
    """Hex sha256 of the chat template around a system message and the probe of :mod:`subliminal.engine.chat`."""
    messages = [{"role": "system", "content": system_prompt}, *PROBE]
    return context_sha256(render_prompt(tokenizer, messages))
