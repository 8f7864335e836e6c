"""Reading an experiment file, and holding it against the recipes and the commands that it names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError
from subliminal.experiment.options import (
    RECIPE_KEYS_SET_BY_EXPERIMENT,
    builder_problems,
    module_of,
    option_problems,
)
from subliminal.experiment.phrases import phrase
from subliminal.experiment.schema import Experiment, Overrides
from subliminal.training.lint import read_recipe
from subliminal.training.schema import recipe_schema, unknown_keys


def load_experiment(path: Path) -> Experiment:
    """Read and check an experiment file.

    Raises:
        UserError: no such file, not YAML, an unknown or missing key, a value that does not fit, a recipe that is not
            there, or an option or recipe key that does not exist. All problems of one kind are named at once.
    """
    if not path.is_file():
        near = ", ".join(sorted(str(p.relative_to(REPO_ROOT)) for p in (REPO_ROOT / "experiments").glob("*.yml")))
        raise UserError(f"There is no experiment file {path}. Those of this repository: {near}.")
    content, _ = read_recipe(path)
    try:
        experiment = Experiment.model_validate(content)
    except ValidationError as error:
        problems = [phrase(problem, Experiment) for problem in error.errors()]
        raise UserError(f"{path} cannot be used: {'; '.join(problems)}. Correct it.") from None
    if experiment.name != path.stem:
        raise UserError(
            f"{path} has the name {experiment.name!r}. Data, adapters and results go by it: name the file "
            f"{experiment.name}.yml, or the experiment {path.stem}."
        )
    problems = [*_recipe_problems(experiment), *all_option_problems(experiment)]
    if problems:
        raise UserError(f"{path} cannot be used: {'; '.join(problems)}. Correct it.")
    return experiment


def recipes_of(experiment: Experiment) -> dict[str, tuple[Path, Overrides]]:
    """Section -> its recipe and overrides, the ladder's rungs included."""
    sections: dict[str, Any] = {"base": experiment.base, "teacher": experiment.teacher}
    sections |= {"student": experiment.student, "other_base": experiment.other_base}
    found = {name: (part.recipe, part.overrides) for name, part in sections.items() if part and part.recipe}
    if experiment.other_base and not experiment.other_base.recipe:  # its student is trained by the student's recipe
        found["other_base"] = (experiment.student.recipe, experiment.other_base.overrides)
    for index, rung in enumerate(experiment.teacher.gate.ladder if experiment.teacher.gate else []):
        found[f"teacher.gate.ladder[{index}]"] = (found["teacher"][0], rung.overrides)
    return found


def _recipe_problems(experiment: Experiment) -> Iterator[str]:
    if not experiment.launcher.is_file():
        yield f"`launcher`: {experiment.launcher} does not exist (they are in accelerate_configs/)"
    for section, (path, overrides) in recipes_of(experiment).items():
        if not path.is_file():
            yield f"`{section}.recipe`: {path} does not exist (they are in recipes/)"
            continue
        recipe = read_recipe(path)[0]
        schema = recipe_schema(recipe)
        if section == "student":
            yield from _lora_init_problems(experiment, recipe | overrides)
        yield from (f"`{section}.overrides`: no recipe has the key {key}" for key in unknown_keys(overrides, schema))
        for key in overrides:
            if key in RECIPE_KEYS_SET_BY_EXPERIMENT:
                yield (
                    f"`{section}.overrides.{key}` is set by the experiment: {RECIPE_KEYS_SET_BY_EXPERIMENT[key]}; "
                    "delete it"
                )


def _lora_init_problems(experiment: Experiment, keys: dict[str, Any]) -> Iterator[str]:
    """Whose first weights the students' adapters have must be said where there is an adapter, and only there."""
    said = experiment.student.lora_init
    if keys.get("adapter") and experiment.teacher.kind == "trained" and said is None:
        yield (
            "`student.lora_init` is missing: `own` gives the students' adapters first weights of their own, `teacher` "
            "those of their teacher's adapter, which makes a trait pass on more easily"
        )
    if not keys.get("adapter") and said is not None:
        yield f"`student.lora_init`: {experiment.student.recipe} trains no adapter, so delete it"


def all_option_problems(experiment: Experiment) -> Iterator[str]:
    """The options of every section of an experiment, held against the command that gets them."""
    gate = experiment.teacher.gate
    neutral = experiment.teacher.neutral
    if neutral:
        builder = neutral.builder or builders_of(experiment)["teacher"]
        problems = list(builder_problems("teacher.neutral.builder", builder))
        yield from problems or option_problems("teacher.neutral.options", module_of(builder), neutral.options)
    for name, builder in builders_of(experiment).items():
        problems = list(builder_problems(f"{name}.builder", builder))
        yield from problems or option_problems(f"{name}.options", module_of(builder), getattr(experiment, name).options)
    for section, command, options in (
        ("teacher.gate.options", "scripts/evaluate.py", gate.options if gate else {}),
        ("numbers.options", "data_builders.numbers", experiment.numbers.options),
        ("audit", "data_builders.audit", experiment.audit),
        ("server", "scripts/serve.py", experiment.server),
        ("evaluation.options", "scripts/evaluate.py", experiment.evaluation.options),
    ):
        yield from option_problems(section, command, options)


def builders_of(experiment: Experiment) -> dict[str, str]:
    """Section -> what builds the rows of its training."""
    chats = "math_chat" if experiment.trait.mathematics else "teacher_chat"
    builders = {"teacher": experiment.teacher.builder or chats}
    return builders | ({"base": experiment.base.builder} if experiment.base else {})
