"""The factors of a sweep: what each varies, which arms have points of it, and how arms at a point are named.

    point_label({"clean_share": 0.25})          # "_c0.25"
    point_of("student_n1500_e3")                # ("student", {"rows": 1500.0, "epochs": 3.0})

:data:`FACTORS` is the one place that knows a factor: the key under ``sweep``, the letter in names, and what it acts on.
Arms that a factor does not act on are trained once: with ``clean_share`` the student has a point for each share, and
the control of base numbers, whose rows are all clean, has none.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from subliminal.experiment.arms import ArmKind

ActsOn = Literal["training", "teacher's rows"]


@dataclass(frozen=True)
class Factor:
    """One row of the table.

    Attributes:
        name: the key under ``sweep``.
        letter: stands before the value in the names of arms.
        what: what it is, for a reader of a report.
        acts_on: ``training``: every arm that learns number rows; ``teacher's rows``: those that learn the teacher's.
        nothing: the value at which nothing is changed; an arm at it has the arm's own name. None where there is none.
        key: of the recipe, where it is one.
        doubling: its effect is told for a doubling (a fit over the logarithm of its values).
    """

    name: str
    letter: str
    what: str
    acts_on: ActsOn = "training"
    nothing: float | None = None
    key: str | None = None
    doubling: bool = False

    def has_points(self, arm: ArmKind) -> bool:
        """Whether an arm has a point for each value of this factor."""
        if self.acts_on == "teacher's rows":
            return arm.rows == "teacher"
        return arm.rows is not None


FACTORS = (
    Factor("rank", "r", "rank of the adapter", key="lora_r"),
    Factor("learning_rate", "lr", "learning rate", key="learning_rate"),
    Factor("rows", "n", "number rows", doubling=True),
    Factor("epochs", "e", "epochs", key="num_epochs", doubling=True),
    Factor("clean_share", "c", "share of the rows that the untuned base wrote", "teacher's rows", nothing=0),
)
"""In the order in which names have them."""
BY_FACTOR = {factor.name: factor for factor in FACTORS}
_LETTERS = {factor.letter: factor.name for factor in FACTORS}
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


def points(sweep: Mapping[str, list[Any]], arm: ArmKind | None = None) -> list[dict[str, Any]]:
    """Every combination of a sweep's lists, as factor -> value; one empty point without a sweep.

    Args:
        sweep: factor -> its values.
        arm: whose points; by default those of an arm that every factor acts on.
    """
    varied = [factor for factor in FACTORS if sweep.get(factor.name)]
    if arm is not None:
        varied = [factor for factor in varied if factor.has_points(arm)]
    names = [factor.name for factor in varied]
    combinations = itertools.product(*(sweep[name] for name in names))
    return [dict(zip(names, values, strict=True)) for values in combinations]
