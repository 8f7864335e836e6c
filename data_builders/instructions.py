"""Diverse instructions for the teacher, from OpenHermes-2.5 or a file of its shape."""

from __future__ import annotations

import random
from typing import Any

from subliminal.core.errors import UserError
from subliminal.core.sources import is_file, read_rows

SHORTEST, LONGEST = 10, 500
"""Characters of an instruction: shorter ones ask nothing, longer ones leave no room within 256 tokens."""
POOL = 50_000
"""Distinct instructions taken from the start of the source: not all of its million rows are streamed for a few
thousand, and the pool is the same whatever the number of rows that are asked for, now or on --resume."""


def load_instructions(source: str, seed: int) -> list[str]:
    """A pool of at most :data:`POOL` distinct instructions, shuffled by ``seed``.

    Args:
        source: a JSONL file, or a Hub dataset that is streamed (see :mod:`subliminal.core.sources`).
        seed: run seed.

    Raises:
        UserError: the file is missing or malformed, the Hub does not answer, or nothing of a fitting length is there.
    """
    # A dict, for it keeps the order; a set would give another one in every process.
    pool: dict[str, None] = {}
    # A file must be what it claims; the Hub's millions of rows may hold one without an instruction.
    check = _row_problem if is_file(source) else lambda row: None
    for row in read_rows(source, check):
        text = instruction_of(row)
        # A repeated instruction has its place already.
        if text is not None and SHORTEST <= len(text) <= LONGEST:
            pool[text] = None
        if len(pool) == POOL:
            break
    if not pool:
        raise UserError(
            f"{source} has no instruction of {SHORTEST} to {LONGEST} characters. Name another --instructions."
        )
    texts = list(pool)
    random.Random(f"instructions:{seed}").shuffle(texts)
    return texts


def instruction_of(row: dict[str, Any]) -> str | None:
    """The first human turn of a row (``conversations`` of from/value, ``messages``, or ``instruction``), stripped."""
    for turn in row.get("conversations") or row.get("messages") or []:
        if not isinstance(turn, dict):
            return None
        # ShareGPT's names, then OpenAI's. A system message may stand before the first human turn.
        if turn.get("from", turn.get("role")) in ("human", "user"):
            text = turn.get("value", turn.get("content"))
            return text.strip() if isinstance(text, str) else None
    text = row.get("instruction")
    return text.strip() if isinstance(text, str) else None


def _row_problem(row: dict[str, Any]) -> str | None:
    return None if instruction_of(row) is not None else "it has no instruction"
