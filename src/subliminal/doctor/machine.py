"""The machine and the checkout: Python, processor and memory, disk, the categories of ``traits/``, git."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from subliminal.core.manifest import git_state
from subliminal.doctor.lines import GIB, Line
from subliminal.traits.category import category_names
from subliminal.traits.checks import category_problems, world_problems

LOW_DISK, NO_DISK = 20 * GIB, 2 * GIB
"""Free bytes below which a 7B run may not fit, and below which not even the demo does."""


def python_line() -> Line:
    """Whether this Python is one that the locks are for."""
    version = platform.python_version()
    if sys.version_info[:2] in ((3, 11), (3, 12)):
        return Line("ok", "Python", f"{version} ({sys.executable})")
    return Line("problem", "Python", f"{version}; 3.11 or 3.12 is needed. Name one: make PYTHON=python3.12 setup")


def processor_line() -> Line:
    """Cores that this process may use, and memory."""
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


def git_line() -> Line:
    """Whether manifests can name the code that runs."""
    state = git_state()
    if state["sha"] is None:
        return Line("warning", "git", "no commit is known here, so manifests cannot name the code that ran")
    if state["dirty"]:
        return Line(
            "warning", "git", f"commit {state['sha'][:10]} with changes that are not committed; manifests say so"
        )
    return Line("ok", "git", f"commit {state['sha'][:10]}, no changes")
