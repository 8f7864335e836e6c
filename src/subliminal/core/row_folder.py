"""A folder of rows that cost time: each is appended as it arrives, so that a stopped run goes on with the next."""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from subliminal.core.errors import UserError
from subliminal.core.files import write_json
from subliminal.core.locks import holding
from subliminal.core.manifest import read_manifest, sha256_of


class RowFolder:
    """A folder with append-only rows and a manifest, held by one process at a time.

    Attributes:
        made_files: the files that a run makes; ``--overwrite`` deletes these and no others.
        rows_file: the one of them that is appended to.
        may_change: settings that may change on ``--resume``, since they leave each row as it is.
    """

    made_files: ClassVar[tuple[str, ...]]
    rows_file: ClassVar[str]
    may_change: ClassVar[tuple[str, ...]] = ()

    def __init__(self, path: Path):
        self.path = path
        self.rows = path / self.rows_file

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
        present = [name for name in self.made_files if (self.path / name).exists()]
        # A README.md alone is somebody's own: `--out "$OUT"` with nothing in OUT means the folder that one is in.
        if overwrite and present and not {"manifest.json", self.rows_file} & set(present):
            raise UserError(
                f"{self.path.resolve()} holds {', '.join(present)} and nothing that says that this command made it. "
                "Name another folder with --out."
            )
        if not present or overwrite:
            return
        if not resume:
            raise UserError(
                f"{self.path} exists and holds {', '.join(present)}. Use --resume to go on with it, --overwrite to "
                "replace it, or name another folder with --out."
            )
        differing = self._differing(config, inputs or {})
        if differing:
            raise UserError(
                f"{self.path} was begun with other settings ({'; '.join(differing)}). Repeat those to --resume, use "
                "--overwrite to start over, or name another folder with --out."
            )

    def _differing(self, config: dict[str, Any], inputs: dict[str, Path]) -> list[str]:
        """In which settings and files a run differs from the one that began the folder."""
        manifest = read_manifest(self.path)
        # A folder without a manifest does not say what it was begun with, so nothing can differ.
        begun = manifest.get("config", config)
        differing = []
        for key in sorted(config.keys() | begun.keys()):
            then = begun.get(key)
            now = config.get(key)
            if then != now and key not in self.may_change:
                differing.append(f"{key}: then {then!r}, now {now!r}")
        for name, path in inputs.items():
            before = manifest.get("inputs", {}).get(name, {}).get("sha256")
            if before and path.is_file() and sha256_of(path) != before:
                differing.append(f"{name}: {path} has changed since")
        return differing

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
                f"({context[:12]}): its chat template has changed since. Use --overwrite to start over, or name "
                "another folder with --out."
            )

    @contextmanager
    def hold(self, manifest: dict[str, Any], *, overwrite: bool) -> Iterator[None]:
        """Lock the folder, clear it if asked, and write the manifest of a run under way.

        Raises:
            UserError: another process holds the folder.
        """
        taken = f"is writing to {self.path}. Wait for it to end, or name another folder with --out."
        with holding(self.path / ".lock", taken):
            for leftover in self.path.glob(".*.partial"):  # of a run that was killed while it wrote a file
                leftover.unlink()
            if overwrite:
                for name in self.made_files:
                    (self.path / name).unlink(missing_ok=True)
            # A run that goes on keeps the time at which the first one began.
            began = read_manifest(self.path).get("started")
            if began:
                manifest["started"] = began
            write_json(self.path / "manifest.json", manifest)
            yield

    @contextmanager
    def appending(self) -> Iterator[Callable[[dict[str, Any]], None]]:
        """Open the rows for appending; each row is handed to the system at once, so a killed process loses none.

        A half-written last line (from a kill or a full disk) is cut off first.
        """
        self.cut_torn_line()
        with open(self.rows, "a", encoding="utf-8", newline="\n") as handle:

            def append(row: dict[str, Any]) -> None:
                handle.write(json.dumps(row, ensure_ascii=False) + "\n")
                # Without fsync, which would cost more than the row: only a machine that loses power loses it.
                handle.flush()

            yield append
            # Each row on its own would be too slow to put on the disk; the whole run is, once.
            os.fsync(handle.fileno())

    def cut_torn_line(self) -> None:
        """Cut off a last line that was not written to its end."""
        if not self.rows.exists() or not self.rows.stat().st_size:
            return
        with open(self.rows, "rb+") as handle:
            # Mapped and not read: the file may be larger than the memory.
            with mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as content:
                size = len(content)
                whole = content.rfind(b"\n") + 1
            if whole < size:
                handle.truncate(whole)
