"""What a terminal shows while an experiment runs: real Snakemake, on a made-up plan of shell commands."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from patience import HANG_SECONDS
from shell_plan import __file__ as SHELL_PLAN
from shell_plan import shell_plan

from subliminal import REPO_ROOT
from subliminal.experiment import driver
from subliminal.experiment.log import QUIET

NOISE = "UserWarning: torchao is of another release"
NOISY = f"sh -c 'for i in $(seq 300); do echo {NOISE} $i >&2; done; sleep 1'"
STAGES = (
    "build-chat",
    "audit-chat",
    "train-teacher",
    "train-student-1",
    "train-student-2",
    "evaluate-all",
    "report-all",
)


def _command(root: Path, commands: dict[str, str]) -> list[str]:
    return [sys.executable, SHELL_PLAN, str(root), "shell", json.dumps(commands), "0"]


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", QUIET)}


def _on_terminal(root: Path, commands: dict[str, str], width: int) -> tuple[int, str]:
    """Run the plan on a terminal; returns its status and all that was sent there."""
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (40, width))
    process = subprocess.Popen(
        _command(root, commands), cwd=REPO_ROOT, stdin=theirs, stdout=theirs, stderr=theirs, env=_environment()
    )
    os.close(theirs)
    sent = b""
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:  # a pseudo-terminal ends so
            break
        if not data:
            break
        sent += data
    os.close(ours)
    return process.wait(timeout=HANG_SECONDS), sent.decode()


def _screen(sent: str) -> list[str]:
    """The lines that stay: a line that was erased is not among them."""
    lines = []
    for line in sent.replace("\r\n", "\n").split("\n"):
        lines.append(line.rpartition("\r\x1b[K")[2])
    return lines


@pytest.mark.parametrize("width", [80, 120])
def test_a_terminal_of_this_width(tmp_path: Path, width: int) -> None:
    status, sent = _on_terminal(tmp_path, {"train-teacher": NOISY, "train-student-1": "sleep 2"}, width)
    assert status == 0, sent
    lines = _screen(sent)
    ended = [match[1] for match in (re.match(r"\d of 7  ([\w-]+) +\d+ s$", line) for line in lines) if match]
    assert ended[:3] == ["build-chat", "audit-chat", "train-teacher"] or ended[1:3] == ["train-teacher", "audit-chat"]
    assert sorted(ended) == sorted(STAGES)
    drawn = [part for part in re.split(r"\r\x1b\[K|\r\n", sent) if " done, " in part]
    assert any("running: " in part and "train-teacher (" in part for part in drawn), "the live line names what runs"
    assert max(map(len, drawn)) < width
    paths = [line for line in lines if str(tmp_path) in line]
    assert max(len(line) for line in lines if line not in paths) <= width
    assert NOISE not in sent
    assert " done, " not in "\n".join(lines), "nothing of the live line stays"


def test_without_a_terminal_a_run_is_few_lines_and_the_rest_is_in_its_log(tmp_path: Path) -> None:
    commands = dict.fromkeys(STAGES, NOISY)
    done = subprocess.run(
        _command(tmp_path, commands),
        cwd=REPO_ROOT,
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=HANG_SECONDS,
    )
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert len(lines) <= 80
    assert not [line for line in lines if "Warning" in line]
    assert "\x1b" not in done.stdout
    assert lines[0] == f"shell: 7 of 7 stages to run. Logs: {tmp_path}/results/shell/logs/"
    for stage in STAGES:
        assert sum(line.split()[3:4] == [stage] for line in lines) == 1, stage
        assert (tmp_path / f"results/shell/logs/{stage}.log").read_text().count(NOISE) == 301  # and the command itself
    assert (tmp_path / "results/shell/snakemake.log").is_file()


def test_a_failed_stage_is_understood_from_the_terminal_alone(tmp_path: Path) -> None:
    broken = "sh -c 'echo reading rows; echo error: train.jsonl has no rows. Build it again. >&2; exit 3'"
    status, sent = _on_terminal(tmp_path, {"train-teacher": broken}, 100)
    assert status == 1
    text = "\n".join(_screen(sent))
    assert re.search(r"^FAILED  train-teacher after \d+ s: train\.jsonl has no rows\. Build it again\.$", text, re.M)
    assert "  | reading rows\n  | error: train.jsonl has no rows. Build it again.\n" in text
    assert f"  The whole log: {tmp_path}/results/shell/logs/train-teacher.log" in text
    assert "error: train-teacher failed: train.jsonl has no rows. Build it again. (log: " in text
    assert "The same command tries again." in text
    assert "Traceback" not in text
    assert "Error in rule" not in text


def test_verbose_shows_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv(QUIET, raising=False)
    monkeypatch.setattr(
        driver,
        "expand",
        lambda experiment, root, failed=None, seeds=None: shell_plan(root, commands={"build-chat": "echo loud"}),
    )
    experiment = SimpleNamespace(name="shell", pinned_models={}, model_folders=[])
    run = {"root": tmp_path, "cores": 2, "gpus": None, "words": []}
    assert driver.run_experiment(experiment, **run, verbose=True) == 0
    said = capfd.readouterr()
    assert "\nloud\n" in said.out + said.err
    assert "[train-teacher] true" in said.out + said.err
    assert " of 7  " not in said.err


def test_a_stop_clears_the_live_line_and_a_second_run_counts_on(tmp_path: Path) -> None:
    slow = f"sh -c 'test -e {tmp_path}/go || {{ touch {tmp_path}/there; exec sleep 3600; }}'"
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (40, 100))
    process = subprocess.Popen(
        _command(tmp_path, {"train-teacher": slow}), cwd=REPO_ROOT, stdout=theirs, stderr=theirs, env=_environment()
    )
    deadline = time.monotonic() + HANG_SECONDS
    while not (tmp_path / "there").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1.5)  # the live line is drawn
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=HANG_SECONDS) == 130
    os.close(theirs)
    sent = os.read(ours, 65536).decode()
    os.close(ours)
    assert "running: train-teacher (" in sent
    assert " done, " not in "\n".join(_screen(sent))
    assert _screen(sent)[-2].endswith("Stopped. The same command goes on from here.")
    (tmp_path / "go").touch()
    status, sent = _on_terminal(tmp_path, {"train-teacher": slow}, 100)
    assert status == 0, sent
    assert _screen(sent)[0].startswith("shell: 5 of 7 stages to run.")
    assert _screen(sent)[1].startswith("3 of 7  train-teacher ")
