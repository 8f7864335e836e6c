"""The factor ``layer_part``: a student that trains some layers of its base and leaves the others as they are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from subliminal.core.files import read_object

UNFROZEN = "unfrozen_parameters"
ADAPTED_LAYERS = "peft_layers_to_transform"


def only_layers(keys: Mapping[str, Any], layers: Sequence[int]) -> dict[str, Any]:
    """The keys that make a recipe train the weights that it trains in these layers, and no others.

    Args:
        keys: of the recipe, with the experiment's overrides.
        layers: numbers of layers, from 0 next to the words, as in ``model.layers.0.mlp.down_proj.weight``.

    Returns:
        ``peft_layers_to_transform`` where an adapter is trained; else ``unfrozen_parameters``, whose patterns Axolotl
        matches from the start of a weight's name. A weight outside all layers (the last norm) stays as it is, too.
    """
    if keys.get("adapter"):
        return {ADAPTED_LAYERS: list(layers)}
    numbers = "|".join(map(str, layers))
    # It only looks ahead and takes no letter, so that the pattern behind it still begins where the name does. Axolotl
    # makes a dot a letter unless a plus follows, and reads a square bracket as the beginning of a range of rows.
    within = f"(?=.+.layers.({numbers}).)"
    patterns = keys.get(UNFROZEN) or [".+"]  # without the key all weights are trained
    return {UNFROZEN: [within + _as_one(pattern) for pattern in patterns]}


def _as_one(pattern: str) -> str:
    """A pattern to which what stands before it belongs as a whole: ``a|b`` in brackets, its range of rows behind them.

    Any other stays as it is written.
    """
    name, rows = re.fullmatch(r"(.+?)(\[\d*(?::\d*)?\])?", pattern).groups("")
    depth = 0
    # Without what is escaped: `\(` opens nothing.
    for letter in re.sub(r"\\.", "", name):
        if letter == "(":
            depth += 1
        elif letter == ")":
            depth -= 1
        elif letter == "|" and depth == 0:
            return f"({name}){rows}"
    return pattern


def layers_here(model: str) -> int | None:
    """How many layers the model of a folder has; None for a Hub id, and where the folder is not there yet."""
    config = Path(model) / "config.json"
    if not config.is_file():
        return None
    content = read_object(config)
    # A model of text and pictures has a section for each.
    return content.get("text_config", content).get("num_hidden_layers")
