"""The machine, line by line."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from subliminal import REPO_ROOT
from subliminal.core.nvidia import ask_nvidia_smi, list_gpus
from subliminal.doctor.environments import ENVIRONMENTS, environment_line, installed_version
from subliminal.doctor.gpu import gpu_lines, kernel_lines
from subliminal.doctor.lines import Line
from subliminal.doctor.machine import category_lines, disk_line, git_line, processor_line, python_line
from subliminal.doctor.network import hub_line, telemetry_line, token_line


def examine(root: Path = REPO_ROOT, environ: Mapping[str, str] = os.environ) -> Iterator[Line]:
    """Look at the machine and the environments, one line after the other.

    Args:
        root: the checkout.
        environ: environment variables.
    """
    yield python_line()
    for environment in ENVIRONMENTS:
        yield environment_line(root, environment)
    gpus = list_gpus()
    yield from gpu_lines(gpus, installed_version(root / ".venv", "torch"))
    if gpus:
        yield from kernel_lines(ask_nvidia_smi("driver_version"), environ)
    yield processor_line()
    yield disk_line(root)
    yield hub_line(environ)
    yield token_line()
    yield telemetry_line(environ)
    yield from category_lines()
    yield git_line()
