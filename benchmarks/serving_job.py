"""What both sides of the serving measurement do, and the file that keeps their results."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from subliminal.engine import Request, Sampling


@dataclass(frozen=True)
class FixedLength(Sampling):
    """Sampling that also asks vLLM to write on to ``max_tokens`` whatever the model says."""

    def as_dict(self) -> dict[str, Any]:
        return {**super().as_dict(), "ignore_eos": True}


@dataclass(frozen=True)
class ServingJob:
    """What both sides do.

    Args:
        work: folder for inputs, logs and results.
        out: folder that gets a copy of the results after each measurement; None for none.
        model, adapter: folders.
        requests: the rows.
        sampling: their sampling.
        deadline: ``time.monotonic()`` after which nothing more is started.
        batched_tokens: vLLM's ``max_num_batched_tokens`` on both sides; None for vLLM's own, which differ.
        loras: adapters that offline has room for; as many as the server, and both can use one compiled model.
    """

    work: Path
    out: Path | None
    model: Path
    adapter: Path
    requests: list[Request]
    sampling: Sampling
    deadline: float
    batched_tokens: int | None = None
    loras: int = 1

    @property
    def results_file(self) -> Path:
        return self.work / "serving.jsonl"

    @property
    def answers_file(self) -> Path:
        return self.work / "serving-answers.json"

    def results(self) -> list[dict[str, Any]]:
        """The newest result of each name, oldest name first."""
        lines = self.results_file.read_text().splitlines() if self.results_file.is_file() else []
        return list({row["name"]: row for row in map(json.loads, lines)}.values())

    def missing(self, name: str) -> bool:
        """Whether a measurement is still to be made: it is not there or failed, and there is time."""
        done = {row["name"] for row in self.results() if "error" not in row}
        return name not in done and time.monotonic() < self.deadline

    def keep(self, result: Mapping[str, Any]) -> None:
        """Append a result and print it."""
        with open(self.results_file, "a", encoding="utf-8") as handle:
            handle.write(json.dumps(result) + "\n")
        self.copy()
        print(json.dumps(result), flush=True)

    def copy(self) -> None:
        """Copy the results to ``out``."""
        if self.out and self.results_file.is_file():
            self.out.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.results_file, self.out)
