"""A command does not outlive the watchdog that runs it, however the watchdog ends."""

from __future__ import annotations

import os
import signal
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
def test_a_killed_watchdog_leaves_nothing_running_and_its_lock_holds_until_then(tmp_path: Path, number: int) -> None:
    # A shell and a child of its own, as Snakemake and its stages.
    command = ["sh", "-c", f"sleep 3600 & echo $$ $! > {tmp_path}/pids; wait"]
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
