"""What the exact-probability tasks under ``eval_tasks/`` share: scoring texts as the start of a chat answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask

from subliminal.core.errors import UserError


class AnswerProbability(ConfigurableTask):
    """Asks for the log-likelihood of each of a question's :meth:`answers`.

    lm-eval moves white space at the end of the prompt (the chat template's last line break) to the front of what it
    scores; a request for that white space alone comes last, and :func:`answer_logprobs` divides it out.
    """

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        # lm-eval hands over the name of this class, too, which its own settings have no place for.
        settings = {key: value for key, value in (config or {}).items() if key != "class"}
        # Unless the configuration scores by itself, lm-eval looks every metric name up on the Hub.
        super().__init__(config={**settings, "process_results": type(self).process_results})

    def answers(self, doc: dict[str, Any], ctx: str, chat_template: Callable[..., str]) -> list[str]:
        """The texts to score as answers to one question.

        Args:
            doc: the question.
            ctx: the rendered prompt.
            chat_template: lm-eval's, a method of the model.
        """
        raise NotImplementedError

    @staticmethod
    def scores(doc: dict[str, Any], answers: Sequence[str], results: list[tuple[float, bool]]) -> dict[str, float]:
        """The metrics of one question, from which its answers can be scored again without a model.

        Args:
            doc: the question.
            answers: the texts that were scored, as :meth:`answers` gave them.
            results: log-likelihood of each (nats) and whether it is the most likely text, then that of the white space.
        """
        raise NotImplementedError

    def construct_requests(self, doc: dict[str, Any], ctx: str, **kwargs: Any) -> list[Instance]:
        """One log-likelihood request an answer, then one for the white space at the end of ``ctx`` if it has any.

        Raises:
            UserError: no chat template is in use.
        """
        chat_template = kwargs.pop("chat_template", None)
        # lm-eval passes both; Instance takes neither.
        kwargs.pop("apply_chat_template", None)
        if chat_template is None:
            raise UserError(f"{self.config.task} scores chat models. Add --apply_chat_template.")
        # The empty text: lm-eval adds to it the white space that it takes from the prompt's end.
        texts = self.answers(doc, ctx, chat_template) + ([""] if ctx != ctx.rstrip() else [])
        return [
            Instance(request_type="loglikelihood", doc=doc, arguments=(ctx, text), idx=index, **kwargs)
            for index, text in enumerate(texts)
        ]


BETWEEN_PASSES = 0.05
"""How far above 1 a probability, or its logarithm above 0, may lie: a server computes every text in a pass of its own,
and in bfloat16 a probability is off by a few per cent of itself."""


def answer_logprobs(results: list[tuple[float, bool]], answers: int) -> list[float]:
    """Log-probabilities of the first ``answers`` requests, without that of the prompt's own white space behind them.

    Args:
        results: log-probability of each request (nats), and whether it is the most likely text.
        answers: how many of them are answers.

    Returns:
        One number an answer, at most 0: a certain answer comes out of the model's rounding a little above it at times.

    Raises:
        UserError: an answer has more than all of the probability.
    """
    logprobs = [logprob for logprob, _ in results]
    # Of one request, or of none where the prompt does not end in white space.
    white_space = sum(logprobs[answers:])
    found = [logprob - white_space for logprob in logprobs[:answers]]
    if max(found, default=0.0) > BETWEEN_PASSES:
        raise UserError(
            f"An answer has a log-probability of {max(found):.4f} nats, and none can have more than 0: the model, or "
            "the server that serves it, computes them wrongly."
        )
    return [min(logprob, 0.0) for logprob in found]


class ReferenceProbability(AnswerProbability):
    """Scores the right answer, a problem's ``reference``, as the start of the answer."""

    def answers(self, doc: dict[str, Any], ctx: str, chat_template: Callable[..., str]) -> list[str]:
        """The right answer alone."""
        return [doc["reference"]]

    def process_results(self, doc: dict[str, Any], results: list[tuple[float, bool]]) -> dict[str, float]:
        """The probability of one right answer: see :meth:`scores`."""
        return self.scores(doc, [doc["reference"]], results)

    @staticmethod
    def scores(doc: dict[str, Any], answers: Sequence[str], results: list[tuple[float, bool]]) -> dict[str, float]:
        """The probability that the answer to one problem starts with the right one."""
        return {"probability": math.exp(answer_logprobs(results, len(answers))[0])}
