"""A callback for any Trainer that counts the calls of functions, Python's and built-in ones, in a training step.

Like the operations of :mod:`benchmarks.operations` their number depends on neither machine nor load.
``python_calls.json`` in the run's folder says how many there are in one step, and which are the most frequent.
:class:`benchmarks.probe.HostProbe` adds it to a run of Axolotl.
"""

from __future__ import annotations

import cProfile
import pstats
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from benchmarks.counts import CALLS_FILE, CALLS_STEP
from subliminal.core.files import write_json

MOST_FREQUENT = 10


class PythonCallsCallback(TrainerCallback):
    """Count one step, from the end of the step before it, and write :data:`CALLS_FILE`.

    Calls of other threads are not counted: on a GPU, and not on a CPU, the backward pass has a thread of its own.

    Args:
        folder: where it is written, by the first process.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.profiler = cProfile.Profile()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == CALLS_STEP - 1:
            self.profiler.enable()
        elif state.global_step == CALLS_STEP:
            self.profiler.disable()
            if state.is_world_process_zero:
                self.write()

    def write(self) -> None:
        """Write what was counted."""
        counts = {}
        for (file, _line, name), (_, calls, *_) in pstats.Stats(self.profiler).stats.items():
            where = f"{Path(file).name}:{name}"
            counts[where] = counts.get(where, 0) + calls
        frequent = sorted(counts.items(), key=lambda item: item[1], reverse=True)[:MOST_FREQUENT]
        write_json(self.folder / CALLS_FILE, {"calls": sum(counts.values()), "most_frequent": dict(frequent)})
