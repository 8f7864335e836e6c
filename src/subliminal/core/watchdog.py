"""Run a command and make sure that nothing of it outlives whoever asked for it.

``python watchdog.py COMMAND ...`` starts the command in a process group of its own and ends with its exit status. The
asker holds the other end of this program's standard input. As soon as that closes (the asker closed it, ended, or was
killed, even with SIGKILL), the whole group gets SIGTERM, and SIGKILL if it is still there after ``GRACE`` seconds.

A watchdog may itself be killed with SIGKILL. For that case it keeps a second process, its deputy, which then ends the
group in the same way and holds the watchdog's locks until the group is gone. Of the two, one may be killed: against the
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
from collections.abc import Sequence

GRACE = 15.0
"""Seconds between SIGTERM and SIGKILL."""


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
    # By sys.exit, so that `finally` below ends the group; the default would end this process alone.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    # Before the thread: a fork takes along the thread that calls it, and no other.
    deputy = _start_deputy(child)
    # A daemon: it sits in a read that only the asker can end.
    threading.Thread(target=_leave_at_end_of_input, daemon=True).start()
    try:
        status = child.wait()
        # A negative status is the number of the signal that ended the child; shells say 128 more.
        return status if status >= 0 else 128 - status
    finally:
        _end_group(child)
        os.kill(deputy, signal.SIGKILL)
        # It holds this process's locks and output, which are to be free when this process is gone.
        os.waitpid(deputy, 0)


def _start_deputy(child: subprocess.Popen[bytes]) -> int:
    """Start the process that ends the child's group if this one is killed and cannot; returns its id."""
    here, there = os.pipe()
    deputy = os.fork()
    if deputy:
        os.close(here)  # the other end stays open for as long as this process lives
        return deputy
    try:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.close(there)
        os.read(here, 1)  # nothing is ever written there: the read ends when the watchdog is gone
        _end_group(child)
    finally:
        os._exit(0)  # not back into what the watchdog was about to do


def _leave_at_end_of_input() -> None:
    # Nothing is ever written there: the read ends when the asker closes the pipe, or is gone.
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _end_group(child: subprocess.Popen[bytes]) -> None:
    """SIGTERM for the child's process group, SIGKILL for what is left of it after ``GRACE`` seconds."""
    # A second SIGTERM must not stop the stopping.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        while time.monotonic() < deadline:
            child.poll()  # collects the child, which would count as a member of its group until then
            # Signal 0 reaches nobody: it asks whether anyone of the group is left.
            os.killpg(child.pid, 0)
            time.sleep(0.05)
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
