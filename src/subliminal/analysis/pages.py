"""HTML pages of analyses, with the texts of models and strangers made harmless."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

from subliminal.core.files import write_text
from subliminal.core.templates import templates


def visible(text: str) -> str:
    """A token's text as a page shows it: a line break as ⏎, other characters that nobody sees as their code.

    Rows come from models and strangers: a character that turns the direction of writing would reorder the page.
    """
    shown = []
    for letter in text:
        if letter == "\n":
            shown.append("⏎")
        # Control characters and format characters: among these are those that turn the direction of writing.
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
    write_page(path, config=config, result=result, by_position=by_position, **values)


def write_page(path: Path, *, template: str | None = None, **values: Any) -> None:
    """Write a page from a template, by default the one of its name: ``leak.html`` from ``leak.html.j2``."""
    page = templates("subliminal.analysis").get_template(template or f"{path.name}.j2")
    write_text(path, page.render(values))
