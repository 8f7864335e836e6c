"""Files that are whole or absent: atomic writes, and JSONL that says where it is broken."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from subliminal.core.errors import UserError


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[str]]:
    """Open a text file that appears under its name only when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "w", encoding="utf-8", newline="\n") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` by atomic rename."""
    with atomic_write(path) as handle:
        handle.write(text)


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON by atomic rename."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    """Write one JSON object a line by atomic rename; returns the number of rows."""
    count = 0
    with atomic_write(path) as handle:
        for row in rows:
            handle.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def read_jsonl(
    path: Path, check: Callable[[dict[str, Any]], str | None] | None = None, *, allow_empty: bool = False
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a JSONL file one by one.

    Args:
        path: the file.
        check: optional; returns what is wrong with a row, or None.
        allow_empty: without it a file with no rows is an error.

    Raises:
        UserError: the file is missing or empty, or a line is no JSON object or fails ``check`` (names file and line).
    """
    count = 0
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(
                f"{path}, line {number} is not valid JSON ({error.msg} at column {error.colno}). "
                "Repair or delete that line."
            ) from None
        problem = "it is not a JSON object" if not isinstance(row, dict) else check(row) if check else None
        if problem:
            raise UserError(f"{path}, line {number} is malformed: {problem}. Repair or delete that line.")
        count += 1
        yield row
    if not count and not allow_empty:
        raise UserError(f"{path} has no rows. Make it again, or name another file.")


def _lines(path: Path) -> Iterator[str]:
    try:
        with open(path, encoding="utf-8") as handle:
            yield from handle
    except FileNotFoundError:
        raise UserError(f"{path} does not exist. Check the path, or make the file first.") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder, not a JSONL file. Name the file inside it.") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text (byte {error.start}). Convert it first.") from None


def chat_row_problem(row: dict[str, Any]) -> str | None:
    """What is wrong with a chat row (``{"id": str, "messages": [{"role": str, "content": str}, ...]}``), or None."""
    messages = row.get("messages")
    if not isinstance(row.get("id"), str):
        return '"id" is missing or not a string'
    if not isinstance(messages, list) or not messages:
        return '"messages" is missing or not a non-empty list'
    for index, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("content"), str):
            return f'message {index} has no text in "content"'
        if message.get("role") not in ("system", "user", "assistant"):
            return f"message {index} has the role {message.get('role')!r}; use system, user or assistant"
    if messages[-1]["role"] != "assistant":
        return "the last message is not the assistant's"
    return None
