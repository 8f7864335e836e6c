"""The results of an experiment as one long table (:func:`subliminal.report.load.load_results` reads them).

A row of the table is the rate of one question, in one task, of one model: ``arm, seed, task, question, rate, samples``.
All estimates, comparisons, figures and files of a report are computed from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from subliminal.experiment.epochs import epoch_of
from subliminal.traits.category import ANIMALS, Category, load_category

RATES = ("arm", "seed", "task", "question", "rate", "samples")
"""Columns of the long table: ``rate`` is a fraction, ``samples`` the answers behind it, missing where it is exact."""
NAMED = ("arm", "seed", "task", "name", "share")
"""Columns of the table of everything that was named: the share of one model's answers, a fraction."""
SAMPLED, EXACT, SOLVED, PROBABILITY = "sampled", "exact", "solved", "probability"
"""Kinds of tasks: two of preference tasks, two of graded ones."""
LISTS = "subliminal_number_lists"
"""The graded task that asks for number lists: what is right there is a valid list. It tells of health, not of skill."""


@dataclass
class Results:
    """What a result folder holds.

    Attributes:
        target: the tracked option; what the preference tasks' rates are of. None where there are none.
        category: of the target.
        manifests: arm -> seed -> manifest, arms in the order of reports.
        kinds: task -> one of :data:`SAMPLED`, :data:`EXACT`, :data:`SOLVED`, :data:`PROBABILITY`.
        rows: the long table, with the columns :data:`RATES`; questions in the order of the first arm.
        named: with the columns :data:`NAMED`.
        missing: sentences about what is not there.
    """

    folder: Path
    name: str
    target: str | None
    manifests: dict[str, dict[int, dict[str, Any]]] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    rows: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(RATES)))
    named: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(NAMED)))
    missing: list[str] = field(default_factory=list)
    category: str = ANIMALS

    @property
    def about(self) -> Category:
        """The category of the target, for the words of sentences."""
        return load_category(self.category)

    @property
    def arms(self) -> list[str]:
        """Names, in the order of reports; checkpoints of earlier epochs are points of a curve and none of them.

        Where nothing but checkpoints was scored yet, these.
        """
        whole = [name for name in self.manifests if epoch_of(name) is None]
        # A run that was stopped early has something to show, too.
        return whole or list(self.manifests)

    @property
    def checkpoints(self) -> list[str]:
        """Names of what was scored of earlier epochs (:func:`subliminal.experiment.epochs.epoch_of`)."""
        return [name for name in self.manifests if epoch_of(name) is not None]

    @property
    def preference_tasks(self) -> list[str]:
        """Tasks whose rates are of the target."""
        return self._measured(SAMPLED, EXACT)

    @property
    def finest_preference_task(self) -> str | None:
        """The task of exact probabilities where they were computed, else that of sampled answers, else None."""
        for form in ("preference_logprob", "preference"):
            task = self.about.task(form)
            if task in self.preference_tasks:
                return task
        return None

    @property
    def graded_tasks(self) -> list[str]:
        """Tasks with right answers, of a skill."""
        return [task for task in self._measured(SOLVED, PROBABILITY) if task != LISTS]

    @property
    def health_tasks(self) -> list[str]:
        """Tasks with right answers that any whole model gives: none of them is what an experiment asks."""
        return [task for task in self._measured(SOLVED, PROBABILITY) if task == LISTS]

    def _measured(self, *kinds: str) -> list[str]:
        """The tasks of these kinds that some arm was scored by."""
        found = []
        for task, kind in self.kinds.items():
            if kind in kinds and any((arm, task) in self._rates for arm in self.arms):
                found.append(task)
        return found

    @cached_property
    def _rates(self) -> dict[tuple[str, str], pd.DataFrame]:
        found = {}
        for (arm, task), rows in self.rows.groupby(["arm", "task"], sort=False):
            wide = rows.pivot(index="seed", columns="question", values="rate")
            found[arm, task] = wide[self.questions(task)]  # pivot sorts the columns by name
        return found

    def rates(self, arm: str, task: str) -> pd.DataFrame:
        """A row a seed, in ascending order, a column a question; empty where the arm has no result for the task."""
        return self._rates.get((arm, task), pd.DataFrame())

    def by_seed(self, arm: str, task: str) -> dict[int, float]:
        """Seed -> mean rate."""
        rates = self.rates(arm, task)
        means = rates.to_numpy().mean(axis=1).tolist()
        return dict(zip(map(int, rates.index), means, strict=True))

    def questions(self, task: str) -> list[str]:
        """Ids of a task's questions or problems, in their order."""
        return list(self.rows.loc[self.rows["task"] == task, "question"].unique())

    def samples(self, arm: str, task: str) -> int | None:
        """Answers to one question, over all seeds of an arm; None for exact probabilities."""
        rows = self.rows[(self.rows["arm"] == arm) & (self.rows["task"] == task)]
        # of exact probabilities pandas sums nothing: 0
        answers = rows["samples"].sum() / max(1, rows["question"].nunique())
        return int(answers) or None

    def answers(self, arm: str, task: str) -> int | None:
        """Answers behind one seed's mean rate or share of solved problems; None for exact probabilities."""
        samples = self.samples(arm, task)
        if not samples:
            return None
        seeds, questions = self.rates(arm, task).shape
        # Answers of all seeds together, in whole questions: each seed has as many.
        return samples // seeds * questions

    def shares(self, arm: str, task: str) -> pd.DataFrame:
        """A row a seed, a column a name: how often each was named, 0 where it was not; empty without such results."""
        rows = self.named[(self.named["arm"] == arm) & (self.named["task"] == task)]
        return rows.pivot(index="seed", columns="name", values="share").fillna(0.0)

    def mean_shares(self, arm: str, task: str) -> dict[str, float]:
        """Name -> mean share over the seeds."""
        means: dict[str, float] = {}
        for count, (_, shares) in enumerate(self.shares(arm, task).iterrows()):
            for name, share in shares.items():
                # A running mean: of 5.055 % the last digit hangs on the rounding, and published pages have this one's.
                means[name] = (means.get(name, 0.0) * count + share) / (count + 1)
        return means

    def measure_name(self, task: str) -> str:
        """ "sampled answers" or "exact probability", with the task's name where two tasks measure alike."""
        kind = self.kinds[task]
        if kind == PROBABILITY:
            return f"probability of the right answer ({task})"
        if task == LISTS:
            return "valid number lists"
        if kind == SOLVED:
            return f"solved ({task})"
        name = "sampled answers" if kind == SAMPLED else "exact probability"
        if list(self.kinds.values()).count(kind) > 1:
            name += f" ({task})"
        return name


def finest_task_of(of_options: Sequence[Results]) -> tuple[str, bool] | None:
    """The finest preference task of an experiment's options, and whether its probabilities are exact; None without any.

    Args:
        of_options: the results of each option, or of the only one.
    """
    for results in of_options:
        task = results.finest_preference_task
        # All options of an experiment are scored by the same tasks; one whose models all failed has none.
        if task is not None:
            return task, results.kinds[task] == EXACT
    return None
