"""The look at how dense the code is: its counts, on code whose counts are known."""

from __future__ import annotations

from pathlib import Path

from scripts_of import script
from typer.testing import CliRunner

CODE = """
numbers = [x for x in range(3)]  # a comment
pairs = [[y for y in range(x)] for x in numbers]
word = "a" if numbers else "b"
"""


def test_counts(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(CODE)
    found = script("code_shape").shape_of(path)
    assert dict(found) == {"lines": 4, "comprehensions": 3, "nested": 1, "conditionals": 1, "comments": 1}


def test_the_table_has_every_package_a_sum_and_the_aim() -> None:
    lines = CliRunner().invoke(script("code_shape").app, []).stdout.splitlines()
    names = [line.split()[0] for line in lines]
    assert {"src/subliminal/core", "src/subliminal/stats", "data_builders", "all", "aim"} <= set(names)
