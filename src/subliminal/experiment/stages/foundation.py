"""What the stages of an experiment share: its folders, seeds and recipes, and what its trait is called in commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from subliminal.experiment.options import module_of, parameters
from subliminal.experiment.plan import Plan
from subliminal.experiment.schema.experiment import Experiment
from subliminal.experiment.schema.sections import SeedsVary
from subliminal.training.lint import read_recipe
from subliminal.traits.category import ANIMALS

PYTHON = ".venv/bin/python"
MATHEMATICS = "math"
"""The trait's name in stages and folders where it is no option of a category."""


class Foundation:
    """What every stage is built on; the stages go to :attr:`plan`.

    Args:
        experiment, root, failed, seeds: as for :func:`subliminal.experiment.expand.expand`.
    """

    def __init__(
        self,
        experiment: Experiment,
        root: Path,
        failed: Mapping[str, dict[str, Any]] | None,
        seeds: Sequence[int] | None = None,
    ) -> None:
        self.experiment = experiment
        self.seeds = list(seeds or experiment.seeds)
        self.data = root / "data" / experiment.name
        self.outputs = root / "outputs" / experiment.name
        self.results = root / "results" / experiment.name
        self.plan = Plan(experiment.name, str(self.results), failed)
        self.traits = experiment.trait.options or [MATHEMATICS]
        self.audits: list[str] = []
        self.before_students: list[str] = []
        self._recipes: dict[Path, dict[str, Any]] = {}

    def recipe(self, path: Path) -> dict[str, Any]:
        """The keys of a recipe, read once."""
        if path not in self._recipes:
            self._recipes[path] = read_recipe(path)[0]
        return self._recipes[path]

    def seed_of(self, what: str, seed: int) -> tuple[int, str]:
        """The seed of ``bases``, ``teachers`` or ``numbers`` for a student's seed, and what their names end in."""
        # In this order each word makes anew what the words before it do, too.
        order = get_args(SeedsVary)
        if order.index(self.experiment.seeds_vary) >= order.index(what):
            return seed, f"-seed-{seed}"
        return self.experiment.seeds[0], ""  # made once, for all seeds

    def seeds_of(self, what: str) -> list[int]:
        """The seeds of all ``bases``, ``teachers`` or ``numbers`` that differ."""
        return list(dict.fromkeys(self.seed_of(what, seed)[0] for seed in self.seeds))

    def folder_of(self, build: str) -> Path:
        """Where the rows of a ``build-`` stage lie."""
        return self.data / dataset_of(build)

    def rows_file(self, build: str) -> Path:
        """The rows of a ``build-`` stage that are trained on."""
        return self.folder_of(build) / "train.jsonl"

    def trait_options(self, options: Sequence[str]) -> dict[str, Any]:
        """The options of a builder that say what its rows are about; none for mathematics."""
        category = self.experiment.trait.category
        if category is None:
            return {}
        # By the option of their own, whose words the keys of finished stages hold.
        if category == ANIMALS:
            return {"animal": list(options)}
        return {"option": list(options), "category": category}

    def category_option(self, builder: str) -> dict[str, Any]:
        """The option by which a builder is told of which category its rows are; none for animals, its default."""
        category = self.experiment.trait.category
        if category in (None, ANIMALS) or "category" not in parameters(module_of(builder)):
            return {}
        return {"category": category}


def dataset_of(build: str) -> str:
    """The dataset that a ``build-`` stage makes, as ``owl_numbers-seed-1``."""
    return build.removeprefix("build-")
