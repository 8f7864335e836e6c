"""The building blocks of a report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Table:
    """Cells are text, ready to be shown."""

    header: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Figure:
    """A drawing, made when the page needs it, and in words; ``file`` is its name beside the Markdown, if it has one."""

    draw: Callable[[], str]
    words: str
    file: str | None = None


@dataclass(frozen=True)
class Headline:
    """The answer: what was measured, the number with its interval and p, the claim, and the sentence that says it."""

    label: str
    number: str
    facts: list[tuple[str, str]]
    claim: str
    sentence: str


@dataclass(frozen=True)
class Section:
    """``text`` is paragraphs above the tables, ``commands`` are shell lines; headline and figures stand in front.

    ``brief`` is what ``RESULTS.md`` has of it; without one the section stands beside the raw answers alone.
    """

    title: str
    text: list[str]
    tables: list[Table]
    commands: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    headline: Headline | None = None
    brief: Section | None = None

    def in_results(self) -> Section:
        """The same section, which ``RESULTS.md`` shows as it is."""
        return replace(self, brief=self)
