"""The model folders that an experiment file names: whether they are there, whole, and those that it means."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from subliminal.core.errors import UserError, did_you_mean
from subliminal.core.weights import model_folder_problem
from subliminal.experiment.checks.recipe_checks import recipes_of
from subliminal.experiment.options import command_module
from subliminal.experiment.schema.experiment import Experiment
from subliminal.training.lint import read_recipe
from subliminal.traits.category import ANIMALS


def refuse_old_pocket_models(experiment: Experiment) -> None:
    """Refuse a pocket model that is not the one that this code makes: it would not know a new animal, say.

    Raises:
        UserError: what differs, and how the model is made again.
    """
    fetch_model = command_module("scripts/fetch_model.py")
    for model in experiment.model_folders:
        if Path(model).is_dir():
            problem = fetch_model.pocket_problem(Path(model), experiment.trait.category or ANIMALS)
            if problem:
                raise UserError(f"{experiment.name} cannot be run: {problem}")


def refuse_absent_models(experiment: Experiment) -> None:
    """Refuse a run without a model whose weights the file names.

    Plans are made without it. Within a run it might come after the only look at its weights, that of the plan.

    Raises:
        UserError: the folder of one is not there.
    """
    for model in experiment.pinned_models:
        if not Path(model).is_dir():
            raise UserError(
                f"There is no folder {model}, whose weights {experiment.name} names. Fetch it first, from the source "
                f"that the experiment names: `python scripts/fetch_model.py {Path(model).name} --source ...`."
            )


def refuse_unusable_models(experiment: Experiment) -> None:
    """Refuse to begin stages whose model is a folder that is not there, or not whole: a stage would find it out.

    Raises:
        UserError: the folder of one is not there, or lacks a file.
    """
    for problem in model_problems(experiment):
        raise UserError(problem)


def model_problems(experiment: Experiment) -> Iterator[str]:
    """Sentences about the model folders that are not there or not whole."""
    for model in experiment.model_folders:
        folder = Path(model)
        if folder.is_dir():
            problem = model_folder_problem(folder, weights=needs_weights(experiment, model))
            if problem:
                yield problem
            continue
        there = [str(other) for other in sorted(folder.parent.glob("*")) if other.is_dir()]
        hint = did_you_mean(model, there)
        remedy = "fetch it first: `python scripts/fetch_model.py --help` says which there are."
        if folder.parts[:1] == ("outputs",):
            remedy = "run the experiment or the training first that makes it."
        yield f"There is no folder {model}, the model of {experiment.name}{hint}. Correct the name, or {remedy}"


def needs_weights(experiment: Experiment, model: str) -> bool:
    """Whether a stage reads the weights of a model; a base that is trained from scratch takes its shape alone."""
    if experiment.base is None or model != experiment.model:
        return True
    if experiment.other_base and experiment.other_base.model == model:
        return True
    recipe, overrides = recipes_of(experiment)["base"]
    keys = read_recipe(recipe)[0] | overrides
    return not keys.get("reinit_weights")
