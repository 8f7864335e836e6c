"""``recipes/README.md``: one row a recipe, made from the keys and headers of the recipes, so that it stays true.

What the page says beside its tables stands in ``templates/recipes.md.j2``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from subliminal.core.templates import templates
from subliminal.training.header import UNMEASURED, header_lines, header_rows, launcher_of, measured_cost, steps_line
from subliminal.training.lint import RECIPES, read_recipe

INDEX = RECIPES / "README.md"
COLUMNS = (
    "recipe",
    "base model",
    "data",
    "adapter",
    "learning rate",
    "steps",
    "hardware",
    "GiB",
    "minutes",
    "tokens/s",
    "loss",
)


def index_text(paths: Iterable[Path]) -> str:
    """The whole page.

    Args:
        paths: recipes under ``recipes/``.
    """
    folders: dict[str, list[Path]] = {}
    # By name, so that a new recipe moves no other row.
    for path in sorted(paths):
        folders.setdefault(path.relative_to(RECIPES).parent.as_posix(), []).append(path)
    sections = []
    for folder, recipes in sorted(folders.items()):
        title = "Large models" if folder == "." else f"`{folder}/`"
        lines = [f"## {title}\n", _line(COLUMNS), _line(["---"] * len(COLUMNS)), *map(_row, recipes)]
        sections.append("\n".join(lines) + "\n")
    page = templates("subliminal.training").get_template("recipes.md.j2")
    return page.render(tables="\n".join(sections))


def _row(path: Path) -> str:
    recipe, text = read_recipe(path)
    header = header_lines(text)
    rows, steps = header_rows(header), ""
    # The path alone; what else the line says is for whoever reads the recipe.
    data = header.get("Data", "").split(",")[0].split(" ")[0]
    if rows:
        data += f", {rows:,} rows"
        # The right side of the line's equation; what follows it are the warm-up steps.
        steps = re.search(r"= ([\d,]*\d)", steps_line(recipe, rows))[1]
    cost = measured_cost(header)
    if cost:
        gib, minutes, speed, machine = cost
    else:
        gib = minutes = speed = "not measured"
        machine = f"{header.get('Hardware', '')}, {Path(launcher_of(header) or '').name}"
    expect = header.get("Expect", "")
    if expect == UNMEASURED:
        expect = "not measured"
    name = path.relative_to(RECIPES).as_posix()
    return _line(
        [
            f"[{name.removesuffix('.yml')}]({name})",
            str(recipe["base_model"]),
            data,
            _adapter(recipe),
            str(recipe["learning_rate"]),
            steps,
            machine,
            gib,
            minutes,
            speed,
            expect,
        ]
    )


def _adapter(recipe: dict[str, Any]) -> str:
    if recipe.get("adapter"):
        kind = {"lora": "LoRA", "qlora": "QLoRA, 4 bits"}[recipe["adapter"]]
        return f"{kind}, r={recipe['lora_r']}"
    if recipe.get("unfrozen_parameters"):
        return "some biases and the norms"
    return "all weights"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
