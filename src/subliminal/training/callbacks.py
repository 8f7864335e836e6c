"""What a training does beside its steps: ``metrics.jsonl``, one row a logged step, and on a CPU its memory kept."""

from __future__ import annotations

import ctypes
import json
import math
import signal
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from subliminal.core.errors import UserError, stops_as_sentence

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
"""Parameters of ``mallopt``, as glibc's malloc.h numbers them."""

LAST_STEPS = 10
"""Logged steps whose mean loss stands for the end of a training; one step alone is noise."""

METRIC_NAMES = {
    "loss": "loss",
    "learning_rate": "learning_rate",
    "grad_norm": "grad_norm",
    "tokens/total": "tokens_seen",
    "tokens/trainable": "tokens_trained",
    "memory/max_active (GiB)": "gpu_gib",
}
"""Trainer's name -> name in ``metrics.jsonl``. ``tokens_seen`` counts padding, ``tokens_trained`` carries loss."""


class KeepMemory(TrainerCallback):
    """Keep the memory of freed tensors in the process for some steps, on a CPU with glibc; elsewhere do nothing.

    By default glibc hands each large block back to the kernel, which clears it page by page for the next step: the
    first 6 steps of recipes/smollm2-135m/owl_student.yml took 38.6 s so, and 23.7 s with the memory kept, losses equal
    (2 cores of an AMD EPYC, 2026-11-22, ``--max_steps=6``). Blocks of other sizes would pile up in time (7 GiB after 18
    steps), so what is free is given back every few steps (5.3 GiB).
    """

    STEPS = 4

    def __init__(self) -> None:
        self.libc = ctypes.CDLL(None)
        # malloc_trim is glibc's as mallopt is: another libc has neither.
        if not hasattr(self.libc, "mallopt"):
            self.libc = None
            return
        # No block by mmap, and none handed back by itself; the heap grows by 64 MiB at a time.
        for parameter, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1), (M_TOP_PAD, 64 * 2**20)):
            self.libc.mallopt(parameter, value)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.libc and state.global_step % self.STEPS == 0:
            self.libc.malloc_trim(0)


class MetricsCallback(TrainerCallback):
    """Append each logged step to a JSONL file: step, epoch, the values of :data:`METRIC_NAMES`, seconds of training.

    After a resume the rows beyond the checkpoint are dropped, as those steps are taken again, and the seconds go on. A
    loss or a gradient that is no number ends the run: the Trainer would go on to the end.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.started = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        # Axolotl ends on Ctrl-C with status 0 and a saved adapter, which looks like a finished run.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._restore_tokens(Path(args.output_dir) / f"checkpoint-{state.global_step}", state)
        if not state.is_world_process_zero:
            return
        if state.global_step:
            print(f"Going on from checkpoint-{state.global_step} of {state.max_steps} steps.", flush=True)
        # After the checkpoint that is resumed from the same steps come again, and would stand there twice.
        kept = [row for row in read_metrics(self.path) if row["step"] <= state.global_step]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
        # By the clock that nobody sets: the seconds are a difference.
        self.started = time.monotonic()
        if kept:
            self.started -= kept[-1]["seconds"]

    @staticmethod
    def _restore_tokens(checkpoint: Path, state: Any) -> None:
        """Go on counting tokens at the checkpoint; Axolotl itself does so only for one that the recipe names."""
        import torch
        from axolotl.core.trainers.constants import TOKENS_STATE_FILE

        path = checkpoint / TOKENS_STATE_FILE
        if path.is_file():
            state.tokens = {name: torch.tensor(count) for name, count in json.loads(path.read_text()).items()}

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        # Logs of an evaluation, or of the end of a training, have no loss of a step.
        if not state.is_world_process_zero or "loss" not in (logs or {}):
            return
        lost = None
        if not math.isfinite(logs["loss"]):
            lost = "loss"
        elif not (args.fp16 or math.isfinite(logs.get("grad_norm") or 0.0)):  # fp16 skips such a step and scales down
            lost = "gradient"
        if lost:
            with stops_as_sentence():
                raise UserError(
                    f"Step {state.global_step}: the {lost} is no number, and the weights are lost. Go on from a "
                    f"checkpoint in {args.output_dir} with a lower learning_rate; at the first step look for base "
                    "weights that are not finite, or a token whose embedding is zero."
                )
        row = {"step": state.global_step, "epoch": round(state.epoch, 4)}
        for key, name in METRIC_NAMES.items():
            if logs.get(key) is not None:
                row[name] = logs[key]
        row["seconds"] = round(time.monotonic() - self.started, 3)
        # Opened for each row: a killed training has every step that it logged.
        with open(self.path, "a", encoding="utf-8") as handle:
            handle.write(json.dumps(row) + "\n")


def training_figures(metrics: list[dict[str, Any]]) -> dict[str, Any]:
    """What a manifest says of a training, from the rows of its ``metrics.jsonl``; all None where no step was logged."""
    if not metrics:
        return dict.fromkeys(("steps", "final_loss", "final_loss_mean_of_last_10", "seconds", "tokens_seen"))
    end = metrics[-1]
    losses = [row["loss"] for row in metrics[-LAST_STEPS:]]
    return {
        "steps": end["step"],
        "final_loss": end["loss"],
        "final_loss_mean_of_last_10": sum(losses) / len(losses),
        "seconds": end["seconds"],
        "tokens_seen": end.get("tokens_seen"),
    }


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The rows of a ``metrics.jsonl``; a last line that a kill cut off is left out."""
    if not path.is_file():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            # Only the last line can be broken, so nothing that was whole is left out.
            break
    return rows
