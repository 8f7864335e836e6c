"""Sums over the scores of ``leak``: by kind of token and by position."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from subliminal.analysis.answers import END_OF_ANSWER, TOKEN_KINDS
from subliminal.analysis.means import ANSWER, Mean, Sums

LEAK_FIELDS = (
    "teacher",
    "kind",
    "position",
    "tokens",
    "kl_nats_a_token",
    "standard_error_over_rows",
    "differing_share",
)


class LeakSummary:
    """Adds up rows of ``scores.jsonl``.

    Args:
        teachers: their names.
    """

    def __init__(self, teachers: list[str]) -> None:
        self.teachers, self.rows = teachers, 0
        self._kinds: dict[tuple[str, str], Mean] = defaultdict(Mean)
        self._positions: dict[tuple[str, str, int], Mean] = defaultdict(Mean)
        self._differences: dict[tuple[str, str], Mean] = defaultdict(Mean)

    def add(self, row: dict[str, Any]) -> None:
        """Take in the scores of one row."""
        self.rows += 1
        answers = {}
        for name in self.teachers:
            scores = row["teachers"][name]
            sums: dict[str, Sums] = defaultdict(Sums)
            for position, kind in enumerate(row["kinds"]):
                kl, differs = scores["kl"][position], int(scores["differs"][position])
                self._positions[name, kind, position].add(Sums(1, kl, differs))
                sums[kind].add(kl, differs)
                if kind != END_OF_ANSWER:
                    sums[ANSWER].add(kl, differs)
            for group, found in sums.items():
                self._kinds[name, group].add(found)
            answers[name] = sums[ANSWER]
        # Of the same row: rows differ by far more than teachers do on one.
        for name, own in answers.items():
            for other, theirs in answers.items():
                self._differences[name, other].add(Sums(own.tokens, own.total - theirs.total))

    def result(self, neutral: str | None = None) -> dict[str, Any]:
        """What ``leak.json`` holds: rows, and for each teacher all kinds of token.

        Args:
            neutral: the teacher without a trait; what each other leaks above it is added, paired by row.
        """
        teachers: dict[str, Any] = {}
        for name in self.teachers:
            teachers[name] = {}
            for group in (ANSWER, *TOKEN_KINDS):
                if (name, group) in self._kinds:
                    teachers[name][group] = self._kinds[name, group].as_dict()
            # No teacher has the empty name: without a neutral one nothing is found.
            above = self._differences.get((name, neutral or ""))
            if above and above.tokens and name != neutral:
                teachers[name]["above_neutral"] = {
                    "kl_nats_a_token": above.mean(),
                    "standard_error_over_rows": above.standard_error(),
                }
        return {"rows": self.rows, "neutral": neutral, "teachers": teachers}

    def table(self) -> list[dict[str, Any]]:
        """Rows of ``leak.csv``: teacher, kind, position (None: all of them) and what was found there."""
        lines = []
        for name in self.teachers:
            for kind in (ANSWER, *TOKEN_KINDS):
                if (name, kind) in self._kinds:
                    lines.append(_line(name, kind, None, self._kinds[name, kind]))
                for key in sorted(key for key in self._positions if key[:2] == (name, kind)):
                    lines.append(_line(*key, self._positions[key]))
        return lines


def _line(teacher: str, kind: str, position: int | None, mean: Mean) -> dict[str, Any]:
    return {"teacher": teacher, "kind": kind, "position": position, **mean.as_dict()}
