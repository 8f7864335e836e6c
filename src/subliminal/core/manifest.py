"""Provenance: what made a folder, from what, with what, and when.

One ``manifest.json`` lies beside every dataset, training run and result. Secrets never enter one: the recorded command
is scrubbed of anything that looks like a token.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import importlib.metadata
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError
from subliminal.core.files import read_object, write_json

PACKAGES = (
    *("torch", "transformers", "peft", "accelerate", "axolotl", "lm_eval", "datasets", "vllm", "numpy"),
    *("bitsandbytes", "deepspeed"),
)
LARGE = 2**26
"""Bytes from which an input is read once a process, as long as nobody writes to it."""
_SECRET = re.compile(r"(hf_|sk-|ghp_|wandb_)[A-Za-z0-9_-]{8,}|(?<=://)[^/\s@]+@")


def utc_now() -> str:
    """The current time as an ISO 8601 string in UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def recorded_time(record: dict[str, Any], key: str, path: Path) -> datetime.datetime:
    """A time that :func:`utc_now` wrote.

    Args:
        record: the content of ``path``.
        key: what it is called there.
        path: the file, for the sentence.

    Raises:
        UserError: there is none, or it is no ISO 8601 time with a time zone.
    """
    written = record.get(key)
    try:
        time = datetime.datetime.fromisoformat(written)
    except (TypeError, ValueError):
        time = None
    # Without a zone it could be hours away from those that it is compared with.
    if time is None or time.tzinfo is None:
        raise UserError(
            f"{path}: {key!r} is {written!r} and no time such as 2026-01-01T09:00:00+00:00. Restore the file from "
            "where the experiment ran."
        )
    return time


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Hex sha256 of a file's bytes."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_of_input(path: str | os.PathLike[str]) -> str:
    """As :func:`sha256_of`; a large file, such as the base of twenty evaluations, is read once for all of them."""
    state = os.stat(path)
    if state.st_size < LARGE:
        return sha256_of(path)
    # The time of the last change of any kind: that of the content is set back by tools that copy.
    return _sha256_of_large(os.path.realpath(path), state.st_ino, state.st_size, state.st_ctime_ns)


@cache
def _sha256_of_large(path: str, inode: int, size: int, changed: int) -> str:
    """Hex sha256 of the file that had this inode, size and time of its last change (ns)."""
    return sha256_of(path)


def scrub(text: str) -> str:
    """Replace access tokens and URL credentials in ``text`` by ``***``."""
    return _SECRET.sub("***", text)


def new_manifest(kind: str, *, config: dict[str, Any], inputs: dict[str, Path | str] | None = None) -> dict[str, Any]:
    """The common part of every manifest.

    Args:
        kind: what is being made: ``dataset``, ``model``, ``training`` or ``result``.
        config: the resolved settings; paths and numbers as the run uses them.
        inputs: name -> file whose sha256 is recorded. A name may map to a missing file (recorded as null).

    Returns:
        A JSON-ready dict with ``command``, ``config``, ``inputs``, ``git``, ``packages``, ``environment``, ``device``,
        ``cpu`` and ``started``.
    """
    files = {}
    for name, path in (inputs or {}).items():
        sha256 = sha256_of_input(path) if Path(path).is_file() else None
        files[name] = {"path": str(path), "sha256": sha256}
    return {
        "kind": kind,
        # sys.argv has lost `-m module`; this has the words as they were given to Python.
        "command": scrub(shlex.join([Path(sys.executable).name, *sys.orig_argv[1:]])),
        "config": config,
        "inputs": files,
        "git": git_state(),
        "packages": package_versions(),
        "python": platform.python_version(),
        "environment": switches_of_vllm(),
        "device": device_name(),
        "cpu": cpu_kind(),
        "started": utc_now(),
    }


def finish_manifest(manifest: dict[str, Any], path: Path) -> None:
    """Stamp the end time and write the manifest by atomic rename."""
    write_json(path, {**manifest, "ended": utc_now()})


def switches_of_vllm() -> dict[str, str]:
    """The ``VLLM_USE_...`` variables that are set: a server that a stage starts has the same.

    ``VLLM_USE_V2_MODEL_RUNNER`` decides what noise a seed gives, and so every sampled row (docs/troubleshooting.md).
    """
    # No other variable of vLLM: VLLM_API_KEY is a secret.
    return {name: value for name, value in sorted(os.environ.items()) if name.startswith("VLLM_USE_")}


CODE = ("src", "data_builders", "scripts", "eval_tasks", "traits", "recipes", "accelerate_configs")
"""Folders whose files decide what a run makes; an experiment's file is kept whole with its results."""


@cache
def git_state() -> dict[str, Any]:
    """``{"sha": ..., "dirty": ...}`` of the checkout; nulls outside git.

    It is dirty if a file of the commit was changed, or if :data:`CODE` has a file that no commit has.
    """

    def git(*words: str) -> str:
        # `git status` would write what it learned to the index: killed then, it leaves a lock that stops every commit.
        command = ["git", "--no-optional-locks", "-C", str(REPO_ROOT), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        added = git("ls-files", "--others", "--exclude-standard", "--", *CODE)
        return {"sha": git("rev-parse", "HEAD"), "dirty": bool(changed or added)}
    except (OSError, subprocess.CalledProcessError):
        # A copy without .git (a host that was packed for) still makes manifests, which say that this is unknown.
        return {"sha": None, "dirty": None}


def package_versions() -> dict[str, str]:
    """Installed versions of the packages that change results."""
    versions = {}
    # By name and not by import: a manifest of rows must not load torch.
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def on_gpu() -> bool:
    """Whether this process computes on a GPU: torch is loaded and sees one, and Accelerate was not told to leave it.

    ``use_cpu: true`` of an Accelerate file reaches the process as ACCELERATE_USE_CPU.
    """
    # Not imported for this: a process that has not loaded torch computes nothing on a GPU.
    torch = sys.modules.get("torch")
    told = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes", "on")
    return torch is not None and torch.cuda.is_available() and not told


def device_name() -> str:
    """The GPUs' number and name if this process computes on them, else the CPU and its core count."""
    if on_gpu():
        import torch

        # The GPUs of one machine are taken to be of one kind.
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}"
    return f"CPU, {os.cpu_count()} cores, {platform.machine()}"


def cpu_kind() -> dict[str, str | None]:
    """The CPU's model, and the instructions that torch computes with: ``AVX2``, ``AVX512``; None for what is unknown.

    Two kinds of CPU add the same numbers in another order, so that a training ends in other weights. A process without
    torch computes nothing that depends on it, and records no capability.
    """
    # Linux mostly leaves this empty, and names the model in /proc/cpuinfo.
    model = platform.processor() or None
    with contextlib.suppress(OSError):
        named = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
        if named:
            model = named[1].strip()
    capability = None
    torch = sys.modules.get("torch")
    if torch:
        capability = torch.backends.cpu.get_cpu_capability()
    return {"model": model, "capability": capability}


def cpu_name(manifest: dict[str, Any]) -> str | None:
    """The kind of CPU that a manifest records: "AMD EPYC 9B14, AVX512"; None where it records none."""
    kind = manifest.get("cpu") or {}
    return ", ".join(filter(None, (kind.get("model"), kind.get("capability")))) or None


def cpu_names(manifests: Iterable[dict[str, Any]]) -> list[str]:
    """Every kind of CPU that computed something, in the order of the manifests.

    A process without torch (a download, a builder that asks a server) records a CPU without its instructions. Nothing
    that it made depends on them, so that it is left out.
    """
    names: dict[str, None] = {}
    for manifest in manifests:
        if (manifest.get("cpu") or {}).get("capability"):
            names[cpu_name(manifest)] = None
    return list(names)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder, or an empty dict if it has none.

    Raises:
        UserError: it is cut off or no manifest.
    """
    path = folder / "manifest.json"
    if not path.is_file():
        return {}
    manifest = read_object(path)
    # What reads a manifest takes these for mappings, and must not fail on a damaged one without a word.
    sections = {name: manifest.get(name) or {} for name in ("config", "inputs", "counts", "outputs")}
    if isinstance(sections["inputs"], dict):
        for name, entry in list(sections["inputs"].items()):
            sections[f"inputs.{name}"] = entry
    for name, section in sections.items():
        if not isinstance(section, dict):
            raise UserError(f"{path}: its `{name}` is no mapping. Restore it, or make its folder again.")
    return manifest
