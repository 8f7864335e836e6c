"""Which values a recipe may have: Axolotl's own schema and its plugins', and the words and ranges that they leave open.

Axolotl checks types when a training starts, and some words (an optimizer's name, say) only in the middle of it. Its
classes take seconds to import, so :func:`value_problems` imports them when it is first called, and no sooner.
"""

from __future__ import annotations

import copy
import importlib.util
import logging
import math
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from subliminal.core.errors import did_you_mean
from subliminal.training.schema import enum_values, file_of_class, plugin_arguments

_QUOTED = re.compile(r"'([^']+)'")
ADAPTERS = ("lora", "qlora")
SCHEDULES_OF_AXOLOTL = ("one_cycle", "rex")
MOST_SEED = 2**32 - 1
"""The largest seed that numpy takes."""

_Count = Annotated[int, Field(ge=1)] | None
_NotNegative = Annotated[float, Field(ge=0)] | None
_Positive = Annotated[float, Field(gt=0)] | None
_Share = Annotated[float, Field(ge=0, lt=1)] | None
_Seed = Annotated[int, Field(ge=0, le=MOST_SEED)] | None


class Ranges(BaseModel):
    """Numbers that Axolotl takes without looking and that no training can have."""

    seed: _Seed = None
    lora_init_seed: _Seed = None
    num_epochs: _Positive = None
    micro_batch_size: _Count = None
    gradient_accumulation_steps: _Count = None
    effective_batch: _Count = None
    sequence_len: _Count = None
    learning_rate: _Positive = None
    warmup_steps: _NotNegative = None
    weight_decay: _NotNegative = None
    adam_beta1: _Share = None
    adam_beta2: _Share = None
    adam_epsilon: _Positive = None
    max_grad_norm: _NotNegative = None
    lora_r: _Count = None
    lora_alpha: _Positive = None
    lora_dropout: _Share = None
    val_set_size: _NotNegative = None
    logging_steps: _Positive = None
    save_total_limit: _Count = None


def shape_problems(recipe: Mapping[str, Any]) -> list[str]:
    """What makes a recipe unreadable for the other checks: keys that are no text, lists that are none.

    Args:
        recipe: a mapping from YAML.

    Returns:
        A phrase each; with one of them nothing else can be asked of the recipe.
    """
    problems = [f"the key {key!r} is no text: put it in quotes" for key in recipe if not isinstance(key, str)]
    for key, kind, words in (
        ("plugins", str, "dotted paths of plugins"),
        ("datasets", dict, "mappings, each with a `path`"),
        ("test_datasets", dict, "mappings, each with a `path`"),
    ):
        value = recipe.get(key)
        if value is not None and not (isinstance(value, list) and all(isinstance(item, kind) for item in value)):
            problems.append(f"`{key}` is {_shown(value)}, not a list of {words}")
    return problems


def value_problems(recipe: Mapping[str, Any]) -> list[str]:
    """What Axolotl, the named plugins or a training itself would refuse among a recipe's values, a phrase each.

    Args:
        recipe: a mapping that :func:`shape_problems` finds nothing wrong with. Unknown keys are left to
            :func:`subliminal.training.schema.unknown_keys`.
    """
    found: dict[str, str] = {}
    words = dict(_word_problems(recipe))
    # The first problem of a key stands: our sentences are read more easily than Axolotl's, and one is enough.
    for key, problem in [*words.items(), *_not_finite(recipe), *_field_problems(Ranges, recipe)]:
        found.setdefault(key, problem)
    for plugin in recipe.get("plugins") or []:
        arguments = plugin_arguments(plugin)
        if not arguments:
            continue
        for key, problem in _field_problems(_class_at(arguments), recipe):
            found.setdefault(key, problem)
    readable = dict(recipe)
    if "adapter" in words:
        readable["adapter"] = ADAPTERS[0]  # Axolotl stops at another, and has more to say
    for key, problem in _axolotl_problems(readable):
        found.setdefault(key, problem)
    told = []
    for key, problem in found.items():
        if key:  # what is wrong with the whole recipe has none
            problem = f"`{key}`: {problem}"
        told.append(problem)
    return told


def _word_problems(recipe: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names that Axolotl's schema takes as any text."""
    for key, words in allowed_words().items():
        value = recipe.get(key)
        if value is not None and value not in words:
            # A dozen at most: there are some forty optimizers.
            near = did_you_mean(str(value), words) or f" (there are {', '.join(words[:12])})"
            yield key, f"there is no {_shown(value)}{near}"


def _not_finite(recipe: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Numbers that YAML has words for and that nothing can be trained with."""
    for key, value in recipe.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, float) and not math.isfinite(item):
                yield key, f"it must be a finite number, not {item}"


@cache
def allowed_words() -> dict[str, tuple[str, ...]]:
    """Recipe key -> the names that it may have, in the libraries that read it."""
    # Importing the modules of these names takes five times as long as reading them.
    optimizers = enum_values("transformers.training_args", "OptimizerNames")
    optimizers += enum_values("axolotl.utils.schemas.enums", "CustomSupportedOptimizers")
    schedules = enum_values("transformers.trainer_utils", "SchedulerType")
    return {
        "adapter": ADAPTERS,
        "optimizer": optimizers,
        "lr_scheduler": (*schedules, *SCHEDULES_OF_AXOLOTL),
        "save_strategy": enum_values("transformers.trainer_utils", "SaveStrategy"),
    }


def _axolotl_problems(recipe: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    with quiet():
        from axolotl.utils.schemas.config import AxolotlInputConfig

        try:
            # Axolotl's validators write into what they are given.
            AxolotlInputConfig.model_validate(copy.deepcopy(dict(recipe)))
        except ValidationError as error:
            problems = list(_phrases(error.errors(), recipe))
        except Exception as error:  # a check of Axolotl's that stumbled over a value of another type
            problems = list(_field_problems(AxolotlInputConfig, recipe))
            if not problems:
                problems = [("", f"Axolotl cannot read it ({type(error).__name__}: {error})")]
        else:
            problems = []
    yield from problems


def _field_problems(schema: type[BaseModel], recipe: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The values whose type alone is wrong, one key after the other."""
    for key, value in recipe.items():
        field = schema.model_fields.get(key)
        if field is None or value is None:
            continue
        try:
            # Each field by itself: with one wrong value the whole schema says nothing of the others.
            _adapter(schema, key).validate_python(copy.deepcopy(value))
        except ValidationError as error:
            errors = [{**each, "loc": (key, *each["loc"])} for each in error.errors()]
            yield from _phrases(errors, recipe)
        except Exception as error:
            yield key, f"{_shown(value)} cannot be read ({error})"


@cache
def _class_at(dotted: str) -> type[BaseModel]:
    """A class by its dotted path; of a package that imports much, only the module that defines it is executed."""
    module, _, name = dotted.rpartition(".")
    if module in sys.modules:
        return getattr(sys.modules[module], name)
    spec = importlib.util.spec_from_file_location(f"_arguments_of_{module.replace('.', '_')}", file_of_class(dotted))
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = loaded
    with quiet():
        spec.loader.exec_module(loaded)
    return getattr(loaded, name)


@cache
def _adapter(schema: type[BaseModel], key: str) -> TypeAdapter:
    return TypeAdapter(schema.model_fields[key].annotation)


def _phrases(errors: Sequence[Any], recipe: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(dotted key, what is wrong with its value) for pydantic's errors: those of a union's members are one."""
    by_key: dict[str, tuple[Any, list[str]]] = {}
    if not recipe.get("rl"):
        errors = _of_sft_datasets(errors)
    for each in errors:
        key, value = _place(each["loc"], recipe)
        message = each["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
        _, messages = by_key.setdefault(key, (value, []))
        if message not in messages:
            messages.append(message)
    for key, (value, messages) in by_key.items():
        yield key, _phrase(key, value, messages)


def _of_sft_datasets(errors: Sequence[Any]) -> list[Any]:
    """Errors about datasets as SFT datasets alone, where there are such, and all others.

    A dataset's type in Axolotl's schema is a union, and pydantic tells what is wrong for each member of it. Without
    ``rl`` Axolotl reads every dataset as an SFT dataset, so that what is said of the other members counts for nothing.
    """
    if not any(_is_of_dataset(each) and "SFTDataset" in each["loc"] for each in errors):
        return list(errors)
    return [each for each in errors if not _is_of_dataset(each) or "SFTDataset" in each["loc"]]


def _is_of_dataset(error: Mapping[str, Any]) -> bool:
    return error["loc"][:1] == ("datasets",)


def _phrase(key: str, value: Any, messages: Sequence[str]) -> str:
    """What is wrong with one value, from pydantic's messages about it: one of each member of a union."""
    # pydantic quotes the words that it would take: the nearest of them is what was meant, if one is near.
    words = [word for word in _QUOTED.findall(" ".join(messages)) if word != value]
    near = did_you_mean(str(value), words)
    if near:
        return f"there is no {_shown(value)}{near}"
    told = []
    for message in messages[:3]:
        told.append(" ".join(message.split()).removeprefix("Input should be "))
    said = " or ".join(told)
    if messages[0].startswith("Input should be "):
        said = f"it must be {said}, not {_shown(value)}"
    elif key:
        said = f"{said.rstrip('.')} (it is {_shown(value)})"
    return said.rstrip(".")


def _place(location: Sequence[Any], recipe: Mapping[str, Any]) -> tuple[str, Any]:
    """The key in the recipe that pydantic's location names (without its tags of union members), and its value."""
    value: Any = recipe
    place = ""
    for part in location:
        if isinstance(value, Mapping) and part in value:
            if place:
                place += "."
            place += str(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            place += f"[{part}]"
        else:
            continue
        value = value[part]
    return place, value


def _shown(value: Any) -> str:
    text = repr(value)
    if len(text) <= 60:
        return text
    return f"{text[:57]}..."


@contextmanager
def quiet() -> Iterator[None]:
    """Axolotl and torch warn about this machine and this recipe; neither is asked for here."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
