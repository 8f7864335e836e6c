"""Variants to measure, and the workspace that keeps their results as they come."""

from __future__ import annotations

import json
import re
import shutil
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RESULTS = "results.jsonl"
LOGS = "failures.txt"
TURN = "SUBLIMINAL_BENCH_TURN"
"""Environment variable: the lock file of a card that runs share in turns."""

TURN_FACTS = "turn.json"
LOG_TAIL = 6000
"""Characters of a failed variant's output that are kept."""


@dataclass(frozen=True)
class Variant:
    """One training run to measure.

    Args:
        name: unique within the results.
        model: name of a folder under the workspace's ``models/``.
        recipe: an Axolotl recipe, or ``trl`` for TRL's SFTTrainer (:mod:`benchmarks.trl_trainer`).
        settings: recipe keys (or SFTConfig keys) put in place of the recipe's.
        plugins: Axolotl plugins besides StrictRecipe.
        steps: optimiser steps; the learning rate decays over them.
        batch: rows a step.
        launcher: file of ``accelerate_configs/``, without ``.yml``.
        gpus: processes, each with a GPU of its own.
        rows: folder of its rows under the workspace.
        as_written: run the recipe with the kernels and plugins that it names, whatever ``plugins`` says.
        shares: it runs beside others on its card, so that its losses count and its times do not.
        limit: seconds after which it is stopped.
        expected: the prediction, written before the run.
    """

    name: str
    model: str
    recipe: str = "recipes/owl_student.yml"
    settings: dict[str, Any] = field(default_factory=dict)
    plugins: tuple[str, ...] = ()
    steps: int = 16
    batch: int = 60
    launcher: str = "single_gpu"
    gpus: int = 1
    rows: str = "rows"
    as_written: bool = False
    shares: bool = False
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
        background: models that are still being made.
    """

    work: Path
    out: Path | None
    gpus: tuple[str, ...]
    deadline: float
    lock: threading.Lock = field(default_factory=threading.Lock)
    background: list[Future[Any]] = field(default_factory=list)

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


def line_of(result: dict[str, Any]) -> str:
    """One line about a result, for the terminal."""
    losses = result.get("losses") or []
    loss = f"loss {losses[0]:.3f} to {losses[-1]:.3f}, " if losses else ""
    return f"{result['name']}: {result['status']}, {loss}{result.get('wall_seconds', 0):.0f} s"
