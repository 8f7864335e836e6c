"""Is a folder a LoRA adapter of this base? Asked before a model is loaded, in process as on a server.

What is wrong with an adapter shows late or never: PEFT leaves layers that the file lacks as they are, a `.bin` file has
no place in a manifest, and an adapter of another base of the same shape loads without a word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError
from subliminal.core.files import read_object
from subliminal.core.manifest import sha256_of
from subliminal.core.weights import model_shapes, read_header

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
TRAIN_AGAIN = "Train the adapter again, or copy its folder again"
# base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight; of an embedding lora_embedding_A, without ".weight".
_LORA = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?:embedding_)?(?P<half>[AB])(?:\.weight)?")
_QUANTISED = re.compile(r"\.(qweight|absmax|quant_map|scales|weight_scale\w*)(\.|$)|\.quant_state\.")
"""Names of numbers that stand beside packed weights, whose shapes say nothing."""
# layers.0. of most models, h.0. of GPT-2, blocks.0. of some: from there on names agree.
_LAYER = re.compile(r"(?:^|\.)((?:layers|h|blocks?)\.(\d+)\..+)$")


def check_adapter(folder: Path, model: str) -> dict[str, Any]:
    """Refuse what is not a whole LoRA adapter of a base.

    Args:
        folder: what PEFT saved: ``adapter_config.json`` and ``adapter_model.safetensors``.
        model: the base, a folder or a Hub id. Of a Hub id that is not in the cache only the name is compared.

    Returns:
        The adapter's config.

    Raises:
        UserError: no such folder, another kind of adapter, weights in another format or cut off, another base, or
            weights that are not those of the layers and modules that the config names.
    """
    if not folder.is_dir():
        raise UserError(f"The adapter folder {folder} does not exist. Train it first, or check the path.")
    config = adapter_config(folder)
    if not (folder / WEIGHTS).is_file():
        raise UserError(
            f"{folder} has no {WEIGHTS}. Weights in .bin files are refused, because loading one can run code; save "
            "the adapter again with PEFT's save_pretrained, which writes safetensors."
        )
    if config.get("peft_type") != "LORA":
        raise UserError(f"{folder} is a {config.get('peft_type')} adapter; only LoRA is used here. Merge it first.")
    ranks = [config.get("r"), *(config.get("rank_pattern") or {}).values()]
    # rank_pattern gives single modules another rank than `r`.
    if not all(isinstance(rank, int) and rank > 0 for rank in ranks):
        raise UserError(f"{folder / CONFIG} has the rank {config.get('r')!r}, no whole number. {TRAIN_AGAIN}.")
    shapes = read_header(folder / WEIGHTS)
    _check_ranks(folder, shapes, set(ranks))
    _check_base(folder, config, model)
    _check_weights(folder, config, shapes, model)
    return config


def adapter_config(folder: Path) -> dict[str, Any]:
    """The content of ``adapter_config.json``.

    Raises:
        UserError: the file is missing or no JSON object.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise UserError(f"{folder} is not a PEFT adapter: it has no {CONFIG}. Name the folder that has one.")
    return read_object(path, f"{TRAIN_AGAIN}.")


def same_model(one: str, other: str) -> bool:
    """Whether two names can mean one base model: the same folder, the same Hub id, or a copy under its own name."""
    if Path(one).exists() and Path(other).exists():
        return Path(one).resolve() == Path(other).resolve()
    return Path(one).name.lower() == Path(other).name.lower()


def _check_ranks(folder: Path, shapes: Mapping[str, list[int]], ranks: set[int]) -> None:
    for name, shape in shapes.items():
        match = _LORA.fullmatch(name)
        # lora_A has the shape (rank, inputs).
        if match and match["half"] == "A" and shape and shape[0] not in ranks:
            said = " or ".join(map(str, sorted(ranks)))
            raise UserError(
                f"{folder / WEIGHTS} has weights of rank {shape[0]}, and its {CONFIG} says rank {said}: the two are of "
                f"different trainings. {TRAIN_AGAIN}."
            )


def _check_base(folder: Path, config: Mapping[str, Any], model: str) -> None:
    """Compare the bytes of the base with those that the training recorded; without a record, the names."""
    base, weights = config.get("base_model_name_or_path"), Path(model) / "model.safetensors"
    # A name says little: a folder may have been made anew under it. Bytes are asked first.
    recorded = _trained_on(folder)
    if recorded and weights.is_file():
        found = _sha256(str(weights.resolve()), weights.stat().st_size, weights.stat().st_mtime_ns)
        if found != recorded:
            raise UserError(
                f"The adapter {folder} was trained on {base} with weights of sha256 {recorded[:12]}, and those of "
                f"{model} are {found[:12]}. Use the base of its training, or train the adapter again."
            )
        return
    if isinstance(base, str) and base and not same_model(base, model):
        raise UserError(
            f"The adapter {folder} was trained on {base}, and the base here is {model}. Use it with --model {base}; "
            f"if the two are the same, correct base_model_name_or_path in {folder / CONFIG}."
        )


def _trained_on(folder: Path) -> str | None:
    """The sha256 of the base's weights in the training's manifest; that of a checkpoint lies in the folder above."""
    for place in (folder, folder.resolve().parent):
        path = place / "manifest.json"
        if not path.is_file():
            continue
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
            return manifest["inputs"]["base_model"]["sha256"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
    return None


@cache
def _sha256(path: str, size: int, changed: int) -> str:
    """Of a file that several adapters share; size and time tell whether it is still the same."""
    return sha256_of(path)


def _check_weights(folder: Path, config: Mapping[str, Any], shapes: Mapping[str, list[int]], model: str) -> None:
    """Compare the weights with the modules that the config names, in every layer, and their shapes with the base's."""
    halves: dict[str, dict[str, list[int]]] = {}
    for name, shape in shapes.items():
        match = _LORA.fullmatch(name)
        if match:
            halves.setdefault(_short(match["module"]), {})[match["half"]] = shape
    if not halves:
        raise UserError(f"{folder / WEIGHTS} has no LoRA weights among its {len(shapes)} tensors. {TRAIN_AGAIN}.")
    for module, pair in halves.items():
        # A layer's update is the product of its two halves: one alone is a torn file.
        if len(pair) < 2:
            raise UserError(f"{folder / WEIGHTS} has half of the weights of {module}. {TRAIN_AGAIN}.")
    base = base_shapes(model)
    # Parameters that are no modules, as those of experts, have no place in this comparison by module.
    if base is None or config.get("target_parameters"):
        return
    modules = {_short(name.removesuffix(".weight")): shape for name, shape in base.items() if name.endswith(".weight")}
    wanted = {name for name in modules if len(modules[name]) == 2 and is_target(name, config)}
    if config.get("target_modules") == "all-linear":  # names do not tell linear layers from others of two dimensions
        kinds = {_kind(name) for name in halves}
        wanted = {name for name in wanted if _kind(name) in kinds}
    _compare_names(folder, halves.keys(), wanted, model)
    for module in sorted(wanted & halves.keys()):
        _compare_shapes(folder, module, halves[module], modules[module], model)


def _compare_names(folder: Path, there: Iterable[str], wanted: set[str], model: str) -> None:
    there = set(there)
    missing, foreign = sorted(wanted - there), sorted(there - wanted)
    if missing:
        raise UserError(
            f"{folder / WEIGHTS} has weights for {len(there & wanted)} of the {len(wanted)} modules of {model} that "
            f"its {CONFIG} names; {missing[0]} is missing. {TRAIN_AGAIN}."
        )
    if foreign:
        raise UserError(
            f"{folder / WEIGHTS} has weights for {foreign[0]}, which {model} lacks or its {CONFIG} does not name. Use "
            "the base of its training, or train the adapter again."
        )


def _compare_shapes(folder: Path, module: str, pair: Mapping[str, list[int]], base: list[int], model: str) -> None:
    first, second = pair["A"], pair["B"]
    if len(first) != 2 or len(second) != 2 or first[0] != second[1]:
        raise UserError(
            f"{folder / WEIGHTS}: the two halves of {module} have the shapes {first} and {second}, which do not fit "
            f"together. {TRAIN_AGAIN}."
        )
    # Either way round: GPT-2 keeps its weights as inputs x outputs.
    if sorted([first[1], second[0]]) != sorted(base):
        raise UserError(
            f"{folder / WEIGHTS}: {module} is for a weight of {second[0]} x {first[1]}, and that of {model} has "
            f"{' x '.join(map(str, base))}. Use the base of its training."
        )


def base_shapes(model: str) -> dict[str, list[int]] | None:
    """The shapes of a base's weights; None for a Hub id whose weights are not in the cache, and for quantised ones.

    Raises:
        UserError: the folder has no weights, or a torn file.
    """
    shapes = _shapes_here(model)
    if shapes is None or any(_QUANTISED.search(name) for name in shapes):
        return None
    return shapes


def _shapes_here(model: str) -> dict[str, list[int]] | None:
    if Path(model).is_dir():
        return model_shapes(Path(model))
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        cached = [try_to_load_from_cache(model, f"model.safetensors{end}") for end in ("", ".index.json")]
    except HFValidationError:
        return None
    # Of a file that is known to be missing the cache gives an object of its own, and no path.
    found = next((Path(path) for path in cached if isinstance(path, str)), None)
    try:
        return model_shapes(found.parent) if found else None
    except UserError:  # a download that has not ended
        return None


def is_target(module: str, config: Mapping[str, Any]) -> bool:
    """Whether PEFT puts LoRA weights on a module, as the config says.

    Args:
        module: dotted name, from its layer on (``layers.0.self_attn.q_proj``).
        config: of the adapter.
    """
    targets, excluded = config.get("target_modules"), config.get("exclude_modules")
    # As in PEFT: what is excluded is not looked for among the targets.
    if excluded and _named(module, excluded):
        return False
    layer = _LAYER.search(module)
    layers = config.get("layers_to_transform")
    if layers is not None and layer:
        # PEFT takes a single layer as a number.
        layers = [layers] if isinstance(layers, int) else layers
        if int(layer[2]) not in layers:
            return False
    if targets == "all-linear":
        return layer is not None
    return _named(module, targets or [])


_BEFORE_LAYERS = ("", "model.", "transformer.", "model.language_model.", "language_model.model.")


def _named(module: str, names: str | list[str]) -> bool:
    if isinstance(names, str):  # a regular expression of the whole name, which begins before the layers
        return any(re.fullmatch(names, f"{before}{module}") for before in _BEFORE_LAYERS)
    # PEFT writes whole names, from before the layers on, where it was told to take all linear ones.
    return any(module == _short(name) or module.endswith(f".{name}") for name in names)


def _kind(module: str) -> str:
    """A module's name without the number of its layer."""
    return re.sub(r"\.\d+\.", ".", module, count=1)


def _short(module: str) -> str:
    """The part of a module's name that checkpoints and models agree on: from its layer on."""
    match = _LAYER.search(module)
    return match[1] if match else module.rpartition(".")[2]
