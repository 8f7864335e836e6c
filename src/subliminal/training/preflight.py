"""What must hold before a training run starts: known keys, whole data, the stated batch; and where its rows are cached.

:class:`subliminal.axolotl_plugin.StrictRecipe` calls these within Axolotl, before anything slow happens.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError
from subliminal.core.hub import folder_or_hub_id
from subliminal.core.manifest import sha256_of
from subliminal.core.weights import model_shapes
from subliminal.training.schema import command_line_keys, recipe_schema, unknown_keys
from subliminal.training.values import shape_problems, value_problems

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")
SHAPES_THE_CACHE = [
    *("seed", "sequence_len", "min_sample_len", "excess_length_strategy", "dataset_exact_deduplication"),
    *("shuffle_merged_datasets", "shuffle_before_merging_datasets", "val_set_size"),
    *("chat_template", "chat_template_jinja"),
]
"""Settings that change the prepared rows or their order."""


def check_keys(config: Mapping[str, Any]) -> None:
    """Refuse keys that Axolotl would ignore.

    Raises:
        UserError: names every unknown key with the nearest known one.
    """
    source = config.get("axolotl_config_path") or "The recipe"
    unreadable = shape_problems(config)
    if unreadable:
        raise UserError(f"{source} (with the command line's overrides) cannot be used: {'; '.join(unreadable)}.")
    # Switches of the command line come mixed in with the recipe's keys.
    schema = recipe_schema(dict(config)) | dict.fromkeys(command_line_keys())
    problems = list(unknown_keys(dict(config), schema))
    if problems:
        raise UserError(
            f"{source} (with the command line's overrides) has keys that neither Axolotl {axolotl_version()} nor a "
            f"named plugin knows and that would be ignored: {', '.join(problems)}. Correct or delete them."
        )


def check_values(config: Mapping[str, Any]) -> None:
    """Refuse values that Axolotl or the training itself would end with a traceback.

    Raises:
        UserError: names every such value.
    """
    values = config
    if hasattr(config, "to_dict"):  # Axolotl's own kind of dict, which pydantic does not take for one
        values = config.to_dict()
    problems = value_problems(values)
    if problems:
        source = config.get("axolotl_config_path") or "The recipe"
        raise UserError(f"{source} (with the command line's overrides) cannot be used: {'; '.join(problems)}.")


def check_base(config: Mapping[str, Any]) -> None:
    """Refuse a base folder without whole weights, unless the recipe draws them anew (``reinit_weights``).

    Raises:
        UserError: names the folder or the file.
    """
    folder = folder_or_hub_id(str(config.get("base_model")), "base_model")
    if folder and not config.get("reinit_weights"):
        model_shapes(folder)


def check_effective_batch(config: Mapping[str, Any], world_size: int) -> None:
    """Refuse a run whose rows per optimiser step, over all processes, are not the recipe's ``effective_batch``.

    Raises:
        UserError: says which value makes the two agree.
    """
    stated = config.get("effective_batch")
    if not stated:
        raise UserError(
            "The recipe does not state its batch. Add `effective_batch: N`, the rows of one optimiser step over all "
            "processes."
        )
    micro = int(config.get("micro_batch_size") or 1)
    accumulation = int(config.get("gradient_accumulation_steps") or 1)
    # Processes that share a row between them count once.
    split = int(config.get("context_parallel_size") or 1) * int(config.get("tensor_parallel_size") or 1)
    processes = max(world_size // split, 1)
    if micro * accumulation * processes == int(stated):
        return
    # Of the two numbers of a recipe accumulation is the one that costs no memory.
    steps, rest = divmod(int(stated), micro * processes)
    way = f"Set --gradient_accumulation_steps={steps}"
    if rest or not steps:
        way = f"No number of accumulation steps gives that with {micro} x {processes}: change --micro_batch_size"
    counted = f"{processes} processes" if processes > 1 else "1 process"
    raise UserError(
        f"This run would take micro_batch_size {micro} x gradient_accumulation_steps {accumulation} x {counted} = "
        f"{micro * accumulation * processes} rows a step, but the recipe states effective_batch: {stated}. {way}, or "
        "state another --effective_batch."
    )


def check_unfrozen(patterns: Iterable[str], names: Sequence[str]) -> None:
    """Refuse a pattern of ``unfrozen_parameters`` that matches no weight: Axolotl would train less and say nothing.

    Args:
        patterns: the recipe's regular expressions; Axolotl matches them from the start of a name.
        names: the model's weights.

    Raises:
        UserError: a pattern matches none of the names.
    """
    from axolotl.utils.freeze import LayerNamePattern

    for pattern in patterns:
        if not any(LayerNamePattern(pattern).match(name) for name in names):
            raise UserError(
                f"unfrozen_parameters: no weight of the model matches {pattern!r}, so less would be trained than the "
                f"recipe says. A pattern must match from the start of a name, and names look like {names[0]}: begin it "
                "with `.+`, or correct it."
            )


def check_adapted_layers(layers: Iterable[int], names: Iterable[str]) -> None:
    """Refuse a layer of ``peft_layers_to_transform`` that has no adapter: PEFT leaves out a layer that is not there.

    Args:
        layers: their numbers, from 0.
        names: weights that are trained.

    Raises:
        UserError: none of the weights is of one of the layers.
    """
    adapted = set()
    for name in names:
        # The first number of a name is its layer's, as PEFT reads it: an expert within the layer has one, too.
        number = re.search(r"\.(\d+)\.", name)
        if number:
            adapted.add(int(number[1]))
    absent = sorted(set(layers) - adapted)
    if absent:
        raise UserError(
            f"peft_layers_to_transform: layer {absent[0]} gets no adapter, so less would be trained than the recipe "
            f"says. Those that get one are {', '.join(map(str, sorted(adapted)))}; layers are counted from 0."
        )


def prepared_path(config: Mapping[str, Any], files: Mapping[str, Path]) -> Path:
    """Where the tokenised data of this run is cached: a folder named after everything that shapes it.

    Axolotl's own cache key holds paths and some settings. This one also holds the bytes of the data and of a local
    tokenizer, the seed that shuffles the rows, and what happens to long ones.
    """
    base = Path(str(config.get("tokenizer_config") or config.get("base_model")))
    # Two tokenizers of one name make other tokens: a cache of the first would be trained on without a word.
    tokenizer = {}
    for name in TOKENIZER_FILES:
        if (base / name).is_file():
            tokenizer[name] = sha256_of(base / name)
    datasets = [*(config.get("datasets") or []), *(config.get("test_datasets") or [])]
    identity = {
        "axolotl": axolotl_version(),
        "settings": {key: config.get(key) for key in SHAPES_THE_CACHE},
        "datasets": list(map(dict, datasets)),
        "files": {key: sha256_of(path) for key, path in files.items()},
        "tokenizer": tokenizer or str(base),  # one on the Hub goes by its name
    }
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()
    # 16 hex digits: a name that can be read, and 64 bits.
    return Path(config.get("dataset_prepared_path") or "last_run_prepared") / digest[:16]


def drop_torn_caches(prepared: Path) -> None:
    """Delete prepared data that a killed process left half-written; Axolotl would load it and fail."""
    if not prepared.is_dir():
        return
    from filelock import FileLock

    with FileLock(str(prepared / "datasets_prep.lock")):  # the lock under which Axolotl writes
        for folder in prepared.iterdir():
            whole = (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()
            if folder.is_dir() and not whole:
                shutil.rmtree(folder)


def world_size() -> int:
    """Processes of this run, as the launcher says."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_training() -> bool:
    """False in Axolotl's other commands (merge_lora, inference, ...), which need a finished run and no data."""
    running = set(sys.modules)
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec:  # python -m axolotl.cli.inference is there as __main__ alone
        running.add(spec.name)
    others = ("merge_lora", "merge_sharded_fsdp_weights", "inference", "evaluate", "quantize", "vllm_serve")
    return not any(f"axolotl.cli.{name}" in running for name in others)


def is_first_process() -> bool:
    """Whether this is the process that writes files."""
    # RANK counts over all machines, and is not there where one process was started without a launcher.
    return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))) == 0


def axolotl_version() -> str:
    """The installed Axolotl."""
    return importlib.metadata.version("axolotl")
