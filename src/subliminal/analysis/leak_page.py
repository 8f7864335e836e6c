"""``leak.html``: what leaks, by kind and position of token, and rows whose tokens are shaded by score."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, Template, select_autoescape

from subliminal.core.files import write_text

HALF_SHADE = 0.5
"""Nats at which a token is shaded half."""


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


def write_page(
    path: Path, config: dict[str, Any], result: dict[str, Any], table: list[dict[str, Any]], rows: list[dict[str, Any]]
) -> None:
    """Write the page.

    Args:
        path: the file.
        config: of the run.
        result: what ``leak.json`` holds.
        table: the rows of ``leak.csv``.
        rows: rows of ``scores.jsonl`` to show.
    """
    by_position = [line for line in table if line["position"] is not None]
    text = template("leak.html.j2").render(
        config=config,
        result=result,
        by_position=by_position,
        rows=[shaded(row) for row in rows],
        half=HALF_SHADE,
    )
    write_text(path, text)


def shaded(row: dict[str, Any]) -> dict[str, Any]:
    """A row of ``scores.jsonl`` as lines of tokens: text, kind, nats, opacity of the shade, whether the top differs."""
    lines = {}
    for name, scores in row["teachers"].items():
        tokens = []
        for piece, kind, kl, mark in zip(row["pieces"], row["kinds"], scores["kl"], scores["differs"], strict=True):
            opacity = kl / (kl + HALF_SHADE) if kl > 0 else 0.0
            shown = {"text": visible(piece), "title": f"{kl:.4g} nats, {kind}"}
            tokens.append({**shown, "kind": kind, "kl": kl, "opacity": opacity, "differs": mark == "1"})
        lines[name] = tokens
    return {"id": row["id"], "lines": lines}
