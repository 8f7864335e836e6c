"""``divergence.html``: rows whose tokens are shaded by graded score."""

from __future__ import annotations

from typing import Any

from subliminal.analysis.grades import graded
from subliminal.analysis.pages import visible

MOST_SHADE = 0.7
"""Opacity of a token at which every counterfactual teacher disagrees."""


def shaded(row: dict[str, Any]) -> dict[str, Any]:
    """A row of ``scores.jsonl`` as tokens: text, kind, number that disagree, opacity of the shade, and a title."""
    counts = graded(row["matches"], row["disagrees"])
    tokens = []
    for piece, kind, count, margin in zip(row["pieces"], row["kinds"], counts, row["scores"]["margin"], strict=True):
        # By the share of teachers that disagree, so that pages with two and with five of them look alike.
        opacity = MOST_SHADE * count / len(row["disagrees"])
        shown = {"text": visible(piece), "title": f"{count} disagree, {margin:.4g} nats, {kind}"}
        tokens.append({**shown, "kind": kind, "graded": count, "opacity": opacity, "differs": count > 0})
    return {"id": row["id"], "tokens": tokens}
