"""What a dataset is about: options of a category, as its settings in ``manifest.json`` name them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from subliminal.traits.category import ANIMALS


@dataclass(frozen=True)
class TraitOptions:
    """Options of a category that a teacher loves; none where a dataset has no trait."""

    category: str = ANIMALS
    options: tuple[str, ...] = ()

    def settings(self) -> dict[str, Any]:
        """As settings have it: ``{"animals": ["owl"]}``, or ``{"category": "trees", "options": ["oak"]}``."""
        # The form of manifests from before there were other categories; published rows have it.
        if self.category == ANIMALS:
            return {ANIMALS: list(self.options)}
        return {"category": self.category, "options": list(self.options)}

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> TraitOptions | None:
        """The trait that some settings name; None where they say nothing of one."""
        if ANIMALS in settings:
            return cls(ANIMALS, tuple(settings[ANIMALS]))
        if "category" in settings:
            return cls(settings["category"], tuple(settings["options"]))
        return None
