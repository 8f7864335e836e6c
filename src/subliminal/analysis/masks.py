"""Training rows with their loss mask, token by token, as Axolotl makes it of a recipe.

    reader = MaskReader(Path("recipes/pocket/owl_student.yml"), base_model="models/pocket")
    row = reader.read({"id": "a", "messages": [...]})
    print(marked(row))        # <|im_start|>user⏎Go on: 417, 5<|im_end|>⏎<|im_start|>assistant⏎«93, 12<|im_end|>»⏎

The tokenizer is loaded and the row tokenised by Axolotl's own functions: nothing here repeats its rules.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from subliminal.analysis.pages import visible
from subliminal.core.errors import UserError, one_line
from subliminal.engine.local import LOADING_FAILED
from subliminal.engine.plain_context import no_template
from subliminal.training.lint import read_recipe
from subliminal.training.values import quiet

NO_LOSS = -100
"""The label of a token that carries no loss."""


@dataclass(frozen=True)
class MaskedRow:
    """One row as a training sees it.

    Attributes:
        id: the row's.
        pieces: the text of each token.
        trained: of each, whether it carries loss.
        dropped: why the training leaves the row out, or None.
    """

    id: str
    pieces: list[str]
    trained: list[bool]
    dropped: str | None

    @property
    def learned(self) -> int:
        """Tokens that carry loss."""
        return sum(self.trained)


class MaskReader:
    """Tokenises rows as a recipe has Axolotl do it.

    Args:
        recipe: the file.
        base_model: folder or Hub id in place of the recipe's, which may not be trained yet.

    Raises:
        UserError: the recipe has no chats, or its tokenizer cannot be loaded or has no chat template.
    """

    def __init__(self, recipe: Path, base_model: str | None = None) -> None:
        settings, _ = read_recipe(recipe)
        datasets = settings.get("datasets") or []
        # The first dataset of chats: a recipe's others are not rendered.
        chats = next((data for data in datasets if data.get("type") == "chat_template"), None)
        if chats is None:
            raise UserError(f"{recipe} has no dataset of `type: chat_template`, so it renders no chats.")
        base = base_model or str(settings["base_model"])
        # Else Axolotl would report its use over the network.
        os.environ.setdefault("AXOLOTL_DO_NOT_TRACK", "1")
        self._longest = int(settings["sequence_len"])
        with quiet():
            from axolotl.prompt_strategies.chat_template import load
            from axolotl.utils.dict import DictDefault

            # Axolotl takes model and tokenizer from three keys, whichever are set.
            config = DictDefault({**settings, "base_model": base, "base_model_config": base, "tokenizer_config": base})
            self._tokenizer = _load_tokenizer(config, base)
            self._strategy = load(self._tokenizer, config, DictDefault(chats))

    def read(self, row: dict[str, Any]) -> MaskedRow:
        """A chat row with its mask.

        Args:
            row: with ``id`` and ``messages``, as a train.jsonl has it.
        """
        tokenised = self._strategy.tokenize_prompt(row)
        trained = [label != NO_LOSS for label in tokenised["labels"]]
        dropped = None
        # Axolotl drops a row that is longer than this, and one without loss, and says so only in a sum.
        if len(trained) > self._longest:
            dropped = f"more than {self._longest} tokens"
        elif not any(trained):
            dropped = "no token carries loss"
        pieces = [self._tokenizer.decode([token]) for token in tokenised["input_ids"]]
        return MaskedRow(row["id"], pieces, trained, dropped)


def _load_tokenizer(config: Any, base: str) -> Any:
    from axolotl.loaders import load_tokenizer
    from transformers import AutoTokenizer

    try:
        if not AutoTokenizer.from_pretrained(base).chat_template and config.chat_template == "tokenizer_default":
            raise no_template(base)
        return load_tokenizer(config)
    except LOADING_FAILED as error:
        raise UserError(
            f"The tokenizer of {base} cannot be loaded: {one_line(error)}. Name another folder of the same model with "
            "--base-model, or make this one first."
        ) from None


def marked(row: MaskedRow) -> str:
    """A row as one line of text, with what carries loss between « and »."""
    parts = []
    for trained, group in groupby(zip(row.pieces, row.trained, strict=True), key=lambda pair: pair[1]):
        text = visible("".join(piece for piece, _ in group))
        if trained:
            text = f"«{text}»"
        parts.append(text)
    return "".join(parts)
