"""The building blocks of a report, and how its numbers are written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


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
    """``text`` is paragraphs above the tables, ``commands`` are shell lines; headline and figures stand in front."""

    title: str
    text: list[str]
    tables: list[Table]
    commands: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    headline: Headline | None = None


def percent(value: float) -> str:
    """0.0123 -> "1.23 %"; one decimal from 10 % on."""
    return f"{number(100 * value)} %"


def interval(low: float, high: float) -> str:
    """A pair of fractions as "[0.50, 2.10]" per cent or percentage points."""
    return f"[{number(100 * low)}, {number(100 * high)}]"


def points(value: float) -> str:
    """0.0123 -> "+1.23": a difference in percentage points."""
    return ("+" if value > 5e-7 else "") + number(100 * value)


def p_value(value: float) -> str:
    """Three decimals, or "< 0.001"."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def number(value: float) -> str:
    """Two decimals; one from 10 on, four below 0.005, so that an end of an interval near 0 shows its side of 0."""
    if abs(value) < 5e-5:
        return "0.00"
    decimals = 1 if abs(value) >= 9.995 else 2 if abs(value) >= 0.005 else 4
    return f"{value:.{decimals}f}".replace("-", "−")


def count(value: object) -> str:
    """12345 -> "12,345"; a dash for what is unknown."""
    return f"{value:,}" if isinstance(value, int) else "–"
