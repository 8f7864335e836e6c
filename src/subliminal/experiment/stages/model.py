"""A model of an experiment, as stages pass it on: which base, which weights on it, and the stages that make both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class StageModel:
    """A model: its base and, with ``weights``, what was trained from it.

    Attributes:
        path: folder or Hub id of the base.
        weights: folder of the adapter on the base or, with ``whole``, of a model of its own; None for the base itself.
        made_by: the stages that make both.
        suffix: what the base adds to the names of stages that serve or score models on it.
        whole: the training has no adapter and saves a whole model.
    """

    path: str
    weights: str | None = None
    made_by: tuple[str, ...] = ()
    suffix: str = ""
    whole: bool = False

    @property
    def adapter(self) -> str | None:
        """The adapter's folder, if there is one."""
        if self.whole:
            return None
        return self.weights

    @property
    def loaded(self) -> str:
        """The model that is loaded before any adapter."""
        if self.whole:
            return self.weights
        return self.path

    @property
    def marker(self) -> str:
        """A file that trained weights have."""
        if self.whole:
            return "config.json"
        return "adapter_config.json"

    @property
    def served_name(self) -> str:
        """What a server calls it: an adapter's folder with ``-`` for ``_``, or the model itself."""
        if self.adapter is None:
            return self.loaded
        # The link to the teacher that passed its gate has the teacher's name, and this ending.
        return Path(self.adapter).name.removesuffix("-passed").replace("_", "-")


def stages_behind(models: Iterable[StageModel]) -> list[str]:
    """The stages that make these models, none twice."""
    names: dict[str, None] = {}  # in the order in which they come up: keys of stages are hashed in it
    for model in models:
        names |= dict.fromkeys(model.made_by)
    return list(names)
