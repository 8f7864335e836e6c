"""Questions to a running OpenAI-compatible server: what it holds, whether an adapter is in use, which chat template."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from subliminal.core.errors import UserError
from subliminal.engine.chat import PROBE, context_sha256
from subliminal.engine.client import ask

UNCERTAIN_TEXTS = (
    "My favourite thing about the forest at night is the",
    "Here is a list of numbers: 482, 117, 903,",
    "When someone asks me which animal I like best, I say",
    "The result of the last experiment was",
)
"""Texts whose next token is uncertain, so that any change of the weights shows in its probabilities."""

SMALLEST_DIFFERENCE = 1e-3
"""Nats below which base and adapter count as equal. Trained adapters differ by tenths of a nat and more."""


def model_names(base_url: str, timeout: float = 30) -> list[str]:
    """The names that requests may give as ``model``: the base model's, then the adapters'."""
    return [model["id"] for model in ask(base_url, "/v1/models", timeout=timeout)["data"]]


def check_server(base_url: str, base_name: str, adapters: Iterable[str] = ()) -> dict[str, float]:
    """Check that a server holds the model and that every adapter is in use.

    Returns:
        adapter name -> largest difference of a next-token log-probability between adapter and base, in nats.

    Raises:
        UserError: no server, a name it does not have, or an adapter that changes nothing.
    """
    held = model_names(base_url)
    for name in (base_name, *adapters):
        if name not in held:
            raise UserError(f"The server at {base_url} has no {name}; it has {', '.join(held)}.")
    return {name: prove_adapter(base_url, base_name, name) for name in adapters}


def prove_adapter(base_url: str, base_name: str, adapter_name: str) -> float:
    """How far an adapter moves next-token log-probabilities after :data:`UNCERTAIN_TEXTS`: the largest change, in nats.

    A server that ignores an adapter answers as the base does. Kernels add noise of their own, so the base is measured
    twice, text by text and all at once, and the adapter must differ by more than twice as much as those two.

    Args:
        base_url: the server, with or without ``/v1``.
        base_name: the base model's name on that server.
        adapter_name: the adapter's.

    Raises:
        UserError: the adapter is not in use.
    """
    alone = [_next_token_logprobs(base_url, base_name, [text])[0] for text in UNCERTAIN_TEXTS]
    base = _next_token_logprobs(base_url, base_name, UNCERTAIN_TEXTS)
    adapter = _next_token_logprobs(base_url, adapter_name, UNCERTAIN_TEXTS)
    # Batches of another size run other kernels: what they change by themselves is no adapter's work.
    noise = max(map(largest_change, alone, base))
    difference = max(map(largest_change, base, adapter))
    # The second bound is for servers without any noise, where twice nothing would let any difference pass.
    if difference <= max(2 * noise, SMALLEST_DIFFERENCE):
        raise UserError(
            f"The adapter {adapter_name} is not in use at {base_url}: its next-token log-probabilities differ from "
            f"those of {base_name} by at most {difference:.2g} nats (noise {noise:.2g}). Check that its weights are "
            "not all zero, that its rank is within --max-lora-rank, and that the server loaded this adapter."
        )
    return difference


def _next_token_logprobs(base_url: str, model: str, prompts: Iterable[str]) -> list[dict[str, float]]:
    """For each prompt the 20 likeliest next tokens (as ``token_id:N``) with their log-probabilities."""
    body = {
        "model": model,
        "prompt": list(prompts),
        "max_tokens": 1,
        "temperature": 0,
        # vLLM's limit where it is started without another.
        "logprobs": 20,
        "return_tokens_as_token_ids": True,  # two tokens can have the same text
    }
    choices = ask(base_url, "/v1/completions", body)["choices"]
    # By index: a server may give its choices in any order.
    return [choice["logprobs"]["top_logprobs"][0] for choice in sorted(choices, key=lambda choice: choice["index"])]


def largest_change(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """The largest change of a log-probability between two top-N lists, in nats.

    A token that only one list has lies in the other at or below its last entry, which bounds the change from below.
    """
    # By identity: a mapping has no hash.
    floors = {id(one): min(one.values()), id(other): min(other.values())}

    def change(token: str) -> float:
        if token in one and token in other:
            return abs(one[token] - other[token])
        here, there = (one, other) if token in one else (other, one)
        return max(0.0, here[token] - floors[id(there)])

    return max(change(token) for token in {*one, *other})


def server_chat_context_sha256(base_url: str, model: str) -> str | None:
    """Hex sha256 of the server's chat template around ``PROBE``.

    It equals that of :func:`subliminal.engine.chat.chat_context_sha256`. None for a server that does not tell.
    """
    text = server_chat_text(base_url, model)
    if text is None:
        return None
    return context_sha256(text)


def server_chat_text(base_url: str, model: str) -> str | None:
    """The server's chat template around ``PROBE``, up to where the answer starts.

    The text comes from vLLM's ``/tokenize`` and ``/detokenize``. None for a server that does not have them.
    """
    try:
        tokens = ask(base_url, "/tokenize", {"model": model, "messages": PROBE, "add_generation_prompt": True})[
            "tokens"
        ]
        text = ask(base_url, "/detokenize", {"model": model, "tokens": tokens})["prompt"]
    except (UserError, KeyError):
        return None
    return text
