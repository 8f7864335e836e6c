"""Models that a command is given with names of their own."""

from __future__ import annotations

from pathlib import Path

from subliminal.core.errors import UserError


def named_models(option: str, entries: list[str]) -> dict[str, str]:
    """Models by name from ``NAME=PATH``, or ``PATH`` whose last part is the name.

    Raises:
        UserError: two of one name, or one without.
    """
    models: dict[str, str] = {}
    for entry in entries:
        name, separator, path = entry.partition("=")
        if not separator:
            path, name = entry, Path(entry).name
        if name in models or not name:
            raise UserError(f"{option} {entry}: give every teacher a name of its own, as {option} NAME=PATH.")
        models[name] = path
    return models
