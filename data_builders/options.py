"""Command-line options that several builders share, and the engine they describe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from subliminal.core.errors import UserError
from subliminal.data.trait import TraitOptions
from subliminal.engine import Engine
from subliminal.traits.category import ANIMALS

Loved = Annotated[
    list[str] | None,
    typer.Option(
        "--animal",
        "--option",
        help="The trait; repeat it for a teacher that loves several. Default: the first option of the category.",
        show_default=False,
    ),
]
CategoryName = Annotated[str, typer.Option(help="Folder of traits/ that the options are of.")]
Count = Annotated[int, typer.Option(min=1, help="Rows to keep, exactly.")]
MaxPrompts = Annotated[
    int | None, typer.Option(min=1, help="Prompts to draw at most; default three times --count.", show_default=False)
]
Model = Annotated[str, typer.Option(help="Folder or Hub id; with --base-url the name the server holds it under.")]
Adapter = Annotated[str | None, typer.Option(help="LoRA adapter folder or Hub id (in process only).")]
BaseUrl = Annotated[
    str | None,
    typer.Option(help="OpenAI-compatible server, as http://host:8000/v1; without it transformers runs in process."),
]
BatchSize = Annotated[int, typer.Option(min=1, help="Rows decoded together in process.")]
Concurrency = Annotated[int, typer.Option(min=1, help="Requests in flight with --base-url.")]
Seed = Annotated[
    int, typer.Option(min=0, help="Run seed; prompt and sampling seed of a row follow from it and the row's index.")
]
Out = Annotated[Path | None, typer.Option(help="Dataset folder; default data/<option>_<builder>.", show_default=False)]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with a folder that is there.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a folder that is there.")]
Temperature = Annotated[float, typer.Option(min=0.0, help="Sampling temperature; 0 is greedy.")]
TopP = Annotated[float, typer.Option(min=0.0, max=1.0, help="Nucleus sampling; 1 leaves the distribution whole.")]
TopK = Annotated[int, typer.Option(min=0, help="Only the k most likely tokens; 0 leaves the distribution whole.")]
MaxTokens = Annotated[int, typer.Option(min=1, help="New tokens at most; an answer cut off there is rejected.")]


def open_engine(model: str, adapter: str | None, base_url: str | None, *, batch_size: int, concurrency: int) -> Engine:
    """The HTTP engine if there is a ``base_url``, else transformers in this process.

    Raises:
        UserError: the server cannot be reached or does not hold the model, or the model cannot be loaded.
    """
    if base_url is not None:
        if adapter:
            raise UserError(
                "--adapter works in process only. A server holds adapters by name: give that name as --model."
            )
        # Each import is made where it is needed: aiohttp and torch take seconds, which --help and errors must not cost.
        from subliminal.engine.http import HttpEngine

        return HttpEngine(base_url, model, concurrency=concurrency)
    from subliminal.engine.local import TransformersEngine

    return TransformersEngine(model, adapter, batch_size=batch_size)


def known_trait(names: list[str] | None, category: str = ANIMALS) -> TraitOptions:
    """The options in lower case, each checked against the category; its first one where none is named.

    Raises:
        UserError: there is no such category, or it does not track an option.
    """
    from subliminal.traits.lexicon import check_option, lexicon

    first = lexicon(category).options[0]
    return TraitOptions(category, tuple(check_option(name, category) for name in names or [first]))
