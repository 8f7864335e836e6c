"""The rows that a training learns: every local file is read once, and what is missing or malformed is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError
from subliminal.core.files import from_the_root, messages_problem, read_jsonl
from subliminal.core.hub import is_hub_id
from subliminal.core.manifest import read_manifest

DATA_SUFFIXES = (".jsonl", ".json", ".parquet", ".arrow", ".csv", ".txt")


def check_datasets(config: Mapping[str, Any]) -> tuple[dict[str, Path], int | None]:
    """Read every local dataset of the run once and refuse what is missing, empty or malformed.

    Returns:
        ``{"datasets[0]": file, ...}``, and the number of training rows or None where it cannot be known
        (Hub data, slices).

    Raises:
        UserError: a file is missing or empty, a row is malformed (file and line), or a Hub dataset has no revision.
    """
    files: dict[str, Path] = {}
    counts: list[int | None] = []
    for group in ("datasets", "test_datasets"):
        for index, dataset in enumerate(config.get(group) or []):
            key = f"{group}[{index}]"
            found = _local_files(dataset, key)
            counted = [_count_rows(path, dataset) for path in found]
            if dataset.get("split") or dataset.get("shards") or not found:  # how many of the rows is not known
                counted.append(None)
            if group == "datasets":
                counts += counted
            for path in found:
                name = f"{key}/{path.name}" if len(found) > 1 else key
                files[name] = path
    # One part that cannot be counted leaves the sum unknown, and the manifest says so.
    rows = sum(counts) if None not in counts else None
    if not files and not config.get("datasets"):
        raise UserError("The recipe names no `datasets`. Add at least one with `path` and `type`.")
    return files, rows


def _local_files(dataset: Mapping[str, Any], key: str) -> list[Path]:
    """The files of a local dataset; empty for a Hub dataset with a revision."""
    name = str(dataset.get("path") or "")
    path = Path(name)
    if name and path.is_file():
        return [path]
    if name and path.is_dir():
        data_files = dataset.get("data_files")
        if isinstance(data_files, str):
            data_files = [data_files]
        if data_files:
            return [Path(file) for file in data_files]
        if (path / "state.json").is_file():  # of datasets.save_to_disk
            return sorted(file for file in path.rglob("*") if file.is_file())
        raise UserError(f"{name} ({key}.path) is a folder. Name the file in it, as in {name.rstrip('/')}/train.jsonl.")
    if path.suffix in DATA_SUFFIXES or not is_hub_id(name):
        hint = from_the_root(path) or " Build the dataset first, or correct the path."
        raise UserError(f"{name or 'An empty path'} ({key}.path) does not exist.{hint}")
    # A branch on the Hub moves: the run could not be repeated.
    if not dataset.get("revision"):
        raise UserError(
            f"{name} ({key}.path) is no local file. If it is a dataset on the Hub, add `revision: <commit>`, so "
            "that the run can be repeated; if it is local, build it first."
        )
    return []


def _count_rows(path: Path, dataset: Mapping[str, Any]) -> int | None:
    """Rows of a JSONL file, each checked; None for other formats."""
    if path.suffix not in (".jsonl", ".json") and dataset.get("ds_type") != "json":
        if not path.is_file():
            raise UserError(f"{path} does not exist. Build the dataset first, or correct the path.")
        return None
    chat = dataset.get("type") == "chat_template" and dataset.get("field_messages") in (None, "messages")
    count, answered = 0, not chat
    check = _chat_problem if chat else _tokenised_problem
    for row in read_jsonl(path, check):
        count += 1
        # Rows with empty answers alone teach nothing, and a training on them ends well.
        answered = answered or "input_ids" in row or _has_answer(row)
    if not answered:
        raise UserError(f"{path} has {count} rows and only empty answers, so there is nothing to learn. Make it again.")
    return count


def _has_answer(row: dict[str, Any]) -> bool:
    """Whether a chat has anything to learn in it."""
    return any(message["role"] == "assistant" and message["content"].strip() for message in row["messages"])


def _chat_problem(row: dict[str, Any]) -> str | None:
    # Rows that are tokens already are taken as they are, so there is no text to look at.
    if "input_ids" in row:
        return _tokenised_problem(row)
    return messages_problem(row)


def _tokenised_problem(row: dict[str, Any]) -> str | None:
    if "input_ids" not in row:
        return None
    tokens, labels = row["input_ids"], row.get("labels")
    if not isinstance(tokens, list) or not tokens:
        return '"input_ids" is not a non-empty list'
    if not isinstance(labels, list) or len(labels) != len(tokens):
        return '"labels" is not a list as long as "input_ids"'
    return None


def unknown_origins(files: Mapping[str, Path]) -> Iterator[str]:
    """A sentence for each data file that lies in no builder's folder: what a report on the run cannot say."""
    for path in files.values():
        if read_manifest(path.parent).get("kind") != "dataset":
            yield (
                f"{path} has no manifest of a builder beside it: what wrote its rows, in which chat context, and "
                f"whether they were audited is not known. `python -m data_builders.audit {path}` looks at the rows."
            )
