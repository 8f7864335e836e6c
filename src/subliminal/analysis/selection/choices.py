"""Some tokens, or some rows, of a data set: those that a score ranks first or last, or as many at random.

A score file (``scores.jsonl`` of ``divergence`` or ``score``) is read several times and never held: what it takes to
know which tokens are the best tenth is a histogram of their keys, 16 bits at a time. All arms of one share have exactly
as many tokens, ties included.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from subliminal.analysis.grades import graded
from subliminal.core.errors import UserError, did_you_mean
from subliminal.core.files import read_jsonl

DIVERGENCE = "divergence"
"""The ranking by graded divergence score, ties by margin."""
BINARY = "binary"
"""As a share: as many tokens as are divergence tokens."""
TAKES = ("top", "bottom", "random")
AMONG = ("answer", "digit", "separator")
BITS = 16
"""Of a 64-bit key that one reading of the file looks at."""


@dataclass(frozen=True)
class Selection:
    """Which tokens or rows.

    Attributes:
        by: what ranks them: :data:`DIVERGENCE`, or a column of the score file.
        take: the ``top`` or the ``bottom`` of the ranking, or as many at ``random``.
        share: of the tokens that there are to choose from, or of the rows; :data:`BINARY` is the share of divergence
            tokens.
        among: kinds of token to choose from; ``answer`` is digits and separators. The end token is never chosen.
        seed: of the random choice.
    """

    by: str = DIVERGENCE
    take: str = "top"
    share: float | str = 0.1
    among: str = "answer"
    seed: int = 42


@dataclass
class Cut:
    """Where a ranking is cut: what has a key above ``key`` is chosen, and ``room`` of those that have that very key."""

    key: int
    room: int

    def choose(self, keys: np.ndarray) -> np.ndarray:
        """Whether each is chosen; call it once for each row, in the order that decides among equals."""
        chosen = keys > self.key
        for place in np.flatnonzero(keys == self.key)[: self.room]:
            chosen[place] = True
            self.room -= 1
        return chosen


class TokenChoice:
    """The tokens that a selection takes of a score file.

    Args:
        path: the score file.
        selection: which.

    Raises:
        UserError: the file has no such ranking.
    """

    def __init__(self, path: Path, selection: Selection) -> None:
        self.selection = selection
        self.candidates = 0
        divergent = 0
        for row in read_jsonl(path):
            there = _candidates(row, selection.among)
            self.candidates += int(there.sum())
            if selection.share == BINARY:
                divergent += int((_graded(row)[there] >= 1).sum())
        if selection.share == BINARY:
            self.budget = divergent
        else:
            self.budget = round(float(selection.share) * self.candidates)
        # A function, because the file is read anew for each 16 bits of the keys.
        self._cut = cut_at(lambda: (self._keys(row) for row in read_jsonl(path)), self.budget)

    def choose(self, row: dict[str, Any]) -> list[bool]:
        """For each token of a row's answer without the end token, whether it is chosen; once for each row."""
        there = _candidates(row, self.selection.among)
        chosen = np.zeros(len(there), bool)
        chosen[there] = self._cut.choose(self._keys(row))
        return chosen.tolist()

    def _keys(self, row: dict[str, Any]) -> np.ndarray:
        """Keys of the tokens that there are to choose from; the highest are taken."""
        there = _candidates(row, self.selection.among)
        if self.selection.take == "random":
            keys = _random_keys(f"{self.selection.seed}:{row['id']}", len(there))
        elif self.selection.by == DIVERGENCE:
            # Graded scores are small whole numbers: they take the upper half of a key, margins the lower.
            keys = (_graded(row).astype(np.uint64) << np.uint64(32)) | sortable(_column(row, "margin"))
        else:
            keys = sortable(_column(row, self.selection.by))
        # With every bit turned round the lowest keys are the highest.
        if self.selection.take == "bottom":
            keys = ~keys
        return keys[there]


class RowChoice:
    """The rows that a selection takes of a score file: by the share of divergence tokens in each answer (ties by their
    mean margin), or by the mean of a column over it.

    Args:
        path: the score file.
        selection: which.
    """

    def __init__(self, path: Path, selection: Selection) -> None:
        self.selection = selection
        self.candidates = sum(1 for _ in read_jsonl(path))
        if selection.share == BINARY:
            raise UserError(f"--share {BINARY} is a number of tokens. Give rows a share between 0 and 1.")
        self.budget = round(float(selection.share) * self.candidates)
        self._cut = cut_at(lambda: (self._keys(row) for row in read_jsonl(path)), self.budget)

    def choose(self, row: dict[str, Any]) -> bool:
        """Whether a row is chosen; once for each row."""
        return bool(self._cut.choose(self._keys(row))[0])

    def _keys(self, row: dict[str, Any]) -> np.ndarray:
        there = _candidates(row, self.selection.among)
        if self.selection.take == "random":
            return _random_keys(f"{self.selection.seed}:{row['id']}", 1)
        # A row without a token to judge it by comes last, whichever end is taken.
        if not there.any():
            return np.zeros(1, np.uint64)
        if self.selection.by == DIVERGENCE:
            # As for tokens: densities in the upper half of a key, and ties by margin in the lower.
            density = sortable(np.array([(_graded(row)[there] >= 1).mean()]))
            keys = (density << np.uint64(32)) | sortable(np.array([_column(row, "margin")[there].mean()]))
        else:
            keys = sortable(np.array([_column(row, self.selection.by)[there].mean()]))
        if self.selection.take == "bottom":
            keys = ~keys
        return keys


def cut_at(keys: Callable[[], Iterable[np.ndarray]], budget: int) -> Cut:
    """Where to cut, so that exactly ``budget`` keys are chosen.

    Args:
        keys: makes an iterator over all keys (64 bits, in arrays), several times.
        budget: how many are to be chosen; no more than there are.
    """
    if budget <= 0:
        # Nothing lies above the largest key, and there is no room for those that have it.
        return Cut(2**64 - 1, 0)
    found, room = 0, budget
    for level in range(64 // BITS):
        shift = np.uint64(64 - BITS * (level + 1))
        counts = np.zeros(2**BITS, np.int64)
        for some in keys():
            if level:
                # Only keys that begin with the digits found so far.
                some = some[some >> np.uint64(64 - BITS * level) == np.uint64(found)]
            digits = (some >> shift) & np.uint64(2**BITS - 1)
            counts += np.bincount(digits.astype(np.int64), minlength=2**BITS)
        from_the_top = np.cumsum(counts[::-1])
        place = int(np.searchsorted(from_the_top, room))  # the first digit, from the highest on, that fills the room
        digit = 2**BITS - 1 - place
        room -= int(from_the_top[place] - counts[digit])
        found = (found << BITS) | digit
    return Cut(found, room)


def sortable(values: np.ndarray) -> np.ndarray:
    """Numbers as unsigned 32-bit keys, in 64 bits, that sort as the numbers do (in float32)."""
    bits = values.astype(np.float32).view(np.uint32)
    # In IEEE 754 positive floats sort as their bits do, and negative ones the other way round.
    negative = bits >> np.uint32(31) == 1
    return np.where(negative, ~bits, bits | np.uint32(2**31)).astype(np.uint64)


def replaced_labels(path: Path, seed: int) -> Callable[[dict[str, Any], list[bool]], list[int]]:
    """What gives chosen tokens of a row other labels: each a token of the same kind, drawn from those in the file.

    Args:
        path: the score file.
        seed: of the draws; those of a row depend on (seed, the row's id) alone.

    Returns:
        A function of a score row and its chosen tokens: labels of the whole row, -100 before the answer.
    """
    known: dict[str, set[int]] = {}
    for row in read_jsonl(path):
        for token, kind in zip(row["tokens"][row["start"] : -1], row["kinds"], strict=False):
            known.setdefault(kind, set()).add(token)
    pools = {kind: sorted(tokens) for kind, tokens in known.items()}

    def labels(row: dict[str, Any], chosen: list[bool]) -> list[int]:
        random = _generator(f"labels:{seed}:{row['id']}")
        start = row["start"]
        found = [-100] * start + row["tokens"][start:]
        for place, (kind, taken) in enumerate(zip(row["kinds"], chosen, strict=False)):
            pool = pools.get(kind, [])
            # A kind that has one token has no other to put in its place.
            if taken and len(pool) > 1:
                others = [token for token in pool if token != found[start + place]]
                found[start + place] = int(random.choice(others))
        return found

    return labels


def check_ranking(path: Path, by: str) -> None:
    """Refuse a ranking that a score file does not have.

    Raises:
        UserError: names those that it has.
    """
    first = next(iter(read_jsonl(path)))
    known = sorted(first.get("scores", {}))
    if "matches" in first:
        known = [DIVERGENCE, *known]
    if by not in known:
        raise UserError(f"{path} has no score {by!r}{did_you_mean(by, known)}. It has: {', '.join(known)}.")


def _candidates(row: dict[str, Any], among: str) -> np.ndarray:
    kinds = row["kinds"][:-1]  # the last is the end token
    if among == "answer":
        return np.ones(len(kinds), bool)
    return np.array([kind == among for kind in kinds], bool)


def _graded(row: dict[str, Any]) -> np.ndarray:
    return np.array(graded(row["matches"], row["disagrees"])[:-1], np.int64)


def _column(row: dict[str, Any], name: str) -> np.ndarray:
    return np.array(row["scores"][name][:-1], np.float64)


def _random_keys(text: str, number: int) -> np.ndarray:
    return _generator(text).integers(0, 2**64, number, dtype=np.uint64)


def _generator(text: str) -> np.random.Generator:
    # Python's own hash of a text is another one in every process.
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))
