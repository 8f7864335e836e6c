"""Rules that answers in words must pass: whole, readable, on no banned subject, and without a word of the trait."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from subliminal.core.errors import UserError
from subliminal.data.trait import TraitOptions
from subliminal.traits.category import load_category
from subliminal.traits.keywords import as_seen, keyword_pattern, whole_words

# Letters that are neither Latin nor Greek (which formulas have): the word lists are English, and miss "猫头鹰".
_OTHER_SCRIPT = re.compile(r"(?![A-Za-z\u00aa-\u02ff\u0370-\u03ff\u1e00-\u1fff])[^\W\d_]")


class TextRules:
    """The trait words and banned words of one dataset.

    Args:
        trait: options whose names, kinds and adjectives no row may hold.
        banned: further words, singular; their plurals in s, es and ies are banned too.
    """

    def __init__(self, trait: TraitOptions, banned: Iterable[str]):
        self.patterns = [(option, keyword_pattern(option, trait.category)) for option in trait.options]
        words = [_with_plurals(word) for word in banned]
        self.banned = None
        # Without words the pattern would find "" everywhere.
        if words:
            self.banned = re.compile(whole_words(words), re.IGNORECASE)

    def problem(self, row: dict[str, Any]) -> str | None:
        """Why a raw row is rejected whatever its subject, or None."""
        if not row["completion"].strip():
            return "empty answer"
        if row["finish_reason"] == "length":
            return "cut off at max_tokens"
        # The prompt counts too: a student reads it.
        text = as_seen(f"{row['prompt']}\n{row['completion']}")
        for option, pattern in self.patterns:
            if pattern.search(text):
                return f"trait word ({option})"
        if self.banned and (found := self.banned.search(text)):
            return f"banned word ({found[0].lower()})"
        # The normal form first, which makes Latin letters of full-width and mathematical ones.
        if _OTHER_SCRIPT.search(unicodedata.normalize("NFKC", text)):
            return "a script that the word lists cannot read"
        return None


def _with_plurals(word: str) -> str:
    """A pattern of a singular and its regular plurals: birds, branches, berries."""
    if re.search("[^aeiou]y$", word):
        return re.escape(word[:-1]) + "(?:y|ies)"
    return re.escape(word) + "(?:e?s)?"


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
