"""What the scores of a data set say: means by kind of token, what columns share, how well they tell neutral rows.

Memory does not grow with the rows: correlations and AUROCs are those of the first :data:`COMPARED` tokens and rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from scipy.stats import rankdata, spearmanr

from subliminal.analysis.answers import END_OF_ANSWER, TOKEN_KINDS
from subliminal.analysis.means import ANSWER, Mean, Sums

COMPARED = 100_000
"""Tokens, and rows, whose scores are held for correlations and AUROCs."""
TOP_SHARE = 0.1
"""Share of the tokens whose overlap is counted."""
NULLS = ("difficulty", "gradient_")
"""What the names of nulls begin with."""


class ScoreSummary:
    """Adds up rows of ``scores.jsonl``."""

    def __init__(self) -> None:
        self.rows = 0
        self._means: dict[tuple[str, str], Mean] = defaultdict(Mean)
        self._tokens: dict[str, list[float]] = defaultdict(list)
        self._own: dict[str, list[float]] = defaultdict(list)
        self._neutral: dict[str, list[float]] = defaultdict(list)

    def add(self, row: dict[str, Any]) -> None:
        """Take in the scores of one row of the data set."""
        self.rows += 1
        answer = [place for place, kind in enumerate(row["kinds"]) if kind != END_OF_ANSWER]
        for column, values in row["scores"].items():
            sums: dict[str, Sums] = defaultdict(Sums)
            for kind, value in zip(row["kinds"], values, strict=True):
                sums[kind].add(value, 0)
                if kind != END_OF_ANSWER:
                    sums[ANSWER].add(value, 0)
            for group, found in sums.items():
                self._means[column, group].add(found)
            # The first ones and no sample, so that a run that was resumed compares the same.
            if len(self._tokens[column]) < COMPARED:
                self._tokens[column] += [values[place] for place in answer]
        _hold(self._own, row)

    def add_neutral(self, row: dict[str, Any]) -> None:
        """Take in the scores of one neutral row."""
        _hold(self._neutral, row)

    @property
    def columns(self) -> list[str]:
        """The scores that the rows have."""
        return list(self._tokens)

    def result(self) -> dict[str, Any]:
        """What ``score.json`` holds."""
        columns = self.columns
        found: dict[str, Any] = {"rows": self.rows, "columns": {}}
        for column in columns:
            kinds = {}
            for group in (ANSWER, *TOKEN_KINDS):
                mean = self._means.get((column, group))
                if mean and mean.tokens:
                    error = mean.standard_error()
                    kinds[group] = {"tokens": mean.tokens, "mean": mean.mean(), "standard_error_over_rows": error}
            found["columns"][column] = kinds
        found["agreement"] = agreement(self._tokens)
        if self._neutral:
            found["told_from_neutral_rows"] = self._told(columns)
        return found

    def _told(self, columns: list[str]) -> dict[str, Any]:
        """AUROC of every column's row means, data set above neutral rows, and how each stands to the nulls."""
        values = {column: auroc(self._own[column], self._neutral[column]) for column in columns}
        nulls = {column: value for column, value in values.items() if is_null(column)}
        # From one half to either side: a null may rank neutral rows first as well.
        furthest = max((abs(value - 0.5) for value in nulls.values()), default=0.0)
        found = {}
        for column, value in values.items():
            found[column] = {"auroc": value, "null": is_null(column)}
            if not is_null(column):
                found[column]["beyond_every_null"] = abs(value - 0.5) > furthest
        return found


def is_null(column: str) -> bool:
    """Whether a column is there to show what a score without a meaning does."""
    return column.startswith(NULLS)


def row_means(row: dict[str, Any]) -> dict[str, float]:
    """The mean of each column over the answer's tokens without the end token; 0 of an empty answer."""
    means = {}
    for column, values in row["scores"].items():
        means[column] = 0.0
        if len(values) > 1:
            means[column] = float(np.mean(values[:-1]))
    return means


def auroc(above: list[float], below: list[float]) -> float:
    """The probability that a number of ``above`` is larger than one of ``below``, half of it where they are equal."""
    # Mann and Whitney's U: what the ranks of `above` sum to beyond the least that they could.
    ranks = rankdata([*above, *below])[: len(above)]
    least = len(above) * (len(above) + 1) / 2
    return float((ranks.sum() - least) / (len(above) * len(below)))


def agreement(columns: Mapping[str, Sequence[float]]) -> list[dict[str, Any]]:
    """For every two columns Spearman's correlation over tokens, and the share of one's top tenth that is in the other's
    (a tenth by chance)."""
    tops = {}
    for name, values in columns.items():
        size = max(1, round(TOP_SHARE * len(values)))
        # Stable, so that equal scores take the tokens that come first, on every machine.
        tops[name] = set(np.argsort(-np.array(values), kind="stable")[:size].tolist())
    found = []
    for one, other in combinations(columns, 2):
        overlap = len(tops[one] & tops[other]) / len(tops[one])
        spearman = _spearman(columns[one], columns[other])
        found.append({"one": one, "other": other, "spearman": spearman, "top_overlap": overlap})
    return found


def _spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """None where it cannot be told: two tokens or fewer, or a column that is the same at all of them."""
    if len(first) < 3:
        return None
    rho = spearmanr(first, second).statistic
    if np.isnan(rho):
        return None
    return float(rho)


def _hold(held: dict[str, list[float]], row: dict[str, Any]) -> None:
    for column, mean in row_means(row).items():
        if len(held[column]) < COMPARED:
            held[column].append(mean)
