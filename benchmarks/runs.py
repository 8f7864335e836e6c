"""Training variants, the workspace that keeps their results as they come, and one run as a subprocess.

A variant that runs out of memory, fails or takes too long is a row of the results like any other.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from benchmarks.kernel_times import KERNELS_FILE
from benchmarks.operations import OPERATIONS_FILE
from benchmarks.shapes import facts_of
from subliminal import REPO_ROOT
from subliminal.core.files import write_text
from subliminal.core.manifest import utc_now

STRICT = "subliminal.axolotl_plugin.StrictRecipe"
FIRST_PORT = 29500
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "AXOLOTL_DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONUNBUFFERED": "1",
}

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


def run_variant(
    bench: Bench, variant: Variant, gpus: Sequence[str], *, timeout: float, keep_output: bool = False
) -> tuple[dict[str, Any], str]:
    """Run one variant to its end.

    Args:
        bench: the workspace.
        variant: what to run.
        gpus: CUDA indices that the run sees.
        timeout: seconds after which it is killed, if not before by its own limit.
        keep_output: leave its output folder, which is deleted otherwise.

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
            kill_group(process)
    text = log_file.read_text(errors="replace")
    result = outcome(variant, output, code, text)
    result |= {
        "wall_seconds": round(time.monotonic() - started, 1),
        "card_gib": memory.peak_gib,
        "model_facts": facts_of(bench.model(variant.model), bench.rows(variant.rows)),
        "gpus_used": list(gpus),
        "ended": utc_now(),
    }
    if not keep_output:
        shutil.rmtree(output, ignore_errors=True)
    return result, text


def start_training(
    bench: Bench, variant: Variant, output: Path, gpus: Sequence[str], log: Any
) -> subprocess.Popen[bytes]:
    """Start a variant in a process group of its own."""
    words = other_command(bench, variant, output)
    if variant.program == "axolotl":
        words = axolotl_command(bench, variant, output)
    paths = [str(REPO_ROOT / "src"), str(REPO_ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, **OFFLINE, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    if gpus:
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
    return subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=REPO_ROOT,
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def axolotl_command(bench: Bench, variant: Variant, output: Path) -> list[str]:
    """``accelerate launch`` of a recipe, with the bench's model and rows and the variant's settings in it."""
    dataset = {
        "path": str(bench.rows(variant.rows)),
        "ds_type": "json",
        "type": "chat_template",
        "field_messages": "messages",
    }
    dataset |= {"message_property_mappings": {"role": "role", "content": "content"}}
    dataset |= {"roles_to_train": ["assistant"], "train_on_eos": "turn", "train_on_eot": "turn"}
    settings: dict[str, Any] = {
        "base_model": str(bench.model(variant.model)),
        "datasets": [dataset],
        "dataset_prepared_path": str(bench.work / "prepared"),
        "output_dir": str(output),
        "max_steps": variant.steps,
        "save_strategy": "no",
        "plugins": plugins_of(variant),
        **variant.settings,
    }
    config = "cpu" if not bench.gpus else variant.launcher
    words = ["accelerate.commands.launch", "--config_file", f"accelerate_configs/{config}.yml"]
    if variant.gpus > 1:
        port = FIRST_PORT + zlib.crc32(variant.name.encode()) % 1000  # several launchers may run at a time
        words += ["--num_processes", str(variant.gpus), "--main_process_port", str(port)]
    recipe = REPO_ROOT / variant.recipe if variant.as_written else bare_recipe(bench, variant)
    words += ["-m", "axolotl.cli.train", str(recipe)]
    return words + [f"--{key}={_word(value)}" for key, value in settings.items()]


def other_command(bench: Bench, variant: Variant, output: Path) -> list[str]:
    """The same rows through a program of :mod:`benchmarks.other_trainers`."""
    settings = {"max_steps": variant.steps, "output_dir": str(output), **variant.settings}
    files = [str(bench.model(variant.model)), str(bench.rows(variant.rows))]
    return ["benchmarks.other_trainers", variant.program, *files, json.dumps(settings)]


def plugins_of(variant: Variant) -> list[str]:
    """The Axolotl plugins of a run: the recipe's or StrictRecipe, and the variant's own."""
    first = [STRICT]
    if variant.as_written:
        first = yaml.safe_load((REPO_ROOT / variant.recipe).read_text(encoding="utf-8"))["plugins"]
    return [*first, *variant.plugins]


def bare_recipe(bench: Bench, variant: Variant) -> Path:
    """A copy of the variant's recipe without the kernels that a variant names itself, so that a plain one is plain."""
    lines = (REPO_ROOT / variant.recipe).read_text(encoding="utf-8").splitlines(keepends=True)
    path = bench.work / "recipes" / f"{variant.folder}.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = [line for line in lines if not line.startswith(("liger_", "sdpa_varlen:"))]
    path.write_text("".join(kept), encoding="utf-8")
    return path


def _word(value: Any) -> str:
    """A setting as Axolotl's command line reads it: literals of Python within lists, ``true`` and ``false`` alone."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL whatever is left of a run."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


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
