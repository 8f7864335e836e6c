"""Means of a value over the tokens of many rows, with a standard error over rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

ANSWER = "answer"
"""Digits and separators together; the end token is counted apart."""


@dataclass
class Sums:
    """Of some tokens of one row: their number, the sum of a value over them, and at how many the top differs."""

    tokens: int = 0
    total: float = 0.0
    differing: int = 0

    def add(self, value: float, differs: int) -> None:
        """Take in one token."""
        self.tokens += 1
        self.total += value
        self.differing += differs


@dataclass
class Mean:
    """A mean over tokens of many rows. Sums and sums of products are kept, and no row."""

    rows: int = 0
    tokens: int = 0
    total: float = 0.0
    differing: int = 0
    squared_total: float = 0.0
    total_by_tokens: float = 0.0
    squared_tokens: float = 0.0

    def add(self, row: Sums) -> None:
        """Take in the tokens of one row."""
        self.rows += 1
        self.tokens += row.tokens
        self.total += row.total
        self.differing += row.differing
        self.squared_total += row.total * row.total
        # Products beside sums: the spread of a ratio needs both, and no row has to be kept.
        self.total_by_tokens += row.total * row.tokens
        self.squared_tokens += row.tokens * row.tokens

    def mean(self) -> float:
        """Of the value, a token: nats in a leak."""
        return self.total / self.tokens

    def standard_error(self) -> float | None:
        """Of :meth:`mean`, over rows: a row's tokens share a prompt and are no independent draws (ratio estimator)."""
        if self.rows < 2:
            return None
        mean = self.mean()
        squares = self.squared_total - 2 * mean * self.total_by_tokens + mean * mean * self.squared_tokens
        # Rounding may leave a sum of squares a little below 0.
        return math.sqrt(max(squares, 0.0) * self.rows / (self.rows - 1)) / self.tokens

    def as_dict(self) -> dict[str, Any]:
        return {
            "tokens": self.tokens,
            "kl_nats_a_token": self.mean(),
            "standard_error_over_rows": self.standard_error(),
            "differing_share": self.differing / self.tokens,
        }
