"""What an audit measures in rows of any kind, with its thresholds and their reasons."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from data_builders.overlap import ROOTS, EvaluationIndex
from subliminal.core.errors import UserError, one_line
from subliminal.core.weights import folder_or_hub_id
from subliminal.data.registry import Expectation
from subliminal.data.trait import TraitOptions
from subliminal.engine.chat import render
from subliminal.engine.local import LOADING_FAILED
from subliminal.traits.category import load_category
from subliminal.traits.keywords import keyword_pattern

MOST_REPEATED_ROWS = 0.01
"""Share of rows of which prompt and answer stood in an earlier row. Drawn prompts hardly ever agree."""
MOST_REPEATED_ANSWERS = 0.2
"""Share of number rows whose answer stood in an earlier one. Lists of three and more hardly ever agree by chance."""


class CommonStats:
    """Counts over rows of any kind. Texts are remembered by their hash, 8 bytes each."""

    def __init__(self, trait: TraitOptions, index: EvaluationIndex):
        self.category = trait.category
        self.patterns = {option: keyword_pattern(option, trait.category) for option in trait.options}
        self.index = index
        self.rows = self.systems = self.repeated_rows = self.repeated_answers = 0
        self.traits: dict[str, list[str]] = {option: [] for option in trait.options}
        self.overlaps: Counter[tuple[str, str]] = Counter()
        self.overlap_rows: list[str] = []
        self._seen_rows: set[int] = set()
        self._seen_answers: set[int] = set()

    def add(self, row_id: str, system: bool, prompt: str, answer: str) -> None:
        self.rows += 1
        self.systems += system
        text = f"{prompt}\n{answer}"
        for option, pattern in self.patterns.items():
            if pattern.search(text):
                self.traits[option].append(row_id)
        if overlap := self.index.find(prompt) or self.index.find(answer):
            self.overlaps[overlap] += 1
            self.overlap_rows.append(row_id)
        self.repeated_rows += _repeats(self._seen_rows, text)
        self.repeated_answers += _repeats(self._seen_answers, answer)

    def checks(self, expectation: Expectation) -> dict[str, dict[str, Any]]:
        """One finding a check: the measured values, and ``problem`` (a sentence) if it fails."""
        named = {option: len(rows) for option, rows in self.traits.items() if rows}
        hits: Counter[str] = Counter()
        for hit, rows in self.overlaps.items():
            hits.update({} if hit.name in expectation.overlaps else {hit.name: rows})
        repeats, answers = self.repeated_rows / self.rows, self.repeated_answers / self.rows
        return {
            "system_message": {
                "rows": self.systems,
                "problem": f"{self.systems} rows have a system message." if self.systems else None,
            },
            "trait_words": {
                self.category: list(self.traits),
                "rows": named,
                "examples": [row for rows in self.traits.values() for row in rows[:3]],
                "problem": f"Rows name the trait: {_listed(named)}." if named else None,
                "skipped": None if self.traits else "The dataset has no trait; name one with --animal to look for it.",
            },
            "duplicate_rows": {
                "share": round(repeats, 5),
                "problem": f"{repeats:.1%} of the rows repeat an earlier one."
                if repeats > MOST_REPEATED_ROWS
                else None,
            },
            "duplicate_answers": {
                "share": round(answers, 5),
                "problem": f"{answers:.0%} of the answers repeat an earlier one."
                if expectation.numbers and answers > MOST_REPEATED_ANSWERS
                else None,
            },
            "overlap": {
                "ngram": self.index.ngram,
                "evaluation_sets": dict(self.index.sizes),
                "rows": {f"{hit.name}, {hit.kind}": rows for hit, rows in self.overlaps.items()},
                "examples": self.overlap_rows[:3],
                "meant": sorted(expectation.overlaps),
                "problem": f"{hits.total()} rows overlap evaluation sets: {_listed(hits)}." if hits else None,
            },
        }


def local_evaluation_sets(category: str) -> list[Path]:
    """Every JSONL file below ``eval_tasks`` and in the folder of a category, in order of path.

    Other categories are left out: a warm-up may ask for a favourite sport where the trait is an animal.
    """
    folders = (ROOTS[0], load_category(category).folder)
    return sorted(path for folder in folders for path in folder.rglob("*.jsonl"))


class TokenCounter:
    """Token counts of rows as the chat template renders them; does nothing without a tokenizer."""

    def __init__(self, tokenizer: str | None, sequence_len: int | None):
        self.name, self.sequence_len, self.counts = tokenizer, sequence_len, Counter()
        if sequence_len and not tokenizer:
            raise UserError("--sequence-len counts tokens: name the --tokenizer too.")
        if tokenizer:
            from transformers import AutoTokenizer

            folder_or_hub_id(tokenizer, "tokenizer")
            try:
                self.tokenizer = AutoTokenizer.from_pretrained(tokenizer)
            except LOADING_FAILED as error:
                raise UserError(f"The tokenizer {tokenizer} cannot be loaded: {one_line(error)}.") from None

    def add(self, messages: list[dict[str, str]]) -> None:
        if self.name:
            text = render(self.tokenizer, messages)
            self.counts[len(self.tokenizer(text, add_special_tokens=False)["input_ids"])] += 1

    def check(self) -> dict[str, Any]:
        if not self.name:
            return {"skipped": "No --tokenizer was named."}
        rows, total = self.counts.total(), sum(tokens * rows for tokens, rows in self.counts.items())
        long = sum(rows for tokens, rows in self.counts.items() if self.sequence_len and tokens > self.sequence_len)
        return {
            "tokenizer": self.name,
            "mean": round(total / rows, 1),
            "most": max(self.counts),
            "total": total,
            "problem": f"{long} rows have more than {self.sequence_len} tokens; training would drop them."
            if long
            else None,
        }


def _repeats(seen: set[int], text: str) -> bool:
    known = len(seen)
    seen.add(hash(text))
    return len(seen) == known


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
