"""An experiment file held against the recipes that it names: keys, values, epochs and a sweep that they can have."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError, did_you_mean
from subliminal.core.strict import repeated
from subliminal.experiment.arms import BY_NAME
from subliminal.experiment.schema.experiment import Experiment
from subliminal.experiment.schema.sections import Overrides
from subliminal.experiment.sweep.layers import ADAPTED_LAYERS, layers_here
from subliminal.training.lint import read_recipe
from subliminal.training.preflight import check_effective_batch
from subliminal.training.schema import recipe_schema, unknown_keys
from subliminal.training.values import shape_problems, value_problems

KEYS_SET_BY_EXPERIMENT = {
    "base_model": "`model`, `base` and `teacher` say what a training starts from",
    "datasets": "the arm says which rows are learned",
    "pretraining_dataset": "the arm says which rows are learned",
    "output_dir": "it follows from the experiment's name, the arm and the seed",
    "seed": "each training has that of `seeds`: with one for all, several seeds would be one training",
    "lora_init_seed": "it follows from `seeds` and `student.lora_init`",
}
"""Recipe keys that follow from the rest of the experiment file, and what says them."""
SWEPT = {
    "rank": ("adapter", "lora_r", "lora_alpha"),
    "learning_rate": ("learning_rate",),
    "epochs": ("num_epochs",),
    "rows": (),
}
"""What can be swept of a training -> the recipe keys that it needs."""


def recipes_of(experiment: Experiment) -> dict[str, tuple[Path, Overrides]]:
    """Section -> its recipe and overrides, the ladder's rungs included."""
    base, teacher, student, other = experiment.base, experiment.teacher, experiment.student, experiment.other_base
    found = {}
    if base:
        found["base"] = (base.recipe, base.overrides)
        if base.further:
            found["base.further"] = (base.recipe, {**base.overrides, **base.further})
    if teacher.recipe:
        found["teacher"] = (teacher.recipe, teacher.overrides)
    found["student"] = (student.recipe, student.overrides)
    if other:  # without a recipe of its own its student is trained by the student's
        found["other_base"] = (other.recipe or student.recipe, other.overrides)
    if teacher.gate:
        for index, rung in enumerate(teacher.gate.ladder):
            found[f"teacher.gate.ladder[{index}]"] = (teacher.recipe, rung.overrides)
    return found


def misfits(experiment: Experiment) -> Iterator[str]:
    """A phrase for everything in the experiment file that does not fit its recipes.

    Raises:
        UserError: a recipe cannot be read.
    """
    if not experiment.launcher.is_file():
        yield f"`launcher`: {_absent(experiment.launcher, 'accelerate_configs')}"
    for section, (path, overrides) in recipes_of(experiment).items():
        yield from _recipe_problems(experiment, section, path, overrides)
    yield from _absent_layers(experiment)
    yield from _repeated_points(experiment)
    yield from _epoch_arm_problems(experiment)


def _absent(path: Path, folder: str) -> str:
    """What to say of a file that is not there: the nearest one in the folder where such files are."""
    if path.is_dir():
        return f"{path} is a folder: name a file in it"
    there = [str(file.relative_to(REPO_ROOT)) for file in sorted((REPO_ROOT / folder).rglob("*.yml"))]
    hint = did_you_mean(str(path), there) or f" (they are in {folder}/)"
    return f"{path} does not exist{hint}"


def _recipe_problems(experiment: Experiment, section: str, path: Path, overrides: Overrides) -> Iterator[str]:
    """What does not fit the recipe of one section."""
    if not path.is_file():
        yield f"`{section}.recipe`: {_absent(path, 'recipes')}"
        return
    recipe = read_recipe(path)[0]
    unreadable = [f"{path}: {problem}" for problem in shape_problems(recipe)]
    unreadable += [f"`{section}.overrides`: {problem}" for problem in shape_problems(overrides)]
    # Other checks would stop at the wrong type and say something else.
    if unreadable:
        yield from unreadable
        return
    keys = recipe | overrides
    problems = list(_override_problems(section, path, recipe, overrides))
    yield from problems
    # A batch can be counted of whole numbers alone.
    if not problems:
        yield from _batch_problems(experiment, section, path, keys)
    if section == "student":
        yield from _lora_init_problems(experiment, keys)
    if section in ("student", "other_base"):
        yield from _sweep_problems(experiment, path, keys)
        yield from _epoch_problems(experiment, section, path, keys)
        if any(experiment.sweep.layer_part):
            yield from _other_layers(section, path, recipe, overrides)


def _override_problems(section: str, path: Path, recipe: dict[str, Any], overrides: Overrides) -> Iterator[str]:
    """What is wrong with the recipe as the experiment changes it; a problem names the override, if there is one."""
    said = f"{section}.overrides"
    if section == "base.further":  # a section of keys alone
        said = section
    for key in unknown_keys(overrides, recipe_schema(recipe)):
        yield f"`{said}`: no recipe has the key {key}"
    for key in overrides:
        if key in KEYS_SET_BY_EXPERIMENT:
            yield f"`{said}.{key}` is set by the experiment: {KEYS_SET_BY_EXPERIMENT[key]}; delete it"
    own = value_problems(recipe)
    for problem in own:
        yield f"{path}: {problem}"
    if overrides and not own:  # else each of the recipe's own problems would be told twice
        for problem in value_problems(recipe | overrides):
            yield f"`{said}` with {path}: {problem}"


def _batch_problems(experiment: Experiment, section: str, path: Path, keys: dict[str, Any]) -> Iterator[str]:
    """Rows a step that are not the recipe's: else its training, hours later, would be the first to refuse them."""
    if not experiment.launcher.is_file():
        return
    processes = read_recipe(experiment.launcher)[0].get("num_processes")
    if not isinstance(processes, int):
        return
    try:
        check_effective_batch(keys, processes)
    except UserError as error:
        # The sentence names options of a command line, and here they are keys.
        said = str(error).replace(" --", " ").rstrip(".")
        yield f"`{section}` with {path} and {experiment.launcher}: {said}"


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


def _sweep_problems(experiment: Experiment, path: Path, keys: dict[str, Any]) -> Iterator[str]:
    possible, lacking = [], {}
    for swept, needed in SWEPT.items():
        absent = [key for key in needed if not keys.get(key)]
        if absent:
            lacking[swept] = absent[0]
        else:
            possible.append(swept)
    for swept, key in lacking.items():
        if getattr(experiment.sweep, swept):
            yield f"`sweep.{swept}`: {path} has no `{key}`. With it can be swept: {', '.join(possible)}"


def _other_layers(section: str, path: Path, recipe: dict[str, Any], overrides: Overrides) -> Iterator[str]:
    """Layers that are named beside a sweep of them, which would be trained in place of all layers, or of none."""
    for where, keys in ((f"`{section}.overrides`", overrides), (path, recipe)):
        if keys.get(ADAPTED_LAYERS):
            yield f"`sweep.layer_part` says which layers are trained: delete `{ADAPTED_LAYERS}` from {where}"


def _absent_layers(experiment: Experiment) -> Iterator[str]:
    """Layers that the model does not have: PEFT and Axolotl would train the others and say nothing."""
    layers = layers_here(experiment.model)
    named = {layer for part in experiment.student.layer_parts for layer in part}
    if layers is not None and named and max(named) >= layers:
        yield (
            f"`student.layer_parts` has layer {max(named)}, and {experiment.model} has {layers} layers, "
            f"0 to {layers - 1}"
        )


def _repeated_points(experiment: Experiment) -> Iterator[str]:
    """Values of a sweep that name one folder: the same one twice, or two that agree in six digits."""
    for swept, values in experiment.sweep.lists().items():
        # As folders are named: two values that agree here would write to one place.
        for name in repeated(f"{value:g}" for value in values):
            yield f"`sweep.{swept}` names {name} twice"


def _epoch_problems(experiment: Experiment, section: str, path: Path, keys: dict[str, Any]) -> Iterator[str]:
    """Epochs to score that a training does not reach, or whose checkpoints it does not keep."""
    wanted = experiment.evaluation.epochs
    lengths = experiment.sweep.epochs or [keys.get("num_epochs")]
    if not wanted or not all(isinstance(each, int | float) for each in lengths):
        return
    # With epochs swept, each point must reach what is to be scored.
    shortest = min(lengths)
    late = [epoch for epoch in wanted if epoch > shortest]
    if late:
        yield f"`evaluation.epochs` has {late[0]}, and `{section}` ({path}) trains {shortest:g}"
    if keys.get("save_strategy") in ("no", "best"):
        yield (
            f"`evaluation.epochs` needs checkpoints, and `{section}` ({path}) has `save_strategy: "
            f"{keys['save_strategy']}`: set it to epoch in `{section}.overrides`"
        )
    # The trainer deletes the oldest checkpoints beyond the limit.
    kept, last = keys.get("save_total_limit"), math.floor(max(lengths))
    if not isinstance(kept, int):
        return
    gone = [epoch for epoch in wanted if epoch <= last - kept]
    if gone and not late and keys.get("save_strategy") == "epoch":
        yield (
            f"`evaluation.epochs` has {gone[0]}, and `{section}` ({path}) keeps the last {kept} of {last} checkpoints: "
            f"set `save_total_limit` to {last} in `{section}.overrides`"
        )


def _epoch_arm_problems(experiment: Experiment) -> Iterator[str]:
    evaluation = experiment.evaluation
    for epoch in repeated(evaluation.epochs):
        yield f"`evaluation.epochs` names {epoch} twice"
    trained = [arm for arm in experiment.arms if BY_NAME[arm].rows]
    for arm in evaluation.epoch_arms:
        if arm not in trained:
            yield f"`evaluation.epoch_arms`: {arm} is none of the `arms` that learn numbers{did_you_mean(arm, trained)}"
