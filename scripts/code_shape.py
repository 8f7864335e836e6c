"""How dense is the code? Counts per 1,000 lines, beside what a reader can follow at a glance. A look, no gate.

python scripts/code_shape.py                    # src and data_builders, by package
python scripts/code_shape.py --by module src    # the densest modules first
"""

from __future__ import annotations

import ast
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError, run_cli

AIMS = {"nested": 1, "comprehensions": 25, "conditionals": 12, "comments": 40}
"""Per 1,000 lines: at most, but of comments at least."""

COMPREHENSION = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
app = typer.Typer(add_completion=False)


def shape_of(path: Path) -> Counter[str]:
    """Lines, comprehensions, those within another, ``a if b else c``, and lines with a comment of one module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = Counter(lines=len(path.read_text(encoding="utf-8").splitlines()))
    for node in ast.walk(tree):
        if isinstance(node, ast.IfExp):
            found["conditionals"] += 1
        if isinstance(node, COMPREHENSION):
            found["comprehensions"] += 1
            inner = (child for child in ast.walk(node) if child is not node)
            found["nested"] += any(isinstance(child, COMPREHENSION) for child in inner)
    with tokenize.open(path) as file:
        found["comments"] = sum(token.type == tokenize.COMMENT for token in tokenize.generate_tokens(file.readline))
    return found


def rows(paths: list[Path], by: str) -> Iterator[tuple[str, Counter[str]]]:
    """Package (or module) -> its counts, then the sum; modules with the most nested comprehensions first."""
    groups: dict[str, Counter[str]] = {}
    for path in paths:
        name = path.relative_to(REPO_ROOT)
        key = str(name if by == "module" else name.parent)
        groups[key] = groups.get(key, Counter()) + shape_of(path)
    yield from sorted(groups.items(), key=lambda item: -item[1]["nested"] if by == "module" else 0)
    yield "all", sum(groups.values(), Counter())


@app.command(help=__doc__)
def main(
    folders: Annotated[list[str] | None, typer.Argument(help="Default: src and data_builders.")] = None,
    by: Annotated[str, typer.Option(help="package or module.")] = "package",
) -> None:
    if by not in ("package", "module"):
        raise UserError(f"--by {by} is unknown. Choose package or module.")
    paths = [path for name in folders or ["src", "data_builders"] for path in sorted((REPO_ROOT / name).rglob("*.py"))]
    if not paths:
        raise UserError(f"{', '.join(folders or [])} hold no Python file. Name folders of this checkout.")
    print(f"{'per 1,000 lines':44} {'lines':>7} " + " ".join(f"{name:>14}" for name in AIMS))
    for name, found in rows(paths, by):
        counts = " ".join(f"{1000 * found[each] / max(found['lines'], 1):14.1f}" for each in AIMS)
        print(f"{name:44} {found['lines']:7} {counts}")
    print(f"{'aim':44} {'':7} " + " ".join(f"{value:14}" for value in AIMS.values()))


if __name__ == "__main__":
    run_cli(app)
