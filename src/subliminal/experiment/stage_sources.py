"""Which files decide what a stage makes: prompts, questions, filter rules, tasks, a local model's weights.

A change in one of them makes the stages that list it run again, with all that depends on them. Code that only moves
data around is not listed: its changes are in the manifests' git commit.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from subliminal import REPO_ROOT
from subliminal.core.manifest import read_manifest, sha256_of_input
from subliminal.scoring.category_tasks import category_of_task, template_of
from subliminal.traits.category import ANIMALS, load_category

PACKAGES = ("data_builders", "subliminal.scoring", "subliminal.traits")
"""Where the code is that rows follow from. What the library has beside it moves rows around and decides none."""
_INSIDE = tuple(f"{package}." for package in PACKAGES)
MACHINERY = ("data_builders.options",)


def _from_root(paths: Iterable[Path]) -> list[str]:
    """Files as they are called from the root of the checkout, in the order of the alphabet."""
    return sorted(str(path.relative_to(REPO_ROOT)) for path in paths)


_LIBRARY = REPO_ROOT / "src/subliminal"
SCORING = _from_root([*(_LIBRARY / "scoring").rglob("*.py"), *(_LIBRARY / "traits").rglob("*.py")])
"""What the scores of our own tasks follow from, beside the tasks' files."""
MODEL_FILES = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "model.safetensors",
    "model.safetensors.index.json",
)


@dataclass(frozen=True)
class BuilderSources:
    """Files of the checkout: ``rows`` decide what is asked and written, ``judges`` which answers are kept."""

    rows: tuple[str, ...]
    judges: tuple[str, ...]


def builder_sources(builder: str, options: Mapping[str, Any]) -> BuilderSources:
    """What the rows of a builder follow from: its imports, and what its constants say (see ``data_builders``).

    Args:
        builder: module in ``data_builders``.
        options: that it is given.
    """
    module, used, unused = f"data_builders.{builder}", [], []
    for condition, modules in _constant(module, "ONLY_WITH", {}).items():
        option, _, word = condition.partition(" ")
        # An option's value may be a list or a longer text: the word counts wherever it stands in it.
        if option in options and word in str(options[option]):
            used += modules
        else:
            unused += modules
    judged_by = tuple(_constant(module, "JUDGED_BY", ()))
    # What decides which answers are kept stays out of the rows' list, else a change of it would make rows anew.
    rows = _closure((module, *used), leave_out=(*judged_by, *unused))
    judges = tuple(name for name in _closure(judged_by, leave_out=tuple(unused)) if name not in rows)
    category = options.get("category", ANIMALS)
    return BuilderSources(_files_of(rows, category), _files_of(judges, category))


def option_files(options: Mapping[str, Any]) -> list[str]:
    """Files that are here and that options name, as questions of one's own: what is made follows from their bytes."""
    found = []
    for value in options.values():
        given = value if isinstance(value, list) else [value]
        # What a stage makes is named by a Path and counts by that stage's key.
        found += [each for each in given if isinstance(each, str) and Path(each).is_file()]
    return found


def evaluation_sets(category: str) -> list[str]:
    """Audits compare with these: no training row may overlap with one."""
    return sorted([*_below(REPO_ROOT / "eval_tasks", "*.jsonl"), *_below(load_category(category).folder, "*.jsonl")])


@cache  # a plan of a thousand students asks thousands of times
def _below(folder: Path, pattern: str) -> tuple[str, ...]:
    """The files below a folder whose names are like the pattern."""
    return tuple(_from_root(folder.rglob(pattern)))


def audit_sources(category: str = ANIMALS) -> list[str]:
    """The checks of an audit, and the evaluation sets that they compare with."""
    checks = _files_of(_closure(("data_builders.audit",)), category)
    return list(dict.fromkeys([*checks, *evaluation_sets(category)]))


@cache
def _closure(start: tuple[str, ...], leave_out: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Modules and all that they import of :data:`PACKAGES`, in the order in which they are found."""
    found = [name for name in start if name not in leave_out]
    for module in found:  # grows while it is walked
        for name in _imports(module):
            if name not in (*found, *leave_out, *MACHINERY):
                found.append(name)
    return tuple(found)


def _imports(module: str) -> tuple[str, ...]:
    return _imports_of(_path_of(module))


@cache
def _imports_of(path: Path) -> tuple[str, ...]:
    """The modules of :data:`PACKAGES` that a file imports at its top."""
    found = []
    for node in _parsed(path).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            # What is imported may be a module itself (`from subliminal.scoring import preference`).
            for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                if name.startswith(_INSIDE) and _path_of(name).is_file():
                    found.append(name)
    return tuple(dict.fromkeys(found))


def _constant(module: str, name: str, default: Any) -> Any:
    """A constant of a module, read without importing it."""
    # Read and not imported: a builder may import torch.
    value = _assigned(_path_of(module)).get(name)
    if value is None:
        return default
    return ast.literal_eval(value)


@cache
def _assigned(path: Path) -> dict[str, ast.expr]:
    """What a file's top assigns to each name."""
    found: dict[str, ast.expr] = {}
    for node in _parsed(path).body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            found.setdefault(ast.unparse(node.targets[0]), node.value)
    return found


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _path_of(module: str) -> Path:
    root = REPO_ROOT
    if module.startswith("subliminal"):
        root = REPO_ROOT / "src"
    # Of a package's __init__ nothing is taken: PACKAGES have no code there.
    return root / f"{module.replace('.', '/')}.py"


@cache
def _files_of(modules: tuple[str, ...], category: str = ANIMALS) -> tuple[str, ...]:
    """The modules' own files and those that they read, from the checkout; ``{category}`` in these is a folder."""
    files = [str(_path_of(module).relative_to(REPO_ROOT)) for module in modules]
    for module in modules:
        files += [path.format(category=category) for path in _constant(module, "READS", ())]
    return tuple(files)


def task_sources(tasks: list[str]) -> list[str]:
    """The files of our tasks among ``tasks`` and of their scoring; lm-eval's own tasks come with its version."""
    found: list[str] = []
    for task in tasks:
        category = category_of_task(task)
        if category:
            # Every file beside the questions, as templates and tasks read several of them.
            found += _from_root(load_category(category).folder.iterdir())
            found += _from_root([template_of(task)])
        found += _task_files(task)
    if found:
        found += SCORING
    return list(dict.fromkeys(found))


@cache
def _task_files(task: str) -> tuple[str, ...]:
    """What lies beside the task's configuration, and the modules that its code imports."""
    found: list[str] = []
    for config in (REPO_ROOT / "eval_tasks").rglob(f"{task}.yaml"):
        files = [path for path in config.parent.iterdir() if path.suffix in (".yaml", ".py", ".jsonl")]
        found += _from_root(files)
        for path in sorted(files):
            if path.suffix == ".py":
                found += _files_of(_closure(_imports_of(path)))
    return tuple(found)


@cache
def _files_in(folder: str) -> tuple[str, ...]:
    there = []
    for name in MODEL_FILES:
        path = Path(folder) / name
        if path.is_file():
            there.append(str(path))
    return tuple(there)


def weights_problem(folder: str, expected: str | None) -> str | None:
    """What is wrong with the weights of a model folder whose sha256 an experiment names.

    Args:
        folder: the model.
        expected: hex sha256 of its ``model.safetensors``; None where the experiment names none.

    Returns:
        The end of a sentence, or None if nothing is wrong. A folder that is not there is not looked at.
    """
    if expected is None or not Path(folder).is_dir():
        return None
    weights = Path(folder) / "model.safetensors"
    if not weights.is_file():
        return f"{weights} is not there, and the experiment names its sha256 (`model_sha256`)"
    found = sha256_of_input(weights)
    if found == expected:
        return None
    source = read_manifest(Path(folder)).get("config", {}).get("source")
    fetched = f", fetched from {source}" if source else ""
    return (
        f"{weights} has sha256 {found}{fetched}, and the experiment is for {expected} (`model_sha256`); fetch the "
        "model from the source that the experiment names, or name these weights in a copy of the experiment"
    )


def model_sources(model: str) -> list[str]:
    """The files of a model folder that is there; nothing for a Hub id."""
    return list(_files_in(model))
