"""`make lint` says so when a package imports one above it, or the library a builder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from subliminal import REPO_ROOT

LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


@pytest.fixture
def checkout(tmp_path):
    """A copy of everything that the contracts are about."""
    shutil.copy(REPO_ROOT / "pyproject.toml", tmp_path)
    for folder in ("src/subliminal", "data_builders", "benchmarks"):
        shutil.copytree(REPO_ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def lint(checkout):
    environment = {**os.environ, "PYTHONPATH": f"{checkout}/src{os.pathsep}{checkout}"}
    command = [str(LINT_IMPORTS), "--no-logo", "--no-cache"]
    return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)


def test_the_packages_import_downwards(checkout):
    done = lint(checkout)
    assert done.returncode == 0, done.stdout
    assert "lint-imports" in (REPO_ROOT / "Makefile").read_text()


@pytest.mark.parametrize(
    ("module", "line", "what"),
    [
        ("core/files.py", "from subliminal.scoring import animals", "subliminal.core is not allowed to import"),
        ("stats/result.py", "def late():\n    import subliminal.report.write", "subliminal.stats is not allowed"),
        ("scoring/text.py", "from subliminal.engine import chat", "subliminal.scoring is not allowed to import"),
        ("models/store.py", "from data_builders import numbers", "subliminal is not allowed to import data_builders"),
        ("core/files.py", "from subliminal.core import manifest", "No module imports itself through others BROKEN"),
    ],
)
def test_an_upward_import_or_a_circle_is_found(checkout, module, line, what):
    with (checkout / "src/subliminal" / module).open("a") as file:
        file.write(f"\n{line}\n")
    done = lint(checkout)
    assert done.returncode == 1
    assert what in " ".join(done.stdout.split())


def test_at_most_five_modules_stand_outside_the_packages_and_no_package_is_a_drawer():
    library = REPO_ROOT / "src/subliminal"
    assert len(list(library.glob("*.py"))) <= 5
    for package in filter(Path.is_dir, library.iterdir()):
        assert len(list(package.glob("*.py"))) <= 20 + 1, f"{package.name} holds more than 20 modules"
