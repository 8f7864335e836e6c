"""The factor ``layer_part``: a student that trains some layers of its base and leaves the others as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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
    return {UNFROZEN: [f"{within}{pattern}" for pattern in patterns]}
