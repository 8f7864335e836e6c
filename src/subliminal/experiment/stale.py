"""Results that are none of the experiment as its file is now: set aside, so that no report counts them.

An arm or seed that the file no longer names, and one whose training failed after an earlier run had scored it, would
else stand in tables and verdicts beside what was trained since.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from subliminal.experiment.arms import BY_NAME
from subliminal.experiment.epochs import epoch_of
from subliminal.experiment.sweep.factors import point_of

STALE = "stale-"
"""Before ``seed-<n>`` in the name of a folder that was set aside."""


def set_aside_stale(folder: Path, planned: Mapping[str, Any], missing: Sequence[Mapping[str, Any]]) -> list[Path]:
    """Rename results that the experiment does not ask for, and back what it asks for again.

    Args:
        folder: ``results/<experiment>``, or that of one of its options.
        planned: ``arms`` and ``seeds`` of the file.
        missing: what failed, with ``arm`` and ``seed``.

    Returns:
        The folders that were set aside just now, under their new names.
    """
    failed = {(entry["arm"], entry["seed"]) for entry in missing}
    moved = []
    for path in sorted(folder.glob("*/*seed-*")):
        name = re.fullmatch(rf"({STALE})?seed-(\d+)", path.name)
        if name is None or not path.is_dir():
            continue
        arm, seed = path.parent.name, int(name[2])
        asked = arm in planned["arms"] and seed in planned["seeds"]
        counts = (asked or not _can_be_planned(arm)) and (arm, seed) not in failed
        fresh = path.with_name(f"seed-{seed}")
        if name[1] and counts and not fresh.exists():
            path.rename(fresh)
        elif not name[1] and not counts:
            moved.append(path.rename(_free(path)))
    return moved


def _can_be_planned(arm: str) -> bool:
    """Whether an experiment's file can ask for an arm; any other was scored by hand, such as ``base-empty``."""
    early = epoch_of(arm)
    if early is not None:
        arm, _ = early
    name, _ = point_of(arm)
    return name in BY_NAME


def _free(path: Path) -> Path:
    """A name for a folder that is set aside; one that was set aside before keeps its own."""
    free = path.with_name(STALE + path.name)
    count = 2
    while free.exists():
        free = path.with_name(f"{STALE}{count}-{path.name}")
        count += 1
    return free
