"""Our lm-eval tasks and groups by name, read without lm-eval: which files they are of, and what their numbers are."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from subliminal.core.text_yaml import BaseLoader
from subliminal.scoring.category_tasks import TASKS, category_tasks, text_settings
from subliminal.traits.category import load_category

OPTION_KINDS = ("sampled", "story", "exact")
"""``metadata.kind`` of the tasks that have a rate of the target."""


class OurTask(NamedTuple):
    """A task or group of ours: the folders that its files are in, and its settings as text."""

    folders: frozenset[Path]
    config: dict[str, Any]


@cache
def our_tasks() -> dict[str, OurTask]:
    """The tasks and groups of ours by name: of ``eval_tasks/``, and of categories that have no files there."""
    ours = {}
    for path in sorted(TASKS.rglob("*.yaml")):
        task = _read_task(path)
        name = task.config.get("group", task.config.get("task"))
        if isinstance(name, str):  # the base file that others include has no name
            ours[name] = task
    for name, (category, _) in category_tasks().items():
        task = ours.get(name)
        if task is None:
            # A category without files is asked with the templates of the animals.
            task = OurTask(frozenset({TASKS / "animal_preference"}), {"metadata": text_settings(name)})
        ours[name] = OurTask(task.folders | {load_category(category).folder}, task.config)
    return ours


def _read_task(path: Path) -> OurTask:
    """A task's file, with what it includes."""
    config = yaml.load(path.read_text(encoding="utf-8"), Loader=BaseLoader)  # text only, also for !function
    if "include" not in config:
        return OurTask(frozenset({path.parent}), config)
    included = _read_task((path.parent / config["include"]).resolve())
    return OurTask(included.folders | {path.parent}, included.config | config)


def task_kind(name: str) -> str | None:
    """The ``metadata.kind`` of one of our tasks; None for a group and for a task that is not ours."""
    if name not in our_tasks():
        return None
    return our_tasks()[name].config.get("metadata", {}).get("kind")


def single_tasks(names: Sequence[str]) -> tuple[str, ...]:
    """``names`` with each of our groups replaced by its tasks, none twice."""
    found: list[str] = []
    for name in names:
        task = our_tasks().get(name)
        if task is not None and "group" in task.config:
            found += single_tasks(task.config["task"])
        else:
            found.append(name)
    return tuple(dict.fromkeys(found))
