"""Checkpoints by epoch: ``<run>/epoch-2`` links to the checkpoint that a training saved at the end of epoch 2.

    epoch_of("student_epoch-2")          # ("student", 2)

Results call what was scored of it by that name: an arm's, and the epoch.
"""

from __future__ import annotations

import re
from pathlib import Path

from subliminal.core.errors import UserError
from subliminal.core.files import read_object

EPOCH = "_epoch-"
"""Stands between an arm's name and the epoch of its checkpoint."""
NEAR = 0.05
"""How far, in epochs, a checkpoint may lie from the end of an epoch (the last step of one can be a short one)."""


def epoch_of(name: str) -> tuple[str, int] | None:
    """Of a name in results the arm that was trained, and after which epoch; None of a finished training."""
    found = re.fullmatch(rf"(.+?){EPOCH}(\d+)(.*)", name)
    if found is None:
        return None
    # What follows is the name of a context, as in `student_epoch-2-empty`, and the arm's as well.
    return found[1] + found[3], int(found[2])


def link_epochs(run: Path, epochs: list[int]) -> None:
    """Make the links ``epoch-<n>`` in a run's folder, over older ones.

    Raises:
        UserError: the run kept no checkpoint of an epoch.
    """
    # Checkpoints are named by their step; how many epochs that is stands in them.
    saved = {_saved_at(path): path for path in sorted(run.glob("checkpoint-*"))}
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
        # Within the folder: it can be moved or copied with its links.
        link.symlink_to(found.name)
        print(f"{link} -> {found.name}")


def _saved_at(checkpoint: Path) -> float:
    path = checkpoint / "trainer_state.json"
    again = "Delete that checkpoint, or train the run again."
    epoch = read_object(path, again).get("epoch")
    if not isinstance(epoch, int | float):
        raise UserError(f"{path} names no epoch. {again}")
    return float(epoch)
