"""Reading an experiment file, and holding it against the recipes and the commands that it names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError, as_phrase, nearest
from subliminal.core.files import from_the_root
from subliminal.core.strict import phrase
from subliminal.experiment.checks.contradictions import contradictions
from subliminal.experiment.checks.model_folders import refuse_old_pocket_models
from subliminal.experiment.checks.recipe_checks import misfits, recipes_of
from subliminal.experiment.options import (
    builder_problems,
    module_of,
    option_of,
    option_problems,
    parameters,
    value_problem,
)
from subliminal.experiment.schema.experiment import Experiment
from subliminal.experiment.stage_sources import builder_sources
from subliminal.experiment.sweep.factors import BY_FACTOR
from subliminal.training.lint import read_recipe
from subliminal.traits.category import ANIMALS
from subliminal.traits.checks import world_problems

OF_THE_TRAIT = ("teacher_chat", "teacher_chat_text")
"""Builders that have a model answer, and whose rows give a teacher its trait."""
MOST_TOLD = 12
"""Problems of one file that a sentence names: more of them are one mistake, and nobody reads the list."""
WORLD_SUMS = "pocket_corpus sums"
"""The one kind of a pocket world's chats that teaches mathematics."""


def load_experiment(path: Path) -> Experiment:
    """Read and check an experiment file.

    Raises:
        UserError: no such file, not YAML, an unknown or missing key, a value that does not fit, a recipe that is not
            there, an option or recipe key that does not exist, or a pocket model that an older version of this code
            made. All problems of one kind are named at once.
    """
    if not path.is_file() and from_the_root(path):
        raise UserError(f"There is no experiment file {path} here.{from_the_root(path)}")
    if not path.is_file():
        raise UserError(f"There is no experiment file {path}. {_other_files(path)}")
    content, _ = read_recipe(path)
    # Of these keys an experiment has none, and a recipe always has both.
    if content.keys() >= {"base_model", "datasets"}:
        raise UserError(
            f"{path} is a recipe, of one training, and no experiment file. Train by it as the `Run:` line of its "
            "header says, or name a file of experiments/."
        )
    try:
        experiment = Experiment.model_validate(content)
    except ValidationError as error:
        problems = [_as_written(phrase(problem, Experiment), content) for problem in error.errors()]
        if len(problems) > MOST_TOLD:
            problems[MOST_TOLD:] = [f"and {len(problems) - MOST_TOLD} more"]
        raise UserError(f"{path} cannot be used: {'; '.join(problems)}. Correct it.") from None
    for problem in contradictions(experiment):  # the first alone: others may follow from it
        raise UserError(f"{path} cannot be used: {problem}. Correct it.")
    # Two files of one name would write to the same folders.
    if experiment.name != path.stem:
        raise UserError(
            f"{path} has the name {experiment.name!r}. Data, adapters and results go by it: name the file "
            f"{experiment.name}.yml, or the experiment {path.stem}."
        )
    for named in [experiment.launcher, *(recipe for recipe, _ in recipes_of(experiment).values())]:
        # One sentence for all files that it names: with them not here, neither are models, data and results.
        if from_the_root(named):
            raise UserError(f"{path} names {named}, which is not here.{from_the_root(named)}")
    # Sections that share a builder or a recipe have the same problems: each is told once.
    problems = list(dict.fromkeys([*misfits(experiment), *all_option_problems(experiment)]))
    if problems:
        said = "; ".join(problems)
        # A sentence may end in "did you mean ...?".
        if not said.endswith("?"):
            said += "."
        raise UserError(f"{path} cannot be used: {said} Correct it.")
    refuse_old_pocket_models(experiment)
    return experiment


def _as_written(problem: str, content: dict[str, Any]) -> str:
    """A problem with the key that the file has, where that stands for another one."""
    trait = content.get("trait")
    if isinstance(trait, dict) and ANIMALS in trait:
        return problem.replace("`trait.options", f"`trait.{ANIMALS}")
    return problem


def _other_files(path: Path) -> str:
    """Which files could be meant by one that is not there."""
    if path.is_dir():
        return "That is a folder: name a file in it."
    there = [file.stem for file in sorted((REPO_ROOT / "experiments").glob("*.yml"))]
    near = [f"experiments/{stem}.yml" for stem in nearest(path.stem, there)]
    if near:
        return f"Did you mean {' or '.join(near)}?"
    return f"experiments/ has {len(there)} of them; experiments/README.md says how one is written."


def all_option_problems(experiment: Experiment) -> Iterator[str]:
    """The options of every section of an experiment, held against the command that gets them."""
    gate = experiment.teacher.gate
    neutral = experiment.teacher.neutral
    if neutral:
        builder = neutral.builder or teacher_builder(experiment)
        problems = list(builder_problems("teacher.neutral.builder", builder))
        # Without the builder its options cannot be known, and each would be called unknown.
        yield from problems or option_problems("teacher.neutral.options", module_of(builder), neutral.options)
    for made in built_rows(experiment):
        problems = list(builder_problems(f"{made.section}.builder", made.builder))
        yield from problems or option_problems(f"{made.section}.options", module_of(made.builder), made.options)
    if gate:
        yield from option_problems("teacher.gate.options", "scripts/evaluate.py", gate.options)
    for section, command, options in (
        ("audit", "data_builders.audit", experiment.audit),
        ("server", "scripts/serve.py", experiment.server),
        ("evaluation.options", "scripts/evaluate.py", experiment.evaluation.options),
    ):
        yield from option_problems(section, command, options)
    yield from _mathematics_problems(experiment)
    yield from _student_row_problems(experiment)
    yield from _factor_problems(experiment)
    yield from _world_problems(experiment)
    yield from _task_problems(experiment)
    yield from _prompt_problems(experiment)


def _mathematics_problems(experiment: Experiment) -> Iterator[str]:
    """A teacher's builder that makes rows of an option, which mathematics has not: it would take its first one."""
    builder = experiment.teacher.builder
    if not experiment.trait.mathematics or builder is None or any(builder_problems("teacher.builder", builder)):
        return
    # The pocket world's sums are of no option, and its other kinds are.
    if "animal" in parameters(module_of(builder)) and builder != WORLD_SUMS:
        yield (
            f"`trait` is mathematics, and `teacher.builder` {builder} makes a teacher of an option: take math_chat, "
            f"arithmetic_chat or `{WORLD_SUMS}`"
        )


def _student_row_problems(experiment: Experiment) -> Iterator[str]:
    """Builders that cannot make what students learn: what a teacher and its base answer to the same prompts."""
    given = {"model"}
    if experiment.trait.options:  # rows are told of which trait they must be free
        given.add("animal")
    for made in student_rows(experiment):
        if any(builder_problems(made.section, made.builder)):
            continue
        said = f"`{made.section}.builder`: {made.builder}"
        lacking = sorted(given - parameters(module_of(made.builder)))
        if lacking:
            yield f"{said} has no option `{lacking[-1]}`, by which rows for students are made: take code, say"
        elif made.builder in OF_THE_TRAIT:
            yield f"{said} gives a teacher its trait, which students must not read of: take code, say"


def _factor_problems(experiment: Experiment) -> Iterator[str]:
    """Factors that the teacher's builder does not have an option for."""
    module = module_of(teacher_builder(experiment))
    for name, values in experiment.sweep.lists().items():
        option = BY_FACTOR[name].option
        if option is None:
            continue
        for value in values:
            yield from option_problems(f"sweep.{name}", module, {option: value})
    several = any(number > 1 for number in experiment.sweep.loved)
    if several and not ("animal" in parameters(module) and option_of(module, "animal").multiple):
        yield f"`sweep.loved`: {module} makes a teacher of one trait; pocket_teacher and teacher_chat take several"


def _world_problems(experiment: Experiment) -> Iterator[str]:
    """Files of the category that a builder reads and that are not there, and a pocket world that is not whole."""
    category = experiment.trait.category or ANIMALS
    for made in built_rows(experiment):
        if any(builder_problems(made.section, made.builder)):
            continue
        for path in builder_sources(made.builder.split()[0], {"category": category}).rows:
            if not (REPO_ROOT / path).is_file():
                yield f"`{made.section}.builder`: {made.builder} needs {path}, which is not there"
            elif path == f"traits/{category}/pocket.yaml":
                # Only here: with a real model an option needs no world.
                for problem in world_problems(category):
                    yield as_phrase(problem)


def _task_problems(experiment: Experiment) -> Iterator[str]:
    """Tasks that neither lm-eval nor this repository has."""
    evaluation = experiment.evaluation
    for section, tasks in (("tasks", evaluation.tasks), ("epoch_tasks", evaluation.epoch_tasks)):
        for task in tasks:
            problem = value_problem("scripts/evaluate.py", "tasks", task)
            if problem:
                yield f"`evaluation.{section}`: {problem}"


def _prompt_problems(experiment: Experiment) -> Iterator[str]:
    """Fewer prompts than rows can never give them."""
    for made in built_rows(experiment):
        prompts = made.options.get("max_prompts")
        if isinstance(prompts, int) and prompts < made.rows:
            option = f"`{made.section}.options.max_prompts`"
            yield f"{option} is {prompts}, and {made.rows} rows need as many prompts: raise it"


@dataclass(frozen=True)
class BuiltRows:
    """What builds the rows of a training: the section that says so, its builder and options, and how many rows."""

    section: str
    builder: str
    options: dict[str, Any]
    rows: int


def teacher_builder(experiment: Experiment) -> str:
    """What builds the rows of the teacher."""
    usual = "math_chat" if experiment.trait.mathematics else "teacher_chat"
    return experiment.teacher.builder or usual


def built_rows(experiment: Experiment) -> list[BuiltRows]:
    """What builds the rows of every training, in the order of the sections."""
    base, teacher = experiment.base, experiment.teacher
    found = []
    if base:
        found.append(BuiltRows("base", base.builder, base.options, base.rows))
    found.append(BuiltRows("teacher", teacher_builder(experiment), teacher.options, teacher.rows or 0))
    return found + student_rows(experiment)


def student_rows(experiment: Experiment) -> list[BuiltRows]:
    """What builds the rows of students and controls: as many of every type."""
    numbers, most = experiment.numbers, experiment.most_rows
    found = [BuiltRows("numbers", numbers.builder, numbers.options, most)]
    for number, made in enumerate(numbers.data_types, start=1):
        found.append(BuiltRows(f"numbers.data_types[{number}]", made.builder, made.options, most))
    return found
