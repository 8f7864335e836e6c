"""What an audit measures in rows of words, with its thresholds and their reasons."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from typing import Any

from data_builders.audit_common import problem_if

MOST_FOREIGN = 0.02
"""Share of rows that may fail the language check, which is a rule of thumb and errs on names, formulas and lists."""
LEAST_ASCII = 0.8
"""Share of a text's letters that are ASCII; English with accents and Greek letters in formulas stays above."""
LEAST_FUNCTION_WORDS = 0.1
"""Share of function words in texts of at least 20 words; English prose has 0.4 to 0.5, other languages under 0.05."""
LEAST_TEXT_PASS_RATE = 0.05
"""A teacher may well solve few questions; below one in twenty the rows are what chance let through."""
_FUNCTION_WORDS = """
a about after all also an and are as at be because been but by can could do does each for from had has have he her his
how i if in is it its me more my no not of on one or our out she so some than that the their them then there these they
this to up us was we were what when which who will with would you your
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())

# An answer that was cut off may leave its last block open: that one reaches to the end.
_CODE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_FORMULA = re.compile(r"\$[^$]*\$|\\\[.*?\\\]|\\\(.*?\\\)|\\[A-Za-z]+", re.DOTALL)
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
# Chat-template tokens of the form <|...|> (Qwen, Llama 3, Phi), those of Llama 2 and Gemma, and think tags.
_MARKUP = re.compile(r"<\|[^|<>]{1,40}\|>|</?think>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>")


class TextStats:
    """Counts over rows of words, fed one by one."""

    def __init__(self) -> None:
        self.rows = 0
        self.words: Counter[int] = Counter()
        self.foreign: list[str] = []
        self.marked: list[str] = []

    def add(self, row_id: str, prompt: str, answer: str) -> None:
        self.rows += 1
        self.words[len(answer.split())] += 1
        if not looks_english(answer):
            self.foreign.append(row_id)
        if _MARKUP.search(prompt) or _MARKUP.search(answer):
            self.marked.append(row_id)

    def checks(self) -> dict[str, dict[str, Any]]:
        """One finding a check: the measured values, and ``problem`` (a sentence) if it fails."""
        lengths = sorted(self.words.elements())
        foreign = len(self.foreign) / self.rows
        return {
            "lengths": {
                "words_an_answer": {"least": lengths[0], "median": statistics.median(lengths), "most": lengths[-1]}
            },
            "language": {
                "share_not_english": round(foreign, 4),
                "examples": self.foreign[:3],
                "method": "a rule of thumb: share of ASCII letters and of English function words",
                "problem": problem_if(
                    foreign > MOST_FOREIGN, f"{foreign:.1%} of the answers do not look like English."
                ),
            },
            "markup": {
                "rows": len(self.marked),
                "examples": self.marked[:3],
                "problem": problem_if(self.marked, f"{len(self.marked)} rows hold think tags or chat-template tokens."),
            },
        }


def looks_english(text: str) -> bool:
    """A rule of thumb. Code and formulas are left out; what remains must have ASCII letters and function words."""
    words = _WORD.findall(_FORMULA.sub(" ", _CODE.sub(" ", text)).lower())
    letters = "".join(words)
    # An answer of formulas or code alone has no letters left, and passes.
    if letters and sum(map(str.isascii, letters)) / len(letters) < LEAST_ASCII:
        return False
    known = sum(word in FUNCTION_WORDS for word in words)
    # In fewer words chance decides how many function words there are.
    return len(words) < 20 or known / len(words) >= LEAST_FUNCTION_WORDS
