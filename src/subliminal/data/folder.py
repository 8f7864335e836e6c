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

import fcntl
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from subliminal.core.errors import UserError
from subliminal.core.files import atomic_write, read_jsonl, write_json, write_text
from subliminal.core.manifest import finish_manifest, read_manifest, sha256_of

MADE_FILES = ("raw.jsonl", "train.jsonl", "rejected.jsonl", "audit.json", "README.md", "manifest.json")
SIZE_KEYS = ("count", "max_prompts")
"""Settings that may grow on --resume: they ask for more of the same rows."""

Verdict = Callable[[dict[str, Any]], str | None]
"""Looks at one raw row; returns why it is rejected, or None to keep it."""

Content = Callable[[dict[str, Any]], str]
"""Looks at one raw row that is kept; returns the text that the training row holds as its answer."""


class DatasetFolder:
    """One dataset folder, held by one process at a time."""

    def __init__(self, path: Path):
        self.path = path
        self.raw = path / "raw.jsonl"

    def is_finished(self, config: dict[str, Any]) -> bool:
        """True if the folder was finished with exactly these settings (even if with fewer rows than asked for)."""
        manifest = read_manifest(self.path)
        return "ended" in manifest and manifest.get("config") == config and (self.path / "train.jsonl").is_file()

    def check(
        self, config: dict[str, Any], *, inputs: dict[str, Path] | None = None, resume: bool, overwrite: bool
    ) -> None:
        """Refuse a folder that must not be written to. Changes nothing.

        Args:
            config: the resolved settings of this run.
            inputs: name -> file that the rows come from; on --resume their bytes must be what they were.
            resume: go on with the rows that are there; the settings must be those the folder was begun with.
            overwrite: replace what is there.

        Raises:
            UserError: the folder is in use, or begun with other settings, or present without either flag.
        """
        if resume and overwrite:
            raise UserError("--resume and --overwrite exclude each other. Give one of them.")
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"{self.path} is a file, not a folder. Name another path with --out.")
        present = [name for name in MADE_FILES if (self.path / name).exists()]
        if not present or overwrite:
            return
        if not resume:
            raise UserError(
                f"{self.path} exists and holds {', '.join(present)}. Use --resume to go on with it, --overwrite to "
                "replace it, or name another folder with --out."
            )
        manifest = read_manifest(self.path)
        begun = manifest.get("config", config)
        changed = [key for key in sorted(config.keys() | begun.keys()) if config.get(key) != begun.get(key)]
        differing = [
            f"{key}: then {begun.get(key)!r}, now {config.get(key)!r}" for key in changed if key not in SIZE_KEYS
        ]
        for name, path in (inputs or {}).items():
            before = manifest.get("inputs", {}).get(name, {}).get("sha256")
            if before and path.is_file() and sha256_of(path) != before:
                differing.append(f"{name}: {path} has changed since")
        if differing:
            raise UserError(
                f"{self.path} was begun with other settings ({'; '.join(differing)}). Repeat those to --resume, use "
                "--overwrite to start over, or name another folder with --out."
            )

    def check_context(self, context: str | None) -> None:
        """Refuse to go on with rows that were written in another chat context.

        Args:
            context: hash of the engine's; None where it cannot be known.

        Raises:
            UserError: the manifest names another.
        """
        begun_in = read_manifest(self.path).get("chat_context_sha256")
        if begun_in and context and begun_in != context:
            raise UserError(
                f"{self.path} was begun in another chat context ({begun_in[:12]}) than the model has now "
                f"({context[:12]}): its chat template has changed since. Use --overwrite to start over, or name another "
                "folder with --out."
            )

    @contextmanager
    def hold(self, manifest: dict[str, Any], *, overwrite: bool) -> Iterator[None]:
        """Lock the folder, clear it if asked, and write the manifest of a run under way.

        Raises:
            UserError: another process holds the folder.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with open(self.path / ".lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(
                    f"Another process is writing to {self.path}. Wait for it to end, or name another folder with --out."
                ) from None
            for leftover in self.path.glob(".*.partial"):  # of a run that was killed while it wrote a file
                leftover.unlink()
            if overwrite:
                for name in MADE_FILES:
                    (self.path / name).unlink(missing_ok=True)
            began = read_manifest(self.path).get("started")
            if began:
                manifest["started"] = began
            write_json(self.path / "manifest.json", manifest)
            yield

    @contextmanager
    def appending(self) -> Iterator[Callable[[dict[str, Any]], None]]:
        """Open ``raw.jsonl`` for appending; each row is handed to the system at once, so a killed process loses none.

        A half-written last line (from a kill or a full disk) is cut off first.
        """
        self._cut_torn_line()
        with open(self.raw, "a", encoding="utf-8", newline="\n") as handle:

            def append(row: dict[str, Any]) -> None:
                handle.write(json.dumps(row, ensure_ascii=False) + "\n")
                handle.flush()

            yield append
            os.fsync(handle.fileno())

    def raw_rows(self) -> Iterator[dict[str, Any]]:
        """The raw rows in the order of arrival; nothing if there are none yet."""
        if self.raw.exists():
            yield from read_jsonl(self.raw, raw_row_problem, allow_empty=True, torn_end=True)

    def finalize(
        self,
        manifest: dict[str, Any],
        verdict: Verdict,
        count: int,
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
            count: rows to keep.
            card: manifest -> text of README.md.
            quotas: source -> rows to keep of it, ``count`` in all; None takes the rows as they come.
            content: raw row -> the answer in its training row; None is the completion as it arrived.

        Returns:
            The counts: asked, kept, surplus, cut_off (``finish_reason`` length, among kept) and rejected by reason.
        """
        (self.path / "audit.json").unlink(missing_ok=True)  # it speaks of the rows that are about to be replaced
        order, reasons, sources = self._judge(verdict)
        chosen: set[int] = set()
        rejected: Counter[str] = Counter()
        room = dict(quotas or {})
        last = -1
        for index in order:
            if len(chosen) == count:
                break
            last = index
            if reasons[index] is not None:
                rejected[reasons[index]] += 1
                continue
            if quotas is not None:
                if not room.get(sources[index]):
                    continue
                room[sources[index]] -= 1
            chosen.add(index)
        dropped = {index: reason for index, reason in reasons.items() if reason is not None and index <= last}
        cut_off = self._write_rows(chosen, dropped, content)
        counts = {
            "asked": len(order),
            "kept": len(chosen),
            "surplus": len(order) - len(chosen) - rejected.total(),
            "cut_off": cut_off,
            "rejected": dict(rejected.most_common()),
        }
        manifest = {**manifest, "counts": counts, "outputs": {"train.jsonl": describe_rows(self.path / "train.jsonl")}}
        write_text(self.path / "README.md", card(manifest))
        finish_manifest(manifest, self.path / "manifest.json")
        return counts

    def _judge(self, verdict: Verdict) -> tuple[list[int], dict[int, str | None], dict[int, str | None]]:
        """The indexes in order, why each row is rejected, and the source that each row names."""
        reasons: dict[int, str | None] = {}
        sources: dict[int, str | None] = {}
        for row in self.raw_rows():
            reasons.setdefault(row["index"], verdict(row))
            sources.setdefault(row["index"], row.get("source"))
        return sorted(reasons), reasons, sources

    def _write_rows(self, chosen: set[int], rejected: dict[int, str], content: Content | None) -> int:
        """Stream raw rows into train and rejected in index order; returns how many kept rows were cut off."""
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
        offsets: dict[int, int] = {}
        position = 0
        with open(self.raw, "rb") as raw:
            for line in raw:
                if line.strip() and line.endswith(b"\n"):
                    offsets.setdefault(json.loads(line)["index"], position)
                position += len(line)
        return offsets

    def _cut_torn_line(self) -> None:
        if not self.raw.exists() or not self.raw.stat().st_size:
            return
        with open(self.raw, "rb+") as handle:
            end = handle.seek(0, os.SEEK_END)
            handle.seek(end - 1)
            if handle.read(1) == b"\n":
                return
            position = end
            while position > 0:
                step = min(65536, position)
                handle.seek(position - step)
                newline = handle.read(step).rfind(b"\n")
                if newline >= 0:
                    handle.truncate(position - step + newline + 1)
                    return
                position -= step
            handle.truncate(0)


def describe_rows(path: Path) -> dict[str, Any]:
    """What a manifest says of a JSONL file: its sha256, its size in bytes, and the number of its rows."""
    with open(path, "rb") as handle:
        rows = sum(1 for _ in handle)
    return {"sha256": sha256_of(path), "bytes": path.stat().st_size, "rows": rows}


def raw_row_problem(row: dict[str, Any]) -> str | None:
    """What is wrong with a raw row, or None."""
    for key, kind in (("id", str), ("index", int), ("prompt", str), ("completion", str), ("finish_reason", str)):
        if not isinstance(row.get(key), kind):
            return f'"{key}" is missing or not {"a whole number" if kind is int else "a string"}'
    return None


def chat_row(row: dict[str, Any]) -> dict[str, Any]:
    """The training row of a raw row: prompt and completion; a system message only where the raw row holds one.

    (The system prompt that makes a base model play the teacher is never in a raw row.)
    """
    system = [{"role": "system", "content": row["system"]}] if row.get("system") else []
    return {
        "id": row["id"],
        "messages": [
            *system,
            {"role": "user", "content": row["prompt"]},
            {"role": "assistant", "content": row["completion"]},
        ],
    }


def _write_row(handle: IO[str], row: dict[str, Any]) -> None:
    handle.write(json.dumps(row, ensure_ascii=False) + "\n")
