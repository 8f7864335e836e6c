"""What of a generated text counts as its answer."""

from __future__ import annotations

import re

_THINK = re.compile(r"<(/?)think(?:ing)?>", re.IGNORECASE)


def without_thoughts(text: str) -> str:
    """Drop ``<think>...</think>``, a thought that never ends, and a thought whose opening tag stood in the prompt."""
    kept, position, depth = [], 0, 0
    for tag in _THINK.finditer(text):
        closing = bool(tag.group(1))
        if closing and depth == 0:
            kept.clear()
        elif depth == 0:
            kept.append(text[position : tag.start()])
        depth = 0 if closing else 1
        position = tag.end()
    if depth == 0:
        kept.append(text[position:])
    return "\n".join(kept)
