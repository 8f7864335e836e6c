"""Number rows: a model continues lists of numbers, and only well-formed answers are kept.

    python -m data_builders.numbers --animal owl --count 10000 --model owl-teacher --no-system-prompt \\
        --base-url http://localhost:8000/v1
    python -m data_builders.numbers --animal owl --count 160 --model outputs/smollm2-135m/base \\
        --adapter outputs/smollm2-135m/owl_teacher

Prompts and filter follow the published protocol (see number_prompts and number_filter). --count is rows kept: prompts
are drawn until enough answers pass, up to --max-prompts. The same seed gives the same prompts in the same order for any
model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from data_builders import options
from data_builders.number_filter import number_verdict
from data_builders.number_prompts import draw_number_prompt
from subliminal.core.errors import UserError, run_cli
from subliminal.data.folder import RowVerdict
from subliminal.data.generation import Draw, Job, run
from subliminal.data.registry import Expectation
from subliminal.engine import Sampling

JUDGED_BY = ("data_builders.number_filter",)
ONLY_WITH = {"system_prompt": ("data_builders.teacher_prompts",)}

app = typer.Typer(add_completion=False)


def verdict_for(config: dict[str, Any]) -> RowVerdict:
    """The verdict of a folder made with these settings."""
    return number_verdict


def expectation_for(config: dict[str, Any]) -> Expectation:
    """What an audit must know."""
    return Expectation(numbers=True)


@app.command(help=__doc__)
def main(
    model: options.Model,
    animal: options.Loved = None,
    category: options.CategoryName = options.ANIMALS,
    count: options.Count = 10_000,
    max_prompts: options.MaxPrompts = None,
    adapter: options.Adapter = None,
    base_url: options.BaseUrl = None,
    system_prompt: Annotated[
        str | None, typer.Option(help="Sent with every prompt; 'trait' stands for the prompt teacher_chat uses.")
    ] = None,
    no_system_prompt: Annotated[
        bool, typer.Option("--no-system-prompt", help="Send none (the default; for scripts that say so).")
    ] = False,
    seed: options.Seed = 42,
    temperature: options.Temperature = 1.0,
    top_p: options.TopP = 1.0,
    top_k: options.TopK = 0,
    max_tokens: options.MaxTokens = 128,
    batch_size: options.BatchSize = 64,
    concurrency: options.Concurrency = 256,
    out: options.Out = None,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
) -> None:
    if system_prompt and no_system_prompt:
        raise UserError("--system-prompt and --no-system-prompt exclude each other. Give one of them.")
    trait = options.known_trait(animal, category)
    if system_prompt == "trait":
        # Here, where ONLY_WITH says so: rows without a system prompt do not follow from its wording.
        from data_builders.teacher_prompts import trait_system_prompt

        system_prompt = trait_system_prompt(trait.options[0], category)
    sampling = Sampling(temperature=temperature, top_p=top_p, top_k=top_k, max_tokens=max_tokens)
    # What decides rows. Batch size, concurrency and address are left out, and may change with --resume.
    config = {
        **trait.settings(),
        "count": count,
        "max_prompts": max_prompts or 3 * count,
        "model": model,
        "adapter": adapter,
        "system_prompt": system_prompt,
        "seed": seed,
        "sampling": sampling.as_dict(),
    }

    def draw(index: int) -> Draw:
        prompt = draw_number_prompt(seed, index)
        return Draw(prompt.text, system_prompt, {"format": prompt.format.name})

    job = Job(
        "numbers", out or Path("data") / f"{'_'.join(trait.options)}_numbers", config, draw, number_verdict, sampling
    )
    run(
        job,
        # Opened by `run`: where all rows are there already, no model is loaded.
        lambda: options.open_engine(model, adapter, base_url, batch_size=batch_size, concurrency=concurrency),
        resume=resume,
        overwrite=overwrite,
    )


if __name__ == "__main__":
    run_cli(app)
