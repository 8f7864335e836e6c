"""Data and metrics of ``subliminal_addition`` and ``subliminal_addition_logprob``, and how the second one scores."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import datasets
from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask

from subliminal.errors import UserError
from subliminal.scoring_capability import addition_scores, metrics
from subliminal.scoring_tasks import lm_eval_dataset, mean_metrics, read_questions

__all__ = ["METRICS", "PROBABILITY_METRICS", "SumProbability", "addition_scores", "load_sums"]

METRICS = metrics("bare")
PROBABILITY_METRICS = mean_metrics(["probability"], higher_is_better=True)


def load_sums(**_: Any) -> dict[str, datasets.Dataset]:
    """The sums beside this file in a mixed order that is always the same, so that ``--limit`` takes some of all sizes.

    lm-eval passes its metadata, which is not needed.
    """
    rows = read_questions(Path(__file__).with_name("sums.jsonl"))
    random.Random("subliminal-addition").shuffle(rows)
    return lm_eval_dataset(rows)


class SumProbability(ConfigurableTask):
    """Scores the sum as the start of the answer.

    lm-eval moves white space at the end of the prompt (the chat template's last line break) to the front of what it
    scores; its probability is divided out.
    """

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        settings = {key: value for key, value in (config or {}).items() if key != "class"}
        # Unless the configuration scores by itself, lm-eval looks every metric name up on the Hub.
        super().__init__(config={**settings, "process_results": type(self).process_results})

    def construct_requests(self, doc: dict[str, Any], ctx: str, **kwargs: Any) -> list[Instance]:
        """One log-likelihood request for the sum, and one for the white space at the end of ``ctx`` if it has any.

        Raises:
            UserError: no chat template is in use.
        """
        kwargs.pop("apply_chat_template", None)
        if kwargs.pop("chat_template", None) is None:
            raise UserError("subliminal_addition_logprob scores chat models. Add --apply_chat_template.")
        texts = [doc["reference"]] + ([""] if ctx != ctx.rstrip() else [])
        return [
            Instance(request_type="loglikelihood", doc=doc, arguments=(ctx, text), idx=index, **kwargs)
            for index, text in enumerate(texts)
        ]

    def process_results(self, doc: dict[str, Any], results: list[tuple[float, bool]]) -> dict[str, float]:
        """The probability that the answer to one question starts with its sum."""
        (answer, _), *white_space = results
        return {"probability": math.exp(answer - sum(logprob for logprob, _ in white_space))}
