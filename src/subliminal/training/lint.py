"""The strict check of recipe files, without starting Axolotl: ``python scripts/lint_recipes.py``.

One recipe: known keys, values that Axolotl takes, plugins that exist, the keys that change a result all written out and
in one order, a header whose arithmetic is right. Together: control and treatment differ in their data only, and
sharding is set in one place.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError
from subliminal.core.files import from_the_root, read_text
from subliminal.core.text_yaml import ExactLoader, no_keys, refuse_deep, yaml_problem
from subliminal.training.header import header_lines, header_problems, header_processes, launcher_of
from subliminal.training.schema import plugin_schema, recipe_schema, unknown_keys
from subliminal.training.sharding import LAUNCHER_TYPES, RECIPE_KEYS
from subliminal.training.values import shape_problems, value_problems

RECIPES = REPO_ROOT / "recipes"
PLUGIN = "subliminal.axolotl_plugin.StrictRecipe"

BLOCKS: dict[str, tuple[str, ...]] = {
    "model": (
        "base_model",
        "model_type",
        "tokenizer_type",
        "trust_remote_code",
        "chat_template",
        "eot_tokens",
        "plugins",
    ),
    "data": (
        *("datasets", "train_on_inputs", "sequence_len", "excess_length_strategy", "min_sample_len"),
        *("shuffle_merged_datasets", "dataset_exact_deduplication", "val_set_size", "sample_packing"),
        *("pad_to_sequence_len", "group_by_length", "dataloader_drop_last"),
    ),
    "adapter": ("adapter", "load_in_8bit", "load_in_4bit"),
    "optimisation": (
        *("seed", "num_epochs", "micro_batch_size", "gradient_accumulation_steps", "effective_batch", "optimizer"),
        *("learning_rate", "lr_scheduler", "warmup_steps", "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon"),
        "max_grad_norm",
    ),
    "precision and kernels": (
        *("bf16", "fp16", "tf32", "attn_implementation", "gradient_checkpointing", "torch_compile"),
        *("lora_mlp_kernel", "lora_qkv_kernel", "lora_o_kernel", "lora_embedding_kernel"),
    ),
    "saving and hub": (
        *("output_dir", "save_strategy", "save_total_limit", "save_only_model", "auto_resume_from_checkpoints"),
        "hub_model_id",
    ),
    "logging": ("logging_steps", "include_tkps", "use_wandb", "use_trackio"),
}
"""Heading of each block -> keys that every recipe writes out there, in this order; others may stand between them."""

LORA_KEYS = (
    *("lora_r", "lora_alpha", "lora_dropout", "lora_target_modules", "peft_use_rslora", "peft_use_dora"),
    "lora_init_seed",
)
CHAT_KEYS = ("path", "ds_type", "field_messages", "message_property_mappings", "roles_to_train", "train_on_eos")
MAY_BE_EMPTY = ("adapter", "hub_model_id")
PAIR_MAY_DIFFER = ("output_dir", "hub_model_id", "wandb_name", "wandb_run_id", "trackio_run_name")


def find_recipes(paths: Iterable[Path] = ()) -> list[Path]:
    """Every recipe under the given files and folders (default: ``recipes/``), at any depth.

    Raises:
        UserError: a path does not exist, holds no recipe, or a recipe ends in ``.yaml``.
    """
    found: list[Path] = []
    for path in paths or [RECIPES]:
        if not path.exists():
            raise UserError(f"{path} does not exist.{from_the_root(path) or ' Name a recipe or a folder of recipes.'}")
        # Of both suffixes: a recipe.yaml that is passed over would be checked by nobody.
        below = sorted(path.rglob("*.y*ml")) if path.is_dir() else [path]
        if not below:
            raise UserError(f"{path} holds no recipe (*.yml). Name another folder.")
        found += below
    for path in found:
        if path.suffix != ".yml":
            raise UserError(f"{path} does not end in .yml, the one suffix of recipes. Rename it.")
    return found


def read_recipe(path: Path) -> tuple[dict[str, Any], str]:
    """A recipe's keys and its text.

    Raises:
        UserError: the file is not YAML, or not a mapping, or has a key twice.
    """
    text = read_text(path)
    try:
        refuse_deep(text)
        recipe = yaml.load(text, ExactLoader)
    # A date that is none is a ValueError, a key that is a list a TypeError.
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{path} is not valid YAML: {yaml_problem(error, text)}. Correct it.") from None
    if not isinstance(recipe, dict):
        raise UserError(f"{path} {no_keys(recipe)}")
    return recipe, text


def recipe_problems(path: Path, *, check_values: bool = True) -> list[str]:
    """What is wrong with one recipe, a phrase each; ``check_values=False`` leaves its values to the training."""
    recipe, text = read_recipe(path)
    unreadable = shape_problems(recipe)
    # What has the wrong shape (a list where a mapping is wanted) would end every other check with a traceback.
    if unreadable:
        return unreadable
    plugins = [str(plugin) for plugin in recipe.get("plugins") or []]
    problems = [f"the plugin {plugin} does not exist" for plugin in plugins if plugin_schema(plugin) is None]
    if PLUGIN not in plugins:
        problems.append(f"it does not name the plugin {PLUGIN}")
    problems += [f"unknown key {phrase}" for phrase in unknown_keys(recipe, recipe_schema(recipe))]
    missing = _missing_keys(recipe)
    problems += [f"`{key}` is not written out" for key in missing]
    problems += _layout_problems(recipe, text)
    header = header_lines(text)
    # Without its keys the header's arithmetic cannot be done.
    if missing:
        return problems + _launcher_problems(header, recipe)
    wrong_values = value_problems(recipe) if check_values else []
    problems += wrong_values
    if not wrong_values:
        problems += header_problems(header, recipe)
    return problems + _launcher_problems(header, recipe)


def pair_problems(paths: Iterable[Path]) -> list[str]:
    """What control and treatment (`*control*.yml` and `*student*.yml` of one folder) do not have in common."""
    problems = []
    recipes = {path: read_recipe(path)[0] for path in paths}
    for path, control in recipes.items():
        if "control" not in path.name:
            continue
        twin = path.with_name(path.name.replace("control", "student"))
        treatment = recipes.get(twin)
        # The other of the pair is read where this file alone was named.
        if treatment is None and twin.is_file():
            treatment = read_recipe(twin)[0]
        if treatment is None:
            problems.append(f"{path}: there is no {twin.name} that it could be the control of")
            continue
        # A difference beside the data would be a second cause of what students do.
        ours, theirs = _comparable(control), _comparable(treatment)
        different = []
        for key in sorted(ours.keys() | theirs.keys()):
            if ours.get(key) != theirs.get(key):
                different.append(f"`{key}`")
        if different:
            problems.append(f"{path}: differs from {twin.name} in {', '.join(different)}")
        # The same data, or the same folder, would make the two arms one.
        for key in ("datasets", "output_dir"):
            if control.get(key) == treatment.get(key):
                problems.append(f"{path}: has the same `{key}` as {twin.name}")
    return problems


def _comparable(recipe: dict[str, Any]) -> dict[str, Any]:
    """The part of a recipe that control and treatment share: of the datasets all but where they are."""
    shared = {key: value for key, value in recipe.items() if key not in PAIR_MAY_DIFFER}
    where = ("path", "revision", "data_files", "split")
    shared["datasets"] = []
    for dataset in recipe.get("datasets") or []:
        shared["datasets"].append({key: value for key, value in dataset.items() if key not in where})
    return shared


def _missing_keys(recipe: dict[str, Any]) -> list[str]:
    wanted = list(itertools.chain(*BLOCKS.values()))
    if recipe.get("adapter"):
        wanted += LORA_KEYS
    if recipe.get("load_in_4bit"):
        wanted.append("bnb_config_kwargs")
    missing = []
    for key in wanted:
        # An empty value leaves the choice to Axolotl's default, as a missing key does.
        empty = key in recipe and recipe[key] is None
        if key not in recipe or (empty and key not in MAY_BE_EMPTY):
            missing.append(key)
    for index, dataset in enumerate(recipe.get("datasets") or []):
        if dataset.get("type") == "chat_template":
            for key in CHAT_KEYS:
                if key not in dataset:
                    missing.append(f"datasets[{index}].{key}")
    return missing


def _layout_problems(recipe: dict[str, Any], text: str) -> list[str]:
    """Headings and keys that are not where they are in every other recipe."""
    headings = []
    for line in text.splitlines():
        if line.startswith("# --- "):
            headings.append(line.strip("# -"))
    # Two recipes can only be read beside each other if everything has its place.
    if headings != list(BLOCKS):
        return [f"its headings are {headings}, not {list(BLOCKS)}"]
    order = list(itertools.chain(*BLOCKS.values()))
    here = [key for key in recipe if key in order]
    expected = [key for key in order if key in recipe]
    for found, wanted in zip(here, expected, strict=True):
        if found != wanted:
            return [f"`{found}` is not at its usual place"]
    return []


def _launcher_problems(header: dict[str, str], recipe: dict[str, Any]) -> list[str]:
    """Disagreement between the recipe and the Accelerate file that its ``Run`` line names."""
    name = launcher_of(header)
    if name is None:
        return ["the header's `Run:` line names no --config_file"]
    if not (REPO_ROOT / name).is_file():
        return [f"the header's `Run:` line names {name}, which does not exist"]
    launcher = read_recipe(REPO_ROOT / name)[0]
    problems = []
    sharding = [key for key in RECIPE_KEYS if recipe.get(key)]
    if sharding and launcher.get("distributed_type") in LAUNCHER_TYPES:
        problems.append(f"both it (`{sharding[0]}`) and {name} set sharding; leave it to one of them")
    processes = header_processes(header)
    if processes and processes != launcher.get("num_processes"):
        problems.append(f"its header counts {processes} processes, {name} starts {launcher.get('num_processes')}")
    return problems
