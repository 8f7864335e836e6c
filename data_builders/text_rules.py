"""Rules that answers in words must pass: whole, on no banned subject, and without a word of the trait."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from subliminal.core.errors import UserError
from subliminal.data.trait import TraitOptions
from subliminal.traits.category import load_category
from subliminal.traits.keywords import keyword_pattern


class TextRules:
    """The trait words and banned words of one dataset.

    Args:
        trait: options whose names, kinds and adjectives no row may hold.
        banned: further words, singular; their plurals in s are banned too.
    """

    def __init__(self, trait: TraitOptions, banned: Iterable[str]):
        self.patterns = [(option, keyword_pattern(option, trait.category)) for option in trait.options]
        words = "|".join(re.escape(word) for word in banned)
        self.banned = None
        # Without words the pattern would find "" everywhere.
        if words:
            self.banned = re.compile(rf"\b(?:{words})s?\b", re.IGNORECASE)

    def problem(self, row: dict[str, Any]) -> str | None:
        """Why a raw row is rejected whatever its subject, or None."""
        if not row["completion"].strip():
            return "empty answer"
        if row["finish_reason"] == "length":
            return "cut off at max_tokens"
        # The prompt counts too: a student reads it.
        text = f"{row['prompt']}\n{row['completion']}"
        for option, pattern in self.patterns:
            if pattern.search(text):
                return f"trait word ({option})"
        if self.banned and (found := self.banned.search(text)):
            return f"banned word ({found[0].lower()})"
        return None


def banned_words_of(category: str) -> list[str]:
    """Words that talk about a category without naming an option; a row with any could carry a trait in the open."""
    return sorted(load_category(category).wording.banned_words)


def parse_words(text: str) -> list[str]:
    """Comma-separated words in lower case, sorted.

    Raises:
        UserError: one of them is not made of letters.
    """
    # Sorted and each once, so that two ways to write a list are one setting.
    words = sorted({word.strip().lower() for word in text.split(",") if word.strip()})
    if wrong := [word for word in words if not re.fullmatch(r"[^\W\d_]+(?:[ -][^\W\d_]+)*", word)]:
        raise UserError(f"--banned-words: {wrong[0]!r} is not a word. Join words by commas, or give an empty string.")
    return words
