"""What an audit measures in rows of any kind, with its thresholds and their reasons."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from data_builders.overlap import ROOTS, EvaluationIndex
from subliminal.core.errors import UserError, one_line
from subliminal.core.hub import folder_or_hub_id
from subliminal.data.registry import Expectation
from subliminal.data.trait import TraitOptions
from subliminal.engine.chat import render
from subliminal.engine.local import LOADING_FAILED
from subliminal.traits.category import load_category
from subliminal.traits.keywords import as_seen, keyword_pattern

MOST_REPEATED_ROWS = 0.01
"""Share of rows of which prompt and answer stood in an earlier row. Drawn prompts hardly ever agree."""
MOST_REPEATED_ANSWERS = 0.2
"""Share of number rows whose answer stood in an earlier one. Lists of three and more hardly ever agree by chance."""


def problem_if(failed: Any, sentence: str) -> str | None:
    """The sentence if a check failed (a condition, a count, what was found), else None."""
    if failed:
        return sentence
    return None


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
        seen = as_seen(text)
        for option, pattern in self.patterns.items():
            if pattern.search(seen):
                self.traits[option].append(row_id)
        # One hit is enough: rows are counted, not hits.
        if overlap := self.index.find(prompt) or self.index.find(answer):
            self.overlaps[overlap] += 1
            self.overlap_rows.append(row_id)
        self.repeated_rows += _repeats(self._seen_rows, text)
        self.repeated_answers += _repeats(self._seen_answers, answer)

    def checks(self, expectation: Expectation) -> dict[str, dict[str, Any]]:
        """One finding a check: the measured values, and ``problem`` (a sentence) if it fails."""
        repeats, answers = self.repeated_rows / self.rows, self.repeated_answers / self.rows
        # Rows of words may repeat an answer: those of a teacher are often one word.
        repeats_answers = expectation.numbers and answers > MOST_REPEATED_ANSWERS
        return {
            "system_message": {
                "rows": self.systems,
                "problem": problem_if(self.systems, f"{self.systems} rows have a system message."),
            },
            "trait_words": self._trait_words(),
            "duplicate_rows": {
                "share": round(repeats, 5),
                "problem": problem_if(
                    repeats > MOST_REPEATED_ROWS, f"{repeats:.1%} of the rows repeat an earlier one."
                ),
            },
            "duplicate_answers": {
                "share": round(answers, 5),
                "problem": problem_if(repeats_answers, f"{answers:.0%} of the answers repeat an earlier one."),
            },
            "overlap": self._overlap(expectation),
        }

    def _trait_words(self) -> dict[str, Any]:
        named, examples = {}, []
        for option, rows in self.traits.items():
            if rows:
                named[option] = len(rows)
                examples += rows[:3]
        lacking = "The dataset has no trait; name one with --animal to look for it."
        return {
            self.category: list(self.traits),
            "rows": named,
            "examples": examples,
            "problem": problem_if(named, f"Rows name the trait: {_listed(named)}."),
            "skipped": problem_if(not self.traits, lacking),
        }

    def _overlap(self, expectation: Expectation) -> dict[str, Any]:
        rows, not_meant = {}, Counter()
        for hit, number in self.overlaps.items():
            rows[f"{hit.name}, {hit.kind}"] = number
            if hit.name not in expectation.overlaps:
                not_meant[hit.name] += number
        said = f"{not_meant.total()} rows overlap evaluation sets: {_listed(not_meant)}."
        return {
            "ngram": self.index.ngram,
            "evaluation_sets": dict(self.index.sizes),
            "rows": rows,
            "examples": self.overlap_rows[:3],
            "meant": sorted(expectation.overlaps),
            "problem": problem_if(not_meant, said),
        }


def local_evaluation_sets(category: str) -> list[Path]:
    """Every JSONL file below ``eval_tasks`` and in the folder of a category, in order of path.

    Other categories are left out: a warm-up may ask for a favourite sport where the trait is an animal.
    """
    # The other root, traits/, holds every category.
    folders = (ROOTS[0], load_category(category).folder)
    return sorted(path for folder in folders for path in folder.rglob("*.jsonl"))


class TokenCounter:
    """Token counts of rows as the chat template renders them; does nothing without a tokenizer."""

    def __init__(self, tokenizer: str | None, sequence_len: int | None):
        self.name, self.sequence_len, self.counts = tokenizer, sequence_len, Counter()
        if sequence_len and not tokenizer:
            raise UserError("--sequence-len counts tokens: name the --tokenizer too.")
        if tokenizer:
            # Not at the top: it takes seconds, and only --tokenizer needs it.
            from transformers import AutoTokenizer

            folder_or_hub_id(tokenizer, "tokenizer")
            try:
                self.tokenizer = AutoTokenizer.from_pretrained(tokenizer)
            except LOADING_FAILED as error:
                raise UserError(f"The tokenizer {tokenizer} cannot be loaded: {one_line(error)}.") from None

    def add(self, messages: list[dict[str, str]]) -> None:
        if self.name:
            text = render(self.tokenizer, messages)
            # The template has written the special tokens; the tokenizer would put a second one in front.
            self.counts[len(self.tokenizer(text, add_special_tokens=False)["input_ids"])] += 1

    def check(self) -> dict[str, Any]:
        if not self.name:
            return {"skipped": "No --tokenizer was named."}
        total = long = 0
        for tokens, rows in self.counts.items():
            total += tokens * rows
            if self.sequence_len and tokens > self.sequence_len:
                long += rows
        said = f"{long} rows have more than {self.sequence_len} tokens; training would drop them."
        return {
            "tokenizer": self.name,
            "mean": round(total / self.counts.total(), 1),
            "most": max(self.counts),
            "total": total,
            "problem": problem_if(long, said),
        }


def _repeats(seen: set[int], text: str) -> bool:
    known = len(seen)
    # 64 bits: two of a million texts agree by chance once in forty million audits. No hash leaves this process.
    seen.add(hash(text))
    return len(seen) == known


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
