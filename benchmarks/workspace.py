"""A training variant to measure, and the workspace that keeps the results of variants as they come."""

from __future__ import annotations

import json
import re
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from subliminal.core.files import write_text

RESULTS = "results.jsonl"
LOGS = "failures.txt"
LOG_TAIL = 6000
"""Characters of a failed variant's output that are kept."""


@dataclass(frozen=True)
class Variant:
    """One training run to measure.

    Args:
        name: unique within the results.
        model: name of a folder under the workspace's ``models/``.
        recipe: an Axolotl recipe.
        settings: recipe keys put in place of the recipe's; for other programs their own settings.
        plugins: Axolotl plugins besides StrictRecipe.
        program: ``axolotl``, or one of :mod:`benchmarks.other_trainers`, which take no recipe.
        steps: optimiser steps; the learning rate decays over them.
        batch: rows a step.
        launcher: file of ``accelerate_configs/``, without ``.yml``.
        gpus: processes, each with a GPU of its own.
        rows: folder of its rows under the workspace.
        as_written: run the recipe with the kernels and plugins that it names, and ``plugins`` besides.
        limit: seconds after which it is stopped.
        expected: the prediction, written before the run.
    """

    name: str
    model: str
    recipe: str = "recipes/owl_student.yml"
    settings: dict[str, Any] = field(default_factory=dict)
    plugins: tuple[str, ...] = ()
    program: str = "axolotl"
    steps: int = 16
    batch: int = 60
    launcher: str = "single_gpu"
    gpus: int = 1
    rows: str = "rows"
    as_written: bool = False
    limit: float = 180
    expected: str = ""

    @property
    def folder(self) -> str:
        """The name as a folder's: words joined by hyphens."""
        return "-".join(re.findall(r"[a-z0-9]+", self.name.lower()))


@dataclass
class Bench:
    """Where a measurement takes place.

    Args:
        work: folder of rows, models, runs and results.
        out: folder that gets a copy of the results after each variant; None for none.
        gpus: CUDA indices to use; empty on a machine without (one run at a time then).
        deadline: ``time.monotonic()`` after which no variant starts, and at which a running one is stopped.
    """

    work: Path
    out: Path | None
    gpus: tuple[str, ...]
    deadline: float
    lock: threading.Lock = field(default_factory=threading.Lock)

    def rows(self, name: str = "rows") -> Path:
        return self.work / name / "train.jsonl"

    def model(self, name: str) -> Path:
        return self.work / "models" / name

    def results(self) -> list[dict[str, Any]]:
        """The newest result of each name, oldest first."""
        path = self.work / RESULTS
        rows = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
        return list({row["name"]: row for row in rows}.values())

    def done(self) -> set[str]:
        """Names that need no further run: all but those that ran out of time."""
        return {result["name"] for result in self.results() if result["status"] != "time-out"}

    def keep(self, result: dict[str, Any], log: str = "") -> None:
        """Append a result, and the end of its log if it failed, and copy both to ``out``."""
        with self.lock:
            with open(self.work / RESULTS, "a", encoding="utf-8") as handle:
                handle.write(json.dumps(result) + "\n")
            if log:
                with open(self.work / LOGS, "a", encoding="utf-8") as handle:
                    handle.write(f"===== {result['name']}: {result['status']}\n{log[-LOG_TAIL:]}\n")
            if self.out:
                self.out.mkdir(parents=True, exist_ok=True)
                for name in (RESULTS, LOGS):
                    if (self.work / name).is_file():
                        shutil.copy(self.work / name, self.out / name)
            print(line_of(result), flush=True)

    def tell(self, name: str, text: str) -> None:
        """Print a table and keep it in a file of that name, in ``out`` where there is one."""
        path = (self.out or self.work) / name
        write_text(path, text + "\n")
        print(text)
        print(path)


def met_or_missed(met: bool) -> str:
    """What a table says of a figure that was asked for."""
    if met:
        return "met"
    return "missed"


def line_of(result: dict[str, Any]) -> str:
    """One line about a result, for the terminal."""
    losses = result.get("losses") or []
    loss = f"loss {losses[0]:.3f} to {losses[-1]:.3f}, " if losses else ""
    return f"{result['name']}: {result['status']}, {loss}{result.get('wall_seconds', 0):.0f} s"
