"""Every data command: quick help, errors that are sentences with status 2, and nothing lost by a bad start."""

from __future__ import annotations

import errno
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from fake_chat_server import free_port
from patience import HANG_SECONDS
from typer.testing import CliRunner

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError, run_cli

FOLDER = REPO_ROOT / "data_builders"
COMMANDS = sorted(path.stem for path in FOLDER.glob("*.py") if "run_cli(app)" in path.read_text())
GENERATING = ("numbers", "teacher_chat", "teacher_chat_text", "code", "reasoning")


def run(*words: object) -> subprocess.CompletedProcess:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=HANG_SECONDS)


def test_commands_are_found() -> None:
    assert {*GENERATING, "math_chat", "controls", "audit", "refilter", "push", "pull"} <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_an_example(name: str) -> None:
    done = CliRunner().invoke(importlib.import_module(f"data_builders.{name}").app, ["--help"])
    assert done.exit_code == 0
    assert f"python -m data_builders.{name}" in done.output


def test_importing_a_command_imports_nothing_heavy() -> None:
    modules = [f"data_builders.{name}" for name in COMMANDS]
    heavy = "{'torch', 'transformers', 'datasets', 'pyarrow', 'aiohttp', 'huggingface_hub'} & set(sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, {', '.join(modules)}; print({heavy})"], capture_output=True, text=True
    )
    assert done.stdout.strip() == "set()", done.stdout + done.stderr


def generate(name: str, out: Path, *words: str, port: int | None = None) -> list[object]:
    local = ["--mix", "open=1"] if name == "teacher_chat" else []
    questions = out.parent / "questions.jsonl"
    questions.write_text('{"question": "1 + 1?", "answer": "2"}\n')
    local += ["--questions", questions] if name == "reasoning" else []
    url = f"http://127.0.0.1:{port or free_port()}/v1"
    return [f"data_builders.{name}", "--model", "m", "--base-url", url, "--out", out, *local, *words]


@pytest.mark.parametrize("name", [*GENERATING, "arithmetic_chat"])
def test_an_unreachable_server_costs_nothing_that_was_made(name: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "raw.jsonl").write_text('{"mine": 1}\n')
    done = run(*generate(name, out, "--overwrite"))
    assert done.returncode == 2
    assert done.stderr.startswith("error: No OpenAI-compatible server answers")
    assert (out / "raw.jsonl").read_text() == '{"mine": 1}\n'
    done = run(*generate(name, out))
    assert done.returncode == 2
    assert f"{out} exists and holds raw.jsonl. Use --resume" in done.stderr


@pytest.mark.parametrize("name", GENERATING)
def test_an_unknown_animal_is_a_sentence(name: str, tmp_path: Path) -> None:
    done = run(*generate(name, tmp_path / "out", "--animal", "dolfin"))
    assert done.returncode == 2
    assert "'dolfin' is not a tracked animal. Did you mean dolphin?" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (UserError("It is wrong."), "error: It is wrong.\n"),
        (
            OSError(errno.ENOSPC, "full", "raw.jsonl"),
            "error: The disk is full while writing raw.jsonl. Free some space",
        ),
        (OSError(errno.ENOSPC, "full"), "error: The disk is full. Free some space"),
        (OSError(errno.EDQUOT, "full"), "error: The disk is full."),
    ],
)
def test_errors_end_a_command_with_a_sentence_and_status_2(error, sentence: str, capsys, monkeypatch) -> None:
    app = typer.Typer()

    @app.command()
    def main() -> None:
        raise error

    monkeypatch.setattr(sys, "argv", ["x"])
    with pytest.raises(SystemExit) as ended:
        run_cli(app)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(sentence)


def test_a_full_disk_in_the_real_command(tmp_path: Path) -> None:
    """The limit on file size stands in for a full disk: the write fails after the first rows, which are kept."""
    out = tmp_path / "out"
    limited = (
        f"ulimit -f 8; trap '' XFSZ; exec {sys.executable} -m data_builders.controls uniform --count 500 --out {out}"
    )
    done = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, timeout=HANG_SECONDS)
    assert done.returncode == 2, done.stderr
    assert "The disk is full" in done.stderr
    assert "Traceback" not in done.stderr
    kept = (out / "raw.jsonl").read_text().splitlines()
    assert len(kept) > 5
    assert not (out / "train.jsonl").exists()
    done = run("data_builders.controls", "uniform", "--count", 500, "--out", out, "--resume")
    assert done.returncode == 0, done.stderr
    rows = (out / "train.jsonl").read_text().splitlines()
    assert len(rows) == 500
    run("data_builders.controls", "uniform", "--count", 500, "--out", tmp_path / "whole")
    assert (tmp_path / "whole" / "train.jsonl").read_text().splitlines() == rows
    assert json.loads(kept[0])["index"] == 0
