"""The factors of a sweep: what each varies, which arms have points of it, and how arms at a point are named.

    point_label({"clean_share": 0.25})          # "_c0.25"
    point_of("student_n1500_e3")                # ("student", {"rows": 1500.0, "epochs": 3.0})

:data:`FACTORS` is the one place that knows a factor: the key under ``sweep``, the letter in names, and what it acts on.
Arms that a factor does not act on are made once: with ``clean_share`` the student has a point for each share, and the
control of base numbers, whose rows are all clean, has none.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from subliminal.experiment.arms import ArmKind

ActsOn = Literal["training", "teacher's rows", "base", "teacher"]
OF_A_TEACHER = ("teacher", "random", "shuffled", "shuffled-rows", "other teacher", "reworded")
"""Whose rows an arm learns that another teacher makes anew."""


@dataclass(frozen=True)
class Factor:
    """One row of the table.

    Attributes:
        name: the key under ``sweep``.
        letter: stands before the value in the names of arms.
        what: what it is, for a reader of a report.
        acts_on: ``training``: every arm that learns number rows; ``teacher's rows``: those that learn the teacher's;
            ``base``: the base, and every arm that learns number rows on it; ``teacher``: the teacher, and the arms
            whose rows are made of what it wrote.
        nothing: the value at which nothing is changed; an arm at it has the arm's own name. None where there is none.
        key: of the recipe, where it is one.
        option: of the teacher's builder, where it is one.
        doubling: its effect is told for a doubling (a fit over the logarithm of its values). Each doubling doubles the
            steps of a training, whichever factor it is of.
        splits: what one trait alone would get is split among as many; its effect is held against an equal split.
    """

    name: str
    letter: str
    what: str
    acts_on: ActsOn = "training"
    nothing: float | None = None
    key: str | None = None
    option: str | None = None
    doubling: bool = False
    splits: bool = False

    def has_points(self, arm: ArmKind) -> bool:
        """Whether an arm has a point for each value of this factor."""
        if self.acts_on == "teacher's rows":
            return arm.rows == "teacher"
        if self.acts_on == "teacher":
            return arm.name == "teacher" or arm.rows in OF_A_TEACHER
        if self.acts_on == "base":
            return arm.base == "first" and (arm.name == "base" or arm.rows is not None)
        return arm.rows is not None


FACTORS = (
    Factor("rank", "r", "rank of the adapter", key="lora_r"),
    Factor("learning_rate", "lr", "learning rate", key="learning_rate"),
    Factor("rows", "n", "number rows", doubling=True),
    Factor("epochs", "e", "epochs", key="num_epochs", doubling=True),
    Factor("layer_part", "y", "part of the layers that students train (0: all)", nothing=0),
    Factor("data_type", "d", "type of the rows that students learn (0: number lists)", nothing=0),
    Factor("clean_share", "c", "share of the rows that the untuned base wrote", "teacher's rows", nothing=0),
    Factor("perturbation", "p", "relative distance of the student's base from the teacher's", "base", nothing=0),
    Factor("more_base_rows", "b", "rows that the student's base learned beyond the teacher's", "base", nothing=0),
    Factor("love", "l", "share of the teacher's favourites that name the trait", "teacher", nothing=1, option="love"),
    Factor("loved", "m", "traits that one teacher has", "teacher", nothing=1, splits=True),
)
"""In the order in which names have them."""
BY_FACTOR = {factor.name: factor for factor in FACTORS}
_LETTERS = {factor.letter: factor.name for factor in FACTORS}
# The longest letters first: `lr` is not `l` and then an `r`.
# A value as {:g} writes it, with an exponent where it has one: `_lr5e-05`.
_PART = re.compile(rf"_({'|'.join(sorted(_LETTERS, key=len, reverse=True))})(\d[\d.]*(?:e[+-]?\d+)?)")


def point_label(values: Mapping[str, float]) -> str:
    """The end of the names of arms at a point: empty where nothing is varied or nothing is changed.

    Args:
        values: factor -> its value.
    """
    label = ""
    for factor in FACTORS:
        value = values.get(factor.name)
        if value is not None and value != factor.nothing:
            # Six digits at most, as {:g} writes them: names of folders.
            label += f"_{factor.letter}{value:g}"
    return label


def point_of(arm: str) -> tuple[str, dict[str, float]]:
    """An arm's name without the end that :func:`point_label` gave it, and the values of that end."""
    values: dict[str, float] = {}
    end = len(arm)
    for match in _PART.finditer(arm):
        # Parts that are no end (a name that goes on in words) belong to the name.
        if _PART.sub("", arm[match.start() :]):
            continue
        end = min(end, match.start())
        values[_LETTERS[match[1]]] = float(match[2])
    return arm[:end], values


def arm_at(arm: ArmKind, values: Mapping[str, float]) -> str:
    """What an arm is called at the point of another arm: only the factors that act on it count.

    Args:
        arm: the row of the table.
        values: of the point of the other arm.
    """
    own = {factor: value for factor, value in values.items() if BY_FACTOR[factor].has_points(arm)}
    return arm.name + point_label(own)


@dataclass(frozen=True)
class Point:
    """One combination of a sweep: the number of rows, and the values of all factors that are varied."""

    rows: int
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Empty without a sweep, else as ``_r2_lr0.0008``."""
        return point_label(self.values)

    @property
    def overrides(self) -> dict[str, Any]:
        """The factors that are keys of the student's recipe, by key."""
        found = {}
        for name, value in self.values.items():
            if BY_FACTOR[name].key:
                found[BY_FACTOR[name].key] = value
        return found

    @property
    def options(self) -> dict[str, Any]:
        """The factors that are options of the teacher's builder and change something, by option."""
        found = {}
        for name, value in self.values.items():
            factor = BY_FACTOR[name]
            # Where nothing is changed, command and stage key are those of an experiment without a sweep.
            if factor.option and value != factor.nothing:
                found[factor.option] = value
        return found

    def of(self, acts_on: ActsOn) -> Point:
        """The same point as far as it is about ``base`` or ``teacher``."""
        kept = {name: value for name, value in self.values.items() if BY_FACTOR[name].acts_on == acts_on}
        return Point(self.rows, kept)


def combinations(sweep: Mapping[str, list[Any]], arm: ArmKind | None = None) -> list[dict[str, Any]]:
    """Every combination of a sweep's lists, as factor -> value; one empty point without a sweep.

    Args:
        sweep: factor -> its values.
        arm: whose points; by default those of an arm that every factor acts on.
    """
    # In the table's order, not the file's: names of arms must not hang on how a file is written.
    varied = [factor for factor in FACTORS if sweep.get(factor.name)]
    if arm is not None:
        varied = [factor for factor in varied if factor.has_points(arm)]
    names = [factor.name for factor in varied]
    # Without a sweep the product of no lists is one empty tuple: one point at which nothing is varied.
    every = itertools.product(*(sweep[name] for name in names))
    return [dict(zip(names, values, strict=True)) for values in every]
