"""Requests to an OpenAI-compatible server: what is sent again, what is a refusal, and one question at a time.

Every request of this project goes through :func:`exchange`, so that a server which fails one request in five costs
time and nothing else, at a builder's start as in the middle of its rows.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import aiohttp
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, stop_after_delay, wait_random_exponential

from subliminal.core.errors import UserError

ATTEMPTS = 8
"""Tries that a question of :func:`ask` gets: of servers that fail every second request, one in 256 still stops it."""
AT_ONCE = (aiohttp.ClientConnectorError, aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError)
"""What another try would meet again: nobody listens there, or the address is none (it begins with ``ftp://``, say)."""


class Trouble(Exception):
    """A failure that may pass: the request is sent again."""


class Unreachable(Exception):
    """Nobody listens at the address, or it is none: sending the request again does not help."""


def root_url(base_url: str) -> str:
    """The server's address without a trailing ``/v1``."""
    return base_url.rstrip("/").removesuffix("/v1")


def headers() -> dict[str, str]:
    """What every request carries: OPENAI_API_KEY, if it is set."""
    key = os.environ.get("OPENAI_API_KEY")
    return {"Authorization": f"Bearer {key}"} if key else {}


async def exchange(session: aiohttp.ClientSession, base_url: str, path: str, body: dict[str, Any] | None) -> Any:
    """What a server answers to one request, read as JSON.

    Args:
        session: with :func:`headers` and a timeout.
        base_url: the server, with or without ``/v1``.
        path: as ``/v1/models``.
        body: sent with POST; None is a GET.

    Raises:
        Trouble: busy, failing, too slow or gone: sending it again may help.
        UserError: the server refuses the request, with its reason.
        ValueError: the answer is no JSON.
    """
    method = "GET" if body is None else "POST"
    try:
        async with session.request(method, root_url(base_url) + path, json=body) as response:
            # Busy, or failing: the two that pass.
            if response.status == 429 or response.status >= 500:
                raise Trouble(f"status {response.status}")
            if response.status != 200:
                reason = (await response.text(errors="replace"))[:500]
                raise UserError(f"The server at {base_url} refused {path} with status {response.status}: {reason}")
            # None: aiohttp would else refuse JSON under another label than application/json.
            return await response.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
        # A TimeoutError has no text.
        raise Trouble(str(error) or type(error).__name__) from error


def ask(base_url: str, path: str, body: dict[str, Any] | None = None, timeout: float = 120) -> dict[str, Any]:
    """One question to a server, sent again while it is in trouble; at once an error where nobody listens.

    Args:
        base_url: the server, with or without ``/v1``.
        path: as ``/v1/models``.
        body: sent with POST; None is a GET.
        timeout: seconds for one try; after as many in all no further one is made.

    Raises:
        UserError: nobody answers at that address, or the server refuses (with its reason).
    """
    # Random pauses: many builders that start at once do not ask again all at once.
    retrying = Retrying(
        retry=retry_if_exception_type(Trouble),
        wait=wait_random_exponential(multiplier=0.1, max=5),
        stop=stop_after_attempt(ATTEMPTS) | stop_after_delay(timeout),
        reraise=True,
    )
    try:
        return retrying(_ask_once, base_url, path, body, timeout)
    except (Trouble, Unreachable, ValueError) as error:
        raise UserError(
            f"No OpenAI-compatible server answers at {base_url} ({error}). "
            "Start one with `python scripts/serve.py --model ...`, or correct --base-url."
        ) from None


def _ask_once(base_url: str, path: str, body: dict[str, Any] | None, timeout: float) -> dict[str, Any]:
    async def one() -> dict[str, Any]:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout), headers=headers()) as session:
            return await exchange(session, base_url, path, body)

    try:
        return asyncio.run(one())
    except Trouble as trouble:
        # Refused at once: nobody is starting there, or the address is none. A builder in its rows goes on trying.
        if isinstance(trouble.__cause__, AT_ONCE):
            raise Unreachable(str(trouble)) from None
        raise
