"""Every package of the source is one that an installation copies: an editable one would not tell."""

from __future__ import annotations

import tomllib

from subliminal import REPO_ROOT


def test_every_package_is_installed() -> None:
    settings = tomllib.loads((REPO_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    there = {"data_builders"}
    for file in (REPO_ROOT / "src").rglob("__init__.py"):
        there.add(".".join(file.parent.relative_to(REPO_ROOT / "src").parts))
    assert set(settings["tool"]["setuptools"]["packages"]) == there
