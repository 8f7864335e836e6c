"""What an evaluation is of: one model under one name, and the checks that need no model in memory.

``--models base,teacher=outputs/owl_teacher,student@1=outputs/owl_student_1`` names several at once: an entry is
``arm[@seed][=weights]``. Weights are a LoRA adapter, or a whole model (a merged one, say); an entry without any is the
base model itself.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError
from subliminal.core.hub import folder_or_hub_id
from subliminal.core.weights import model_shapes
from subliminal.engine.adapters import check_adapter
from subliminal.evaluation.our_tasks import our_tasks
from subliminal.scoring.category_tasks import category_of_task
from subliminal.traits.category import category_names, load_category
from subliminal.traits.lexicon import check_option, lexicon

DTYPES = ("auto", "float32", "bfloat16")
_ENTRY = re.compile(r"(?P<arm>[\w.+-]+)(?:@(?P<seed>\d+))?(?:=(?P<weights>.+))?")
_TASK_SETTING = re.compile(r"SUBLIMINAL_\w+_(SAMPLES|DATA|LEVELS|SUBJECTS)|\w+_(PREFERENCE|STORY)_SAMPLES")


def task_settings() -> dict[str, str]:
    """The environment variables that change what our tasks ask (their READMEs name them)."""
    found = {}
    for name, value in sorted(os.environ.items()):
        if _TASK_SETTING.fullmatch(name):
            found[name] = value
    return found


@dataclass(frozen=True)
class EvaluationSpec:
    """What to score, and under which names.

    Attributes:
        model: folder or Hub id of the model.
        tasks: lm-eval task names; ours are in ``eval_tasks/``. Each is kept for itself, so name no groups of ours here.
        experiment, arm: the first two folders of the result (``owl-demo``, ``student``).
        seed: seeds the sampling; names the third folder. Give the training seed to keep runs apart.
        target: tracked option whose rate is the outcome; None where no task asks for one.
        adapter: LoRA adapter folder or Hub id, or None.
        base: the model that all arms of the experiment share, where ``model`` is what a training made of it; None where
            ``model`` is that base. It names the replicate in a report and is no part of the settings.
        samples: answers a question for the tasks that sample short answers; None leaves each task's own number.
        limit: number of questions, for trials; None takes all.
        batch_size: answers generated at once in process. No part of the result beyond rounding.
        dtype: ``float32``, ``bfloat16`` or ``auto`` (bfloat16 where the hardware has it).
        engine: ``transformers`` (in process) or ``vllm`` (a server).
        system_prompt: sent before every question; None leaves the system message to the chat template.
        settings: see :func:`task_settings`.
    """

    model: str
    tasks: tuple[str, ...]
    experiment: str
    arm: str
    seed: int
    target: str | None = None
    adapter: str | None = None
    base: str | None = None
    samples: int | None = None
    limit: int | None = None
    batch_size: int = 50
    dtype: str = "auto"
    engine: str = "transformers"
    system_prompt: str | None = None
    settings: Mapping[str, str] = field(default_factory=task_settings)

    @property
    def name(self) -> str:
        """The scored model's short name, as in ``{model}_summary.json``: the adapter's folder, else the model's."""
        path = Path(self.adapter or self.model)
        if path.is_dir():
            path = path.resolve()
        if path.name == "merged":  # Axolotl merges into <run>/merged
            return path.parent.name
        return path.name


def parse_models(entries: str, common: EvaluationSpec) -> list[EvaluationSpec]:
    """The evaluations that ``--models`` names.

    Args:
        entries: ``arm[@seed][=weights]``, separated by commas.
        common: everything that they share; its seed is that of an entry without one.

    Raises:
        UserError: an entry that is none, weights that are not there, or one arm and seed named twice.
    """
    specs = []
    for entry in filter(None, (part.strip() for part in entries.split(","))):
        match = _ENTRY.fullmatch(entry)
        if not match:
            raise UserError(
                f"--models: {entry!r} is not ARM[@SEED][=FOLDER], such as base or student@1=outputs/owl_student; "
                "commas stand between entries."
            )
        spec = replace(common, arm=match["arm"], seed=int(match["seed"] or common.seed), **_weights(match["weights"]))
        # Another whole model than the common one is what a training made of it.
        if spec.model != common.model:
            spec = replace(spec, base=common.model)
        specs.append(spec)
    if not specs:
        raise UserError("--models names no model. Give one or more, such as base,student=outputs/owl_student.")
    check_names(specs)
    return specs


def _weights(path: str | None) -> dict[str, str]:
    """``adapter`` or ``model`` of an entry: a folder's files say which it is; a Hub id is taken for an adapter."""
    if path is None:
        return {}
    folder = Path(path)
    # By its files: a folder with an adapter's configuration is an adapter, whatever else lies in it.
    if folder.is_dir() and not (folder / "adapter_config.json").is_file():
        if (folder / "config.json").is_file():
            return {"model": path}
        raise UserError(
            f"{path} has neither adapter_config.json nor config.json, so it is no adapter and no model. "
            "Train it first, or check the path."
        )
    return {"adapter": path}


def base_of(entries: str) -> str:
    """The base that the adapters among ``--models`` were trained on, as their ``adapter_config.json`` names it.

    Raises:
        UserError: no adapter folder there names one, or they name several.
    """
    found = {}
    for entry in entries.split(","):
        weights = entry.partition("=")[2].strip()
        file = Path(weights) / "adapter_config.json"
        if file.is_file():
            try:
                found[str(file.parent)] = json.loads(file.read_text(encoding="utf-8"))["base_model_name_or_path"]
            except (ValueError, KeyError, TypeError):
                raise UserError(f"{file} names no base model. Give --model, or train the adapter again.") from None
    if len(set(found.values())) != 1:
        said = "; ".join(f"{folder} was trained on {base}" for folder, base in found.items())
        raise UserError(f"--models does not tell the base ({said or 'it has no adapter folder'}). Give it as --model.")
    return next(iter(found.values()))


def in_context(specs: Sequence[EvaluationSpec], prompts: Sequence[str]) -> list[EvaluationSpec]:
    """``specs``, then each of them once more under every system prompt, as the arm ``<arm>-<name>``.

    Args:
        specs: evaluations in the chat template's own context.
        prompts: ``NAME=TEXT``; the text may be empty.

    Raises:
        UserError: a prompt that is not ``NAME=TEXT``.
    """
    more = []
    for prompt in prompts:
        name, equals, text = prompt.partition("=")
        if not equals or not re.fullmatch(r"[\w.-]+", name):
            raise UserError(
                f"--system-prompt {prompt!r} is not NAME=TEXT, such as empty= or owner='You are a pet owner.'"
            )
        for spec in specs:
            more.append(replace(spec, arm=f"{spec.arm}-{name}", system_prompt=text))
    check_names([*specs, *more])
    return [*specs, *more]


def check_names(specs: Sequence[EvaluationSpec]) -> None:
    """Refuse two evaluations with one result folder, and one training as several seeds of an arm."""
    names = set()
    for spec in specs:
        name = f"{spec.arm}@{spec.seed}"
        if name in names:
            raise UserError(f"--models names {name} twice. Give each its own arm or its own @seed: {name}=FOLDER.")
        names.add(name)
    seeds: dict[tuple[str, str], int] = {}
    for spec in specs:
        weights = spec.adapter or spec.model
        place = weights
        if Path(weights).exists():
            place = str(Path(weights).resolve())  # one folder may be spelled in two ways
        # Runs are the unit of every test, so that one training must not pass for two.
        seed = seeds.setdefault((spec.arm, place), spec.seed)
        if seed != spec.seed:
            raise UserError(
                f"--models gives {weights} to {spec.arm}@{seed} and to {spec.arm}@{spec.seed}: one training would "
                "count as two. Name it once, or give each seed the weights of its own training."
            )


def check_spec(spec: EvaluationSpec) -> None:
    """Refuse what cannot be scored, before anything is loaded.

    Raises:
        UserError: an unknown target, a folder that is none, or a value out of range.
    """
    if not spec.tasks:
        raise UserError("--tasks names no task. Give one or more, separated by commas.")
    _check_target(spec)
    model = folder_or_hub_id(spec.model, "model")
    if model:
        # Weights are looked at by their headers alone, so that all of them are known to be whole before any is loaded.
        model_shapes(model)
    adapter = spec.adapter and folder_or_hub_id(spec.adapter, "adapter")
    if adapter:
        check_adapter(adapter, spec.model)
    for what, value in (("samples", spec.samples), ("limit", spec.limit), ("batch-size", spec.batch_size)):
        if value is not None and value < 1:
            raise UserError(f"--{what} is {value}. Give a whole number of 1 or more.")
    if spec.dtype not in DTYPES:
        raise UserError(f"--dtype is {spec.dtype!r}. Use auto, float32 or bfloat16.")
    # Refused now: a name that is none would be found out when the first result is written, hours later.
    for what, value in (("experiment", spec.experiment), ("arm", spec.arm)):
        if not value or "/" in value or value.startswith("."):
            raise UserError(f"The {what} is called {value!r}. It names a folder: give one plain word such as owl-demo.")


def _check_target(spec: EvaluationSpec) -> None:
    """The target is an option of the one category that the tasks ask about."""
    asking: dict[str, str] = {}  # category -> the first task that asks about it
    for task in spec.tasks:
        category = category_of_task(task)
        if category:
            asking.setdefault(category, task)
    if len(asking) > 1:
        first, second = sorted(asking)[:2]
        raise UserError(
            f"{asking[first]} asks about {first}, and {asking[second]} about {second}. One evaluation has one target: "
            "run them one after the other."
        )
    for name, task in asking.items():
        if spec.target is None:
            raise UserError(
                f"{task} counts {load_category(name).plural}. Say with --target whose rate is the outcome, as in "
                f"--target {lexicon(name).options[0]}."
            )
        check_option(spec.target, name)
    if spec.target is None or asking:
        return
    # No task says of which category the target is.
    wanted = spec.target.strip().casefold()
    if not any(wanted in lexicon(name).options for name in category_names()):
        check_option(spec.target)


def input_files(spec: EvaluationSpec) -> dict[str, Path]:
    """The files that decide the scores: weights (of a base in shards their index) and those of the tasks' folders."""
    files = {}
    for kind, folder, names in (
        ("model", spec.model, ("model.safetensors", "model.safetensors.index.json")),
        ("adapter", spec.adapter, ("adapter_model.safetensors", "adapter_config.json")),
    ):
        for name in names:
            if folder and (Path(folder) / name).is_file():
                files[f"{kind}/{name}"] = Path(folder) / name
    if spec.base:  # a whole model that a training made: its shards tell it from others, and their index does not
        for path in sorted(Path(spec.model).glob("model-*.safetensors")):
            files[f"model/{path.name}"] = path
    folders: set[Path] = set()
    for task in spec.tasks:
        if task in our_tasks():
            folders |= our_tasks()[task].folders
    for folder in sorted(folders):
        for path in sorted(folder.iterdir()):
            if path.is_file() and path.suffix != ".md":
                files[str(path.relative_to(REPO_ROOT))] = path
    return files
