"""Runs that share a card but not its time: a run loads while another trains, and trains when that one has ended.

Starting Axolotl and loading 7 billion weights takes about 35 s, in which a card would stand idle. A run that holds the
lock file named in the environment (:data:`~benchmarks.workspace.TURN`) has the card to itself; the next waits
before its first step.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from benchmarks.workspace import TURN, TURN_FACTS
from subliminal.core.files import write_json


class TurnCallback(TrainerCallback):
    """Wait for the lock before the first step, keep it until the process ends, and write ``turn.json``.

    The file, in ``output_dir``, holds ``waited`` (seconds) and ``reserved_gib``: the most memory that PyTorch's
    allocator had reserved, its cache included. If the environment names no lock file, nobody waits.
    """

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        import torch

        started = time.monotonic()
        if os.environ.get(TURN):
            self.lock = open(os.environ[TURN], "w")  # noqa: SIM115
            fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.waited = round(time.monotonic() - started, 1)
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        import torch

        reserved = torch.cuda.max_memory_reserved() / 2**30 if torch.cuda.is_available() else None
        facts = {"waited": self.waited, "reserved_gib": reserved and round(reserved, 2)}
        write_json(Path(args.output_dir) / TURN_FACTS, facts)
        if os.environ.get(TURN):
            self.lock.close()
