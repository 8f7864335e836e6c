"""What a step asks of the processor in one process and in two: what is counted, and that two ask hardly more."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from benchmarks.commands import axolotl_command
from benchmarks.counts import CALLS_STEP
from benchmarks.host_work import MODEL, NAMES, PROBE, host_table, host_variants
from benchmarks.python_calls import PythonCallsCallback
from benchmarks.shapes import SHAPES, make_model, make_rows
from benchmarks.training import run_all
from benchmarks.workspace import Bench
from subliminal import REPO_ROOT


def called() -> None:
    """A function that a step calls."""


def test_the_calls_of_one_step_are_counted(tmp_path: Path) -> None:
    callback = PythonCallsCallback(tmp_path)
    for step in range(1, CALLS_STEP + 3):
        for _ in range(step):
            called()
        callback.on_step_end(None, SimpleNamespace(global_step=step, is_world_process_zero=True), None)
    facts = json.loads((tmp_path / "python_calls.json").read_text())
    assert facts["most_frequent"]["test_host_work.py:called"] == CALLS_STEP
    assert facts["calls"] < CALLS_STEP + 10, "beside it the callback's own"


def test_another_process_writes_nothing(tmp_path: Path) -> None:
    callback = PythonCallsCallback(tmp_path)
    for step in (CALLS_STEP - 1, CALLS_STEP):
        callback.on_step_end(None, SimpleNamespace(global_step=step, is_world_process_zero=False), None)
    assert not list(tmp_path.iterdir())


def test_two_processes_share_out_the_rows_of_one(tmp_path: Path) -> None:
    one, two = host_variants()
    for run in (one, two):
        keys = yaml.safe_load((REPO_ROOT / run.recipe).read_text()) | run.settings
        assert run.gpus * keys["micro_batch_size"] * keys["gradient_accumulation_steps"] == keys["effective_batch"]
        assert PROBE in run.plugins
    bench = Bench(tmp_path, None, (), 0.0)
    assert axolotl_command(bench, one, tmp_path)[0] == "accelerate.commands.launch"
    assert axolotl_command(bench, two, tmp_path)[:3] == ["torch.distributed.run", "--nproc_per_node", "2"]


def test_the_table_has_what_was_counted_and_what_failed() -> None:
    counted = {"name": NAMES[1], "status": "ok", "operations": {"operations": 7794, "computing": 2788}}
    counted["python_calls"] = {"calls": 49758, "most_frequent": {"module.py:named_modules": 6467}}
    failed = {"name": NAMES[2], "status": "failed", "operations": None, "python_calls": None}
    text = host_table([counted, failed])
    assert "| one process | ok | 7,794 | 2,788 | 49,758 | module.py:named_modules, 6,467 |" in text
    assert "| two processes | failed |  |  |  |  |" in text


@pytest.mark.long
def test_two_processes_ask_hardly_more_of_the_processor_than_one(tmp_path: Path) -> None:
    bench = Bench(tmp_path, None, (), time.monotonic() + 500)
    make_model(SHAPES[MODEL], bench.model(MODEL), make_rows(tmp_path / "rows", 64))
    run_all(bench, host_variants())
    one, two = bench.results()
    assert (one["status"], two["status"]) == ("ok", "ok")
    assert two["python_calls"]["calls"] < 1.05 * one["python_calls"]["calls"], "no walk through the model"
    weights = 2 * 7 * 24  # of the adapter: each of their gradients goes into what is sent, by one operation
    assert two["operations"]["computing"] < one["operations"]["computing"] + weights + 50
