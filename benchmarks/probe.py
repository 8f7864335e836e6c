"""Axolotl plugins that write down how the parameters really lie on the processes, and what the GPU does in a step.

Accelerate falls back to plain data parallel without a word where a launcher's sharding cannot be had, so each process
writes ``probe-<rank>.json``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from axolotl.integrations.base import BasePlugin
from transformers import TrainerCallback

from benchmarks.kernel_times import KernelTimesCallback
from benchmarks.operations import OperationsCallback
from benchmarks.python_calls import PythonCallsCallback
from subliminal.axolotl_plugin import elements_of
from subliminal.core.files import write_json


class ShardingProbe(BasePlugin):
    """Adds :class:`ProbeCallback` to a run."""

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[TrainerCallback]:
        return [ProbeCallback(trainer)]


class KernelProbe(BasePlugin):
    """Adds the callbacks that count a step's operations and kernels to a run."""

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[TrainerCallback]:
        folder = trainer.args.output_dir
        return [OperationsCallback(folder), KernelTimesCallback(folder)]


class HostProbe(BasePlugin):
    """Adds the callbacks that count a step's operations and calls, which no GPU is needed for, to a run."""

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[TrainerCallback]:
        folder = trainer.args.output_dir
        return [OperationsCallback(folder), PythonCallsCallback(folder)]


class ProbeCallback(TrainerCallback):
    """After the first step write ``distributed_type``, ``zero_stage``, and the parameters that this process holds.

    Args:
        trainer: whose ``output_dir`` gets the file.
    """

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step != 1:
            return
        accelerator = self.trainer.accelerator
        parameters = list(self.trainer.model_wrapped.parameters())
        plugin = getattr(accelerator.state, "deepspeed_plugin", None)
        facts = {
            "rank": accelerator.process_index,
            "distributed_type": accelerator.distributed_type.value,
            "zero_stage": plugin.zero_stage if plugin else None,
            "parameters": sum(elements_of(p) for p in parameters),
            "parameters_held": sum(held(p) for p in parameters),
        }
        write_json(Path(args.output_dir) / f"probe-{accelerator.process_index}.json", facts)


def held(parameter: Any) -> int:
    """Elements of a parameter that lie on this process: its slice under ZeRO-3 and FSDP2, else all of them."""
    from torch.distributed.tensor import DTensor

    if hasattr(parameter, "ds_tensor"):
        return parameter.ds_tensor.numel()
    return (parameter.to_local() if isinstance(parameter, DTensor) else parameter).numel()
