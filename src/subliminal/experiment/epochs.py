"""Checkpoints by epoch: ``<run>/epoch-2`` links to the checkpoint that a training saved at the end of epoch 2."""

from __future__ import annotations

from pathlib import Path

from subliminal.core.errors import UserError
from subliminal.core.files import read_object

NEAR = 0.05
"""How far, in epochs, a checkpoint may lie from the end of an epoch (the last step of one can be a short one)."""


def link_epochs(run: Path, epochs: list[int]) -> None:
    """Make the links ``epoch-<n>`` in a run's folder, over older ones.

    Raises:
        UserError: the run kept no checkpoint of an epoch.
    """
    saved = {_epoch_of(path): path for path in sorted(run.glob("checkpoint-*"))}
    for epoch in epochs:
        found = next((path for at, path in saved.items() if abs(at - epoch) <= NEAR), None)
        if found is None:
            kept = ", ".join(f"{at:g}" for at in sorted(saved)) or "none"
            raise UserError(
                f"{run} has no checkpoint of epoch {epoch} (it has: {kept}). Set `save_strategy: epoch` and a "
                "`save_total_limit` of all epochs in the recipe or in `overrides`, and train again."
            )
        link = run / f"epoch-{epoch}"
        link.unlink(missing_ok=True)
        link.symlink_to(found.name)
        print(f"{link} -> {found.name}")


def _epoch_of(checkpoint: Path) -> float:
    path = checkpoint / "trainer_state.json"
    again = "Delete that checkpoint, or train the run again."
    epoch = read_object(path, again).get("epoch")
    if not isinstance(epoch, int | float):
        raise UserError(f"{path} names no epoch. {again}")
    return float(epoch)
