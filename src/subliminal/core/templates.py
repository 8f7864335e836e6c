"""Jinja templates of the library's packages."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def templates(package: str) -> Any:
    """The templates in a package's folder ``templates``: an unknown name in one is an error, HTML is escaped.

    Args:
        package: dotted name, as ``subliminal.data``; ``[tool.setuptools.package-data]`` must list its templates.

    Returns:
        A ``jinja2.Environment``.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    return Environment(
        loader=PackageLoader(package),
        autoescape=select_autoescape(["html.j2"], default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Jinja drops the last line end of a template by default, and files end in one.
        keep_trailing_newline=True,
    )
