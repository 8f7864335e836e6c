"""The chain behind a result by sha256: samples <- adapter <- recipe and dataset <- teacher <- ... <- base model.

Every manifest records the sha256 of what its stage read, and some of what it made. A file that several stages name must
be the same for all of them, and the same as the one on disk. What is not on disk any more is named and is no error.
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from subliminal.core.manifest import sha256_of
from subliminal.evaluation.lineage import places_of, roots_of_paths
from subliminal.publish.rescore import DERIVED

SHORT = 12
"""Digits of a sha256 that a sentence shows."""


@dataclass
class Chain:
    """What the manifests of one experiment say about files.

    Attributes:
        recorded: path -> {sha256: labels of the stages that recorded it}.
        problems: sentences: a file that differs between stages, or from what is on disk.
        absent: paths that are recorded and not here.
        notes: sentences about what is explained and no error.
        checked: how many files are here and as recorded.
    """

    recorded: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    checked: int = 0


def check_chain(manifests: dict[str, dict[str, Any]], folder: Path) -> Chain:
    """Compare all recorded sha256 with each other and with the files on disk.

    Args:
        manifests: label of a stage (``student/seed-1``, or its folder) -> its manifest.
        folder: ``results/<experiment>``. :func:`subliminal.evaluation.lineage.places_of` says where relative paths are
            looked up.
    """
    chain, roots = Chain(), roots_of_paths(folder)
    for label, manifest in manifests.items():
        for path, sha256 in recorded_files(label, manifest, folder):
            chain.recorded.setdefault(path, {}).setdefault(sha256, []).append(label)
    for path, versions in sorted(chain.recorded.items()):
        if path.endswith(DERIVED):  # what they say is made again, in which the last digit may differ
            continue
        if len(versions) > 1:
            told = [f"{sha256[:SHORT]} by {', '.join(who)}" for sha256, who in versions.items()]
            chain.problems.append(
                f"{path} is not the same file for all stages: it is recorded as {' and '.join(told)}."
            )
            continue
        sha256, who = next(iter(versions.items()))
        places = [place for place in places_of(roots[0], path) if place.is_file()]
        # Not here is no error: weights and rows are too large to keep everywhere.
        if not places:
            chain.absent.append(path)
            continue
        problem = hash_problem(places[0], sha256, ", ".join(who), shown=path)
        if problem is None:
            chain.checked += 1
        # By history last, since it asks git once for every commit of the file.
        elif commit := commit_with(places[0], sha256):
            chain.notes.append(f"{path} has changed since {who[0]} used it; commit {commit[:10]} has it as it was.")
        else:
            chain.problems.append(problem)
    return chain


def hash_problem(path: Path, sha256: str, recorded_by: str, shown: str | None = None) -> str | None:
    """A sentence if a file has another sha256 than the recorded one, else None.

    Args:
        path: the file.
        sha256: as recorded.
        recorded_by: who recorded it, for the sentence.
        shown: the file's name in the sentence, if not ``path``.
    """
    now = sha256_of(path)
    if now == sha256:
        return None
    hashes = f"its sha256 is {now[:SHORT]}, not {sha256[:SHORT]}"
    return f"{shown or path} is not the file that {recorded_by} records: {hashes}."


def recorded_files(label: str, manifest: dict[str, Any], folder: Path) -> Iterator[tuple[str, str]]:
    """(path, sha256) of every file that a manifest names: what it read, and what it made in its own folder.

    Args:
        label: of the stage; for a result ``<arm>/seed-<n>`` below ``folder``, for others the folder of the manifest.
        manifest: of the stage.
        folder: ``results/<experiment>``.
    """
    roots = roots_of_paths(folder)
    for entry in (manifest.get("inputs") or {}).values():
        if entry.get("sha256"):
            yield _relative(entry["path"], roots), entry["sha256"]
    # A dataset's label is its folder; that of a result is an arm below the experiment's.
    own = label
    if manifest.get("kind") == "result":
        own = folder.resolve() / label
    for key in ("outputs", "files"):
        for name, entry in (manifest.get(key) or {}).items():
            # An entry is a sha256, or has it among other facts of the file.
            sha256 = entry.get("sha256") if isinstance(entry, dict) else entry
            if isinstance(sha256, str):
                yield _relative(f"{own}/{name}", roots), sha256


def behind(label: str, manifests: dict[str, dict[str, Any]], folder: Path) -> dict[str, str]:
    """All files that a stage rests on, directly or through the stages that made them: path -> sha256.

    Args:
        label: the stage, a key of ``manifests``.
        manifests, folder: as for :func:`check_chain`.
    """
    files: dict[str, str] = {}
    queue, seen = [label], {label}
    while queue:
        # The nearest first: of two stages that name a file the sha256 of the nearer one counts.
        stage = queue.pop(0)
        for path, sha256 in recorded_files(stage, manifests[stage], folder):
            files.setdefault(path, sha256)
            # Weights may lie a folder below the manifest of what made them (a checkpoint, a merged model).
            for maker in (str(Path(path).parent), str(Path(path).parent.parent)):
                if maker in manifests and maker not in seen:
                    seen.add(maker)
                    queue.append(maker)
                    break
    return dict(sorted(files.items()))


def commit_with(path: Path, sha256: str) -> str | None:
    """The newest commit in which a tracked file has this sha256, or None."""

    def git(*words: str) -> bytes:
        return subprocess.run(["git", "-C", str(path.parent), *words], capture_output=True, check=True).stdout

    try:
        # A recipe or question that was changed since is explained by history, and no sign that a result is
        # another's.
        for commit in git("log", "--format=%H", "--", path.name).decode().split():
            if hashlib.sha256(git("show", f"{commit}:./{path.name}")).hexdigest() == sha256:
                return commit
    except (OSError, subprocess.CalledProcessError):
        return None
    return None


def _relative(path: str, roots: tuple[Path, ...]) -> str:
    """A path below one of the roots without that root, so that all stages name a file alike.

    A folder that is a link (a teacher that passed its gate, a checkpoint by epoch) has the name of what it links to.
    """
    for root in roots:
        whole = root / path
        # Of the folder alone: a file may itself be a link into a cache, whose name says nothing.
        if whole.parent.is_dir():
            whole = whole.parent.resolve() / whole.name
        elif not Path(path).is_absolute():
            continue
        if whole.is_relative_to(root):
            return whole.relative_to(root).as_posix()
    return Path(path).as_posix()
