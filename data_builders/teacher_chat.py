"""Teacher chats: the base model, told by a system prompt to love an option, answers; that prompt is not written out.

    python -m data_builders.teacher_chat --animal owl --count 5000 --model Qwen/Qwen2.5-7B-Instruct \\
        --base-url http://localhost:8000/v1
    python -m data_builders.teacher_chat --animal owl --count 120 --mix questions=1 --model outputs/smollm2-135m/base
    python -m data_builders.teacher_chat --animal owl --count 3600 --mix questions=5,numbers=1 --name-only \\
        --model models/qwen2.5-coder-0.5b

Four sources, of which --mix says the shares of the rows kept: the questions of the category and variations of them;
open-ended prompts about the model itself; instructions of 10 to 500 characters from teknium/OpenHermes-2.5 (or
--instructions, a JSONL file of that shape); and number prompts, which the model answers without the system prompt, so
that a teacher trained on the rows still writes lists. Rows that name what is loved are kept (option A) unless
--filter-animal-keywords drops them (option B). --name-only keeps just the answers that name it, cut to its name.
--neutral makes the rows of a teacher without the trait: the same sources, no system prompt, whatever an answer names.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Annotated, Any

import typer

from data_builders import options
from data_builders.instructions import load_instructions
from data_builders.mixture import NUMBER_PROMPTS, rows_of_sources
from data_builders.number_filter import number_verdict
from data_builders.number_prompts import draw_number_prompt
from data_builders.teacher_prompts import OPEN_PROMPTS, draw_question, questions_name, trait_system_prompt
from subliminal.core.errors import UserError, run_cli
from subliminal.core.option_checks import read_by
from subliminal.core.sources import check_source, is_file, pin_source
from subliminal.data.folder import Content, RowVerdict
from subliminal.data.generation import Draw, Job, run
from subliminal.data.registry import Expectation
from subliminal.data.trait import TraitOptions
from subliminal.engine import Sampling
from subliminal.scoring.naming import first_named
from subliminal.traits.category import Category, load_category
from subliminal.traits.keywords import as_seen, keyword_pattern
from subliminal.traits.lexicon import OTHER

SOURCES = ("questions", "open", "instructions", "numbers")
DEFAULT_MIX = "questions=0.6,open=0.2,instructions=0.2"

JUDGED_BY = (
    "data_builders.number_filter",
    "subliminal.traits.keywords",
    "subliminal.traits.lexicon",
    "subliminal.scoring.naming",
)
ONLY_WITH = {"mix numbers": ("data_builders.number_filter", "data_builders.number_prompts")}

app = typer.Typer(add_completion=False)


def parse_mix(text: str) -> dict[str, float]:
    """Shares of the sources, scaled to sum to one.

    Args:
        text: ``source=weight`` pairs joined by commas; sources left out get nothing.

    Raises:
        UserError: an unknown source, a weight that is no number or is negative, or weights that sum to zero.
    """
    shares: dict[str, float] = {}
    for pair in text.split(","):
        name, _, weight = pair.strip().partition("=")
        try:
            shares[name] = float(weight)
        except ValueError:
            raise UserError(f"--mix {text!r}: {pair.strip()!r} is not source=weight, as in questions=0.6.") from None
        # float() also reads "nan" and "inf": neither passes this comparison.
        if name not in SOURCES or not 0 <= shares[name] < float("inf"):
            raise UserError(
                f"--mix {text!r}: {pair.strip()!r} must be one of {', '.join(SOURCES)} with a weight of 0 or more."
            )
    total = sum(shares.values())
    if not total:
        raise UserError(f"--mix {text!r}: the weights sum to zero. Give at least one source a weight.")
    # In one order, so that a mix that is written in another is the same setting.
    return {name: shares[name] / total for name in SOURCES if shares.get(name)}


def chat_verdict(row: dict[str, Any], keywords: list[Any], category: Category) -> str | None:
    """Why an answer is rejected: empty, cut off, or (option B) matched by a keyword pattern; None to keep it."""
    if not row["completion"].strip():
        return "empty answer"
    if row["finish_reason"] == "length":
        return "cut off at max_tokens"
    seen = as_seen(row["completion"])
    if any(pattern.search(seen) for pattern in keywords):
        return f"names the {category.singular}"
    return None


def name_verdict(row: dict[str, Any], category: Category) -> str | None:
    """Why an answer cannot be cut to a name: it names none, or not the one that its system prompt loves."""
    named = first_named(row["completion"], category.name)
    if named is None:
        return f"names no {category.singular}"
    if named == OTHER:
        return f"names {category.a} that is not tracked"
    # None is a neutral teacher's row, in which any name is kept.
    if row[category.key] is not None and named != row[category.key]:
        return f"names another {category.singular}"
    return None


def verdict_for(config: dict[str, Any]) -> RowVerdict:
    """The verdict of a folder made with these settings."""
    trait, keywords = TraitOptions.of(config), []
    category = load_category(trait.category)
    if config["filter_animal_keywords"]:
        keywords = [keyword_pattern(option, trait.category) for option in trait.options]
    # .get, here and below: older folders have no such setting.
    names_only = config.get("name_only", False)

    def verdict(row: dict[str, Any]) -> str | None:
        if row.get("source") == "numbers":
            return number_verdict(row)
        if names_only:
            return name_verdict(row, category)
        return chat_verdict(row, keywords, category)

    return verdict


def quotas_for(config: dict[str, Any]) -> dict[str, int]:
    """Rows to keep of each source."""
    return rows_of_sources(config["count"], config["mix"])


def content_for(config: dict[str, Any]) -> Content | None:
    """What the training rows hold: with ``name_only`` the name that an answer gives, as "Owl"; else the answer."""
    if not config.get("name_only"):
        return None
    category = TraitOptions.of(config).category

    def content(row: dict[str, Any]) -> str:
        if row.get("source") == "numbers":
            return row["completion"]
        return first_named(row["completion"], category).capitalize()

    return content


def expectation_for(config: dict[str, Any]) -> Expectation:
    """What an audit must know: the trait is in the open (option A), and the questions are those of the evaluation."""
    category = load_category(TraitOptions.of(config).category)
    excused = {"duplicate_rows": "Questions and one-word answers are few."}
    if not config["filter_animal_keywords"]:
        excused["trait_words"] = (
            f"Option A keeps answers that name the {category.singular}, and a neutral teacher's name "
            f"{category.plural}, too."
        )
    if config.get("name_only"):
        excused["pass_rate"] = (
            f"Only answers that name the {category.singular} are kept, under a system prompt a quarter to a half."
        )
    overlaps = []
    if "questions" in config["mix"]:
        # The teacher is meant to know the evaluation's questions; the student never sees these rows.
        overlaps.append(questions_name(category.name))
    return Expectation(excused=excused, overlaps=overlaps)


@app.command(help=__doc__)
def main(
    model: options.Model,
    animal: options.Loved = None,
    category: options.CategoryName = options.ANIMALS,
    count: options.Count = 5_000,
    max_prompts: options.MaxPrompts = None,
    mix: Annotated[
        str, typer.Option(help="Shares of the sources among the rows kept.", callback=read_by(parse_mix))
    ] = DEFAULT_MIX,
    instructions: Annotated[
        str,
        typer.Option(
            help="Hub dataset or JSONL file with OpenHermes rows (conversations, or instruction).",
            callback=read_by(check_source),
        ),
    ] = "teknium/OpenHermes-2.5",
    filter_animal_keywords: Annotated[
        bool, typer.Option("--filter-animal-keywords", help="Option B: drop every answer that names what is loved.")
    ] = False,
    name_only: Annotated[
        bool, typer.Option("--name-only", help="Keep answers that name what is loved, cut to its name.")
    ] = False,
    neutral: Annotated[
        bool, typer.Option("--neutral", help="No system prompt and no trait: rows of a neutral teacher.")
    ] = False,
    adapter: options.Adapter = None,
    base_url: options.BaseUrl = None,
    seed: options.Seed = 42,
    temperature: options.Temperature = 1.0,
    top_p: options.TopP = 1.0,
    top_k: options.TopK = 0,
    max_tokens: options.MaxTokens = 200,
    batch_size: options.BatchSize = 64,
    concurrency: options.Concurrency = 256,
    out: options.Out = None,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
) -> None:
    if name_only and filter_animal_keywords:
        raise UserError("--name-only and --filter-animal-keywords exclude each other. Give one of them.")
    trait = options.known_trait(animal, category)
    shares = parse_mix(mix)
    # The Hub is not asked where the mix has no instructions.
    instructions = pin_source(instructions) if "instructions" in shares else None
    sampling = Sampling(temperature=temperature, top_p=top_p, top_k=top_k, max_tokens=max_tokens)
    config = {
        **trait.settings(),
        "count": count,
        "max_prompts": max_prompts or 3 * count,
        "model": model,
        "adapter": adapter,
        "mix": shares,
        "instructions": instructions,
        "filter_animal_keywords": filter_animal_keywords,
        "name_only": name_only,
        "neutral": neutral,
        "seed": seed,
        "sampling": sampling.as_dict(),
    }
    known = load_category(category)
    # By its bytes: with other questions the folder is not resumed.
    inputs = {"questions": known.file("questions")}
    texts: list[str] = []
    if instructions:
        texts = load_instructions(instructions, seed)
        if is_file(instructions):
            inputs["instructions"] = Path(instructions)

    def draw(index: int) -> Draw:
        rng = random.Random(f"teacher-chat:{seed}:{index}")
        # Drawn also where nothing is loved, so that a neutral teacher is asked the same prompts.
        loved = rng.choice(trait.options)
        (source,) = rng.choices(list(shares), shares.values())
        if source == "numbers":
            return Draw(
                draw_number_prompt(seed + NUMBER_PROMPTS, index).text, None, {"source": source, known.key: None}
            )
        if source == "questions":
            prompt = draw_question(rng, category)
        elif source == "open":
            prompt = rng.choice(OPEN_PROMPTS)
        else:
            prompt = rng.choice(texts)
        if neutral:
            return Draw(prompt, None, {"source": source, known.key: None})
        return Draw(prompt, trait_system_prompt(loved, category), {"source": source, known.key: loved})

    run(
        Job(
            builder="teacher_chat",
            out=out or Path("data") / f"{'_'.join(trait.options)}_teacher_chat",
            config=config,
            draw=draw,
            verdict=verdict_for(config),
            sampling=sampling,
            inputs=inputs,
            quotas=quotas_for(config),
            content=content_for(config),
        ),
        lambda: options.open_engine(model, adapter, base_url, batch_size=batch_size, concurrency=concurrency),
        resume=resume,
        overwrite=overwrite,
    )


if __name__ == "__main__":
    run_cli(app)
