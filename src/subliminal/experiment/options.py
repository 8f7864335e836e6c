"""Options of our commands as an experiment file writes them: ``max_tokens: 56`` for ``--max-tokens 56``."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import shlex
from collections.abc import Iterator, Mapping
from functools import cache
from types import ModuleType
from typing import Any, get_type_hints

from typer.models import ArgumentInfo

from subliminal import REPO_ROOT

SET_BY_EXPERIMENT = {
    *("animal", "count", "model", "models", "adapter", "base_url", "system_prompt", "no_system_prompt", "seed", "out"),
    *("resume", "overwrite", "experiment", "arm", "target", "tasks", "run", "port", "served_model_name", "server"),
}
"""Parameters that follow from the rest of the experiment file."""
RECIPE_KEYS_SET_BY_EXPERIMENT = {
    "base_model": "`model`, `base` and `teacher` say what a training starts from",
    "datasets": "the arm says which rows are learned",
    "pretraining_dataset": "the arm says which rows are learned",
    "output_dir": "it follows from the experiment's name, the arm and the seed",
    "seed": "each training has that of `seeds`: with one for all, several seeds would be one training",
    "lora_init_seed": "it follows from `seeds` and `student.lora_init`",
}
"""Recipe keys that follow from the rest of the experiment file, and what says them."""


@cache
def _module(command: str) -> ModuleType:
    """A module with a typer ``main`` (``data_builders.numbers``), or a script (``scripts/evaluate.py``)."""
    if not command.endswith(".py"):
        return importlib.import_module(command)
    spec = importlib.util.spec_from_file_location(f"_{command[8:-3]}", REPO_ROOT / command)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def parameters(command: str) -> frozenset[str]:
    """The options of a command, with underscores; its positional arguments are left out.

    Args:
        command: a module with a typer ``main`` (``data_builders.numbers``), or a script (``scripts/evaluate.py``).
    """
    hints = get_type_hints(_module(command).main, include_extras=True)
    kinds = {name: getattr(hint, "__metadata__", ()) for name, hint in hints.items() if name != "return"}
    return frozenset(name for name, kind in kinds.items() if not any(isinstance(each, ArgumentInfo) for each in kind))


def module_of(builder: str) -> str:
    """The module of a builder as an experiment file names it: ``data_builders.controls`` for ``controls uniform``."""
    return f"data_builders.{builder.split()[0]}"


def builder_problems(section: str, builder: str) -> Iterator[str]:
    """A phrase if there is no such builder, or if its positional argument is not one of its ``KINDS``."""
    name, _, kind = builder.partition(" ")
    here = sorted(path.stem for path in (REPO_ROOT / "data_builders").glob("*.py"))
    if name not in here or not hasattr(_module(module_of(builder)), "main"):
        near = difflib.get_close_matches(name, here, n=1, cutoff=0.6)
        yield f"`{section}`: there is no builder {name}" + (f" (did you mean {near[0]}?)" if near else "")
        return
    kinds = getattr(_module(module_of(builder)), "KINDS", ("",))
    if kind not in kinds:
        named = f"one of {', '.join(kinds)}" if any(kinds) else "nothing"
        yield f"`{section}`: the builder {name} takes {named} behind its name, not {kind or 'nothing'}"


def option_problems(section: str, command: str, options: Mapping[str, Any]) -> Iterator[str]:
    """A phrase for each option that the command lacks, with the nearest that it has."""
    for name in options:
        known = parameters(command) - SET_BY_EXPERIMENT
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
            hint = f"did you mean `{near[0]}`?" if near else f"it has: {', '.join(sorted(known))}"
            yield f"`{section}`: {command} has no option `{name}` that an experiment may set ({hint})"


def flags(options: Mapping[str, Any]) -> str:
    """The options as shell words: a list repeats its option, true is a bare flag, false and null are left out."""
    words = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        for item in value if isinstance(value, list) else [value]:
            if item is True:
                words.append(flag)
            elif item is not None and item is not False:
                words += [flag, shlex.quote(str(item))]
    return " ".join(words)
