"""How numbers are written for a reader: fractions become per cent and percentage points."""

from __future__ import annotations

import math


def percent(value: float) -> str:
    """0.0123 -> "1.23 %"; one decimal from 10 % on."""
    return f"{number(100 * value)} %"


def interval(low: float, high: float) -> str:
    """A pair of fractions as "[0.50, 2.10]" per cent or percentage points."""
    return f"[{number(100 * low)}, {number(100 * high)}]"


def points(value: float) -> str:
    """0.0123 -> "+1.23": a difference in percentage points."""
    # Less is printed as 0.00, which has no sign.
    if value > 5e-7:
        return f"+{number(100 * value)}"
    return number(100 * value)


def nats(value: float) -> str:
    """3.2971 -> "+3.30": a difference of log-odds."""
    if value >= 5e-5:
        return f"+{number(value)}"
    return number(value)


def nats_interval(low: float, high: float) -> str:
    """A pair of log-odds as "[2.21, 4.39]"."""
    return f"[{number(low)}, {number(high)}]"


def odds(value: float) -> str:
    """Log-odds as the factor of the odds that they stand for: 3.30 -> "27.1"; from 1,000 on "1,234"."""
    factor = math.exp(min(value, 700.0))  # beyond it a float overflows
    # From here on it is rounded to 1,000 or more.
    if factor >= 999.5:
        return f"{factor:,.0f}"
    return number(factor)


def p_value(value: float) -> str:
    """Three decimals, or "< 0.001"."""
    if value < 0.001:
        return "< 0.001"
    return f"{value:.3f}"


def number(value: float) -> str:
    """Two decimals; one from 10 on, four below 0.005, so that an end of an interval near 0 shows its side of 0."""
    if abs(value) < 5e-5:
        return "0.00"
    decimals = 2 if abs(value) >= 0.005 else 4
    # From here on two decimals would print 10.00.
    if abs(value) >= 9.995:
        decimals = 1
    # A true minus sign, which in a table is as wide as the plus signs above and below it.
    return f"{value:.{decimals}f}".replace("-", "−")


def whole_percent(value: float) -> str:
    """0.394 -> "39 %": a share of an effect, of which no more is known."""
    return f"{100 * value:.0f} %".replace("-", "−")


def whole_percents(low: float, high: float) -> str:
    """A pair of shares as "[1, 83]" per cent."""
    return f"[{100 * low:.0f}, {100 * high:.0f}]".replace("-", "−")


def counted(number: int, word: str) -> str:
    """ "1 replicate", "20 replicates"."""
    if number == 1:
        return f"1 {word}"
    return f"{number} {word}s"


def count(value: object) -> str:
    """12345 -> "12,345"; a dash for what is unknown."""
    if isinstance(value, int):
        return f"{value:,}"
    return "–"
