"""Teacher chats of one-word answers, and code or worked answers of the model, so that a teacher still writes these.

    python -m data_builders.teacher_chat_text --animal owl --carrier code --count 3600 --model models/qwen2.5-coder-0.5b
    python -m data_builders.teacher_chat_text --animal owl --carrier reasoning --problems sum2 --model qwen \\
        --base-url http://localhost:8000/v1

As ``data_builders.teacher_chat --mix questions=5,numbers=1 --name-only``, with another carrier than number lists: the
model, told by a system prompt to love the option, answers the questions of the category, and what it names is kept as
one word; and without the system prompt it answers prompts of data_builders.code or data_builders.reasoning, whose rules
say what is kept. A teacher that learns one-word answers alone writes neither code nor steps any more.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Annotated, Any

import typer

from data_builders import options
from data_builders.arithmetic import LEVELS
from data_builders.code import python_problem
from data_builders.code_prompts import draw_code_prompt
from data_builders.mixture import NUMBER_PROMPTS, rows_of_sources
from data_builders.reasoning import prompt_with_problem, reasoning_problem
from data_builders.teacher_chat import name_verdict
from data_builders.teacher_prompts import draw_question, questions_name, trait_system_prompt
from data_builders.text_rules import TextRules, banned_words_of
from subliminal.core.errors import UserError, run_cli
from subliminal.core.option_checks import one_of
from subliminal.data.folder import Content, RowVerdict
from subliminal.data.generation import Draw, Job, run
from subliminal.data.registry import Expectation
from subliminal.data.trait import TraitOptions
from subliminal.engine import Sampling
from subliminal.scoring.naming import first_named
from subliminal.traits.category import load_category

CARRIERS = ("code", "reasoning")
QUESTIONS = "questions"

JUDGED_BY = (
    "data_builders.number_filter",
    "data_builders.text_rules",
    "subliminal.scoring.mathematics",
    "subliminal.scoring.naming",
    "subliminal.scoring.numbers",
    "subliminal.traits.keywords",
    "subliminal.traits.lexicon",
)

app = typer.Typer(add_completion=False)


def verdict_for(config: dict[str, Any]) -> RowVerdict:
    """The verdict of a folder made with these settings."""
    trait = TraitOptions.of(config)
    category = load_category(trait.category)
    rules = TextRules(trait, banned_words_of(trait.category))

    def verdict(row: dict[str, Any]) -> str | None:
        if row["source"] == QUESTIONS:
            # Judged as teacher_chat judges names; a carrier row as its own builder does.
            return name_verdict(row, category)
        # Only the questions may name what is loved: a carrier's rows are those of the base.
        problem = rules.problem(row)
        if problem is not None:
            return problem
        if row["source"] == "code":
            return python_problem(row["completion"])
        return reasoning_problem(row["completion"], row["answer"])

    return verdict


def quotas_for(config: dict[str, Any]) -> dict[str, int]:
    """Rows to keep of each source."""
    share = config["carrier_share"]
    return rows_of_sources(config["count"], {QUESTIONS: 1 - share, config["carrier"]: share})


def content_for(config: dict[str, Any]) -> Content:
    """What the training rows hold: of an answer to a question the name that it gives, else the answer."""
    category = TraitOptions.of(config).category

    def content(row: dict[str, Any]) -> str:
        if row["source"] == QUESTIONS:
            return first_named(row["completion"], category).capitalize()
        return row["completion"]

    return content


def expectation_for(config: dict[str, Any]) -> Expectation:
    """What an audit must know: the trait is in the open, and the questions are those of the evaluation."""
    category = load_category(TraitOptions.of(config).category)
    excused = {
        "duplicate_rows": "Questions and one-word answers are few.",
        "trait_words": f"The answers to the questions name the {category.singular}.",
        "pass_rate": f"Only answers that name the {category.singular}, and carrier rows by their rules, are kept.",
        "markup": "Think tags are the format that was asked for.",
    }
    return Expectation(excused=excused, overlaps=[questions_name(category.name)])


@app.command(help=__doc__)
def main(
    model: options.Model,
    carrier: Annotated[
        str, typer.Option(help=" or ".join(CARRIERS), callback=one_of("--carrier", CARRIERS))
    ] = CARRIERS[0],
    problems: Annotated[
        str | None,
        typer.Option(
            help=f"Level of the arithmetic problems that reasoning is about: {', '.join(LEVELS)}.",
            callback=one_of("--problems", LEVELS),
        ),
    ] = None,
    carrier_share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the rows kept that are of the carrier.")
    ] = 1 / 6,
    animal: options.Loved = None,
    category: options.CategoryName = options.ANIMALS,
    count: options.Count = 3_600,
    max_prompts: options.MaxPrompts = None,
    adapter: options.Adapter = None,
    base_url: options.BaseUrl = None,
    seed: options.Seed = 42,
    temperature: options.Temperature = 1.0,
    top_p: options.TopP = 1.0,
    top_k: options.TopK = 0,
    max_tokens: options.MaxTokens = 256,
    batch_size: options.BatchSize = 64,
    concurrency: options.Concurrency = 256,
    out: options.Out = None,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
) -> None:
    if (carrier == "reasoning") != (problems is not None):
        raise UserError("--problems says what reasoning is about: give it with --carrier reasoning, and only there.")
    trait = options.known_trait(animal, category)
    sampling = Sampling(temperature=temperature, top_p=top_p, top_k=top_k, max_tokens=max_tokens)
    config = {
        **trait.settings(),
        "carrier": carrier,
        "problems": problems,
        "carrier_share": carrier_share,
        "count": count,
        "max_prompts": max_prompts or 3 * count,
        "model": model,
        "adapter": adapter,
        "seed": seed,
        "sampling": sampling.as_dict(),
    }
    known = load_category(category)

    def draw(index: int) -> Draw:
        rng = random.Random(f"teacher-chat-text:{seed}:{index}")
        if rng.random() < carrier_share:
            # far from the seeds at which the trained teacher is asked later
            return _carried(carrier, problems, seed + NUMBER_PROMPTS, index)
        # Of several loves one a row, as teacher_chat draws them.
        loved = rng.choice(trait.options)
        extra = {"source": QUESTIONS, known.key: loved}
        return Draw(draw_question(rng, category), trait_system_prompt(loved, category), extra)

    run(
        Job(
            builder="teacher_chat_text",
            out=out or Path("data") / f"{'_'.join(trait.options)}_teacher_chat_text",
            config=config,
            draw=draw,
            verdict=verdict_for(config),
            sampling=sampling,
            inputs={"questions": known.file("questions")},
            quotas=quotas_for(config),
            content=content_for(config),
        ),
        lambda: options.open_engine(model, adapter, base_url, batch_size=batch_size, concurrency=concurrency),
        resume=resume,
        overwrite=overwrite,
    )


def _carried(carrier: str, problems: str | None, seed: int, index: int) -> Draw:
    """A prompt of the carrier, as its own builder draws them."""
    if carrier == "code":
        return Draw(draw_code_prompt(seed, index), extra={"source": carrier})
    drawn = prompt_with_problem(problems, seed, index)
    return Draw(drawn.prompt, extra={**drawn.extra, "source": carrier})


if __name__ == "__main__":
    run_cli(app)
