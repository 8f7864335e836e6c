"""The building blocks of a report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Table:
    """Cells are text, ready to be shown."""

    header: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Figure:
    """A drawing, made when the page needs it, in words, and its name beside the page."""

    draw: Callable[[], str]
    words: str
    file: str


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
    """What a page says under one heading; a page is a section, too, and its sections are parts of it.

    Attributes:
        text: paragraphs above the tables.
        commands: shell lines, as they ran.
        figures, headline: in front of the text.
        notes: warnings, before all else.
        lead: paragraphs above the figures.
        parts: sections one level below.
        brief: what the chapter in ``RESULTS.md`` is made of (:func:`subliminal.publish.page.make_pages`), and the
            figures that are published; without one the section stands beside the raw answers alone.
    """

    title: str
    text: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    commands: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    headline: Headline | None = None
    notes: tuple[str, ...] = ()
    lead: tuple[str, ...] = ()
    parts: tuple[Section, ...] = ()
    brief: Section | None = None

    def in_results(self) -> Section:
        """The same section, which ``RESULTS.md`` shows as it is."""
        return replace(self, brief=self)


def or_dash(value: Any, shown: Callable[[Any], str] = str) -> str:
    """A cell; a dash where there is nothing to show."""
    if value is None:
        return "–"
    return shown(value)
