"""One name, one meaning: a name that two modules define is listed, and every exception still is one."""

from __future__ import annotations

from pathlib import Path

from scripts_of import script
from typer.testing import CliRunner

from subliminal import REPO_ROOT

check_names = script("check_names")
TYPER = "import typer\napp = typer.Typer()\n"


def repeated(root: Path, **modules: str) -> dict[str, list[str]]:
    for name, text in modules.items():
        path = root / "src/subliminal" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return check_names.repeated_names(root)


def test_this_repository_has_none() -> None:
    done = CliRunner().invoke(check_names.app, [])
    assert (done.exit_code, done.stdout) == (0, "")


def test_every_exception_is_still_needed() -> None:
    assert set(check_names.ALLOWED) == set(check_names.repeated_names(REPO_ROOT))


def test_functions_classes_and_types_count(tmp_path: Path) -> None:
    text = "class Row: ...\ndef judge(): ...\nSeed = int\nfree: int = 3\n"
    both = ["subliminal.one", "subliminal.two"]
    assert repeated(tmp_path, one=text, two=text) == {"Row": both, "Seed": both, "free": both, "judge": both}


def test_private_names_and_commands_do_not(tmp_path: Path) -> None:
    text = f"{TYPER}def _rows(): ...\n@app.command()\ndef run(): ...\n"
    assert set(repeated(tmp_path, one=text, two=text)) == {"app"}


def test_a_constant_counts_where_another_module_imports_it(tmp_path: Path) -> None:
    text, both = "FILE = 'a'\n", ["subliminal.one", "subliminal.two"]
    assert repeated(tmp_path, one=text, two=text) == {}, "each is its module's own affair"
    assert repeated(tmp_path, three="from subliminal.one import FILE\n") == {"FILE": both}


def test_a_constant_of_another_program_counts_where_it_is_imported_too(tmp_path: Path) -> None:
    text, builder = "FILE = 'a'\n", tmp_path / "data_builders/rows.py"
    builder.parent.mkdir()
    builder.write_text(text)
    assert repeated(tmp_path, one=text, two="from subliminal.one import FILE\n") == {}
    imported = repeated(tmp_path, three="from data_builders.rows import FILE as OTHER\n")
    assert imported == {"FILE": ["subliminal.one", "data_builders.rows"]}
