"""One variant as a subprocess, from its start to its result.

A variant that runs out of memory, fails or takes too long is a row of the results like any other.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.commands import axolotl_command, other_command
from benchmarks.counts import CALLS_FILE, KERNELS_FILE, OPERATIONS_FILE
from benchmarks.shapes import facts_of
from benchmarks.workspace import Bench, Variant
from subliminal import REPO_ROOT
from subliminal.core import watchdog
from subliminal.core.manifest import utc_now

OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "AXOLOTL_DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONUNBUFFERED": "1",
}


def run_variant(bench: Bench, variant: Variant, gpus: Sequence[str], *, timeout: float) -> tuple[dict[str, Any], str]:
    """Run one variant to its end, and delete its output folder.

    Args:
        bench: the workspace.
        variant: what to run.
        gpus: CUDA indices that the run sees.
        timeout: seconds after which it is stopped, if not before by its own limit.

    Returns:
        The result (see :func:`outcome`), and everything that the run printed.
    """
    output = bench.work / "runs" / variant.folder
    shutil.rmtree(output, ignore_errors=True)
    log_file = bench.work / "runs" / f"{variant.folder}.log"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with open(log_file, "w") as log, MemoryWatch(gpus) as memory:
        process = start_training(bench, variant, output, gpus, log)
        try:
            code: int | None = process.wait(min(timeout, variant.limit))
        except subprocess.TimeoutExpired:
            code = None
        finally:
            watchdog.stop(process)
    text = log_file.read_text(errors="replace")
    result = outcome(variant, output, code, text)
    result |= {
        "wall_seconds": round(time.monotonic() - started, 1),
        "card_gib": memory.peak_gib,
        "model_facts": facts_of(bench.model(variant.model), bench.rows(variant.rows)),
        "gpus_used": list(gpus),
        "ended": utc_now(),
    }
    shutil.rmtree(output, ignore_errors=True)
    return result, text


def start_training(
    bench: Bench, variant: Variant, output: Path, gpus: Sequence[str], log: Any
) -> subprocess.Popen[bytes]:
    """Start a variant under a watchdog."""
    words = other_command(bench, variant, output)
    if variant.program == "axolotl":
        words = axolotl_command(bench, variant, output)
    paths = [str(REPO_ROOT / "src"), str(REPO_ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, **OFFLINE, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    if gpus:
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
    elif variant.gpus > 1:
        environment["ACCELERATE_USE_CPU"] = "true"  # torchrun reads no file of Accelerate's
    return watchdog.start([sys.executable, "-m", *words], log=log.fileno(), env=environment, cwd=REPO_ROOT)


def outcome(variant: Variant, output: Path, code: int | None, text: str) -> dict[str, Any]:
    """What a run gave: ``status`` (ok, out of memory, failed, time-out), and one entry a step of losses and seconds."""
    metrics = whole_lines(output / "metrics.jsonl")
    memory = [row["gpu_gib"] for row in metrics if row.get("gpu_gib") is not None]
    if code is None:
        status = "time-out"
    elif code == 0:
        status = "ok"
    elif "OutOfMemoryError" in text or "CUDA out of memory" in text:
        status = "out of memory"
    else:
        status = "failed"
    return {
        "name": variant.name,
        "status": status,
        "model": variant.model,
        "recipe": variant.recipe,
        "settings": variant.settings,
        "plugins": list(variant.plugins),
        "steps": variant.steps,
        "batch": variant.batch,
        "launcher": variant.launcher,
        "processes": variant.gpus,
        "expected": variant.expected,
        "losses": [row["loss"] for row in metrics],
        "seconds": [row["seconds"] for row in metrics],
        "padded": [row.get("padded", []) for row in metrics],
        "tokens_trained": metrics[-1].get("tokens_trained") if metrics else None,
        "tokens_seen": metrics[-1].get("tokens_seen") if metrics else None,
        "peak_gib": max(memory, default=None),
        "kernels": facts_in(output / KERNELS_FILE),
        "operations": facts_in(output / OPERATIONS_FILE),
        "python_calls": facts_in(output / CALLS_FILE),
        "probes": [json.loads(path.read_text()) for path in sorted(output.glob("probe-*.json"))],
    }


def facts_in(path: Path) -> dict[str, Any] | None:
    """What a JSON file of a run says; None if the run wrote none."""
    if not path.is_file():
        return None
    return json.loads(path.read_text(encoding="utf-8"))


def whole_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a JSONL file that a run may still be writing; none if it does not exist."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(line) for line in lines]


class MemoryWatch:
    """The most memory in use on any of some GPUs as ``nvidia-smi`` shows it, with CUDA's own and the allocator's cache.

    Args:
        gpus: CUDA indices; none, and :attr:`peak_gib` stays None.
    """

    def __init__(self, gpus: Sequence[str]) -> None:
        self.gpus = ",".join(gpus)
        self.peak_gib: float | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> MemoryWatch:
        if self.gpus:
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        if self.gpus:
            self._thread.join()

    def _watch(self) -> None:
        words = ["nvidia-smi", "-i", self.gpus, "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
        while not self._stop.wait(0.5):
            answer = subprocess.run(words, capture_output=True, text=True)
            used = [float(word) / 1024 for word in answer.stdout.split() if word.replace(".", "").isdigit()]
            self.peak_gib = round(max([*used, self.peak_gib or 0.0]), 2)
