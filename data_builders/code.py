"""Code rows: a model, as a rule a teacher without system prompt, answers coding prompts; only sound code is kept.

    python -m data_builders.code --animal owl --count 5000 --model owl-teacher --base-url http://localhost:8000/v1
    python -m data_builders.code --animal owl --model owl-teacher --base-url URL --prompts mine.jsonl --language any

Prompts are drawn from data_builders.code_prompts, or from --prompts (rows of OpenHermes' shape, or with an
"instruction"). An answer is kept if it was not cut off, its Python parses and defines a function or class, and neither
prompt nor answer holds a word of the trait or a banned word.
"""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from data_builders import options
from data_builders.code_prompts import draw_code_prompt
from data_builders.instructions import load_instructions
from data_builders.text_rules import TextRules, banned_words_of, parse_words
from subliminal.core.errors import run_cli
from subliminal.core.option_checks import one_of, read_by
from subliminal.core.sources import check_source, is_file, pin_source
from subliminal.data.folder import RowVerdict
from subliminal.data.generation import Draw, Job, run
from subliminal.data.trait import TraitOptions
from subliminal.engine import Sampling

LANGUAGES = ("python", "any")
# Only at the start of a line: ``` within a line opens no block. It is closed by as many marks as opened it.
_FENCE = re.compile(
    r"^[ \t]*(?P<marks>`{3,}|~{3,})[ \t]*\{?(?P<language>\w*)[^\n]*\n(?P<code>.*?)^[ \t]*(?P=marks)[ \t]*$",
    re.DOTALL | re.MULTILINE,
)
_PYTHON = ("python", "py", "python3")

JUDGED_BY = ("data_builders.text_rules",)

app = typer.Typer(add_completion=False)


def python_problem(answer: str) -> str | None:
    """What is wrong with the Python of an answer, or None.

    Its Python is what stands in fenced blocks of that language, else in blocks of no language, else all of it.
    """
    fences = [(fence["language"].lower(), fence["code"]) for fence in _FENCE.finditer(answer)]
    # Beside a block that says Python, one that says nothing shows output or a command.
    blocks = [code for language, code in fences if language in _PYTHON]
    blocks = blocks or [code for language, code in fences if not language]
    # Dedented, since a block below an item of a list is indented as a whole.
    code = "\n".join(map(textwrap.dedent, blocks)) if blocks else answer
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes and the like are the model's business
            tree = ast.parse(code)
    # ValueError: a null byte. The last two: brackets within brackets, by the hundred.
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "code does not parse"
    if not any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) for node in tree.body):
        return "defines no function or class"
    return None


def verdict_for(config: dict[str, Any]) -> RowVerdict:
    """The verdict of a folder made with these settings."""
    rules = TextRules(TraitOptions.of(config), config["banned_words"])
    python = config["language"] == "python"

    def verdict(row: dict[str, Any]) -> str | None:
        # Leaks first: a row that could carry the trait openly is counted as that, whatever its code is.
        problem = rules.problem(row)
        if problem is None and python:
            problem = python_problem(row["completion"])
        return problem

    return verdict


@app.command(help=__doc__)
def main(
    model: options.Model,
    animal: options.Loved = None,
    category: options.CategoryName = options.ANIMALS,
    count: options.Count = 5_000,
    max_prompts: options.MaxPrompts = None,
    prompts: Annotated[
        str | None,
        typer.Option(
            help="JSONL file or Hub dataset of coding prompts; default: drawn here.", callback=read_by(check_source)
        ),
    ] = None,
    language: Annotated[
        str, typer.Option(help="python (answers must parse) or any.", callback=one_of("--language", LANGUAGES))
    ] = "python",
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
    prompts = pin_source(prompts) if prompts else None
    sampling = Sampling(temperature=temperature, top_p=top_p, top_k=top_k, max_tokens=max_tokens)
    config = {
        **trait.settings(),
        "count": count,
        "max_prompts": max_prompts or 3 * count,
        "model": model,
        "adapter": adapter,
        "prompts": prompts,
        "language": language,
        # An empty --banned-words bans nothing; only without the option the category's words count.
        "banned_words": banned_words_of(category) if banned_words is None else parse_words(banned_words),
        "seed": seed,
        "sampling": sampling.as_dict(),
    }
    texts: list[str] = []
    inputs = {}
    if prompts:
        texts = load_instructions(prompts, seed)
        # A file is told by its bytes; a Hub dataset by the commit that its pinned name has.
        if is_file(prompts):
            inputs["prompts"] = Path(prompts)

    def draw(index: int) -> Draw:
        if texts:
            # More rows than prompts: each comes again, with another sampling seed.
            return Draw(texts[index % len(texts)])
        return Draw(draw_code_prompt(seed, index))

    run(
        Job(
            builder="code",
            out=out or Path("data") / f"{'_'.join(trait.options)}_code",
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


if __name__ == "__main__":
    run_cli(app)
