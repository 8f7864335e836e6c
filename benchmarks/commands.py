"""The command line of a variant: a recipe with the bench's model and rows, or another program on the same rows."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import yaml

from benchmarks.workspace import Bench, Variant
from subliminal import REPO_ROOT

STRICT = "subliminal.axolotl_plugin.StrictRecipe"
FIRST_PORT = 29500


def axolotl_command(bench: Bench, variant: Variant, output: Path) -> list[str]:
    """``accelerate launch`` of a recipe, with the bench's model and rows and the variant's settings in it."""
    dataset = {
        "path": str(bench.rows(variant.rows)),
        "ds_type": "json",
        "type": "chat_template",
        "field_messages": "messages",
    }
    dataset |= {"message_property_mappings": {"role": "role", "content": "content"}}
    dataset |= {"roles_to_train": ["assistant"], "train_on_eos": "turn", "train_on_eot": "turn"}
    settings: dict[str, Any] = {
        "base_model": str(bench.model(variant.model)),
        "datasets": [dataset],
        "dataset_prepared_path": str(bench.work / "prepared"),
        "output_dir": str(output),
        "max_steps": variant.steps,
        "save_strategy": "no",
        "plugins": plugins_of(variant),
        **variant.settings,
    }
    config = "cpu" if not bench.gpus else variant.launcher
    words = ["accelerate.commands.launch", "--config_file", f"accelerate_configs/{config}.yml"]
    port = str(FIRST_PORT + zlib.crc32(variant.name.encode()) % 1000)  # several launchers may run at a time
    if variant.gpus > 1 and bench.gpus:
        words += ["--num_processes", str(variant.gpus), "--main_process_port", port]
    elif variant.gpus > 1:  # accelerate_configs/cpu.yml says why
        words = ["torch.distributed.run", "--nproc_per_node", str(variant.gpus), "--master_port", port]
    recipe = REPO_ROOT / variant.recipe if variant.as_written else bare_recipe(bench, variant)
    words += ["-m", "axolotl.cli.train", str(recipe)]
    return words + [f"--{key}={_word(value)}" for key, value in settings.items()]


def other_command(bench: Bench, variant: Variant, output: Path) -> list[str]:
    """The same rows through a program of :mod:`benchmarks.other_trainers`."""
    settings = {"max_steps": variant.steps, "output_dir": str(output), **variant.settings}
    files = [str(bench.model(variant.model)), str(bench.rows(variant.rows))]
    return ["benchmarks.other_trainers", variant.program, *files, json.dumps(settings)]


def plugins_of(variant: Variant) -> list[str]:
    """The Axolotl plugins of a run: the recipe's or StrictRecipe, and the variant's own."""
    first = [STRICT]
    if variant.as_written:
        first = yaml.safe_load((REPO_ROOT / variant.recipe).read_text(encoding="utf-8"))["plugins"]
    return [*first, *variant.plugins]


def bare_recipe(bench: Bench, variant: Variant) -> Path:
    """A copy of the variant's recipe without the kernels that a variant names itself, so that a plain one is plain."""
    lines = (REPO_ROOT / variant.recipe).read_text(encoding="utf-8").splitlines(keepends=True)
    path = bench.work / "recipes" / f"{variant.folder}.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = [line for line in lines if not line.startswith(("liger_", "sdpa_varlen:"))]
    path.write_text("".join(kept), encoding="utf-8")
    return path


def _word(value: Any) -> str:
    """A setting as Axolotl's command line reads it: literals of Python within lists, ``true`` and ``false`` alone."""
    return str(value).lower() if isinstance(value, bool) else str(value)
