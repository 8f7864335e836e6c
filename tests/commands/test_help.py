"""What ``--help`` shows in a narrow terminal: examples that can be copied, and what each argument is."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import sys
from pathlib import Path
from types import ModuleType

import pytest
from scripts_of import script

from subliminal import REPO_ROOT
from subliminal.core.errors import help_text, run_cli

COMMANDS = [
    path
    for folder in ("data_builders", "scripts", "src/subliminal")
    for path in sorted((REPO_ROOT / folder).rglob("*.py"))
    if "typer.Typer(" in path.read_text(encoding="utf-8") and "run_cli(app)" in path.read_text(encoding="utf-8")
]


def _module_of(path: Path) -> ModuleType:
    if path.parent.name == "scripts":
        return script(path.stem)
    inside = path.relative_to(REPO_ROOT).with_suffix("").parts
    return importlib.import_module(".".join(inside).removeprefix("src."))


def _help_of(module: ModuleType, *words: str) -> str:
    out, before = io.StringIO(), sys.argv
    sys.argv = ["command", *words, "--help"]
    try:
        with contextlib.redirect_stdout(out), pytest.raises(SystemExit) as end:
            run_cli(module.app)
    finally:
        sys.argv = before
    assert not end.value.code
    return out.getvalue()


def test_there_are_commands() -> None:
    assert len(COMMANDS) >= 40


@pytest.mark.parametrize("path", COMMANDS, ids=[str(path.relative_to(REPO_ROOT)) for path in COMMANDS])
def test_examples_stand_as_they_are_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    module = _module_of(path)
    written = [command.help or command.callback.__doc__ or "" for command in module.app.registered_commands]
    if isinstance(module.app.info.help, str):
        written.append(module.app.info.help)
    shown = _help_of(module)
    assert "``" not in shown
    assert ":mod:" not in shown
    # A command among several has a help of its own.
    if len(written) > 1 and not isinstance(module.app.info.help, str):
        return
    for line in inspect.cleandoc(written[-1]).splitlines():
        if line.strip().startswith("python "):
            assert f"\n      {line.strip()}\n" in shown


def test_every_argument_says_once_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    module = _module_of(REPO_ROOT / "src/subliminal/experiment/__main__.py")
    for words in (("run",), ("plan",)):
        assert _help_of(module, *words).count("experiments/<name>.yml") == 1


def test_prose_is_broken_and_examples_are_not() -> None:
    written = """Do it, by ``rule`` of :mod:`subliminal.core`.

        python -m do --this \\\\
            --that

    Then stop.
    """
    assert help_text(written) == (
        "Do it, by `rule` of `subliminal.core`.\n\n\b\n    python -m do --this \\\\\n        --that\n\nThen stop."
    )
