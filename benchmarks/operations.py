"""A callback for any Trainer that counts the operations that PyTorch dispatches in a training step.

A small model's step is bound by the processor, which dispatches thousands of small operations. Their number depends on
neither machine nor load, so a CPU can count what a GPU's step will cost the processor. ``operations.json`` in the run's
folder says how many there are in one step, how many of them compute (the others make room for a tensor, or look at one
in another shape), at how many the processor would wait for a card, and how many of each name there are.
:class:`benchmarks.probe.KernelProbe` adds it to a run of Axolotl.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode
from transformers import TrainerCallback

from benchmarks.counts import COUNTED_STEP, OPERATIONS_FILE
from subliminal.core.files import write_json

WAITS = ("aten._local_scalar_dense.default", "aten.nonzero.default")
"""Operations whose result the processor needs, so that it waits until a card has done all that came before."""

ROOM = ("aten.empty.", "aten.empty_like.", "aten.empty_strided.", "aten.new_empty")
"""How the names of operations begin that make room for a tensor and compute nothing."""


class OperationCount(TorchDispatchMode):
    """Counts what is dispatched while it is entered, by name; a fused kernel that is registered counts as one."""

    def __init__(self) -> None:
        super().__init__()
        self.names: Counter[str] = Counter()
        self.computing = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func)
        self.names[name] += 1
        if not (is_view(func) or name.startswith(ROOM)):
            self.computing += 1
        return func(*args, **kwargs or {})


class OperationsCallback(TrainerCallback):
    """Count one step, from the end of the step before it, and write :data:`OPERATIONS_FILE`.

    So data, logging and the optimizer are counted too, as far as this process does them.

    Args:
        folder: where it is written, by the first process.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.count: OperationCount | None = None

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == COUNTED_STEP - 1:
            self.count = OperationCount()
            self.count.__enter__()
        elif self.count is not None:
            count = self.count
            self.count = None
            count.__exit__(None, None, None)
            if state.is_world_process_zero:
                self.write(count)

    def write(self, count: OperationCount) -> None:
        """Write what was counted."""
        facts = {
            "operations": count.names.total(),
            "computing": count.computing,
            "waits": sum(count.names[name] for name in WAITS),
            "names": dict(count.names.most_common()),
        }
        write_json(self.folder / OPERATIONS_FILE, facts)


def is_view(operation: Any) -> bool:
    """Whether an operation returns its argument in another shape, so that nothing is computed."""
    returned = operation._schema.returns
    if not returned:
        return False
    alias = returned[0].alias_info
    return alias is not None and not alias.is_write
