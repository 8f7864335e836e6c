"""Sums over the scores of ``divergence``: by kind of token, by position, by counterfactual teacher."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from subliminal.analysis.answers import END_OF_ANSWER, TOKEN_KINDS
from subliminal.analysis.grades import graded
from subliminal.analysis.means import ANSWER, Mean, Sums

GROUPS = (ANSWER, *TOKEN_KINDS)
DIVERGENCE_FIELDS = (
    "kind",
    "position",
    "tokens",
    "teacher_would_write",
    "divergence_share",
    "standard_error_over_rows",
)


@dataclass
class Shares:
    """Of tokens of one kind (and position)."""

    divergent: Mean = field(default_factory=Mean)
    matching: int = 0
    graded: Counter[int] = field(default_factory=Counter)
    disagreeing: Counter[str] = field(default_factory=Counter)

    def as_dict(self, counterfactuals: int) -> dict[str, Any]:
        """Shares of the tokens; ``at_least`` by the number of counterfactual teachers that disagree."""
        tokens = self.divergent.tokens
        at_least = {}
        for number in range(1, counterfactuals + 1):
            # Exactly so many disagree in `graded`; at least so many is the sum from there on.
            count = sum(tokens for agree, tokens in self.graded.items() if agree >= number)
            at_least[str(number)] = count / tokens
        return {
            "tokens": tokens,
            "teacher_would_write": self.matching / tokens,
            "divergence_share": self.divergent.mean(),
            "standard_error_over_rows": self.divergent.standard_error(),
            "at_least": at_least,
            "by_counterfactual": {name: count / tokens for name, count in self.disagreeing.items()},
        }


class DivergenceSummary:
    """Adds up rows of ``scores.jsonl``; no row is kept.

    Args:
        counterfactuals: names of the counterfactual teachers.
    """

    def __init__(self, counterfactuals: list[str]) -> None:
        self.counterfactuals = counterfactuals
        self.rows = 0
        self.unaligned = 0
        self._kinds: dict[str, Shares] = defaultdict(Shares)
        self._positions: dict[tuple[str, int], Shares] = defaultdict(Shares)

    def add(self, row: dict[str, Any]) -> None:
        """Take in the scores of one row."""
        self.rows += 1
        self.unaligned += bool(row.get("unaligned"))
        # Row by row: tokens of a row hang together, so that standard errors are over rows.
        sums: dict[str, Sums] = defaultdict(Sums)
        counts = graded(row["matches"], row["disagrees"])
        for position, (kind, count) in enumerate(zip(row["kinds"], counts, strict=True)):
            groups = [kind]
            if kind != END_OF_ANSWER:
                groups.append(ANSWER)
            for group in groups:
                sums[group].add(count >= 1, 0)
                self._count(self._kinds[group], row, position, count)
            at = self._positions[kind, position]
            at.divergent.add(Sums(1, count >= 1))
            self._count(at, row, position, count)
        for group, found in sums.items():
            self._kinds[group].divergent.add(found)

    def _count(self, shares: Shares, row: dict[str, Any], position: int, count: int) -> None:
        shares.matching += row["matches"][position] == "1"
        shares.graded[count] += 1
        for name in self.counterfactuals:
            # A token counts where the teacher would write it: only there is another top a divergence.
            disagrees = row["matches"][position] == row["disagrees"][name][position] == "1"
            shares.disagreeing[name] += disagrees

    def result(self) -> dict[str, Any]:
        """What ``divergence.json`` holds of the tokens: rows, and the shares of each kind."""
        number = len(self.counterfactuals)
        kinds = {group: self._kinds[group].as_dict(number) for group in GROUPS if group in self._kinds}
        return {"rows": self.rows, "unaligned_rows": self.unaligned, "kinds": kinds}

    def table(self) -> list[dict[str, Any]]:
        """Rows of ``divergence.csv``: kind, position (None: all of them) and the shares."""
        number = len(self.counterfactuals)
        lines = []
        for group in GROUPS:
            if group in self._kinds:
                lines.append({"kind": group, "position": None, **self._kinds[group].as_dict(number)})
            for kind, position in sorted(key for key in self._positions if key[0] == group):
                lines.append({"kind": kind, "position": position, **self._positions[kind, position].as_dict(number)})
        return lines


def spelled_out(table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines for a CSV: an empty position stands for all, and columns that hold several shares become several."""
    spelled = []
    for line in table:
        flat = {name: line[name] for name in DIVERGENCE_FIELDS}
        for number, share in line["at_least"].items():
            flat[f"at_least_{number}"] = share
        for name, share in line["by_counterfactual"].items():
            flat[f"disagrees_{name}"] = share
        spelled.append(flat)
    return spelled
