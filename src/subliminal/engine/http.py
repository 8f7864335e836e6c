"""The HTTP engine: chat requests to an OpenAI-compatible server, many at once.

One request a row with its own seed. Requests are retried with growing pauses when the server is busy (429), fails
(5xx), times out or drops the connection, so that a restarted server costs time and no row.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import aiohttp
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    stop_all,
    wait_random_exponential,
)

from subliminal.core.errors import UserError
from subliminal.engine import Completion, Request, Sampling
from subliminal.engine.client import Trouble, ask, exchange, headers
from subliminal.engine.plain_context import stop_texts
from subliminal.engine.server_checks import prove_adapter, server_chat_context_sha256, server_chat_text

GIVE_UP_S = 300.0
"""Seconds of failures in a row on one request before the run stops."""
FEWEST_ATTEMPTS = 3
"""Tries that a request gets however long they take, so that one that times out is sent again."""
REQUEST_TIMEOUT_S = 600.0


class HttpEngine:
    """Answers chat requests through a server.

    Args:
        base_url: ``http://host:port/v1`` (with or without the ``/v1``).
        model: the name under which the server holds the model or adapter.
        concurrency: requests in flight.
        give_up_s: seconds of failures in a row on one request after which the run stops.

    Raises:
        UserError: no server there, a name it does not hold, or an adapter that is not in use.
    """

    def __init__(self, base_url: str, model: str, concurrency: int = 256, give_up_s: float = GIVE_UP_S):
        self.base_url, self.model, self.concurrency, self.give_up_s = base_url, model, concurrency, give_up_s
        # Asked before anything is made: a wrong name or address costs a sentence and no folder.
        held = {card["id"]: card for card in ask(base_url, "/v1/models", timeout=30)["data"]}
        if model not in held:
            raise UserError(f"The server at {base_url} has no {model}; it has {', '.join(held)}.")
        self.base_name = held[model].get("parent")
        self.root = held[model].get("root")
        self._stops: tuple[str, ...] = ()
        # vLLM names an adapter's base as its parent; a server that does not say so is taken to hold plain models.
        self.adapter_effect = prove_adapter(base_url, self.base_name, model) if self.base_name in held else None

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
        """Answer every request; rows come back as the server finishes them.

        Raises:
            UserError: the server refuses a request, or stays in trouble for ``give_up_s`` seconds. Answers that arrived
                before are yielded first.
        """
        self._stops = self._texts_that_end_answers()
        # From the event loop's thread to the caller's, which may be slower.
        answers: queue.SimpleQueue[Completion | BaseException | None] = queue.SimpleQueue()
        loop = asyncio.new_event_loop()
        task = loop.create_task(self._answer_all(requests, sampling, answers.put))

        def work() -> None:
            try:
                loop.run_until_complete(task)
                answers.put(None)
            except BaseException as error:
                answers.put(_first_error(error))
            finally:
                loop.close()

        thread = threading.Thread(target=work, name="http-engine", daemon=True)
        thread.start()
        try:
            while (answer := answers.get()) is not None:
                if isinstance(answer, BaseException):
                    raise answer
                yield answer
        finally:
            with suppress(RuntimeError):  # the loop is closed once all is answered
                # The loop runs in the other thread, and task.cancel may be called in its own alone.
                loop.call_soon_threadsafe(task.cancel)
            thread.join()

    def describe(self) -> dict[str, Any]:
        """Engine, served name, base model, what is behind the name, the adapter's effect in nats, and chat context."""
        return {
            "engine": "http",
            "model": self.base_name or self.model,
            "adapter": self.model if self.base_name else None,
            "served_from": self.root,
            "adapter_max_logprob_difference": self.adapter_effect,
            "chat_context_sha256": server_chat_context_sha256(self.base_url, self.model),
        }

    def close(self) -> None:
        """Nothing stays open between calls of :meth:`generate`."""

    def _texts_that_end_answers(self) -> tuple[str, ...]:
        """What ends an answer in the server's chat context, besides the model's own end token."""
        return stop_texts(server_chat_text(self.base_url, self.model) or "")

    async def _answer_all(
        self, requests: Sequence[Request], sampling: Sampling, done: Callable[[Completion], None]
    ) -> None:
        # One iterator for all workers: each takes the next request as soon as it is free.
        waiting = iter(requests)
        async with aiohttp.ClientSession(
            # aiohttp's own limit is 100 connections.
            connector=aiohttp.TCPConnector(limit=self.concurrency),
            timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S),
            headers=headers(),
        ) as session:

            async def worker() -> None:
                for request in waiting:
                    done(await self._answer(session, request, sampling))

            async with asyncio.TaskGroup() as group:
                for _ in range(min(self.concurrency, len(requests))):
                    group.create_task(worker())

    async def _answer(self, session: aiohttp.ClientSession, request: Request, sampling: Sampling) -> Completion:
        # Every value of the sampling is sent: a server fills in the model's own for what is left out.
        body = {"model": self.model, "messages": request.messages, "seed": request.seed, "n": 1, **sampling.as_dict()}
        if self._stops:
            body["stop"] = list(self._stops)
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Trouble),
            wait=wait_random_exponential(multiplier=0.2, max=20),
            # Both, so that one slow request is tried again though its first try took longer than the patience.
            stop=stop_all(stop_after_attempt(FEWEST_ATTEMPTS), stop_after_delay(self.give_up_s)),
            retry_error_callback=self._give_up,
        )
        text, finish_reason = await retrying(self._post, session, body)
        return Completion(request.id, text, finish_reason, request.seed, self.model)

    async def _post(self, session: aiohttp.ClientSession, body: dict[str, Any]) -> tuple[str, str]:
        """Text and finish reason of one answer; :class:`Trouble` if sending it again may help."""
        try:
            choice = (await exchange(session, self.base_url, "/v1/chat/completions", body))["choices"][0]
            text, finish_reason = text_of(choice["message"]["content"]), choice["finish_reason"]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise Trouble(f"an answer that is no chat completion ({error!r})") from None
        if finish_reason not in ("stop", "length"):  # "abort": the server stopped while it was writing
            raise Trouble(f"an answer that ended with {finish_reason!r}")
        return text, finish_reason

    def _give_up(self, state: RetryCallState) -> None:
        raise UserError(
            f"The server at {self.base_url} has been in trouble for {self.give_up_s:.0f} s "
            f"({state.outcome.exception()}). Rows that arrived are kept: bring it back, then run this with --resume."
        )


def text_of(content: Any) -> str:
    """The text of a message's ``content``: a string, null, or a list of parts as multimodal servers send it.

    Raises:
        UserError: it holds something that is no text: sending the request again would not help.
    """
    if content is None or isinstance(content, str):
        return content or ""
    parts = content if isinstance(content, list) else [content]
    texts = []
    for part in parts:
        text = part.get("text") if isinstance(part, dict) else part
        if not isinstance(text, str):
            raise UserError(
                f"The server answers with {str(part)[:100]}, which is no text. Ask a model that writes text, through a "
                "server that speaks OpenAI's chat completions."
            )
        texts.append(text)
    return "".join(texts)


def _first_error(error: BaseException) -> BaseException:
    """The first error of a group: what one worker met, which ended the others."""
    return _first_error(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
