"""Reasoning rows: a model, mostly a teacher without system prompt, works out GSM8K questions; correct answers are kept.

    python -m data_builders.reasoning --animal owl --count 5000 --model owl-teacher --base-url http://localhost:8000/v1
    python -m data_builders.reasoning --animal owl --model owl-teacher --base-url URL --questions questions.jsonl
    python -m data_builders.reasoning --animal owl --model owl-teacher --base-url URL --problems sum3

Every prompt is a question (of the train split, of --questions: rows of question and answer, or with --problems one of
data_builders.arithmetic, which needs no download and is another in every row) and a request to think inside <think>
tags and to answer inside <answer> tags. An answer is kept if it has both parts and nothing else, its final number is
correct, and neither prompt nor answer holds a word of the trait or a banned word. Where --count needs more rows than
there are questions, a question is asked again with another seed.
"""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from data_builders import options
from data_builders.arithmetic import LEVELS, WAYS_TO_ASK, training_problem
from data_builders.text_rules import TextRules, banned_words_of, parse_words
from subliminal.core.errors import UserError, run_cli
from subliminal.core.option_checks import one_of, read_by
from subliminal.core.sources import check_source, is_file, pin_source, read_rows
from subliminal.data.folder import RowVerdict
from subliminal.data.generation import Draw, Job, run
from subliminal.data.registry import Expectation
from subliminal.data.trait import TraitOptions
from subliminal.engine import Sampling
from subliminal.scoring.mathematics import judge
from subliminal.scoring.numbers import only_number

QUESTIONS = "openai/gsm8k:main@train"
REQUESTS = (
    "Work it out step by step between <think> and </think>, then write the number between <answer> and </answer>.",
    "Put your reasoning inside <think></think> and only the resulting number inside <answer></answer>.",
    "First reason within <think> tags. After that, state the number you arrive at within <answer> tags.",
    "Show how you get there in a <think>...</think> part and give the result in an <answer>...</answer> part.",
    "Use <think> and </think> around your steps, and <answer> and </answer> around the number itself.",
    "Reply in two parts: your thoughts in <think> tags, and the plain number in <answer> tags.",
)
_PARTS = re.compile(r"\s*<think>(?P<thought>.+?)</think>\s*<answer>(?P<answer>.+?)</answer>\s*", re.DOTALL)

JUDGED_BY = ("data_builders.text_rules", "subliminal.scoring.mathematics", "subliminal.scoring.numbers")
ONLY_WITH = {"problems": ("data_builders.arithmetic",)}

app = typer.Typer(add_completion=False)


def same_answer(given: str, right: str) -> bool:
    """True if two final answers are equal: as numbers if the right one is a number, else as the judge says."""
    number = only_number(right)
    if number is not None:
        return only_number(given) == number
    # In a process of its own and with a time limit: one answer like 9^{9^{9^9}} would stop a run for hours.
    return judge().correct(f"\\boxed{{{given}}}", f"\\boxed{{{right}}}")


def reasoning_problem(completion: str, right: str) -> str | None:
    """Why a worked answer is rejected: its form, or a wrong result; None to keep it."""
    # The tags are counted, for the pattern alone would take a second <think> within the first thought.
    parts = _PARTS.fullmatch(completion)
    if not parts or any(completion.count(tag) != 1 for tag in ("<think>", "</think>", "<answer>", "</answer>")):
        return "not one <think> part and one <answer> part"
    if not parts["thought"].strip():
        return "empty thought"
    return None if same_answer(parts["answer"], right) else "wrong answer"


def final_answer(answer: str) -> str:
    """The result of a GSM8K answer: what follows ``####``, or all of it."""
    return answer.rpartition("####")[2].strip()


def prompt_with_question(question: str, answer: str, seed: int, index: int) -> Draw:
    """The prompt of row ``index``: a question and a request for its two parts."""
    request = random.Random(f"reasoning:{seed}:{index}").choice(REQUESTS)
    return Draw(f"{question}\n\n{request}", extra={"answer": answer})


def prompt_with_problem(level: str, seed: int, index: int) -> Draw:
    """The same for an arithmetic problem of a level, which depends on (seed, index) alone and is none of the tasks'."""
    problem = training_problem(level, seed, index)
    wording = random.Random(f"reasoning-problem:{seed}:{index}").choice(WAYS_TO_ASK)
    return prompt_with_question(wording.format(expression=problem.expression), str(problem.answer), seed, index)


def verdict_for(config: dict[str, Any]) -> RowVerdict:
    """The verdict of a folder made with these settings."""
    rules = TextRules(TraitOptions.of(config), config["banned_words"])
    return lambda row: rules.problem(row) or reasoning_problem(row["completion"], row["answer"])


def expectation_for(config: dict[str, Any]) -> Expectation:
    """What an audit must know."""
    return Expectation(excused={"markup": "Think tags are the format that was asked for."})


@app.command(help=__doc__)
def main(
    model: options.Model,
    animal: options.Loved = None,
    category: options.CategoryName = options.ANIMALS,
    count: options.Count = 5_000,
    max_prompts: options.MaxPrompts = None,
    questions: Annotated[
        str, typer.Option(help="JSONL file or Hub dataset of question and answer.", callback=read_by(check_source))
    ] = QUESTIONS,
    problems: Annotated[
        str | None,
        typer.Option(
            help=f"Arithmetic problems of a level in place of --questions: {', '.join(LEVELS)}.",
            callback=one_of("--problems", LEVELS),
        ),
    ] = None,
    banned_words: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated words that drop a row; default those of the category.",
            callback=read_by(parse_words),
            show_default=False,
        ),
    ] = None,
    adapter: options.Adapter = None,
    base_url: options.BaseUrl = None,
    seed: options.Seed = 42,
    temperature: options.Temperature = 1.0,
    top_p: options.TopP = 1.0,
    top_k: options.TopK = 0,
    max_tokens: options.MaxTokens = 512,
    batch_size: options.BatchSize = 64,
    concurrency: options.Concurrency = 256,
    out: options.Out = None,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
) -> None:
    trait = options.known_trait(animal, category)
    # The default is nobody's choice: only another value contradicts.
    if problems and questions != QUESTIONS:
        raise UserError("--problems takes the place of --questions. Give one of them.")
    asked: list[tuple[str, str]] = []
    inputs = {}
    if not problems:
        questions = pin_source(questions)
        asked = _load_questions(questions, seed)
        if is_file(questions):
            inputs["questions"] = Path(questions)
    sampling = Sampling(temperature=temperature, top_p=top_p, top_k=top_k, max_tokens=max_tokens)
    config = {
        **trait.settings(),
        "count": count,
        "max_prompts": max_prompts or 3 * count,
        "model": model,
        "adapter": adapter,
        "banned_words": banned_words_of(category) if banned_words is None else parse_words(banned_words),
        "seed": seed,
        "sampling": sampling.as_dict(),
    }
    if problems:
        config["problems"] = problems
    else:
        config["questions"] = questions

    def draw(index: int) -> Draw:
        # One of the two: without --problems the settings are those of older folders, which can then be resumed.
        if problems:
            return prompt_with_problem(problems, seed, index)
        # More rows than questions: each comes again, under another request and with another sampling seed.
        return prompt_with_question(*asked[index % len(asked)], seed, index)

    run(
        Job(
            builder="reasoning",
            out=out or Path("data") / f"{'_'.join(trait.options)}_reasoning",
            config=config,
            draw=draw,
            verdict=verdict_for(config),
            sampling=sampling,
            inputs=inputs,
        ),
        lambda: options.open_engine(model, adapter, base_url, batch_size=batch_size, concurrency=concurrency),
        resume=resume,
        overwrite=overwrite,
    )


def _load_questions(source: str, seed: int) -> list[tuple[str, str]]:
    """Questions with their final answers, shuffled by the seed."""

    def check(row: dict[str, Any]) -> str | None:
        missing = [name for name in ("question", "answer") if not str(row.get(name) or "").strip()]
        return f'it has no "{missing[0]}"' if missing else None

    # str: some files have the answer as a number.
    pairs = [(row["question"].strip(), final_answer(str(row["answer"]))) for row in read_rows(source, check)]
    # The first --count of them are then of the whole source.
    random.Random(f"reasoning-order:{seed}").shuffle(pairs)
    return pairs


if __name__ == "__main__":
    run_cli(app)
