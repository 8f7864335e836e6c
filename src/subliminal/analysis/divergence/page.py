"""``divergence.html``: divergence tokens by kind and position, and rows whose tokens are shaded by graded score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from subliminal.analysis.grades import graded
from subliminal.analysis.leak_page import template, visible
from subliminal.core.files import write_text

MOST_SHADE = 0.7
"""Opacity of a token at which every counterfactual teacher disagrees."""


def write_page(
    path: Path, config: dict[str, Any], result: dict[str, Any], table: list[dict[str, Any]], rows: list[dict[str, Any]]
) -> None:
    """Write the page.

    Args:
        path: the file.
        config: of the run.
        result: what ``divergence.json`` holds.
        table: the rows of ``divergence.csv``.
        rows: rows of ``scores.jsonl`` to show.
    """
    by_position = [line for line in table if line["position"] is not None]
    text = template("divergence.html.j2").render(
        config=config, result=result, by_position=by_position, rows=[shaded(row) for row in rows]
    )
    write_text(path, text)


def shaded(row: dict[str, Any]) -> dict[str, Any]:
    """A row of ``scores.jsonl`` as tokens: text, kind, number that disagree, opacity of the shade, and a title."""
    counts = graded(row["matches"], row["disagrees"])
    tokens = []
    for piece, kind, count, margin in zip(row["pieces"], row["kinds"], counts, row["scores"]["margin"], strict=True):
        opacity = MOST_SHADE * count / len(row["disagrees"])
        shown = {"text": visible(piece), "title": f"{count} disagree, {margin:.4g} nats, {kind}"}
        tokens.append({**shown, "kind": kind, "graded": count, "opacity": opacity, "differs": count > 0})
    return {"id": row["id"], "tokens": tokens}
