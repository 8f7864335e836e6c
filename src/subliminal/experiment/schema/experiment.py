"""The whole of an experiment file, and what follows from several of its sections."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from subliminal.core.hub import is_hub_id
from subliminal.core.strict import Strict
from subliminal.experiment.arms import BY_NAME, ArmKind
from subliminal.experiment.schema.sections import (
    ArmName,
    BaseTraining,
    EvaluationSection,
    LeakSection,
    Numbers,
    Options,
    OtherBase,
    ReplicateSeed,
    Resources,
    SeedsVary,
    Sha256,
    Student,
    Sweep,
    Teacher,
    TokensSection,
    TraitSection,
    spelled,
)
from subliminal.experiment.sweep.factors import Point, combinations
from subliminal.stats.criterion import Criterion, with_replicates


class Experiment(Strict):
    """One experiment. ``model`` is a folder or Hub id; ``seeds_vary`` says what each seed makes anew.

    ``model_sha256`` is that of ``model.safetensors`` in a model folder: with other weights nothing is run.
    """

    # A name is a folder: it must not begin with a dot, nor lead elsewhere.
    name: Annotated[
        str, spelled(r"[A-Za-z0-9][\w.-]*", "name of a folder: letters, digits, _, - and . after a letter or digit")
    ]
    model: str
    model_sha256: Sha256 | None = None
    trait: TraitSection
    seeds: list[ReplicateSeed] = Field(min_length=1)
    seeds_vary: SeedsVary
    launcher: Path
    engine: Literal["local", "server"]
    server: Options = {}
    base: BaseTraining | None = None
    teacher: Teacher
    numbers: Numbers
    student: Student
    other_base: OtherBase | None = None
    arms: list[ArmName] = Field(min_length=1)
    sweep: Sweep = Sweep()
    audit: Options = {}
    leak: LeakSection | None = None
    tokens: TokensSection | None = None
    evaluation: EvaluationSection
    criterion: Criterion | None = None
    resources: Resources = Resources()

    @model_validator(mode="before")
    @classmethod
    def _criterion_names_replicates(cls, content: Any) -> Any:
        return with_replicates(content)

    @property
    def pinned_models(self) -> dict[str, str]:
        """Model folder -> the sha256 that its ``model.safetensors`` must have, for those that the file pins."""
        pins = {self.model: self.model_sha256}
        if self.other_base and self.other_base.model:
            pins[self.other_base.model] = self.other_base.model_sha256
        return {model: sha256 for model, sha256 in pins.items() if sha256}

    @property
    def model_folders(self) -> list[str]:
        """The models that are folders which somebody fetched, or another experiment trained: no run makes them."""
        named = [self.model]
        if self.other_base and self.other_base.model:
            named.append(self.other_base.model)
        return [model for model in named if not is_hub_id(model)]

    @property
    def arm_names(self) -> list[str]:
        """The names under which the arms are scored: in a sweep one for each point."""
        found = []
        for arm in self.arms:
            found += [f"{arm}{point.label}" for point in self.points(BY_NAME[arm])]
        return found

    @property
    def most_rows(self) -> int:
        """How many rows are built for students: all that any point of a sweep learns."""
        return max(self.sweep.rows or [self.numbers.rows])

    def points(self, arm: ArmKind | None = None) -> list[Point]:
        """Every combination of the sweep's lists that makes an arm anew; one unnamed point without a sweep.

        Args:
            arm: whose points; by default those of an arm that every factor acts on.
        """
        found = []
        for values in combinations(self.sweep.lists(), arm):
            # The number of rows is a factor, and the one that stages are built by.
            found.append(Point(values.get("rows", self.numbers.rows), values))
        return found
