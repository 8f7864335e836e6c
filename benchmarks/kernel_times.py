"""A callback for any Trainer that counts what the GPU does in a training step.

A small model's step is short of work for the card: kernels run for a part of it, and the rest waits for Python, for
their launches and for data. ``kernels.json`` in the run's folder says how many kernels a step has and how long any of
them ran. The profiler slows the steps that it watches, so a step's own time is to be measured in another run.
:class:`benchmarks.probe.KernelProbe` adds it to a run of Axolotl.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from benchmarks.counts import KERNELS_FILE
from subliminal.core.files import write_json

FIRST, STEPS = 8, 2
"""Steps done before the profiler starts, and steps that it watches: few, as reading what it saw takes long."""


class KernelTimesCallback(TrainerCallback):
    """Watch :data:`STEPS` steps with PyTorch's profiler and write :data:`KERNELS_FILE` when the training ends.

    Args:
        folder: where it is written.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.profiler: Any = None
        self.steps = 0

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step != FIRST:
            return
        from torch.profiler import ProfilerActivity, profile

        self.profiler = profile(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU])
        self.profiler.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.profiler is None:
            return
        self.steps += 1
        if self.steps == STEPS:
            self.finish()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.finish()  # a run that ended within the steps that are watched

    def finish(self) -> None:
        """Stop the profiler, if it runs, and write what it saw."""
        if self.profiler is None:
            return
        import torch
        from torch.autograd import DeviceType

        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.profiler.stop()
        spans = []
        for event in self.profiler.events():
            # A named part of a step (an optimizer's, say) is shown on the card from its first kernel to its last, with
            # the time between them.
            if event.device_type == DeviceType.CUDA and not event.is_user_annotation:
                spans.append((event.time_range.start, event.time_range.end))
        self.profiler = None
        facts = {
            "steps": self.steps,
            "kernels_a_step": round(len(spans) / self.steps),
            "kernel_seconds_a_step": covered(spans) / 1e6 / self.steps,
        }
        write_json(self.folder / KERNELS_FILE, facts)


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """The length of the union of intervals (start, end), which may overlap: kernels of several streams do."""
    total = 0.0
    reached = float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total
