"""What a statistical function returns, and the checks of what goes in.

Every result names its **unit of inference**, the thing that would be drawn anew if the experiment were done again:

- :data:`QUESTIONS`: "these two models differ". The models are given, other questions could have been asked.
- :data:`RUNS`: "the teacher's data did it". Other training runs (seeds, dataset seeds) could have been made.
- :data:`REPLICATES`: the same, where each run has a base of its own and is compared with the control on that base.

The two answer different questions. Functions over questions take one rate per question (shape ``(questions,)``) of one
model; functions over runs take one row per training run (shape ``(runs, questions)``) and refuse anything flatter, so
neither runs on the other's data by accident.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from subliminal.core.errors import UserError

ALPHA = 0.05
CONFIDENCE = 1 - ALPHA
QUESTIONS = "questions"
RUNS = "training runs"
REPLICATES = "replicates"
POINTS = "points"
NATS = "nats"


@dataclass(frozen=True)
class Result:
    """A difference of two arms, with what it was tested over.

    Attributes:
        estimate: treatment minus control: a fraction (of rates), or nats (of log-odds); see ``scale``.
        statistic: the test's statistic (which one: ``method``), or None where the method is an interval only.
        p: two-sided p-value, or None where there is none.
        interval: 95 % interval of ``estimate``, or None where the data say nothing about its width.
        unit: :data:`QUESTIONS`, :data:`RUNS` or :data:`REPLICATES`; p and interval hold for new draws of this, and of
            nothing else.
        n: how many units the treatment and the control have; questions and replicates are the same in both.
        method: the test and the interval, by name.
        scale: :data:`POINTS` where estimate and interval are fractions, :data:`NATS` where they are log-odds.
    """

    estimate: float
    statistic: float | None
    p: float | None
    interval: tuple[float, float] | None
    unit: str
    n: tuple[int, int]
    method: str
    scale: str = POINTS

    def __post_init__(self) -> None:
        # A mistake of the code, which no user can correct: no UserError.
        if self.unit not in (units := (QUESTIONS, RUNS, REPLICATES)):
            raise ValueError(f"unit is {self.unit!r}, none of {', '.join(units)}")
        if self.scale not in (scales := (POINTS, NATS)):
            raise ValueError(f"scale is {self.scale!r}, none of {', '.join(scales)}")


def check_rate(value: Any, place: str) -> None:
    """Refuse what is no rate.

    Raises:
        UserError: it is not a number from 0 to 1; ``place`` is where it stands.
    """
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if number and 0 <= value <= 1:  # NaN fails the comparison too
        return
    hint = ""
    if number and 1 < value <= 100:
        hint = " Rates are fractions, not per cent."
    raise UserError(f"{place} is {value!r}, not a number from 0 to 1.{hint}")


def question_rates(values: Any, name: str) -> np.ndarray:
    """The values as an array of shape (questions,), checked one by one so that the sentence can name the culprit.

    Raises:
        UserError: no flat list, fewer than two values, or one that is not a number from 0 to 1.
    """
    if not isinstance(values, list | tuple | np.ndarray):
        raise UserError(f"{name} is not a list. Give one rate per question.")
    for index, value in enumerate(values):
        if isinstance(value, list | tuple | np.ndarray):
            raise UserError(
                f"{name}[{index}] is a list. A comparison over questions takes one model, one rate per question; "
                "several training runs belong in a comparison over runs (over_runs)."
            )
        check_rate(value, f"{name}[{index}]")
    if len(values) < 2:
        raise UserError(f"{name} has {len(values)} question(s). An interval over questions needs at least 2.")
    return np.asarray(values, dtype=float)


def run_rates(values: Any, name: str, least: int) -> np.ndarray:
    """The values as an array of shape (runs, questions).

    Args:
        values: one list of rates per training run, the same questions in the same order in each.
        name: the arm, for the sentence.
        least: runs that the caller's method needs.

    Raises:
        UserError: too few runs, runs of unequal length, or a value that is not a rate.
    """
    if not isinstance(values, list | tuple | np.ndarray):
        raise UserError(f"{name} is not a list. Give one list of rates per training run.")
    for index, run in enumerate(values):
        if not isinstance(run, list | tuple | np.ndarray) or np.ndim(run) == 0:
            raise UserError(
                f"{name}[{index}] is {run!r}, not a list of rates. A comparison over training runs takes one list per "
                "run; one list of rates per question compares two models, not two training sets (over_questions)."
            )
    rows = [question_rates(run, f"{name}[{index}]") for index, run in enumerate(values)]
    if len(rows) < least:
        raise UserError(
            f"{name} has {len(rows)} training run(s), and this method needs at least {least} per arm: fewer do not "
            "show how much a run differs from the next. Train more seeds, or compare the models over questions."
        )
    if len({row.size for row in rows}) > 1:
        raise UserError(f"The runs of {name} do not have the same number of questions. Give the same ones to each.")
    return np.array(rows)


def run_arms(treatment: Any, control: Any, least: int) -> tuple[np.ndarray, np.ndarray]:
    """Both arms as arrays of shape (runs, questions) over the same questions; see :func:`run_rates`."""
    first, second = run_rates(treatment, "treatment", least), run_rates(control, "control", least)
    if first.shape[1] != second.shape[1]:
        raise UserError(
            f"treatment has {first.shape[1]} questions and control has {second.shape[1]}. Both must answer the same."
        )
    return first, second
