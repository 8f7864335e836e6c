"""A command does not outlive the watchdog that runs it, however the watchdog ends."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from pathlib import Path

import pytest
from patience import HANG_SECONDS

from subliminal.core import watchdog
from subliminal.core.locks import take_lock, waiting_for


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _process_ids(path: Path, count: int) -> list[int]:
    deadline = time.monotonic() + HANG_SECONDS
    while not path.exists() or len(path.read_text().split()) < count:
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.02)
    return [int(word) for word in path.read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("started", ["sleep", "setsid sleep", "env -i setsid sleep"])
def test_a_killed_watchdog_leaves_nothing_running_and_its_lock_holds_until_then(
    tmp_path: Path, number: int, started: str
) -> None:
    # A shell and a child of its own, as Snakemake and its stages; or with a session of its own, as torchrun's workers,
    # or without the mark, as a server that gave itself a title.
    command = ["sh", "-c", f"{started} 3600 & echo $$ $! > {tmp_path}/pids; wait"]
    with waiting_for(tmp_path / "lock") as held:
        process = watchdog.start(command, held=[held])
    processes = _process_ids(tmp_path / "pids", 2)
    assert take_lock(tmp_path / "lock") is None
    os.kill(process.pid, number)
    with waiting_for(tmp_path / "lock"):
        assert not any(_is_running(pid) for pid in processes)
    watchdog.stop(process)


def test_a_command_that_ends_leaves_no_process_with_its_lock(tmp_path: Path) -> None:
    with waiting_for(tmp_path / "lock") as held:
        process = watchdog.start(["sh", "-c", "exit 7"], held=[held])
    assert process.wait() == 7
    assert take_lock(tmp_path / "lock") is not None
    watchdog.stop(process)


def test_a_launcher_that_is_killed_leaves_no_worker(tmp_path: Path) -> None:
    # torchrun gives each worker a session of its own. It cannot end them if it gets SIGKILL, as where memory is full.
    process = watchdog.start(["sh", "-c", f"setsid sleep 3600 & echo $! > {tmp_path}/pids; kill -9 $$"])
    (worker,) = _process_ids(tmp_path / "pids", 1)
    assert process.wait() == 128 + signal.SIGKILL
    assert not _is_running(worker)
    watchdog.stop(process)


def test_a_watchdog_under_another_ends_what_is_its_own_alone(tmp_path: Path) -> None:
    # As an experiment's and a stage's: the stage's is over first.
    mine = f"setsid sleep 3600 & echo $! > {tmp_path}/inner"
    inner = [sys.executable, "-P", watchdog.__file__, "sh", "-c", mine]
    # The inner watchdog's standard input stays open, so that it ends with its command.
    os.mkfifo(tmp_path / "input")
    lines = [
        f"setsid sleep 3600 & echo $! > {tmp_path}/outer",
        f"exec 3<>{tmp_path}/input",
        f"{shlex.join(inner)} <&3",
        f"echo over > {tmp_path}/over",
        "wait",
    ]
    outer = watchdog.start(["sh", "-c", "\n".join(lines)])
    (of_outer,) = _process_ids(tmp_path / "outer", 1)
    (of_inner,) = _process_ids(tmp_path / "inner", 1)
    deadline = time.monotonic() + HANG_SECONDS
    while not (tmp_path / "over").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert not _is_running(of_inner)
    assert _is_running(of_outer)
    watchdog.stop(outer)
    assert not _is_running(of_outer)
