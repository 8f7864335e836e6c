"""Files that are whole or absent: atomic writes, and JSONL that says where it is broken."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError, one_line

RECORDS = "records.parquet"
"""Of a published experiment: its files apart from the raw answers."""

WITH_OR_WITHOUT_BOM = "utf-8-sig"
HALF_LETTER = r"it has half of a letter, an escape from \ud800 to \udfff without the other half"
TRAINING_DETAIL = "training_detail"
"""The field of a chat message that says which parts of it carry loss; a recipe names it with
``message_field_training_detail`` (see ``subliminal.analysis.selection.spans``)."""


@contextmanager
def atomic_write(path: Path, *, binary: bool = False) -> Iterator[IO[Any]]:
    """Open a file that appears under its name only when the block ends without an error.

    Args:
        path: the file; its folder is made if it is missing.
        binary: the handle takes bytes; else text, UTF-8 with the line ends that are written.
    """
    mode = {"mode": "wb"} if binary else {"mode": "w", "encoding": "utf-8", "newline": "\n"}
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, since a rename is whole within one disk alone; by process, since two may write at once.
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, **mode) as handle:
            yield handle
            handle.flush()
            # Before the rename: after a power cut the name could otherwise stand for an empty file.
            os.fsync(handle.fileno())
        os.replace(partial, path)
    finally:
        # Only there after an error: the rename takes it away otherwise.
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` by atomic rename."""
    with atomic_write(path) as handle:
        handle.write(text)


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON by atomic rename."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any] | Mapping[str, Any]]) -> None:
    """Write a table, its names first, by atomic rename; a row is its cells in order, or has them by name."""
    with atomic_write(path) as handle:
        _write_cells(handle, header, rows)


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any] | Mapping[str, Any]]) -> str:
    """The same table as text."""
    text = io.StringIO()
    _write_cells(text, header, rows)
    return text.getvalue()


def _write_cells(handle: IO[str], header: Sequence[str], rows: Iterable[Sequence[Any] | Mapping[str, Any]]) -> None:
    # csv's own default is \r\n, which git shows in every line.
    writer = csv.writer(handle, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        cells = row
        if isinstance(row, Mapping):
            cells = [row.get(name) for name in header]
        writer.writerow(cells)


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    """Write one JSON object a line by atomic rename; returns the number of rows."""
    count = 0
    with atomic_write(path) as handle:
        for row in rows:
            handle.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def read_jsonl(
    path: Path,
    check: Callable[[dict[str, Any]], str | None] | None = None,
    *,
    allow_empty: bool = False,
    torn_end: bool = False,
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a JSONL file one by one.

    Args:
        path: the file.
        check: optional; returns what is wrong with a row, or None.
        allow_empty: without it a file with no rows is an error.
        torn_end: a last line without a line end, which a kill cut off, is left out.

    Raises:
        UserError: the file is missing or empty, or a line is no JSON object or fails ``check`` (names file and line).
    """
    count = 0
    for number, line in enumerate(_lines(path, torn_end=torn_end), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        # RecursionError: a thousand brackets within each other, as only a broken file has them.
        except (ValueError, RecursionError) as error:
            what = one_line(error)
            if isinstance(error, json.JSONDecodeError):
                what = f"{error.msg} at column {error.colno}"  # its own text counts lines from this one
            raise UserError(f"{path}, line {number} is not valid JSON ({what}). Repair or delete that line.") from None
        problem = None
        if not isinstance(row, dict):
            problem = "it is not a JSON object"
        elif may_have_half_letters(line) and has_half_letter(row):
            problem = HALF_LETTER
        elif check is not None:
            problem = check(row)
        if problem:
            raise UserError(f"{path}, line {number} is malformed: {problem}. Repair or delete that line.")
        count += 1
        yield row
    if not count and not allow_empty:
        raise UserError(f"{path} has no rows. Make it again, or name another file.")


def may_have_half_letters(text: str) -> bool:
    """Whether a JSON text that was decoded from UTF-8 has an escape of half of a letter, or of one in two halves."""
    return "\\ud" in text.casefold()


def has_half_letter(value: Any) -> bool:
    """Whether a value that was read from JSON has half of a letter in it (a surrogate without the other), which JSON
    can spell and no UTF-8 file can hold."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def read_text(path: Path) -> str:
    """The text of a UTF-8 file; a byte order mark before it, which some editors write, is no part of it.

    Raises:
        UserError: the file is missing, a folder, not readable, or not UTF-8.
    """
    with _reading(path):
        return path.read_text(encoding=WITH_OR_WITHOUT_BOM)


def from_the_root(path: Path | str) -> str:
    """What to add about a relative path that is not here and would be there from the root of the repository."""
    relative = Path(path)
    if relative.is_absolute() or relative.exists() or not (REPO_ROOT / relative).exists():
        return ""
    return f" There is {REPO_ROOT / relative}: run it from the root of the repository, {REPO_ROOT}."


def read_object(path: Path, again: str = "Restore it, or make its folder again.") -> dict[str, Any]:
    """The JSON object in a file.

    Args:
        path: the file.
        again: what to do about a damaged one.

    Raises:
        UserError: see :func:`read_text`; or it is cut off, or otherwise no JSON object.
    """
    try:
        value = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON ({one_line(error)}): it was cut off or changed. {again}") from None
    if not isinstance(value, dict):
        raise UserError(f"{path} is not a JSON object. {again}")
    return value


def _lines(path: Path, *, torn_end: bool) -> Iterator[str]:
    """The lines of a UTF-8 file; with ``torn_end`` a last line without a line end, which a kill cut off, is dropped."""
    place = 0
    with _reading(path), open(path, "rb") as handle:
        for line in handle:
            # A kill can cut a line within a letter, so whether it is whole is asked before it is decoded.
            if torn_end and not line.endswith(b"\n"):
                return
            try:
                # Within the file the letter of a byte order mark belongs to the text.
                yield line.decode(WITH_OR_WITHOUT_BOM if place == 0 else "utf-8")
            except UnicodeDecodeError as error:
                where = place + error.start
                raise UserError(f"{path} is not UTF-8 text (byte {where}). Convert it first.") from None
            place += len(line)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        hint = from_the_root(path) or " Check the path, or make the file first."
        raise UserError(f"{path} does not exist.{hint}") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder, not a file. Name the file inside it.") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text (byte {error.start}). Convert it first.") from None
    except OSError as error:
        # An error while reading, as of a bad disk, does not name the file by itself.
        if error.filename is None:
            error.filename = str(path)
        raise


def is_published(folder: Path) -> bool:
    """Whether a folder is one of ``results/published``, which holds an experiment in archives."""
    return (folder / RECORDS).is_file()


def refuse_published(folder: Path) -> None:
    """Refuse an archive where the results of an experiment are wanted: it would seem to have none.

    Raises:
        UserError: it is one; how it is unpacked.
    """
    if is_published(folder):
        raise UserError(
            f"{folder} is a published archive. Unpack it with `python scripts/results.py unpack {folder} --out "
            "outputs/unpacked`, and name outputs/unpacked/results/<experiment>."
        )


def no_text(row: dict[str, Any], key: str) -> str | None:
    """What to say of a row that should have a text under a key and has none; None if it has one."""
    if key not in row:
        return f'it has no "{key}"'
    if not isinstance(row[key], str):
        return f'its "{key}" is {json.dumps(row[key])}, which is no text: write it in quotes'
    return None


def chat_row_problem(row: dict[str, Any]) -> str | None:
    """What is wrong with a chat row (``{"id": str, "messages": [{"role": str, "content": str}, ...]}``), or None."""
    if not isinstance(row.get("id"), str):
        return '"id" is missing or not a string'
    return messages_problem(row)


def messages_problem(row: dict[str, Any]) -> str | None:
    """The same for a row of one's own, which needs no id."""
    messages = row.get("messages")
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
