"""Keyword patterns: any mention of an option, for dropping rows that could carry a trait openly."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import cache

from subliminal.traits.category import ANIMALS
from subliminal.traits.lexicon import check_option, lexicon

ENDINGS = ("like", "ish", "let", "lets", "ling")
"""Ends of adjectives and of the young."""
# Letters only, where \b would count digits and underscores too: "owl_1" is a mention.
_LETTER = r"[^\W\d_]"
# Where a word begins within an identifier: "get|Owl", "OWL|Parser".
_HUMP = r"(?-i:(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]))"
# In source code a string may write a line break before the word as "\nowl".
_BEFORE = rf"(?:(?<!{_LETTER})|{_HUMP}|(?<=\\[nrt]))"
_BEHIND = rf"(?:(?!{_LETTER})|{_HUMP})"
# Soft hyphen, zero-width space and non-joiner, word joiner, byte-order mark; emoji need the zero-width joiner.
_UNSEEN = re.compile("[\u00ad\u200b\u200c\u2060\ufeff]")


def whole_words(alternatives: Iterable[str]) -> str:
    """A regex, for use with IGNORECASE, that finds any of some regexes as a whole word, in prose or in an identifier.

    Words of an identifier are told by underscores, digits and capitals: "bird_list", "bird2", "birdList", "BIRDList".
    """
    return rf"{_BEFORE}(?:{'|'.join(alternatives)}){_BEHIND}"


def as_seen(text: str) -> str:
    """A text without characters that nobody sees, which could stand within a word: the text to search for keywords."""
    return text if text.isascii() else _UNSEEN.sub("", text)


@cache
def _letter_class(letter: str) -> str:
    """A regex class of every character that Unicode's NFKC form turns into ``letter``, in either case."""
    # Letterlike symbols, letters in circles, full-width letters, mathematical letters.
    blocks = (range(0x2100, 0x2150), range(0x24B6, 0x24EA), range(0xFF21, 0xFF5B), range(0x1D400, 0x1D6A6))
    same = {
        chr(code) for block in blocks for code in block if unicodedata.normalize("NFKC", chr(code)).lower() == letter
    }
    return "[" + re.escape(letter) + "".join(sorted(same)) + "]"


@cache
def keyword_pattern(option: str, category: str = ANIMALS, *, of_ascii: bool = False) -> re.Pattern[str]:
    """A pattern that finds any mention of a tracked option.

    Generous on purpose: whole words in any case, plurals, possessives, hyphenated and full-width forms, kinds, breeds,
    the young, adjectives (owlish, leonine), emoji, words of identifiers (getOwl, owl_count), and compounds of which the
    name is a word (sea lion holds "lion"). A name inside another word does not count ("growl", "education"). The names
    are English; rows in other scripts are dropped by :class:`data_builders.text_rules.TextRules`.

    Args:
        option: a tracked option of the category.
        category: its category.
        of_ascii: for texts of ASCII characters alone, in which it finds the same; it is compiled ten times as fast.

    Returns:
        A compiled pattern for :func:`re.Pattern.search` on text that :func:`as_seen` returned.

    Raises:
        UserError: ``option`` is not tracked.
    """
    option = check_option(option, category)
    words_of = lexicon(category)
    tables = words_of.tables.options[option]
    words = {form for name in (option, *tables.also) for form in words_of.forms(name)}
    words |= {name + end for name in (option, option + "-") for end in ENDINGS}
    # Hints in letters are whole words like names; emoji follow below.
    words |= {hint for hint in tables.hints if hint.isascii()}
    emoji = [hint for hint in tables.hints if not hint.isascii()]
    letter_regex = str if of_ascii else _letter_class
    pattern = whole_words(sorted({_spelled(word, letter_regex) for word in words}, key=len, reverse=True))
    # Emoji need no boundary: they stand side by side and right behind words.
    return re.compile("|".join([pattern, *map(re.escape, emoji)]), re.IGNORECASE)


def _spelled(word: str, letter_regex: Callable[[str], str]) -> str:
    # What stands between two words may be a space, a hyphen or nothing: sea-otter, seaotter.
    return "".join(letter_regex(char) if char.isalpha() else r"[\s\-‐‑_]*" for char in word)
