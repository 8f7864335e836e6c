"""GPUs are given out on a machine by file locks, held while a command runs: each to one command, or to a stated number.

    python -m subliminal.core.gpus -- python scripts/evaluate.py ...
    python -m subliminal.core.gpus --gpus 2 -- accelerate launch ...

The command sees its GPUs as CUDA_VISIBLE_DEVICES. Where CUDA_VISIBLE_DEVICES is set already (by Slurm, or by you) only
those GPUs are handed out. Without GPUs, or with --gpus 0, the command simply runs.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import IO, NamedTuple

from subliminal.core.errors import UserError
from subliminal.core.locks import take_lock
from subliminal.core.nvidia import ask_nvidia_smi

WAIT = 1.0
"""Seconds between two looks at taken GPUs."""


class Slots(NamedTuple):
    """Environment variables for a command, and the locks' file descriptors: a child that inherits one holds it too."""

    environment: dict[str, str]
    locks: list[int]


@cache
def visible_gpus() -> tuple[str, ...]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them; none on a machine without."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is not None:
        names = map(str.strip, listed.split(","))
        return tuple(name for name in names if name not in ("", "-1"))  # "" and "-1" hide all GPUs
    return tuple(index for (index,) in ask_nvidia_smi("index") or [])


@contextlib.contextmanager
def gpu_slots(count: int, gpus: tuple[str, ...] | None = None, share: int = 1) -> Iterator[Slots]:
    """Hold ``count`` GPUs for the length of a ``with`` block; waits until as many are free.

    Args:
        count: how many; 0 holds none.
        gpus: which may be handed out; default :func:`visible_gpus`.
        share: commands that may hold a GPU together, each asking for one with the same share; 1 holds it alone.

    Yields:
        What to start the command with. Where there are no GPUs to hand out it is empty.

    Raises:
        UserError: the machine has some GPUs, but fewer than ``count``.
    """
    if count and gpus is None:  # a command without a GPU does not wait for nvidia-smi
        gpus = visible_gpus()
    if not count or not gpus:
        yield Slots({}, [])
        return
    if count > len(gpus):
        raise UserError(
            f"{count} GPUs are asked for, and {len(gpus)} are visible. Ask for fewer, or make more visible."
        )
    told = False
    while True:
        held = _take_part(gpus, share) if share > 1 else _take(count, gpus)
        if held:
            break
        if not told:
            print(f"Waiting for {count} of the GPUs {', '.join(gpus)} ...", file=sys.stderr, flush=True)
            told = True
        # flock could wait by itself, but for one lock and not for any of several.
        time.sleep(WAIT)
    try:
        # The child holds the locks too: if this process is killed, its GPU is not given away while the child computes.
        descriptors = []
        for locks in held.values():
            descriptors += [lock.fileno() for lock in locks]
        yield Slots({"CUDA_VISIBLE_DEVICES": ",".join(held)}, descriptors)
    finally:
        _let_go(held)


def _take(count: int, gpus: tuple[str, ...]) -> dict[str, list[IO[str]]]:
    """Lock ``count`` of the GPUs, or none; all or nothing, so that two that wait never hold each other up."""
    held: dict[str, list[IO[str]]] = {}
    for gpu in gpus:
        lock = _lock(gpu, "")
        if lock is None:
            continue
        held[gpu] = [lock]
        if len(held) == count:
            return held
    _let_go(held)
    return {}


def _take_part(gpus: tuple[str, ...], share: int) -> dict[str, list[IO[str]]]:
    """One of the ``share`` places of a GPU, of the emptiest first; nothing if every place is taken."""
    # Places first, then cards: a second command goes to an empty card before it shares one.
    for place in range(share):
        for gpu in gpus:
            # Shared with the other places; a command that wants the GPU alone waits until all of them are free.
            whole = _lock(gpu, "", shared=True)
            if whole is None:
                continue
            part = _lock(gpu, f"-place-{place}")
            if part is not None:
                return {gpu: [whole, part]}
            whole.close()
    return {}


def _lock(gpu: str, place: str, *, shared: bool = False) -> IO[str] | None:
    """The lock of a GPU or of a place on it, if it is free."""
    # Older drivers call a part of a card MIG-GPU-<uuid>/1/0.
    return take_lock(lock_folder() / f"gpu-{gpu.replace('/', '-')}{place}.lock", shared=shared)


def _let_go(held: dict[str, list[IO[str]]]) -> None:
    for locks in held.values():
        for lock in locks:
            lock.close()


def lock_folder() -> Path:
    """Where this user's locks lie: one folder for the machine, whatever the checkout.

    Each Slurm job has a folder of its own: Slurm gives no GPU twice, and every job may see its GPU as number 0.
    """
    job = os.environ.get("SLURM_JOB_ID")
    # By user: another's lock files cannot be opened for writing.
    name = f"subliminal-gpus-{os.getuid()}" + (f"-job-{job}" if job else "")
    folder = Path(os.environ.get("SUBLIMINAL_GPU_LOCKS") or Path(tempfile.gettempdir()) / name)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def main(words: list[str]) -> int:
    """Run the command after ``--`` on its GPUs; returns its status."""
    count = 1
    if words[:1] == ["--gpus"]:
        count, words = int(words[1]), words[2:]
    if words[:1] == ["--"]:
        words = words[1:]
    if not words:
        print(__doc__, file=sys.stderr)
        return 2
    with gpu_slots(count) as slots:
        return subprocess.run(words, env={**os.environ, **slots.environment}, pass_fds=slots.locks).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
