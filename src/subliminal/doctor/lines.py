"""One finding of the doctor, and its unit of bytes."""

from __future__ import annotations

from typing import NamedTuple

GIB = 2**30


class Line(NamedTuple):
    """One finding. ``level`` is ``ok``, ``warning`` or ``problem``; ``what`` a word or two; ``text`` the rest."""

    level: str
    what: str
    text: str

    def __str__(self) -> str:
        return f"{self.level:<8} {self.what}: {self.text}"
