"""Which keys a recipe may have: Axolotl's own schema and its plugins', read from their source.

Axolotl drops unknown keys without a word. Its schema is a tree of pydantic classes whose import takes ten seconds
(torch); reading the class bodies takes a tenth of one, and a test compares the result with the imported classes.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from subliminal.core.errors import did_you_mean

Schema = dict[str, "Schema | None"]
"""Key -> the keys allowed below it, or None where Axolotl takes any value."""

COMMAND_LINE_CLASSES = ("TrainerCliArgs", "PreprocessCliArgs")
"""Switches of `axolotl train` and `preprocess`; they reach a plugin's ``register`` mixed in with the recipe's keys."""


def recipe_schema(recipe: dict[str, Any]) -> Schema:
    """The keys allowed in this recipe: Axolotl's, plus those of the plugins that it names."""
    schema = dict(axolotl_schema())
    if not recipe.get("rl"):  # Axolotl then reads every dataset as an SFT dataset, whatever the annotation allows
        schema["datasets"] = schema["test_datasets"] = sft_dataset_schema()
    for plugin in recipe.get("plugins") or []:
        schema |= plugin_schema(str(plugin)) or {}
    return schema


def unknown_keys(recipe: dict[str, Any], schema: Schema, *, prefix: str = "") -> Iterator[str]:
    """Yield a phrase for each key, at any depth, that ``schema`` lacks: the dotted key and the nearest known one."""
    for key, value in recipe.items():
        dotted = f"{prefix}{key}"
        if key not in schema:
            yield f"`{dotted}`{did_you_mean(str(key), schema, prefix)}"
            continue
        below = schema[key]
        if below is None:  # Axolotl takes any value
            continue
        if isinstance(value, dict):
            yield from unknown_keys(value, below, prefix=f"{dotted}.")
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, dict):
                    yield from unknown_keys(item, below, prefix=f"{dotted}[{index}].")


@cache
def axolotl_schema() -> Schema:
    """The keys of ``AxolotlInputConfig``, nested, of the installed Axolotl."""
    return _fields("AxolotlInputConfig", _axolotl_classes())


@cache
def sft_dataset_schema() -> Schema:
    """The keys of one entry of ``datasets`` in supervised fine-tuning."""
    return _fields("SFTDataset", _axolotl_classes())


@cache
def command_line_keys() -> frozenset[str]:
    """Command-line switches that are no recipe keys."""
    classes = _classes(_package_folder("axolotl") / "cli" / "args.py")
    return frozenset({"inference"}.union(*(_fields(name, classes) for name in COMMAND_LINE_CLASSES)))


class _Plugin(NamedTuple):
    """The class of a plugin's recipe keys (a dotted path, None without any), and these keys."""

    arguments: str | None
    keys: Schema


def plugin_schema(plugin: str) -> Schema | None:
    """The recipe keys that a plugin adds, or None if there is no such plugin.

    Args:
        plugin: dotted path of the plugin's class, as in a recipe's ``plugins``.
    """
    found = _plugin(plugin)
    return None if found is None else found.keys


def plugin_arguments(plugin: str) -> str | None:
    """The dotted path of the pydantic class of the keys that a plugin adds; None if it adds none, or is none."""
    found = _plugin(plugin)
    return None if found is None else found.arguments


@cache
def _plugin(plugin: str) -> _Plugin | None:
    module, _, name = plugin.rpartition(".")
    try:
        # find_spec imports the package that a module lies in, which may fail for reasons of its own.
        spec = importlib.util.find_spec(module) if module else None
    except ImportError:
        spec = None
    if spec is None or spec.origin is None:
        return None
    files = [Path(spec.origin)]
    if files[0].name == "__init__.py":  # a package: the class may stand in any of its modules
        files = sorted(files[0].parent.rglob("*.py"))
    classes = _classes(*files)
    if name not in classes:
        return None
    arguments = _input_args_class(classes[name])
    if arguments is None:
        return _Plugin(None, {})
    module, _, class_name = arguments.rpartition(".")
    classes = _classes(source_of(module)) | classes
    return _Plugin(arguments, _fields(class_name, classes))


def _input_args_class(plugin: ast.ClassDef) -> str | None:
    """The class that the plugin's ``get_input_args`` names, a dotted path."""
    for method in plugin.body:
        if isinstance(method, ast.FunctionDef) and method.name == "get_input_args":
            for node in ast.walk(method):
                if isinstance(node, ast.Return) and isinstance(node.value, ast.Constant) and node.value.value:
                    return str(node.value.value)
    return None


def source_of(module: str) -> Path:
    """The file of a module, found without importing the packages that it lies in."""
    package, *rest = module.split(".")
    folder = _package_folder(package).joinpath(*rest)
    if folder.is_dir():
        return folder / "__init__.py"
    return folder.with_suffix(".py")


def file_of_class(dotted: str) -> Path:
    """The file in which a class is defined, by its dotted path: a package may only pass it on from a module of its own.

    To execute that module alone is to import nothing of what else the package imports: for Axolotl's Liger plugin all
    of peft, five seconds.
    """
    module, _, name = dotted.rpartition(".")
    source = source_of(module)
    for statement in ast.parse(source.read_text(encoding="utf-8")).body:
        of_this_package = isinstance(statement, ast.ImportFrom) and statement.level == 1 and statement.module
        if of_this_package and name in [imported.name for imported in statement.names]:
            return source_of(f"{module}.{statement.module}")
    return source


def enum_values(module: str, name: str) -> tuple[str, ...]:
    """The strings that an Enum in a module's source has as values."""
    values = []
    for statement in _classes(source_of(module))[name].body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant):
            values.append(str(statement.value.value))
    return tuple(values)


def _package_folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{package} is not installed in this environment; use the .venv of `make setup`.")
    return Path(spec.origin).parent


@cache
def _axolotl_classes() -> dict[str, ast.ClassDef]:
    return _classes(*sorted((_package_folder("axolotl") / "utils" / "schemas").rglob("*.py")))


def _classes(*files: Path) -> dict[str, ast.ClassDef]:
    found = {}
    for file in files:
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                found[node.name] = node
    return found


def _fields(name: str, classes: dict[str, ast.ClassDef]) -> Schema:
    """The fields of a class and of its bases under every name that pydantic accepts for them."""
    fields: Schema = {}
    # Fields of a class come after those of its bases, which they replace.
    for base in classes[name].bases:
        if isinstance(base, ast.Name) and base.id in classes:
            fields |= _fields(base.id, classes)
    for statement in classes[name].body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            below: Schema = {}
            for node in ast.walk(statement.annotation):
                if isinstance(node, ast.Name) and node.id in classes:
                    # A union of classes allows the keys of each.
                    below = merged(below, _fields(node.id, classes))
            fields |= dict.fromkeys([statement.target.id, *_aliases(statement.value)], below or None)
    return fields


def merged(one: Schema, other: Schema) -> Schema:
    """The keys allowed where either of two schemas may apply."""
    both = {**one, **other}
    return {key: _merged_below(one.get(key), other.get(key)) for key in both}


def _merged_below(one: Schema | None, other: Schema | None) -> Schema | None:
    if one and other:
        return merged(one, other)
    return one or other


def _aliases(value: ast.expr | None) -> Iterator[str]:
    """Other names given by ``Field(alias=...)`` or ``Field(validation_alias=AliasChoices(...))``."""
    if not isinstance(value, ast.Call):
        return
    for keyword in value.keywords:
        if keyword.arg in ("alias", "validation_alias"):
            for node in ast.walk(keyword.value):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value
