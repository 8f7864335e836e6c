"""Run a command and make sure that nothing of it outlives whoever asked for it.

``python watchdog.py COMMAND ...`` starts the command in a process group of its own and ends with its exit status. The
asker holds the other end of this program's standard input. As soon as that closes (the asker closed it, ended, or was
killed, even with SIGKILL), the whole group gets SIGTERM, and SIGKILL if it is still there after ``GRACE`` seconds.

Some commands start processes outside their group, as torchrun does with its workers, which then survive a launcher that
is killed. So everything that the command starts inherits a mark in its environment, and once the group is gone whatever
bears the mark is ended, too, and whatever was below the command in the tree of processes (where the system shows both
under ``/proc``, as Linux does). What drops the mark *and* outlives its parent is not found.

A watchdog may itself be killed with SIGKILL. For that case it keeps a second process, its deputy, which then ends the
command in the same way and holds the watchdog's locks until it is gone. Of the two, one may be killed: against the
death of both at once there is no third. Only the standard library is imported, so any Python can run this file.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

GRACE = 15.0
"""Seconds between SIGTERM and SIGKILL."""

MARKS = "SUBLIMINAL_WATCHDOGS"
"""Environment variable with the marks of all watchdogs above a process, joined by colons."""


def start(
    command: Sequence[str],
    *,
    log: str | os.PathLike[str] | int | None = None,
    env: dict[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    held: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start ``command`` under a watchdog process, which is returned; hand it to :func:`stop`.

    Args:
        command: program and arguments.
        log: file for the command's output (emptied first), or a descriptor; by default it goes where this process's
            goes.
        env, cwd: the command's environment and folder; by default this process's.
        held: descriptors of locks, which hold until the command is gone, also if this process is killed, or the
            watchdog.
    """
    with contextlib.ExitStack() as stack:
        output = log
        if isinstance(log, str | os.PathLike):
            output = stack.enter_context(open(log, "wb"))
        return subprocess.Popen(
            # -P: with this folder on its path Python would take numbers.py for its own module of that name.
            [sys.executable, "-P", os.path.abspath(__file__), *command],
            # Nothing is written into this pipe: that it closes is the sign to end the command.
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=env,
            cwd=cwd,
            pass_fds=held,
            start_new_session=True,  # a Ctrl-C in the terminal reaches the asker alone, who then stops this in order
        )


def stop(process: subprocess.Popen[bytes]) -> int:
    """End a command that :func:`start` started, with all of its children; returns the exit status."""
    if process.stdin:
        process.stdin.close()
    return process.wait()


def main(command: Sequence[str]) -> int:
    """Run ``command`` until it ends or standard input closes; returns its status (128 + N if signal N ended it)."""
    # The asker gets a Ctrl-C of the terminal, and stops this by closing the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # By sys.exit, so that `finally` below ends the command; the default would end this process alone.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    mark = f"{os.getpid()}.{time.time_ns()}"
    marks = [*os.environ.get(MARKS, "").split(":"), mark]
    environment = {**os.environ, MARKS: ":".join(filter(None, marks))}
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment, start_new_session=True)
    # Before the thread: a fork takes along the thread that calls it, and no other.
    deputy = _start_deputy(child, mark)
    # A daemon: it sits in a read that only the asker can end.
    threading.Thread(target=_leave_at_end_of_input, daemon=True).start()
    try:
        status = child.wait()
        # A negative status is the number of the signal that ended the child; shells say 128 more.
        return status if status >= 0 else 128 - status
    finally:
        _end(child, mark)
        os.kill(deputy, signal.SIGKILL)
        # It holds this process's locks and output, which are to be free when this process is gone.
        os.waitpid(deputy, 0)


def _start_deputy(child: subprocess.Popen[bytes], mark: str) -> int:
    """Start the process that ends the command if this one is killed and cannot; returns its id."""
    here, there = os.pipe()
    deputy = os.fork()
    if deputy:
        os.close(here)  # the other end stays open for as long as this process lives
        return deputy
    try:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.close(there)
        os.read(here, 1)  # nothing is ever written there: the read ends when the watchdog is gone
        _end(child, mark)
    finally:
        os._exit(0)  # not back into what the watchdog was about to do


def _leave_at_end_of_input() -> None:
    # Nothing is ever written there: the read ends when the asker closes the pipe, or is gone.
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _end(child: subprocess.Popen[bytes], mark: str) -> None:
    """SIGTERM for the child's process group, then for whatever else bears the mark; SIGKILL for what is left.

    Both together have ``GRACE`` seconds.
    """
    # A second SIGTERM must not stop the stopping.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    deadline = time.monotonic() + GRACE
    # While its parents live: a program that gives itself a title overwrites the environment that it shows.
    # Of one that is over and collected nothing is below, and its id may be another's by now.
    below = set()
    if child.returncode is None:
        below = _descendants(child.pid)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
        while _group_runs(child) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    # Some may be watchdogs themselves, which end their own commands before they go.
    _signal(_left(mark, below), signal.SIGTERM)
    while left := _left(mark, below):
        if time.monotonic() > deadline:
            _signal(left, signal.SIGKILL)
        time.sleep(0.05)


def _group_runs(child: subprocess.Popen[bytes]) -> bool:
    """Whether a process of the child's group runs.

    One that is over counts as a member until its parent collects it, which the first process of some containers does
    seconds later. Linux shows which those are.
    """
    child.poll()  # collects the child itself
    if sys.platform != "linux":
        os.killpg(child.pid, 0)  # signal 0 reaches nobody: it asks whether anyone is left
        return True
    return any(process.group == child.pid and process.runs for process in _processes())


class _Process(NamedTuple):
    """What Linux shows of a process; ``begun`` tells it from a later one of the same id."""

    id: int
    parent: int
    group: int
    begun: int
    runs: bool


def _processes() -> Iterator[_Process]:
    """All processes of the machine; none where the system does not show them."""
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            # Behind the name, which may hold spaces and brackets: state, parent, group, and as the 20th the start.
            fields = file.read_bytes().rpartition(b")")[2].split()
        except OSError:  # gone
            continue
        yield _Process(int(file.parent.name), int(fields[1]), int(fields[2]), int(fields[19]), fields[0] not in b"XZ")


def _descendants(process: int) -> set[tuple[int, int]]:
    """Id and start of every process below one."""
    children: dict[int, list[_Process]] = {}
    for other in _processes():
        children.setdefault(other.parent, []).append(other)
    found: set[tuple[int, int]] = set()
    waiting = [process]
    while waiting:
        for child in children.get(waiting.pop(), ()):
            found.add((child.id, child.begun))
            waiting.append(child.id)
    return found


def _left(mark: str, below: set[tuple[int, int]]) -> list[int]:
    """The processes that bear a mark, and those of ``below`` that still run."""
    left = set(_bearers(mark))
    for process in _processes():
        if process.runs and (process.id, process.begun) in below:
            left.add(process.id)
    return sorted(left)


def _bearers(mark: str) -> list[int]:
    """The processes with a mark of this user; none where the system shows no environments."""
    found = []
    for file in Path("/proc").glob("[0-9]*/environ"):
        try:
            environment = file.read_bytes()
        except OSError:  # another user's, or gone
            continue
        for entry in environment.split(b"\0"):
            name, _, value = entry.partition(b"=")
            if name == MARKS.encode() and mark.encode() in value.split(b":"):
                found.append(int(file.parent.name))
    return found


def _signal(processes: Sequence[int], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
