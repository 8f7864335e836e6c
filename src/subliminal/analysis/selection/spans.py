"""Spans of an answer that carry loss: how Axolotl is told to train on some tokens of an answer and not on others.

``message_field_training_detail`` of a recipe's dataset names the field of a message that holds them. Axolotl tokenises
the answer by itself, takes a token as trained if it lies within a span with ``train: true``, and lays the result over
the answer's tokens in the row. Offsets are characters of the answer, both ends included.

The end token is no part of the answer's text, so no span reaches it: it is trained wherever an answer has spans and the
recipe says ``train_on_eos: turn``. Spans therefore cover the whole answer, those that carry no loss with
``train: false``: an answer without any would lose its end token too, and teach a model not to stop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from subliminal.core.errors import UserError
from subliminal.core.files import TRAINING_DETAIL


def spans(pieces: Sequence[str], learned: Sequence[bool]) -> list[dict[str, Any]]:
    """Spans that cover an answer, one for each run of tokens that are all learned or all not.

    Args:
        pieces: texts of the answer's tokens, without the end token.
        learned: for each of them, whether it carries loss.
    """
    found: list[dict[str, Any]] = []
    begin = 0
    for piece, learn in zip(pieces, learned, strict=True):
        # Both ends included, as Axolotl reads offsets.
        end = begin + len(piece) - 1
        if found and found[-1]["train"] == learn:
            found[-1]["end_offset"] = end
        else:
            found.append({"begin_offset": begin, "end_offset": end, "train": bool(learn)})
        begin = end + 1
    return found


def with_spans(row: dict[str, Any], scored: dict[str, Any], learned: Sequence[bool]) -> dict[str, Any]:
    """A chat row whose answer has spans.

    Args:
        row: the chat row.
        scored: its row of ``scores.jsonl``.
        learned: for each token of the answer without the end token, whether it carries loss.

    Raises:
        UserError: see :func:`check_aligned`.
    """
    check_aligned(row, scored)
    *before, answer = row["messages"]
    return {**row, "messages": [*before, {**answer, TRAINING_DETAIL: spans(scored["pieces"][:-1], learned)}]}


def alignment_problem(row: dict[str, Any], scored: dict[str, Any]) -> str | None:
    """Why spans of this row's answer would name the wrong tokens, or None."""
    if scored.get("unaligned"):
        return "its answer alone has other tokens than in its row"
    if "".join(scored["pieces"][:-1]) != row["messages"][-1]["content"]:
        return "its tokens do not spell its answer as it is written (a template may strip it)"
    return None


def check_aligned(row: dict[str, Any], scored: dict[str, Any]) -> None:
    """Refuse a row whose spans would name the wrong tokens.

    Raises:
        UserError: see :func:`alignment_problem`.
    """
    problem = alignment_problem(row, scored)
    if problem:
        raise UserError(f"Row {row['id']} can have no spans: {problem}. Leave it out.")
