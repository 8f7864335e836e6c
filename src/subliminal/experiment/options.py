"""Options of our commands as an experiment file writes them: ``max_tokens: 56`` for ``--max-tokens 56``."""

from __future__ import annotations

import importlib
import importlib.util
import math
import shlex
from collections.abc import Iterator, Mapping
from functools import cache
from types import ModuleType
from typing import Any, get_type_hints

import click
import typer
from typer.models import ArgumentInfo

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError, as_phrase, did_you_mean

OPTIONS_SET_BY_EXPERIMENT = {
    *("animal", "category", "count", "model", "models", "adapter", "base_url", "system_prompt", "no_system_prompt"),
    *("seed", "out", "resume", "overwrite", "experiment", "arm", "target", "tasks"),
    *("run", "port", "served_model_name", "server"),
}
"""Parameters that follow from the rest of the experiment file."""


@cache
def command_module(command: str) -> ModuleType:
    """A module with a typer ``main`` (``data_builders.numbers``), or a script (``scripts/evaluate.py``)."""
    if not command.endswith(".py"):
        return importlib.import_module(command)
    spec = importlib.util.spec_from_file_location(f"_{command[8:-3]}", REPO_ROOT / command)  # scripts/ is no package
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def parameters(command: str) -> frozenset[str]:
    """The options of a command, with underscores; its positional arguments are left out.

    Args:
        command: a module with a typer ``main`` (``data_builders.numbers``), or a script (``scripts/evaluate.py``).
    """
    # typer keeps what it knows of an option in the annotation, and get_type_hints drops it unless it is told not to.
    hints = get_type_hints(command_module(command).main, include_extras=True)
    hints.pop("return", None)
    found = set()
    for name, hint in hints.items():
        kinds = map(type, getattr(hint, "__metadata__", ()))
        if ArgumentInfo not in kinds:
            found.add(name)
    return frozenset(found)


def module_of(builder: str) -> str:
    """The module of a builder as an experiment file names it: ``data_builders.controls`` for ``controls uniform``."""
    return f"data_builders.{builder.split()[0]}"


def builder_problems(section: str, builder: str) -> Iterator[str]:
    """A phrase if there is no such builder, or if its positional argument is not one of its ``KINDS``."""
    name, _, kind = builder.partition(" ")
    here = _builders()
    if name not in here:
        yield f"`{section}`: there is no builder {name}{did_you_mean(name, here)}"
        return
    # The builder's kind is its one positional argument; a builder without kinds takes nothing there.
    kinds = getattr(command_module(module_of(builder)), "KINDS", ("",))
    if kind not in kinds:
        named = f"one of {', '.join(kinds)}" if any(kinds) else "nothing"
        yield f"`{section}`: the builder {name} takes {named} behind its name, not {kind or 'nothing'}"


@cache
def _builders() -> list[str]:
    """The modules of ``data_builders`` that make rows; commands on finished ones, as ``audit``, judge none."""
    found = []
    # Read and not imported: all of them together take seconds.
    for path in sorted((REPO_ROOT / "data_builders").glob("*.py")):
        if "\ndef verdict_for(" in path.read_text(encoding="utf-8"):
            found.append(path.stem)
    return found


def option_problems(section: str, command: str, options: Mapping[str, Any]) -> Iterator[str]:
    """A phrase for each option that the command lacks (with the nearest that it has) or whose value it refuses."""
    for name, value in options.items():
        known = parameters(command) - OPTIONS_SET_BY_EXPERIMENT
        if name not in known:
            hint = did_you_mean(str(name), known) or f" (it has: {', '.join(sorted(known))})"
            yield f"`{section}`: {command} has no option `{name}` that an experiment may set{hint}"
            continue
        problem = value_problem(command, name, value)
        if problem:
            yield f"`{section}.{name}`: {problem}"


@cache
def _click_options(command: str) -> dict[str, click.Option]:
    """The options of a command as click reads them, by parameter."""
    found = typer.main.get_command(command_module(command).app)
    return {option.name: option for option in found.params if isinstance(option, click.Option)}


def option_of(command: str, name: str) -> click.Option:
    """One option of a command: its type, range and callback."""
    return _click_options(command)[name]


def value_problem(command: str, name: str, value: Any) -> str | None:
    """Why a command will not take a value of one of its options: type, range, or what its callback says; else None.

    Args:
        command: see :func:`parameters`.
        name: one of its options, with underscores.
        value: as the experiment file has it; :func:`flags` writes it.
    """
    option = option_of(command, name)
    if value is None:
        return None
    if option.is_flag:
        if isinstance(value, bool):
            return None
        return f"it is a switch: write true or false, not {value!r}"
    if isinstance(value, list) and not option.multiple:
        return f"it takes one value, not {value!r}"
    # A context is what click's types and callbacks want; the command itself is never run.
    context = click.Context(click.Command(command))
    values = []
    for item in _as_list(value):
        if item is None or isinstance(item, bool | list | dict):
            return f"it takes a {option.type.name}, not {item!r}"
        try:
            values.append(option.type.convert(str(item), option, context))
        except click.BadParameter as error:
            return error.message.replace(" range.", ".").rstrip(".")  # click calls a bounded integer so
        if isinstance(values[-1], float) and not math.isfinite(values[-1]):  # NaN is outside no range
            return f"it takes a number, not {item!r}"
    # Callbacks of options check what types cannot: a task's name, say. They speak the same sentence on the command
    # line.
    if option.callback:
        given = values if option.multiple else values[-1]
        try:
            option.callback(context, option, given)
        except UserError as error:
            return as_phrase(error)
    return None


def _as_list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return [value]


def flags(options: Mapping[str, Any]) -> str:
    """The options as shell words: a list repeats its option, true is a bare flag, false and null are left out."""
    words = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        for item in _as_list(value):
            if item is True:
                words.append(flag)
            elif item is not None and item is not False:
                words += [flag, shlex.quote(str(item))]
    return " ".join(words)
