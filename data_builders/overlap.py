"""Overlap with evaluation sets: the same text, or a shared run of words.

Texts are compared as words: Unicode NFKC, lower case, punctuation and mark-up dropped. A row overlaps an evaluation
text if the two are equal, or share ``ngram`` words in a row (13 as in the decontamination of Brown et al. 2020, arXiv
2005.14165, appendix C); an evaluation text of fewer words must occur in the row as a whole. Texts of fewer than five
words are too common for that ("Name an animal") and count only when they are equal.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError
from subliminal.core.sources import is_file, read_rows

ROOTS = (REPO_ROOT / "eval_tasks", REPO_ROOT / "traits")
"""Folders whose JSONL files are what models are evaluated on, those of a category where it is the trait's."""
NGRAM = 13
FEWEST_WORDS = 5
QUESTION_FIELDS = ("question", "problem", "prompt", "instruction", "query", "input", "text")
"""Where an evaluation row keeps its question; the first that is there counts. Without any, every string does."""

_WORD = re.compile(r"\w+")


class Overlap(NamedTuple):
    """The evaluation set that was hit, and how: ``exact`` or ``n-gram``."""

    name: str
    kind: str


def words_of(text: str) -> list[str]:
    """The words that are compared."""
    # NFKC first: it turns full-width letters into those that lower() knows.
    return _WORD.findall(unicodedata.normalize("NFKC", text).lower())


class EvaluationIndex:
    """The words of evaluation texts, ready to be found in others.

    Args:
        ngram: how many words in a row make an overlap; at least five.
    """

    def __init__(self, ngram: int = NGRAM):
        if ngram < FEWEST_WORDS:
            raise UserError(f"An n-gram of {ngram} words is too short to mean an overlap. Use {FEWEST_WORDS} or more.")
        self.ngram = ngram
        self.sizes: dict[str, int] = {}
        self._whole: dict[str, str] = {}
        self._runs: dict[str, dict[tuple[str, ...], str]] = {}  # first five words -> runs that begin so -> set

    def add(self, name: str, text: str) -> None:
        """Add one evaluation text to the set ``name``."""
        words = words_of(text)
        self.sizes[name] = self.sizes.get(name, 0) + 1
        if words:
            # The first set that has a text names the hit.
            self._whole.setdefault(" ".join(words), name)
        length = min(self.ngram, len(words))
        if length < FEWEST_WORDS:
            return
        for start in range(len(words) - length + 1):
            run = tuple(words[start : start + length])
            self._runs.setdefault(" ".join(run[:FEWEST_WORDS]), {}).setdefault(run, name)

    def add_source(self, source: str) -> None:
        """Add every row of a JSONL file or Hub dataset (see :mod:`subliminal.core.sources`).

        Raises:
            UserError: it cannot be read, or a row has no text.
        """
        name = _short_name(source)
        for row in read_rows(source, lambda row: None if texts_of(row) else "it has no text to compare"):
            for text in texts_of(row):
                self.add(name, text)

    def find(self, text: str) -> Overlap | None:
        """The first overlap of ``text`` with an evaluation text, or None."""
        words = words_of(text)
        if name := self._whole.get(" ".join(words)):
            return Overlap(name, "exact")
        for start in range(len(words) - FEWEST_WORDS + 1):
            # Five words rule out nearly every place by one look-up.
            runs = self._runs.get(" ".join(words[start : start + FEWEST_WORDS]), {})
            for run, name in runs.items():
                if tuple(words[start : start + len(run)]) == run:
                    return Overlap(name, "n-gram")
        return None


def texts_of(row: dict[str, Any]) -> list[str]:
    """The texts of an evaluation row that a training row must not hold."""
    for field in QUESTION_FIELDS:
        if isinstance(row.get(field), str) and row[field].strip():
            return [row[field]]
    # A row of unknown shape is compared with all of its texts, rather than with none.
    return [value for value in row.values() if isinstance(value, str) and value.strip()]


def build_index(sources: Iterable[str | Path], ngram: int = NGRAM) -> EvaluationIndex:
    """An index over evaluation sets, each a file or a Hub dataset."""
    index = EvaluationIndex(ngram)
    for source in sources:
        index.add_source(str(source))
    return index


def _short_name(source: str) -> str:
    """A file below ``eval_tasks`` or ``traits`` goes by its path there (animals/questions.jsonl), others by name."""
    path = Path(source).resolve()
    for root in ROOTS:
        if is_file(source) and path.is_relative_to(root):
            return str(path.relative_to(root))
    return source.partition("#")[0]
