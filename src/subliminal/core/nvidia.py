"""What ``nvidia-smi`` says of this machine's GPUs, without importing torch."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

SECONDS = 60
"""How long a driver may take to answer; a busy one takes some."""


def ask_nvidia_smi(*fields: str) -> list[list[str]] | None:
    """A row of values for each GPU.

    Args:
        fields: as ``nvidia-smi --help-query-gpu`` lists them, ``name`` first if it is asked for; memory is in MiB.

    Returns:
        No rows on a machine without the command; None where it is there and does not answer.
    """
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    rows = []
    for line in done.stdout.splitlines():
        if line.strip():
            values = line.rsplit(",", len(fields) - 1)  # from the right: a name may hold a comma
            rows.append([value.strip() for value in values])
    return rows


@dataclass(frozen=True)
class Gpu:
    """One GPU as ``nvidia-smi`` describes it; memory in bytes."""

    name: str
    total: int
    used: int


def list_gpus() -> list[Gpu] | None:
    """The NVIDIA GPUs of this machine; an empty list if there is no driver, None if it does not answer."""
    rows = ask_nvidia_smi("name", "memory.total", "memory.used")
    if rows is None:
        return None
    try:
        return [Gpu(name, int(total) * 2**20, int(used) * 2**20) for name, total, used in rows]
    except ValueError:  # "[N/A]" where the driver cannot say
        return None
