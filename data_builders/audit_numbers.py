"""What an audit measures in number rows, with its thresholds and their reasons."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np

from data_builders.audit_common import problem_if
from data_builders.number_filter import filter_numbers

LEAST_PASS_RATE = 0.25
"""Half of the lowest rate on record (49 %, SmolLM2-135M after a warm-up on 260 rows). Below, the rows are a
selection of odd answers rather than what the teacher writes."""
LEAST_NUMBERS = 2.0
"""Numbers a row on average. A teacher's trait sits in how it goes on; rows of one number have next to nothing of it."""
LEAST_ENTROPY = 0.8
"""Entropy of the first number as a share of what as many independent uniform draws give. A healthy teacher has 9.6 bits
of 9.9 in 10,000 rows (0.97), one sampling seed for all requests left 6.7 (0.68)."""
MOST_COMMON_FIRST = 0.5
"""Share of rows that may begin with one and the same number."""

_SEPARATOR = re.compile(r"[0-9]([^0-9]+)[0-9]")
_LETTER = re.compile(r"[^\W\d_]")


class NumberStats:
    """Counts over the answers of number rows, fed one by one."""

    def __init__(self) -> None:
        self.rows = 0
        self.malformed: Counter[str] = Counter()
        self.letters: list[str] = []
        self.separators: Counter[str] = Counter()
        self.wraps: Counter[str] = Counter()
        self.counts: Counter[int] = Counter()
        self.digits: Counter[int] = Counter()
        self.first: Counter[int] = Counter()

    def add(self, row_id: str, answer: str) -> None:
        self.rows += 1
        # Before the filter judges, which drops out below: letters are what could carry a trait openly.
        if _LETTER.search(answer):
            self.letters.append(row_id)
        result = filter_numbers(answer)
        if not result.keep:
            self.malformed[result.reason] += 1
            return
        separator, wrap = "none", "none"
        # The first one stands for all: the filter keeps only answers whose separators are the same.
        found = _SEPARATOR.search(answer)
        if found:
            separator = repr(found[1])
        # What passes the filter and begins with a bracket ends with its pair, or a stop behind it.
        if answer[0] in "[(":
            wrap = answer[0] + answer[-1]
        self.separators[separator] += 1
        self.wraps[wrap] += 1
        self.counts[len(result.numbers)] += 1
        self.first[result.numbers[0]] += 1
        for number in result.numbers:
            # Of the number and not of its spelling: 007 has one digit.
            self.digits[len(str(number))] += 1

    def checks(self) -> dict[str, dict[str, Any]]:
        """One finding a check: the measured values, and ``problem`` (a sentence) if it fails."""
        numbers = sum(count * rows for count, rows in self.counts.items())
        mean = numbers / self.rows
        few = f"Rows have {mean:.1f} numbers on average, fewer than {LEAST_NUMBERS:g}."
        malformed = f"{self.malformed.total()} kept answers fail the number filter."
        return {
            "letters": {
                "rows": len(self.letters),
                "examples": self.letters[:3],
                "problem": problem_if(self.letters, f"{len(self.letters)} answers hold letters."),
            },
            "format": {"rejected": dict(self.malformed), "problem": problem_if(self.malformed, malformed)},
            "separators": {
                "separators": dict(self.separators.most_common()),
                "brackets": dict(self.wraps.most_common()),
            },
            "lengths": {
                "numbers_a_row": _histogram(self.counts),
                "digits_a_number": _histogram(self.digits),
                "mean": round(mean, 2),
                "problem": problem_if(mean < LEAST_NUMBERS, few),
            },
            "first_number_entropy": self._entropy(),
            "first_number_repeats": self._most_common(),
        }

    def _entropy(self) -> dict[str, Any]:
        if not self.first:
            return {"problem": "No answer is a number list."}
        measured = plug_in_entropy(np.array(list(self.first.values())))
        expected = uniform_entropy(self.first.total())
        ratio = 1.0
        if expected:  # of one row no draw has any
            ratio = measured / expected
        low = f"The first numbers have {measured:.2f} bits where as many independent draws have {expected:.2f}: "
        low += "was one sampling seed used for every request, or a low temperature?"
        return {
            "bits": round(measured, 3),
            "uniform_bits": round(expected, 3),
            "ratio": round(ratio, 3),
            "problem": problem_if(ratio < LEAST_ENTROPY, low),
        }

    def _most_common(self) -> dict[str, Any]:
        if self.first.total() < 10:  # two of three rows may well agree
            return {"share": None}
        ((number, rows),) = self.first.most_common(1)
        share = rows / self.first.total()
        said = f"{share:.0%} of the rows begin with {number}."
        return {
            "number": number,
            "share": round(share, 4),
            "problem": problem_if(share > MOST_COMMON_FIRST, said),
        }


def _histogram(counts: Counter[int]) -> dict[str, int]:
    return {str(value): rows for value, rows in sorted(counts.items())}


def plug_in_entropy(counts: np.ndarray) -> float:
    """Entropy in bits of the observed frequencies; too low for few draws, so compare with :func:`uniform_entropy`."""
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log2(shares)).sum())


def uniform_entropy(draws: int, values: int = 1000) -> float:
    """What :func:`plug_in_entropy` gives on average for as many independent uniform draws, by simulation (seed 0)."""
    rng = np.random.default_rng(0)
    repeats = 3
    if draws < 100_000:
        repeats = 20  # fewer draws scatter more, and cost less
    found = []
    for _ in range(repeats):
        drawn = rng.integers(0, values, draws)
        found.append(plug_in_entropy(np.bincount(drawn, minlength=values)))
    return float(np.mean(found))
