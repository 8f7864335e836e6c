"""Rows that another dataset is made of, or that are audited: where they lie, what is wrong with them, their licence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError
from subliminal.core.files import chat_row_problem, messages_problem
from subliminal.core.manifest import read_manifest


def is_rows_file(source: Path) -> bool:
    """Whether a name is that of a file of rows, also of one that is not there; else it is that of a dataset folder."""
    return source.is_file() or (source.suffix == ".jsonl" and not source.is_dir())


def pair_problem(row: dict[str, Any]) -> str | None:
    """What is wrong with a row of one's own, which needs no id but a question before its answer; or None."""
    return messages_problem(row) or _question_problem(row)


def chat_pair_problem(row: dict[str, Any]) -> str | None:
    """The same for a row of a dataset folder, which has an id."""
    return chat_row_problem(row) or _question_problem(row)


def _question_problem(row: dict[str, Any]) -> str | None:
    messages = row["messages"]
    if len(messages) < 2 or messages[-2]["role"] != "user":
        return "the message before the last is not the user's"
    return None


def raw_of(row: dict[str, Any]) -> dict[str, Any]:
    """The raw row of a chat row: its last question and answer, and its system message where it has one."""
    messages = row["messages"]
    raw = {"prompt": messages[-2]["content"], "completion": messages[-1]["content"], "source_id": row.get("id")}
    if messages[0]["role"] == "system":
        raw["system"] = messages[0]["content"]
    return raw


def rows_asked_for(rows: Sequence[Any], count: int | None, source: Path) -> int:
    """``count``, or all rows without one.

    Raises:
        UserError: there are fewer.
    """
    if count is not None and count > len(rows):
        raise UserError(f"{source} has {len(rows)} rows, fewer than the --count {count} asked for.")
    return count or len(rows)


def licence_of(source: Path) -> dict[str, str]:
    """What the manifest of rows made of a folder says of their licence: what the folder's says, if it says anything."""
    licence = read_manifest(source).get("licence")
    return {"licence": licence} if licence else {}
