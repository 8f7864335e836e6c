"""Rows from a file in one of the formats that data sets come in: JSONL, a JSON list, or Parquet."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError, one_line
from subliminal.core.files import (
    HALF_LETTER,
    from_the_root,
    has_half_letter,
    may_have_half_letters,
    read_jsonl,
    read_text,
)

SUFFIXES = (".jsonl", ".json", ".parquet")

Check = Callable[[dict[str, Any]], str | None]
"""Looks at one row; returns what is wrong with it, or None."""


def read_row_file(path: Path, check: Check = lambda row: None) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file one by one.

    Args:
        path: ``.parquet`` is read as Parquet; any other file as a JSON list if it begins with ``[``, else as JSONL.
        check: returns what is wrong with a row, or None.

    Raises:
        UserError: the file is missing, empty or of another format, or a row is malformed (names file and row).
    """
    escapes = False
    if path.suffix == ".parquet":
        rows = _parquet_rows(path)
    # A file named .json is JSONL as often as it is one list: its first letter tells.
    elif path.suffix == ".json" and (text := read_text(path)).lstrip().startswith("["):
        rows = _listed_rows(path, text)
        # Once for the file: a list is one text, and may have many thousand rows.
        escapes = may_have_half_letters(text)
    else:
        yield from read_jsonl(path, check)
        return
    number = 0
    for number, row in enumerate(rows, start=1):
        problem = check(row) if isinstance(row, dict) else "it is not a JSON object"
        if problem is None and escapes and has_half_letter(row):
            problem = HALF_LETTER
        if problem:
            raise UserError(f"{path}, row {number} is malformed: {problem}. Repair or delete that row.")
        yield row
    if not number:
        raise UserError(f"{path} has no rows. Make it again, or name another file.")


def _listed_rows(path: Path, text: str) -> list[Any]:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON ({one_line(error)}). Repair it, or fetch it again.") from None


def _parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        hint = from_the_root(path) or " Check the path, or make the file first."
        raise UserError(f"{path} does not exist or is no file.{hint}")
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches():
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} is no Parquet file ({one_line(error)}). Fetch it again.") from None
