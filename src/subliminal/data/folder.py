"""A dataset folder: every completion as it arrived, the rows kept, the rows rejected and why, and how it was made.

    data/<name>/raw.jsonl       append-only: id, index, prompt, completion, finish_reason, seed, model
    data/<name>/train.jsonl     the chat rows kept
    data/<name>/rejected.jsonl  the rest, with the reason
    data/<name>/manifest.json   without "ended" while the folder is being made
    data/<name>/README.md       the Hub's dataset card

``raw.jsonl`` is what a run pays for, so nothing but ``--overwrite`` ever deletes it; the other files
are derived from it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from subliminal.core.files import TRAINING_DETAIL, atomic_write, read_jsonl, write_text
from subliminal.core.manifest import finish_manifest, read_manifest, sha256_of
from subliminal.core.row_folder import RowFolder

MADE_FILES = ("raw.jsonl", "train.jsonl", "rejected.jsonl", "audit.json", "README.md", "manifest.json")

RowVerdict = Callable[[dict[str, Any]], str | None]
"""Looks at one raw row; returns why it is rejected, or None to keep it."""

Content = Callable[[dict[str, Any]], str]
"""Looks at one raw row that is kept; returns the text that the training row holds as its answer."""


class DatasetFolder(RowFolder):
    """One dataset folder, held by one process at a time."""

    made_files = MADE_FILES
    rows_file = "raw.jsonl"
    may_change = ("count", "max_prompts")

    def __init__(self, path: Path):
        super().__init__(path)
        self.raw = self.rows

    def is_finished(self, config: dict[str, Any]) -> bool:
        """True if the folder was finished with exactly these settings (even if with fewer rows than asked for)."""
        manifest = read_manifest(self.path)
        return "ended" in manifest and manifest.get("config") == config and (self.path / "train.jsonl").is_file()

    def raw_rows(self) -> Iterator[dict[str, Any]]:
        """The raw rows in the order of arrival; nothing if there are none yet."""
        if self.raw.exists():
            yield from read_jsonl(self.raw, raw_row_problem, allow_empty=True, torn_end=True)

    def finalize(
        self,
        manifest: dict[str, Any],
        verdict: RowVerdict,
        count: int | None,
        card: Callable[[dict[str, Any]], str],
        *,
        quotas: Mapping[str, int] | None = None,
        content: Content | None = None,
    ) -> dict[str, Any]:
        """Derive the other files from ``raw.jsonl``: the first ``count`` rows by index that ``verdict`` keeps.

        Rows that were drawn in vain (beyond the last one needed, or of a source that has enough) are counted as
        ``surplus``. Memory holds two short strings a row at most, whatever the rows' size.

        Args:
            manifest: of the run; counts and the end are added.
            verdict: raw row -> why it is rejected, or None.
            count: rows to keep; None keeps every row that passes.
            card: manifest -> text of README.md.
            quotas: source -> rows to keep of it, ``count`` in all; None takes the rows as they come.
            content: raw row -> the answer in its training row; None is the completion as it arrived.

        Returns:
            The counts: asked, kept, surplus, cut_off (``finish_reason`` length, among kept) and rejected by reason.
        """
        (self.path / "audit.json").unlink(missing_ok=True)  # it speaks of the rows that are about to be replaced
        reasons, sources = self._judge(verdict)
        chosen, rejected = _choose(reasons, sources, count, quotas)
        cut_off = self._write_rows(chosen, rejected, content)
        counts = {
            "asked": len(reasons),
            "kept": len(chosen),
            "surplus": len(reasons) - len(chosen) - len(rejected),
            "cut_off": cut_off,
            "rejected": dict(Counter(rejected.values()).most_common()),
        }
        manifest = {**manifest, "counts": counts, "outputs": {"train.jsonl": describe_rows(self.path / "train.jsonl")}}
        write_text(self.path / "README.md", card(manifest))
        finish_manifest(manifest, self.path / "manifest.json")
        return counts

    def _judge(self, verdict: RowVerdict) -> tuple[dict[int, str | None], dict[int, str | None]]:
        """By index, in order: why each row is rejected, or None; and the source that each row names."""
        reasons: dict[int, str | None] = {}
        sources: dict[int, str | None] = {}
        for row in self.raw_rows():
            # Two runs that were stopped can have asked for the same row: the answer that came first counts.
            reasons.setdefault(row["index"], verdict(row))
            sources.setdefault(row["index"], row.get("source"))
        return dict(sorted(reasons.items())), sources

    def _write_rows(self, chosen: set[int], rejected: dict[int, str], content: Content | None) -> int:
        """Stream raw rows into train and rejected in index order; returns how many kept rows were cut off."""
        # Rows are written in order of index, and lie in order of arrival: each is looked up by where it begins.
        offsets = self._offsets()
        cut_off = 0
        with open(self.raw, "rb") as raw:

            def row_at(index: int) -> dict[str, Any]:
                raw.seek(offsets[index])
                return json.loads(raw.readline())

            with atomic_write(self.path / "train.jsonl") as train:
                for index in sorted(chosen):
                    row = row_at(index)
                    cut_off += row["finish_reason"] == "length"
                    if content is not None:
                        row["completion"] = content(row)
                    _write_row(train, chat_row(row))
            with atomic_write(self.path / "rejected.jsonl") as out:
                for index in sorted(rejected):
                    _write_row(out, {**row_at(index), "reason": rejected[index]})
        return cut_off

    def _offsets(self) -> dict[int, int]:
        """Where each row begins in ``raw.jsonl``; of an index that is there twice the first counts, as in judging."""
        offsets: dict[int, int] = {}
        position = 0
        with open(self.raw, "rb") as raw:
            for line in raw:
                if line.strip() and line.endswith(b"\n"):  # one without an end was cut off by a kill
                    offsets.setdefault(json.loads(line)["index"], position)
                position += len(line)
        return offsets


def _choose(
    reasons: Mapping[int, str | None],
    sources: Mapping[int, str | None],
    count: int | None,
    quotas: Mapping[str, int] | None,
) -> tuple[set[int], dict[int, str]]:
    """The first rows that pass, and why others are rejected; what is in neither was drawn in vain.

    Args:
        reasons: index -> why the row is rejected, or None, in order.
        sources: index -> the source that the row names.
        count, quotas: see :meth:`DatasetFolder.finalize`.
    """
    chosen: set[int] = set()
    rejected: dict[int, str] = {}
    room = dict(quotas or {})
    for index, reason in reasons.items():
        # Never true of None, which keeps every row that passes. What lies behind is surplus, whatever its verdict.
        if len(chosen) == count:
            break
        if reason is not None:
            rejected[index] = reason
            continue
        if quotas is not None:
            # A source that has enough: the row is surplus, neither kept nor rejected.
            if not room.get(sources[index]):
                continue
            room[sources[index]] -= 1
        chosen.add(index)
    return chosen, rejected


def describe_rows(path: Path) -> dict[str, Any]:
    """What a manifest says of a JSONL file: its sha256, its size in bytes, and the number of its rows."""
    with open(path, "rb") as handle:
        # Lines of bytes: nothing has to be decoded to be counted.
        rows = sum(1 for _ in handle)
    return {"sha256": sha256_of(path), "bytes": path.stat().st_size, "rows": rows}


def raw_row_problem(row: dict[str, Any]) -> str | None:
    """What is wrong with a raw row, or None."""
    for key, kind in (("id", str), ("index", int), ("prompt", str), ("completion", str), ("finish_reason", str)):
        if not isinstance(row.get(key), kind):
            wanted = "a whole number" if kind is int else "a string"
            return f'"{key}" is missing or not {wanted}'
    return None


def chat_row(row: dict[str, Any]) -> dict[str, Any]:
    """The training row of a raw row: prompt and completion; a system message only where the raw row holds one.

    (The system prompt that makes a base model play the teacher is never in a raw row.) A raw row may also say which
    parts of its answer carry loss (``training_detail``, see ``subliminal.analysis.selection.spans``), or how the row is
    read as tokens (``tokenised``: ``input_ids``, ``attention_mask`` and ``labels``, which Axolotl takes as they are).
    """
    messages = []
    if row.get("system"):
        messages.append({"role": "system", "content": row["system"]})
    answer = {"role": "assistant", "content": row["completion"]}
    if TRAINING_DETAIL in row:
        answer[TRAINING_DETAIL] = row[TRAINING_DETAIL]
    messages += [{"role": "user", "content": row["prompt"]}, answer]
    return {"id": row["id"], "messages": messages, **row.get("tokenised", {})}


def _write_row(handle: IO[str], row: dict[str, Any]) -> None:
    handle.write(json.dumps(row, ensure_ascii=False) + "\n")
