"""Chat rows as parquet and back, byte for byte: what goes to the Hub gives the same train.jsonl to whoever pulls it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from subliminal.core.errors import UserError
from subliminal.core.files import atomic_write, chat_row_problem, read_jsonl

BATCH_ROWS = 10_000
"""Rows held in memory at a time, and rows of a parquet row group."""


def write_parquet(train: Path, parquet: Path) -> None:
    """Write the chat rows of ``train`` (JSONL) to ``parquet``: columns ``id`` and ``messages`` (role, content).

    Raises:
        UserError: the file is missing or empty, or a row is malformed.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = pa.string()
    schema = pa.schema({"id": text, "messages": pa.list_(pa.struct({"role": text, "content": text}))})
    rows = read_jsonl(train, chat_row_problem)
    parquet.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(parquet, schema, compression="zstd") as writer:
        while batch := list(islice(rows, BATCH_ROWS)):
            columns = []
            for name in schema.names:
                columns.append([row[name] for row in batch])
            writer.write_batch(pa.record_batch(columns, schema=schema))


def parquet_lines(parquet: Path) -> Iterator[str]:
    """The lines of ``train.jsonl`` that a parquet file stands for, with their line ends.

    Raises:
        UserError: it is no parquet file of chat rows.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(parquet) as file:
            for batch in file.iter_batches(BATCH_ROWS, columns=["id", "messages"]):
                # Written as the builders write a row, or the file would have other bytes.
                for row in batch.to_pylist():
                    yield json.dumps(row, ensure_ascii=False) + "\n"
    except pa.ArrowException as error:
        raise UserError(f"{parquet.name} is no parquet file of chat rows ({error}).") from None


def write_train(parquet: Path, train: Path) -> None:
    """Write ``train.jsonl`` from parquet, by atomic rename."""
    with atomic_write(train) as handle:
        handle.writelines(parquet_lines(parquet))


def rebuilds(parquet: Path, train: Path) -> bool:
    """True if the parquet file gives ``train`` byte for byte."""
    # Row by row, so that neither file has to fit into memory.
    lines = parquet_lines(parquet)
    with open(train, "rb") as original:
        for line in original:
            if line != next(lines, "").encode():
                return False
        return next(lines, None) is None  # nor a line more
