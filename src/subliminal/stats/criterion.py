"""The criterion of an experiment: what its results must show, written in its file before any student trains.

    criterion:
      task: animal_preference_logprob
      clauses:
        - {name: effect, arm: student, minus: control_base_numbers, confidence: 0.99, above: 0}
        - {name: each animal, arm: student, minus: control_base_numbers, per_animal: true, confidence: 0.95, above: 0}
        - {name: pairs, arm: student, minus: control_base_numbers, pairs_above: 13}
        - {name: specificity, arm: student, minus: other_animals, confidence: 0.95, above: 0}
        - {name: two controls, arm: control_base_numbers_again, minus: control_base_numbers, within: 0.8}
        - {name: ten points, arm: student, minus: control_base_numbers, points_above: 10, in_animals: 2, goal: true}

A clause is about a difference of two arms within the replicates (the seeds), in nats of log-odds
(:mod:`subliminal.stats.log_odds`). ``minus: other_animals`` is the mean over the other animals' students of the same
seed, asked about this animal. A clause may have a ``task`` of its own, and ``minus_task`` subtracts the same difference
in another task: whether reworded questions show the same effect. Where the trait is mathematics the task has problems
with a right answer, and no animal is named. :mod:`subliminal.stats.criterion_verdict` judges.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from subliminal.core.errors import UserError
from subliminal.core.files import read_text
from subliminal.core.strict import Strict, phrase, repeated
from subliminal.core.text_yaml import ExactLoader, yaml_problem
from subliminal.stats.log_odds import EXACT_TASK, SKILL

OTHER_ANIMALS = "other_animals"
LEAST_SEEDS = 3
"""Replicates that a spread between them needs."""
# A criterion as a whole is about the plain questions; other wordings are for single clauses.
_TASKS = re.compile(r"[a-z_]+_preference(_logprob)?")
_WORDED_TASKS = re.compile(r"[a-z_]+_preference(_logprob|_paraphrase(_logprob)?|_numbers)?")
"""What a clause of its own may be about: other wordings, too."""
_PROBLEM_TASKS = re.compile(r"subliminal_\w+")


class Clause(Strict):
    """One demand. Exactly one of ``above``, ``pairs_above``, ``within`` and ``points_above`` says what is asked.

    Attributes:
        name: of the clause, for the verdict.
        arm, minus: the difference: an arm minus another, or minus :data:`OTHER_ANIMALS`.
        above: nats; the interval over replicates (paired t, animals averaged within each) must lie above.
        confidence: of that interval, a fraction.
        per_animal: ask it of each animal by itself. The intervals are not widened for their number.
        pairs_above: so many pairs of animal and seed at least must have a difference above 0.
        within: nats; the two arms are equivalent within it (two one-sided t tests at 0.05 over replicates).
        points_above: percentage points that the mean difference over replicates must reach, in ``in_animals`` animals.
        task: of this clause alone; by default the criterion's.
        minus_task: the same difference in this task is subtracted.
        goal: the clause is reported and does not decide.
    """

    name: str = Field(min_length=1)
    arm: str
    minus: str
    above: float | None = None
    confidence: float | None = Field(None, gt=0.5, lt=1)
    per_animal: bool = False
    pairs_above: int | None = Field(None, ge=1)
    within: float | None = Field(None, gt=0)
    points_above: float | None = None
    in_animals: int | None = Field(None, ge=1)
    task: str | None = None
    minus_task: str | None = None
    goal: bool = False

    @field_validator("name", mode="before")
    @classmethod
    def _null_is_no_name(cls, name: Any) -> Any:
        if name is None:
            raise ValueError("YAML reads a bare `null` as nothing: put the name in quotes, or take another")
        return name

    @model_validator(mode="after")
    def _one_demand(self) -> Clause:
        demands = ("above", "pairs_above", "within", "points_above")
        given = [name for name in demands if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"the clause {self.name!r} must ask exactly one of {', '.join(demands)}")
        if (self.above is None) != (self.confidence is None):
            raise ValueError(f"the clause {self.name!r}: `above` and `confidence` belong together")
        if self.per_animal and self.above is None:
            raise ValueError(f"the clause {self.name!r}: `per_animal` belongs to `above`")
        if (self.points_above is None) != (self.in_animals is None):
            raise ValueError(f"the clause {self.name!r}: `points_above` and `in_animals` belong together")
        if self.points_above is not None and self.minus_task:
            raise ValueError(f"the clause {self.name!r}: `minus_task` compares nats, and `points_above` asks points")
        if self.arm == self.minus:
            raise ValueError(f"the clause {self.name!r} compares {self.arm} with itself")
        return self

    def arms(self) -> set[str]:
        """The arms that it needs."""
        return {self.arm, self.minus} - {OTHER_ANIMALS}


class Criterion(Strict):
    """What an experiment must show. ``seeds`` and ``animals`` are those of its file unless written here: a criterion
    names the replicates that it is about, so that none can be added or left out after the results are seen."""

    task: str = EXACT_TASK
    clauses: list[Clause] = Field(min_length=1)
    seeds: list[int]
    animals: list[str]

    @property
    def subjects(self) -> list[str]:
        """What its differences are about: the animals, or the one skill where none is named."""
        return self.animals or [SKILL]

    def tasks(self) -> list[str]:
        """Its task, and those that clauses name beside it."""
        found = [self.task]
        for clause in self.clauses:
            found += [task for task in (clause.task, clause.minus_task) if task]
        return list(dict.fromkeys(found))

    @model_validator(mode="after")
    def _fits_together(self) -> Criterion:
        is_skill = _PROBLEM_TASKS.fullmatch(self.task) is not None
        if not is_skill and not _TASKS.fullmatch(self.task):
            raise ValueError(f"`task` is one of {EXACT_TASK}, animal_preference, and these two of another category")
        # Without a number of seeds there is no spread, and no interval.
        if len(set(self.seeds)) < LEAST_SEEDS:
            raise ValueError(f"a criterion compares replicates: give {LEAST_SEEDS} seeds or more")
        if is_skill and self.animals:
            raise ValueError(f"the criterion is about {', '.join(self.animals)}, and {self.task} has problems to solve")
        if not is_skill and not self.animals:
            raise ValueError("a criterion is about animals that are named, and the trait has none")
        for name, values in (("seeds", self.seeds), ("animals", self.animals)):
            for value in repeated(values):
                raise ValueError(f"`{name}` names {value} twice")
        for name in repeated([clause.name for clause in self.clauses]):
            raise ValueError(f"two clauses have the name {name}")
        for clause in self.clauses:
            self._check(clause)
            self._check_tasks(clause)
        return self

    def _check_tasks(self, clause: Clause) -> None:
        """A clause is about what the criterion is about, whichever task it names."""
        wanted = _WORDED_TASKS if self.animals else _PROBLEM_TASKS
        for task in (clause.task, clause.minus_task):
            if task and not wanted.fullmatch(task):
                raise ValueError(f"the clause {clause.name!r} names the task {task}, which is not like {self.task}")
        if clause.minus_task and clause.minus_task == (clause.task or self.task):
            raise ValueError(f"the clause {clause.name!r} subtracts the task {clause.minus_task} from itself")
        if not self.animals and (clause.per_animal or clause.pairs_above or clause.points_above is not None):
            raise ValueError(f"the clause {clause.name!r} asks about animals: use `above` or `within`")

    def _check(self, clause: Clause) -> None:
        pairs = len(self.seeds) * len(self.animals)
        if clause.minus == OTHER_ANIMALS and len(self.animals) < 2:
            raise ValueError(f"the clause {clause.name!r} needs the students of other animals: name two animals")
        # A clause that asks for more than there is could never hold.
        if clause.pairs_above and clause.pairs_above > pairs:
            raise ValueError(f"the clause {clause.name!r} asks {clause.pairs_above} pairs, and there are {pairs}")
        if clause.in_animals and clause.in_animals > len(self.animals):
            raise ValueError(f"the clause {clause.name!r} asks more animals than there are")

    def arms(self) -> set[str]:
        """The arms that its clauses need."""
        return set().union(*(clause.arms() for clause in self.clauses))

    def canonical(self) -> dict[str, Any]:
        """The criterion as JSON holds it, without what is left to its default."""
        # Defaults are left out, so that a key added to clauses later changes no hash that is recorded already.
        return self.model_dump(exclude_defaults=True) | {"task": self.task}

    def sha256(self) -> str:
        """Hex sha256 of the canonical JSON (sorted keys, no white space)."""
        # Sorted and without white space: the hash is of what is said and not of how it is written.
        text = json.dumps(self.canonical(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


def with_replicates(experiment: Any) -> Any:
    """The content of an experiment file whose criterion names the file's seeds and animals, if it has one.

    Content of another form is given back as it is: the schema says what is wrong with it.
    """
    if not isinstance(experiment, dict) or not isinstance(experiment.get("criterion"), dict):
        return experiment
    trait = experiment.get("trait")
    animals = []
    if isinstance(trait, dict):
        # Mathematics has neither: its criterion names no animal.
        animals = trait.get("animals", trait.get("options", []))
    filled = {"seeds": experiment.get("seeds"), "animals": animals, **experiment["criterion"]}
    return {**experiment, "criterion": filled}


def read_criterion(file: Path) -> tuple[str, Criterion]:
    """Name and criterion of an experiment file; the rest of the file is not checked.

    Raises:
        UserError: there is no such file, it has no criterion, or one that cannot be used.
    """
    text = read_text(file)
    try:
        content = with_replicates(yaml.load(text, ExactLoader))
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{file} is not YAML ({yaml_problem(error, text)}). Correct it.") from None
    if not isinstance(content, dict) or not content.get("criterion") or not content.get("name"):
        raise UserError(f"{file} has no section `criterion`: there is nothing to judge.")
    return content["name"], criterion_of(content["criterion"], str(file))


def criterion_of(content: Any, source: str) -> Criterion:
    """A criterion from its JSON or YAML content.

    Raises:
        UserError: it is none; the sentence names ``source`` and every problem.
    """
    try:
        return Criterion.model_validate(content)
    except ValidationError as error:
        told = []
        for problem in error.errors():
            told.append(phrase({**problem, "loc": ("criterion", *problem["loc"])}, Criterion))
        raise UserError(f"{source} has a criterion that cannot be used: {'; '.join(told)}. Correct it.") from None
