"""``leak.html``: rows whose tokens are shaded by score."""

from __future__ import annotations

from typing import Any

from subliminal.analysis.pages import visible

HALF_SHADE = 0.5
"""Nats at which a token is shaded half."""


def shaded(row: dict[str, Any]) -> dict[str, Any]:
    """A row of ``scores.jsonl`` as lines of tokens: text, kind, nats, opacity of the shade, whether the top differs."""
    lines = {}
    for name, scores in row["teachers"].items():
        tokens = []
        for piece, kind, kl, mark in zip(row["pieces"], row["kinds"], scores["kl"], scores["differs"], strict=True):
            # Rounding can leave a divergence just below 0.
            leaked = max(kl, 0.0)
            # Leaks span orders of magnitude: this never saturates, and needs no largest one to scale by.
            opacity = leaked / (leaked + HALF_SHADE)
            shown = {"text": visible(piece), "title": f"{kl:.4g} nats, {kind}"}
            tokens.append({**shown, "kind": kind, "kl": kl, "opacity": opacity, "differs": mark == "1"})
        lines[name] = tokens
    return {"id": row["id"], "lines": lines}
