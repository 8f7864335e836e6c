"""Sharding is set in one place: in the launcher's file (accelerate_configs/), or in the recipe.

Axolotl learns of FSDP and DeepSpeed from the recipe alone; with a launcher that shards behind its back it fails when it
saves. So what the launcher sets, and Accelerate passes in the environment, is copied into the run's configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError
from subliminal.core.files import read_object

RECIPE_KEYS = ("fsdp_config", "fsdp_version", "fsdp", "deepspeed")
LAUNCHER_TYPES = ("FSDP", "DEEPSPEED")

FSDP_SWITCHES = {
    "reshard_after_forward": "FSDP_RESHARD_AFTER_FORWARD",
    "offload_params": "FSDP_OFFLOAD_PARAMS",
    "cpu_ram_efficient_loading": "FSDP_CPU_RAM_EFFICIENT_LOADING",
    "activation_checkpointing": "FSDP_ACTIVATION_CHECKPOINTING",
}
FSDP_NAMES = {
    "auto_wrap_policy": "FSDP_AUTO_WRAP_POLICY",
    "transformer_layer_cls_to_wrap": "FSDP_TRANSFORMER_CLS_TO_WRAP",
    "state_dict_type": "FSDP_STATE_DICT_TYPE",
}


def launcher_sharding(config: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """The recipe keys that say what the launcher's sharding is; empty if it does not shard.

    Args:
        config: the recipe with the command line's overrides.
        environment: of this process, as ``accelerate launch`` set it.

    Raises:
        UserError: the recipe sets sharding too, or the launcher's settings have no equivalent, or ZeRO-3 is set up so
            that it fails in the first step or trains in float32.
    """
    # accelerate writes its switches as the words true and false.
    fsdp = environment.get("ACCELERATE_USE_FSDP") == "true"
    deepspeed = environment.get("ACCELERATE_USE_DEEPSPEED") == "true"
    if not (fsdp or deepspeed):
        return {}
    own = [key for key in RECIPE_KEYS if config.get(key)]
    if own:
        raise UserError(
            f"The launcher and the recipe (`{own[0]}`) both set sharding. Delete it from the recipe, or launch with "
            "accelerate_configs/ddp.yml."
        )
    if fsdp:
        # What is off is written out, too: nothing is left to a default of Axolotl.
        switches = {key: environment.get(name) == "true" for key, name in FSDP_SWITCHES.items()}
        names = {key: environment[name] for key, name in FSDP_NAMES.items() if environment.get(name)}
        return {"fsdp_version": int(environment.get("FSDP_VERSION", "1")), "fsdp_config": switches | names}
    file = environment.get("ACCELERATE_DEEPSPEED_CONFIG_FILE")
    if not file:
        raise UserError(
            "The launcher sets DeepSpeed without a `deepspeed_config_file`, which Axolotl needs. Use "
            "accelerate_configs/zero2.yml or zero3.yml, or name a file in yours."
        )
    _check_zero3(config, file)
    return {"deepspeed": file}


def _check_zero3(config: Mapping[str, Any], file: str) -> None:
    """Refuse what goes wrong with ZeRO-3 alone; seen with DeepSpeed 0.18.9 and PyTorch 2.11 and 2.13.

    PyTorch compares the tensors of a recomputed layer with those saved, and keeps the frozen weights themselves, not
    copies. ZeRO-3 has emptied them again by then (huggingface/transformers#47254). And as Axolotl loads the model
    before the trainer fills in "auto", DeepSpeed reads that as float32.
    """
    settings = read_object(Path(file), "Correct it, or name another `deepspeed_config_file` in the launcher's file.")
    if settings.get("zero_optimization", {}).get("stage") != 3:
        return
    if config.get("bf16") and settings.get("bf16", {}).get("enabled") is not True:
        raise UserError(
            f"With ZeRO-3 the weights would be loaded in float32, as {file} does not say so itself: set "
            '`"bf16": {"enabled": true}` there.'
        )
    checkpoints = config.get("gradient_checkpointing_kwargs") or {}
    harmless = checkpoints.get("use_reentrant") is True or checkpoints.get("determinism_check") == "none"
    if config.get("adapter") and config.get("gradient_checkpointing") and not harmless:
        raise UserError(
            "ZeRO-3 fails in the first step with an adapter and this recipe's gradient checkpointing. Add "
            "--gradient_checkpointing_kwargs__use_reentrant=true, or launch with accelerate_configs/fsdp2.yml."
        )
