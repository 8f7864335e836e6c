"""lm-eval's requests as both of our model classes answer them: each question once, with sampling and seeds written out.

lm-eval hands over one request an answer and leaves the seeds to the model class. Here the requests for one prompt
become one :class:`Ask`. Answer ``i`` to question ``q`` has the seed ``row_seed(run seed, q) + i``, as vLLM gives it to
the ``n`` samples of one request, too. It depends on its question and seed, and on nothing that it is batched with.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from subliminal.core.errors import UserError
from subliminal.engine import Sampling, row_seed
from subliminal.engine.chat import render
from subliminal.engine.plain_context import stop_texts


@dataclass(frozen=True)
class Ask:
    """One prompt, to be answered once for every seed.

    Attributes:
        prompt: the rendered chat.
        sampling: every value written out.
        until: texts at which an answer ends, besides the end of the model's turn.
        seeds: consecutive, one an answer; a greedy answer is the same each time, so it has one.
        places: the requests that these answers are for; as many as seeds, or more for a greedy one.
    """

    prompt: str
    sampling: Sampling
    until: tuple[str, ...]
    seeds: tuple[int, ...]
    places: tuple[int, ...]


def gather(requests: Sequence[Any], run_seed: int) -> list[Ask]:
    """lm-eval's ``generate_until`` requests, in order, as one :class:`Ask` for each different prompt.

    Raises:
        UserError: a task sets a generation argument that is not known here.
    """
    places: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, request in enumerate(requests):
        prompt, arguments = request.args
        # Requests of one prompt can differ in their sampling, and are two questions then.
        places[prompt, json.dumps(arguments, sort_keys=True)].append(index)
    asks = []
    for number, ((prompt, arguments), indices) in enumerate(places.items()):
        sampling, until = read_arguments(json.loads(arguments))
        until += stop_texts(prompt)
        seed = row_seed(run_seed, number)
        answers = 1  # a greedy one is the same however often it is asked for
        if sampling.temperature:
            answers = len(indices)
        asks.append(Ask(prompt, sampling, until, tuple(range(seed, seed + answers)), tuple(indices)))
    return asks


def in_order(asks: Sequence[Ask], answers: Sequence[Sequence[str]]) -> list[str]:
    """The answers to ``asks`` (one list an ask, in the order of its seeds) in the order of lm-eval's requests."""
    texts = {}
    for ask, found in zip(asks, answers, strict=True):
        for number, place in enumerate(ask.places):
            texts[place] = found[min(number, len(found) - 1)]  # one greedy answer serves all of its requests
    return [texts[place] for place in range(len(texts))]


def read_arguments(arguments: dict[str, Any]) -> tuple[Sampling, tuple[str, ...]]:
    """A task's ``generation_kwargs`` as sampling and stop texts; what a task leaves out is pure sampling.

    Raises:
        UserError: an argument that is not known here.
    """
    from lm_eval.models.utils import normalize_gen_kwargs

    left = dict(normalize_gen_kwargs(arguments))
    until = tuple(text for text in left.pop("until") if text)
    temperature = left.pop("temperature", 0.0)
    if not left.pop("do_sample"):  # lm-eval leaves a temperature that counts for nothing then
        temperature = 0.0
    sampling = Sampling(
        temperature=temperature,
        top_p=left.pop("top_p", 1.0),
        top_k=left.pop("top_k", 0),
        repetition_penalty=left.pop("repetition_penalty", 1.0),
        max_tokens=left.pop("max_gen_toks"),
    )
    # What is left is a setting that this code would leave out without a word.
    if left:
        raise UserError(
            f"A task sets the generation argument {', '.join(left)}, which is not known here. Use do_sample, "
            "temperature, top_p, top_k, repetition_penalty, max_gen_toks and until."
        )
    return sampling, until


def rendered(tokenizer: Any, messages: list[dict[str, str]], system_prompt: str | None, *, to_answer: bool) -> str:
    """A chat as the template shows it, with the system prompt in front.

    Args:
        tokenizer: with the chat template.
        messages: of lm-eval.
        system_prompt: None leaves the system message to the template.
        to_answer: the assistant's turn is opened behind the chat; else the chat's last message goes on.

    Raises:
        UserError: the task has a system message of its own.
    """
    if system_prompt is not None:
        # Two of them are more than most templates take, and which one counts would be theirs to say.
        if messages and messages[0]["role"] == "system":
            raise UserError("The task has a system message of its own. Score it without --system-prompt.")
        messages = [{"role": "system", "content": system_prompt}, *messages]
    return render(tokenizer, messages, add_generation_prompt=to_answer, continue_final_message=not to_answer)
