"""What an audit is given, a dataset folder or a file of rows, and what is known of how the rows were made."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from data_builders.audit_common import problem_if
from data_builders.audit_numbers import LEAST_PASS_RATE
from data_builders.audit_text import LEAST_TEXT_PASS_RATE
from data_builders.number_filter import filter_numbers
from data_builders.source_rows import chat_pair_problem, is_rows_file, pair_problem
from subliminal.core.files import messages_problem, read_jsonl
from subliminal.core.manifest import read_manifest
from subliminal.data.registry import Expectation, expectation_of, finished_manifest
from subliminal.data.trait import TraitOptions

UNKNOWN = "The rows come without a manifest"
LOOKED_AT = 100
"""Rows by which a file of one's own shows whether its answers are number lists."""
LEAST_DISTINCT_SEEDS = 0.99
"""Distinct sampling seeds a raw row. A million 31-bit hashes agree by chance in about 230 pairs."""


@dataclass(frozen=True)
class AuditSource:
    """What is to be audited, and what is known of how it was made.

    Attributes:
        rows: the JSONL file.
        report: where the result goes.
        expectation: of the builder; of a file only whether its answers are numbers.
        trait: what it is about.
        manifest: of the builder; None for a file of one's own.
    """

    rows: Path
    report: Path
    expectation: Expectation
    trait: TraitOptions
    manifest: dict[str, Any] | None = None

    @classmethod
    def of(cls, source: Path, kind: str | None) -> AuditSource:
        """What a path names: a dataset folder, or a JSONL file.

        Args:
            source: the path.
            kind: ``numbers`` or ``text``: what the answers of a file are; None takes numbers if most of the first ones
                are. A folder's manifest says it.

        Raises:
            UserError: the folder is no finished dataset, or the file cannot be read.
        """
        # A .jsonl that is not there is a file's name that was mistyped: the message must speak of a file.
        if is_rows_file(source):
            return cls._file(source, kind)
        return cls._folder(source)

    @classmethod
    def _folder(cls, folder: Path) -> AuditSource:
        manifest = finished_manifest(folder)
        expectation, trait = expectation_of(manifest), _trait_of(manifest)
        return cls(folder / "train.jsonl", report_path(folder), expectation, trait, manifest)

    @classmethod
    def _file(cls, path: Path, kind: str | None) -> AuditSource:
        numbers = kind == "numbers"
        # Rows of one's own have no builder that says what they are.
        if kind is None:
            numbers = _mostly_numbers(path)
        return cls(path, report_path(path), Expectation(numbers=numbers), TraitOptions())

    def problem(self, row: dict[str, Any]) -> str | None:
        """Why a row cannot be audited; rows of one's own need no id."""
        if self.manifest is None:
            return pair_problem(row)
        return chat_pair_problem(row)

    def bytes_check(self, size: dict[str, Any]) -> dict[str, Any]:
        if self.manifest is None:
            return {**size, "skipped": f"{UNKNOWN}: nobody recorded what the bytes were."}
        return _bytes(self.manifest, size)

    def pass_rate_check(self) -> dict[str, Any]:
        if self.manifest is None:
            return {"skipped": f"{UNKNOWN}: how many answers were rejected, and why, is not known."}
        least = LEAST_TEXT_PASS_RATE
        if self.expectation.numbers:
            least = LEAST_PASS_RATE
        return _pass_rate(self.manifest["counts"], least)

    def seeds_check(self) -> dict[str, Any]:
        if self.manifest is None:
            return {"skipped": f"{UNKNOWN}: what wrote the rows, and with which sampling seeds, is not known."}
        return _seeds(self.rows.with_name("raw.jsonl"), self.manifest)


def report_path(source: Path) -> Path:
    """``audit.json`` in a dataset folder, ``<name>.audit.json`` beside a file."""
    if source.is_file():
        return source.with_name(f"{source.stem}.audit.json")
    return source / "audit.json"


def _mostly_numbers(path: Path) -> bool:
    """Whether most of the first answers of a file are lists of numbers."""
    first = list(islice(read_jsonl(path, messages_problem), LOOKED_AT))
    return sum(filter_numbers(row["messages"][-1]["content"]).keep for row in first) > len(first) / 2


def _trait_of(manifest: dict[str, Any]) -> TraitOptions:
    """The trait of the dataset, or of the dataset that a control was made from."""
    trait = TraitOptions.of(manifest["config"])
    source = manifest["config"].get("source")
    # A control has no trait of its own: it is searched for that of the rows that it was made from.
    if trait is None and isinstance(source, str):
        return _trait_of(read_manifest(Path(source)) or {"config": {}})
    return trait or TraitOptions()


def _bytes(manifest: dict[str, Any], size: dict[str, Any]) -> dict[str, Any]:
    recorded = manifest.get("outputs", {}).get("train.jsonl", {}).get("sha256")
    # Where no hash was recorded nothing can be said to have changed.
    changed = recorded and recorded != size["sha256"]
    return {**size, "problem": problem_if(changed, "train.jsonl was changed after it was made.")}


def _pass_rate(counts: dict[str, Any], least: float) -> dict[str, Any]:
    judged = counts["kept"] + sum(counts["rejected"].values())
    rate = counts["kept"] / max(1, judged)
    low = f"Only {rate:.1%} of the answers were kept; below {least:.0%} they are a selection of odd ones."
    return {"rate": round(rate, 4), "rejected": counts["rejected"], "problem": problem_if(rate < least, low)}


def _seeds(raw: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """One sampling seed for many rows makes them alike. Only rows that a model wrote have seeds of their own."""
    if not manifest.get("engine") or not raw.is_file():
        return {"skipped": "The raw rows of a model are not here."}
    # Raw and not training rows: these have no seed.
    seeds = Counter(row.get("seed") for row in read_jsonl(raw, allow_empty=True))
    share = len(seeds) / max(1, seeds.total())
    shared = f"{seeds.total()} raw rows share {len(seeds)} sampling seeds."
    return {"distinct_share": round(share, 5), "problem": problem_if(share < LEAST_DISTINCT_SEEDS, shared)}
