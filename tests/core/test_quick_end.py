"""How a command ends that has imported torch: at once, with its status, and with nothing lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = """
import atexit, sys, threading, time, types
import typer
from subliminal.core.errors import UserError, run_cli

class Kept:
    def __del__(self):
        sys.stderr.write("taken apart\\n")

app = typer.Typer()
kept = Kept()

@app.command()
def main(how: str) -> None:
    {imported}
    atexit.register(print, "registered")
    threading.Thread(target=lambda: (time.sleep(0.2), print("thread"))).start()
    print("said")
    if how == "sentence":
        raise UserError("It is wrong.")
    if how == "exception":
        raise RuntimeError("broken")
    raise typer.Exit(int(how))

{started}
"""
TORCH = 'sys.modules["torch"] = types.ModuleType("torch")'
"""Stands for the seconds of the real one."""


def end(tmp_path: Path, how: str, imported: str = TORCH, started: str = "run_cli(app)") -> tuple[int, str, str]:
    """Run the command with a pipe for what it prints; returns status, output and errors."""
    program = tmp_path / "program.py"
    program.write_text(COMMAND.format(imported=imported, started=started))
    done = subprocess.run([sys.executable, str(program), how], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(("how", "status"), [("0", 0), ("3", 3), ("sentence", 2)])
def test_nothing_is_lost_and_nothing_taken_apart(tmp_path: Path, how: str, status: int) -> None:
    ended, printed, errors = end(tmp_path, how)
    assert ended == status
    assert printed == "said\nthread\nregistered\n"
    assert errors == ("error: It is wrong.\n" if how == "sentence" else "")


def test_an_exception_is_told_at_an_ordinary_end(tmp_path: Path) -> None:
    ended, printed, errors = end(tmp_path, "exception")
    assert ended == 1
    assert printed == "said\nthread\nregistered\n"
    assert "RuntimeError: broken" in errors
    assert errors.endswith("taken apart\n")


@pytest.mark.parametrize(
    ("imported", "started"),
    [
        ("pass", "run_cli(app)"),
        (TORCH, 'exec("run_cli(app)", {"__name__": "another", "run_cli": run_cli, "app": app})'),
    ],
    ids=["without torch", "called by another module"],
)
def test_any_other_end_is_as_it_was(tmp_path: Path, imported: str, started: str) -> None:
    assert end(tmp_path, "3", imported, started) == (3, "said\nthread\nregistered\n", "taken apart\n")


def test_a_pipe_that_nobody_reads_is_told_as_ever(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(COMMAND.format(imported=TORCH, started="run_cli(app)"))
    # Buffered, as users have it: what was printed is written at the end alone.
    command = f"env -u PYTHONUNBUFFERED {sys.executable} {program} 0 | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == 120  # Python's own for this
    assert "BrokenPipeError" in done.stderr
