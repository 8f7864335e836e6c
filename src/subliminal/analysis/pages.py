"""HTML pages of analyses: their templates, and the texts of models and strangers made harmless."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, Template, select_autoescape

from subliminal.core.files import write_text


def template(name: str) -> Template:
    """A template of this package."""
    environment = Environment(
        loader=PackageLoader("subliminal.analysis"),
        autoescape=select_autoescape(["html.j2"]),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def visible(text: str) -> str:
    """A token's text as a page shows it: a line break as ⏎, other characters that nobody sees as their code.

    Rows come from models and strangers: a character that turns the direction of writing would reorder the page.
    """
    shown = []
    for letter in text:
        if letter == "\n":
            shown.append("⏎")
        elif unicodedata.category(letter) in ("Cc", "Cf"):
            shown.append(f"\\u{ord(letter):04x}")
        else:
            shown.append(letter)
    return "".join(shown)


def write_scores_page(
    path: Path, config: dict[str, Any], result: dict[str, Any], table: list[dict[str, Any]], **values: Any
) -> None:
    """Write the page of an analysis that scored tokens.

    Args:
        path: the file; its template has the same name.
        config: of the run.
        result: what the JSON beside the page holds.
        table: the rows of the CSV beside it, of which the page shows those of one position.
        values: what else the template shows, as ``rows``.
    """
    by_position = [line for line in table if line["position"] is not None]
    text = template(f"{path.name}.j2").render(config=config, result=result, by_position=by_position, **values)
    write_text(path, text)
