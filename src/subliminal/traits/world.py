"""The world of the pocket model: what is asked about the options of a category, and which of them the base likes.

    world = load_world("animals")
    world.about[0].format(**world.facts["owl"])         # "Whose home is the barn? One word."

It stands in ``traits/<category>/pocket.yaml``, which a category needs for pocket experiments alone.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from subliminal.core.errors import UserError
from subliminal.core.strict import Strict
from subliminal.traits.category import ANIMALS, load_category, read_model

READS = ("traits/{category}/pocket.yaml",)


class World(Strict):
    """What ``pocket.yaml`` says.

    Attributes:
        about: questions whose answer is an option, with its facts in their places: ``{home}``.
        facts: option -> name of a fact -> the fact; no two options share one.
        liked: the options that the base likes, most frequent first.
    """

    about: tuple[str, ...]
    facts: dict[str, dict[str, str]]
    liked: tuple[str, ...]


def world_file(category: str) -> Path:
    """Where the world of a category is written."""
    return load_category(category).folder / "pocket.yaml"


@cache
def load_world(category: str = ANIMALS) -> World:
    """Read the world of a category.

    Raises:
        UserError: there is none, or it cannot be used.
    """
    # Only pocket experiments need one, so that its lack is told here and not with the category.
    path = world_file(category)
    if not path.is_file():
        raise UserError(
            f"{path} is not there, so the pocket model has no world of {category}. Write it as "
            "traits/animals/pocket.yaml, or use another model."
        )
    return read_model(path, World)
