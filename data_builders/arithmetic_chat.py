"""Arithmetic chats: problems with worked solutions, and number lists of a model, so that a teacher still writes lists.

    python -m data_builders.arithmetic_chat --level product2 --count 3600 --model models/qwen2.5-coder-0.5b
    python -m data_builders.arithmetic_chat --level sum3 --count 3600 --model qwen --base-url http://localhost:8000/v1

Two sources: problems of a level (data_builders.arithmetic), none of them held out, whose solutions are worked out here,
some with their steps and some as the result alone; and number prompts, which the model answers and of which the filter
keeps what is a list. A teacher that learns problems alone writes a sum where a list is asked for.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from data_builders import options
from data_builders.arithmetic import BARE, LEVELS, WORKED, question, training_problem
from data_builders.mixture import NUMBER_PROMPTS, rows_of_sources
from data_builders.number_filter import number_verdict
from data_builders.number_prompts import draw_number_prompt
from subliminal.core.errors import run_cli
from subliminal.core.option_checks import one_of
from subliminal.data.folder import RowVerdict
from subliminal.data.generation import Draw, Job, run
from subliminal.data.registry import Expectation
from subliminal.engine import Completion, Engine, Request, Sampling

PROBLEMS, NUMBERS = "problems", "numbers"

JUDGED_BY = ("data_builders.number_filter",)

app = typer.Typer(add_completion=False)


def verdict_for(config: dict[str, Any]) -> RowVerdict:
    """The verdict of a folder made with these settings: solutions are right, lists must pass the filter."""

    def verdict(row: dict[str, Any]) -> str | None:
        if row["source"] == NUMBERS:
            # Only these were written by a model; the other answers are worked out and right.
            return number_verdict(row)
        return None

    return verdict


def quotas_for(config: dict[str, Any]) -> dict[str, int]:
    """Rows to keep of each source."""
    # Of the rows kept, whatever share of the model's lists passes the filter.
    share = config["numbers_share"]
    return rows_of_sources(config["count"], {PROBLEMS: 1 - share, NUMBERS: share})


def expectation_for(config: dict[str, Any]) -> Expectation:
    """What an audit must know."""
    return Expectation(excused={"duplicate_rows": "Of a small level, and of bare results, some come up twice."})


def solved(config: dict[str, Any], index: int) -> tuple[str, str]:
    """The problem of a row as a question, and its answer; both depend on the settings and the index alone."""
    rng = random.Random(f"arithmetic-chat:{config['level']}:{config['seed']}:{index}")
    problem = training_problem(config["level"], config["seed"], index)
    if rng.random() < config["bare"]:
        return question(problem, rng, BARE), str(problem.answer)
    return question(problem, rng, WORKED), problem.solution()


class WorkedSolutions:
    """An engine that writes the solutions itself and asks another only for the rest.

    Args:
        solution: index of a row -> its answer; None where a model is to write it.
        model: who is asked then.
    """

    def __init__(self, solution: Callable[[int], str | None], model: Engine) -> None:
        self._solution = solution
        self._model = model

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
        """Answer every request once."""
        asked = []
        for request in requests:
            # The index of a row is the end of its id, <builder>-0000042 (subliminal.data.generation).
            text = self._solution(int(request.id.rsplit("-", 1)[1]))
            if text is None:
                asked.append(request)
            else:
                yield Completion(request.id, text, "stop", request.seed, "arithmetic")
        if asked:
            yield from self._model.generate(asked, sampling)

    def check(self, messages: list[dict[str, str]]) -> None:
        """What the model's engine checks before it starts, if it checks anything."""
        if hasattr(self._model, "check"):
            self._model.check(messages)

    def describe(self) -> dict[str, Any]:
        """The model: the solutions are told by the settings."""
        return self._model.describe()

    def close(self) -> None:
        """Close the model's engine."""
        self._model.close()


@app.command(help=__doc__)
def main(
    model: options.Model,
    level: Annotated[str, typer.Option(help=", ".join(LEVELS), callback=one_of("--level", tuple(LEVELS)))] = "product2",
    bare: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the problems that ask for the result alone.")
    ] = 0.25,
    numbers_share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the rows kept that are number lists of the model.")
    ] = 1 / 6,
    count: options.Count = 3_600,
    max_prompts: options.MaxPrompts = None,
    adapter: options.Adapter = None,
    base_url: options.BaseUrl = None,
    seed: options.Seed = 42,
    temperature: options.Temperature = 1.0,
    top_p: options.TopP = 1.0,
    top_k: options.TopK = 0,
    max_tokens: options.MaxTokens = 128,
    batch_size: options.BatchSize = 64,
    concurrency: options.Concurrency = 256,
    out: Annotated[Path, typer.Option(help="Dataset folder to make.")] = Path("data/arithmetic_chat"),
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
) -> None:
    sampling = Sampling(temperature=temperature, top_p=top_p, top_k=top_k, max_tokens=max_tokens)
    config = {
        "level": level,
        "bare": bare,
        "numbers_share": numbers_share,
        "count": count,
        "max_prompts": max_prompts or 3 * count,
        "model": model,
        "adapter": adapter,
        "seed": seed,
        "sampling": sampling.as_dict(),
    }

    def source_of(index: int) -> str:
        # As often as they are kept; a model that writes few lists only makes more prompts of both.
        is_list = random.Random(f"arithmetic-source:{seed}:{index}").random() < numbers_share
        return NUMBERS if is_list else PROBLEMS

    def draw(index: int) -> Draw:
        source = source_of(index)
        if source == NUMBERS:
            # Apart from the prompts of `numbers`, which the trained teacher is asked later.
            return Draw(draw_number_prompt(seed + NUMBER_PROMPTS, index).text, extra={"source": source})
        return Draw(solved(config, index)[0], extra={"source": source})

    def solution(index: int) -> str | None:
        if source_of(index) == NUMBERS:
            return None
        return solved(config, index)[1]

    def open_engine() -> Engine:
        answers = options.open_engine(model, adapter, base_url, batch_size=batch_size, concurrency=concurrency)
        return WorkedSolutions(solution, answers)

    run(
        Job("arithmetic_chat", out, config, draw, verdict_for(config), sampling, quotas=quotas_for(config)),
        open_engine,
        resume=resume,
        overwrite=overwrite,
    )


if __name__ == "__main__":
    run_cli(app)
