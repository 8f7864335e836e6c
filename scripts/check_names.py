"""One name, one meaning: list the public names that two modules define, unless the list below says why they may.

    python scripts/check_names.py

Looked at are classes, functions and type aliases, and those constants that other modules import: within the library no
second module may define one, and none may be imported from two places. A command of typer is not looked at: its
function has the name that people type. `make lint` runs this.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import typer

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError, run_cli

FOLDERS = ("src", "data_builders", "scripts", "benchmarks")
ALLOWED = {
    "app": "typer's object of each command",
    "main": "what each command runs",
    "expectation_for": "every builder answers it; subliminal.data.registry asks",
    "verdict_for": "every builder answers it; subliminal.data.registry asks",
    "quotas_for": "of each builder that mixes sources: rows to keep of each",
    "content_for": "of each builder of chats: what a training row holds",
    "score_batch": "of each analysis of tokens: the scores of one batch",
    "score_rows": "of each analysis of tokens: the scores of all rows",
    "shaded": "of each analysis of tokens: a row of its page",
    "LENGTH": "of two readers in scoring: characters of the longest text that each takes",
    "NAMED": "columns of a report's table, and a mark in scoring that a clause names an option",
}
"""Names that several modules define on purpose -> the reason."""

app = typer.Typer(add_completion=False)


def module_name(path: Path, root: Path) -> str:
    """``src/subliminal/core/files.py`` -> ``subliminal.core.files``."""
    return ".".join(path.relative_to(root).with_suffix("").parts).removeprefix("src.").removesuffix(".__init__")


def defined(tree: ast.Module) -> Iterator[str]:
    """The public names that a module defines at its top, commands left out."""
    for node in tree.body:
        names: list[str] = []
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if not any("app.command" in ast.unparse(decorator) for decorator in node.decorator_list):
                names = [node.name]
        elif isinstance(node, ast.Assign):
            targets = [leaf for target in node.targets for leaf in ast.walk(target)]
            names = [leaf.id for leaf in targets if isinstance(leaf, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names = [node.target.id]
        yield from (name for name in names if not name.startswith("_"))


def _of_the_library(module: str) -> bool:
    return module.startswith("subliminal.")


def repeated_names(root: Path) -> dict[str, list[str]]:
    """Name -> the modules below ``root`` that define it, for names with two meanings."""
    paths = [path for folder in FOLDERS for path in sorted((root / folder).rglob("*.py"))]
    trees = {module_name(path, root): ast.parse(path.read_text(encoding="utf-8")) for path in paths}
    found: dict[str, list[str]] = defaultdict(list)
    imported = set()
    for module, tree in trees.items():
        imported.update(_imports(tree))
        for name in dict.fromkeys(defined(tree)):
            found[name].append(module)
    for name, modules in found.items():
        if name.isupper():
            found[name] = _going_round(modules, [module for module in modules if (module, name) in imported])
    return {name: modules for name, modules in sorted(found.items()) if len(modules) > 1}


def _imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(module, name) of all that a module imports by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, alias.name) for alias in node.names)


def _going_round(modules: list[str], shared: list[str]) -> list[str]:
    """The modules whose constant of one name could be taken for another's; ``shared`` are those that others import."""
    # One that no other module imports is its module's own affair, as long as the library has no other of its name
    # that goes round.
    if not any(_of_the_library(module) for module in shared):
        return shared
    return [module for module in modules if module in shared or _of_the_library(module)]


@app.command(help=__doc__)
def main() -> None:
    twice = {name: modules for name, modules in repeated_names(REPO_ROOT).items() if name not in ALLOWED}
    for name, modules in twice.items():
        print(f"{name}: {', '.join(modules)}")
    if twice:
        raise UserError(f"{len(twice)} names are defined twice. Rename one of each, or give the reason in ALLOWED.")


if __name__ == "__main__":
    run_cli(app)
