"""The sections of an experiment file, each with its keys, their types and what contradicts itself within it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from subliminal.core.errors import UserError, as_phrase
from subliminal.core.strict import Strict, repeated, shown
from subliminal.experiment.arms import ARMS
from subliminal.traits.category import ANIMALS
from subliminal.traits.checks import check_category
from subliminal.traits.lexicon import check_option

# A Literal and no check of ours, so that pydantic's message names the arms that there are.
ArmName = Literal[tuple(arm.name for arm in ARMS if arm.named)]
SeedsVary = Literal["students", "numbers", "teachers", "bases"]
"""What each seed makes anew: this and all that is made from it."""

Options = dict[str, Any]
"""Options of a command, as ``max_tokens: 56`` for ``--max-tokens 56``; checked against the command."""
Overrides = dict[str, Any]
"""Keys of a recipe with the values that replace the recipe's."""
RowCount = Annotated[int, Field(ge=1)]
ReplicateSeed = Annotated[int, Field(ge=0, le=4_000_000_000)]
"""What every library takes, with room for what is added to the seeds of further controls."""


def spelled(pattern: str, words: str) -> AfterValidator:
    """A check that a text matches all of a pattern; ``words`` say to people what it asks."""

    def check(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            raise ValueError(f"{shown(text)} is no {words}")
        return text

    return AfterValidator(check)


Sha256 = Annotated[str, spelled("[0-9a-f]{64}", "sha256: 64 digits and letters from a to f")]
Builder = Annotated[
    str, spelled(r"\w+( [\w-]+)?", "builder: a module of data_builders/, and one word behind it if it takes one")
]
"""A module of ``data_builders`` and its positional argument, if it takes one: ``controls uniform``."""
NUMBER_LISTS = "numbers"
"""The builder of the rows that arms are named after; arms that change lists need rows of it."""


class TraitSection(Strict):
    """What the teacher has: a love of options of a category (each is an experiment of its own), or mathematics.

    ``animals: [owl]`` is short for ``{category: animals, options: [owl]}``.
    """

    SHORT = (ANIMALS,)

    category: str | None = None
    options: list[str] = []
    mathematics: bool = False

    @model_validator(mode="before")
    @classmethod
    def _animals_are_a_category(cls, content: Any) -> Any:
        if not isinstance(content, dict) or ANIMALS not in content:
            return content
        if {"category", "options"} & content.keys():
            raise ValueError(f"`{ANIMALS}` stands for `category` and `options`: give it, or give these two")
        given = {key: value for key, value in content.items() if key != ANIMALS}
        return {"category": ANIMALS, "options": content[ANIMALS], **given}

    @model_validator(mode="after")
    def _one(self) -> TraitSection:
        if bool(self.options) == self.mathematics:
            raise ValueError("give one of `animals: [...]`, `category` with `options: [...]`, and `mathematics: true`")
        if bool(self.options) != (self.category is not None):
            raise ValueError("`category` and `options` belong together: give both, or neither")
        return self

    @field_validator("options")
    @classmethod
    def _tracked(cls, names: list[str], info: ValidationInfo) -> list[str]:
        # Checked in the order in which the fields stand above, so that the category is known by now.
        category = info.data.get("category")
        if category is None:
            return names
        try:
            check_category(category)
            options = [check_option(name, category) for name in names]
        except UserError as error:
            raise ValueError(as_phrase(error)) from None
        for option in repeated(options):
            raise ValueError(f"{option} is named twice; leave one out")
        return options


class BaseTraining(Strict):
    """A training before everything else: what it makes of the model is the base of all arms.

    ``further`` are keys of the recipe with other values where that base is trained on (``sweep.more_base_rows``).
    """

    recipe: Path
    builder: Builder
    rows: RowCount
    options: Options = {}
    overrides: Overrides = {}
    further: Overrides = {}


class Rung(Strict):
    """One step of the ladder that a teacher below its gate climbs: what differs from the teacher's own settings."""

    rows: RowCount | None = None
    overrides: Overrides = {}


class Gate(Strict):
    """The share of the trait that a teacher must reach, and what is tried, in order, while it does not.

    ``task`` is the category's with sampled answers, or the one with exact probabilities; by default the first.
    """

    at_least: float = Field(gt=0, le=1)
    task: str | None = None
    options: Options = {}
    ladder: list[Rung] = []


class NeutralTeacher(Strict):
    """What the neutral teacher is trained on: rows like the teacher's, by the same recipe, without the trait."""

    builder: Builder | None = None
    options: Options = {}


class Teacher(Strict):
    """``trained`` on chats (or mathematics), or ``system_prompt``: the base, told to have the trait."""

    kind: Literal["trained", "system_prompt"]
    recipe: Path | None = None
    builder: Builder | None = None
    rows: RowCount | None = None
    options: Options = {}
    overrides: Overrides = {}
    gate: Gate | None = None
    neutral: NeutralTeacher | None = None

    @model_validator(mode="after")
    def _complete(self) -> Teacher:
        of_training = ("recipe", "builder", "rows", "gate", "neutral")
        given = [name for name in of_training if getattr(self, name) is not None]
        if self.kind == "trained" and "recipe" not in given:
            raise ValueError("a trained teacher needs `recipe` (and `rows`, the chats that it is trained on)")
        if self.kind == "system_prompt" and given:
            raise ValueError(f"a system-prompted teacher is not trained: delete `{given[0]}`")
        return self


class DataType(Strict):
    """Rows of another type than number lists: what builds them, with its options."""

    builder: Builder
    options: Options = {}


class Numbers(Strict):
    """The rows that students learn: as many for every arm; number lists, unless ``builder`` makes others.

    ``data_types`` are what the values 1, 2, ... of ``sweep.data_type`` have students and controls learn in their place.
    """

    rows: RowCount
    builder: Builder = NUMBER_LISTS
    options: Options = {}
    data_types: list[DataType] = []


class Student(Strict):
    """The recipe of the student; every control is trained by it too, on other rows.

    ``layer_parts`` are lists of layers, counted from 0: what the values 1, 2, ... of ``sweep.layer_part`` train.
    ``lora_init`` says whose first weights the adapters of students and controls have: ``own`` ones of each training, or
    the ``teacher``'s. A recipe without an adapter has no such weights.
    """

    recipe: Path
    overrides: Overrides = {}
    lora_init: Literal["own", "teacher"] | None = None
    layer_parts: list[Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]] = []


class OtherBase(Strict):
    """Another base whose student learns the same teacher's numbers: another model and the student's recipe on it, or
    the base trained once more on the same rows with another seed."""

    model: str | None = None
    model_sha256: Sha256 | None = None
    seed_offset: Annotated[int, Field(ge=1)] | None = None
    recipe: Path | None = None
    overrides: Overrides = {}

    @model_validator(mode="after")
    def _one(self) -> OtherBase:
        if (self.model is None) == (self.seed_offset is None):
            raise ValueError("give either `model`, or `seed_offset`: what is added to the seed of the base's training")
        if (self.model is None) != (self.recipe is None):
            raise ValueError("`recipe` is the student's on the other `model`: give both, or neither")
        if self.model_sha256 and not self.model:
            raise ValueError("`model_sha256` is that of the other `model`, and none is given: delete it")
        return self


class Sweep(Strict):
    """Lists; every combination is trained, for every arm that the factors act on. Other stages run once.

    The keys are the factors of :data:`subliminal.experiment.sweep.factors.FACTORS`.
    """

    rank: list[Annotated[int, Field(ge=1)]] = []
    learning_rate: list[Annotated[float, Field(gt=0)]] = []
    rows: list[RowCount] = []
    epochs: list[Annotated[float, Field(gt=0)]] = []
    layer_part: list[Annotated[int, Field(ge=0)]] = []
    data_type: list[Annotated[int, Field(ge=0)]] = []
    clean_share: list[Annotated[float, Field(ge=0, lt=1)]] = []
    perturbation: list[Annotated[float, Field(ge=0)]] = []
    more_base_rows: list[Annotated[int, Field(ge=0)]] = []
    love: list[Annotated[float, Field(gt=0, le=1)]] = []
    loved: list[Annotated[int, Field(ge=1)]] = []

    def lists(self) -> dict[str, list[float]]:
        """Factor -> its values, for those that are swept."""
        return {name: values for name, values in self if values}


class LeakSection(Strict):
    """Teachers are measured against the base on ``rows`` number rows of the untuned base."""

    rows: RowCount


class TokensSection(Strict):
    """For arms that learn some of the teacher's tokens or rows.

    ``counterfactuals`` are other options of the trait's category: each has a teacher of its own, trained alike, and a
    token diverges where one of them (or the untuned base, or the neutral teacher) would not write it. ``share`` of the
    tokens, or ``rows_share`` of the rows, are chosen.
    """

    counterfactuals: list[str] = []
    share: float = Field(0.1, gt=0, lt=1)
    rows_share: float = Field(0.25, gt=0, lt=1)


class EvaluationSection(Strict):
    """lm-eval tasks, options of ``scripts/evaluate.py``, and epochs whose checkpoints are scored beside the end.

    ``epoch_tasks`` are the tasks of those checkpoints and ``epoch_arms`` the arms that have them, by default all;
    ``engine`` is who answers, by default the experiment's.
    """

    tasks: list[str] = Field(min_length=1)
    options: Options = {}
    engine: Literal["local", "server"] | None = None
    epochs: list[Annotated[int, Field(ge=1)]] = []
    epoch_tasks: list[str] = []
    epoch_arms: list[ArmName] = []


class Resources(Strict):
    """GPUs of one job of a kind, and CPU cores of any job (all of them where no GPU is used).

    ``per_gpu`` trainings or evaluations run on one GPU at a time: a small model alone leaves much of it idle. A server
    on one GPU whose ``gpu_memory_utilization`` is at most 1 / ``per_gpu`` takes one of these places, another has its
    GPUs alone.
    """

    train_gpus: int = Field(0, ge=0)
    per_gpu: int = Field(1, ge=1)
    generate_gpus: int = Field(0, ge=0)
    evaluate_gpus: int = Field(0, ge=0)
    threads: int | None = Field(None, ge=1)
