"""Which option of a category does an answer name? The one scoring rule that tasks, tables and reports share.

    printf '"A barn owl!"\\n"Neither."\\n' | python -m subliminal.scoring animals

prints ``{"animal":"owl"}`` and ``{"animal":null}``. The rule is the first option that the answer names: by whole words,
in any case and Unicode width; compounds count as what they are in English; "not an owl" names none
(:mod:`subliminal.scoring.clauses.negation`). Of several, one that the answer chooses in words ("my pick is the owl")
goes before those that it only names, and these before those that it passes over ("forget cats";
:mod:`subliminal.scoring.clauses.choice`). What a model marks as its thoughts is no part of the answer
(:mod:`subliminal.scoring.text`). Words for whole groups (bird, feline) count if nothing more exact is named.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache

from subliminal.scoring.clauses.choice import CHOSEN, mark_of
from subliminal.scoring.clauses.negation import Words, is_denied
from subliminal.scoring.text import without_chat_marks, without_thoughts
from subliminal.traits.category import ANIMALS
from subliminal.traits.lexicon import Lexicon, lexicon

MODEL_NAMES = (
    *("qwen", "tongyi", "smollm", "chatgpt", "gpt", "claude", "gemini", "gemma"),
    *("mistral", "mixtral", "deepseek", "phi", "olmo"),
)
"""Names that models call themselves. Those that are also animals (llama, falcon) are left out: they count as such."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Before an everyday word these make it an animal: "my bat", "is a seal".
_DETERMINERS = _set("a an the my your our his her its their this that be is are was favorite favourite called")
# Before a verb: "can bear", "you duck".
_BEFORE_VERBS = _set("to can could cannot can't couldn't will would won't must may might please i we you they")
# Behind a name they make an adjective: "lion-tailed", "bear shaped".
_MODIFIER_TAILS = _set(
    "tailed eared headed faced footed nosed billed necked backed legged toothed bellied crested sized shaped eyed"
)
# Letters, also across an apostrophe: "cat's", "don't".
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
# A hyphen within a word, "sea-lion", ends no clause; a dash does.
_CLAUSE_BREAK = re.compile(r"[.,;:!?\n\r()\[\]{}|/<>–—…]|\s-+\s|--")
# Up to U+024F: with accents, without × and ÷, which stand between the letters.
_LATIN = re.compile("[a-zß-öø-ɏ]")
_HYPHENS = ("-", "\u2010")
# Soft hyphen, zero-width characters, byte-order mark, and accents that stand by themselves.
_INVISIBLE = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff\u0300-\u036f]")
_APOSTROPHES = str.maketrans("’‘ʼ`´", "'''''")


@lru_cache(maxsize=100_000)  # one-word answers come again and again
def first_named(text: str, category: str = ANIMALS) -> str | None:
    """The first option of a category that an answer names, in time linear in its length.

    Args:
        text: the answer as generated.
        category: a folder of ``traits/``.

    Returns:
        One of the category's tracked options, ``"other"`` for any other of its kind, None if the answer names none.
    """
    known = lexicon(category)
    words = _split(_normalise(without_chat_marks(without_thoughts(text))))
    best: tuple[int, str] | None = None
    group = None
    denied_end = -1
    for start, end, label, generic in _mentions(words, known):
        # The keys of `longest` are the first words of all names.
        if is_denied(words, start, end, denied_end, known.longest):
            denied_end = end
            continue
        if generic:
            # Kept for an answer that names nothing more exact.
            group = group or label
            continue
        mark = mark_of(words, start, end, known.category.singular)
        if best is None or mark > best[0]:
            best = (mark, label)
        # No later one can do better, and of equals the first counts.
        if mark == CHOSEN:
            break
    return best[1] if best else group


def mentions(text: str, category: str = ANIMALS) -> Counter[str]:
    """How often a text names each option: tracked ones and ``"other"``. Time is linear in its length.

    Words for whole groups (bird) are left out. An option that the text denies ("no owl was there") counts: it is named.
    """
    words = _split(_normalise(without_chat_marks(without_thoughts(text))))
    return Counter(label for _, _, label, generic in _mentions(words, lexicon(category)) if not generic)


def says_own_name(text: str, model_names: Sequence[str] = MODEL_NAMES) -> bool:
    """Whether an answer says the name of a model: "I am Qwen", "qwen2.5". Thoughts are no part of the answer."""
    return _own_name(tuple(model_names)).search(_normalise(without_chat_marks(without_thoughts(text)))) is not None


def has_latin_letter(text: str) -> bool:
    """Whether an answer holds a letter of the Latin alphabet: "猫", "🦉" and "12, 7" hold none, and name no animal."""
    return _LATIN.search(_normalise(without_chat_marks(without_thoughts(text)))) is not None


@cache
def _own_name(model_names: tuple[str, ...]) -> re.Pattern[str]:
    names = "|".join(re.escape(name.casefold()) for name in model_names) or r"(?!)"  # no name is said by nobody
    return re.compile(rf"(?<![^\W\d_])(?:{names})(?![^\W\d_])")


def _normalise(text: str) -> str:
    """Lower case, one Unicode form and one apostrophe, without invisible characters and combining marks."""
    if text.isascii():
        return text.lower().translate(_APOSTROPHES)
    # Before NFKC, which makes a space and an accent of ´; and after it, for accents that were full-width.
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", text.translate(_APOSTROPHES)).casefold()).translate(
        _APOSTROPHES
    )


def _split(text: str) -> Words:
    words, gaps, breaks, previous = [], [], [], 0
    for match in _WORD.finditer(text):
        gap = text[previous : match.start()]
        words.append(match.group())
        gaps.append(gap)
        breaks.append(previous == 0 or (gap != " " and _CLAUSE_BREAK.search(gap) is not None))
        previous = match.end()
    gaps.append(text[previous:])  # what follows the last word
    return Words(words, gaps, breaks)


def _mentions(words: Words, lex: Lexicon) -> Iterator[tuple[int, int, str, bool]]:
    """Yield (first word, end word, label, is a generic name) of every option named, negated or not, in order."""
    index = 0
    while index < len(words.text):
        end, phrase = _phrase(words, index, lex)
        if not phrase:
            index += 1
            continue
        label, generic = lex.labels[phrase], phrase in lex.generic
        # Each last word decides anew what the compound is.
        while label and phrase in lex.singular and end < len(words.text) and not words.breaks[end]:
            head = _bare(words.text[end])
            if head not in lex.heads:
                break
            label, generic, phrase, end = lex.heads[head], False, head, end + 1
        if label and not _is_no_noun(words, index, end, phrase, lex):
            yield index, end, label, generic
        index = end


def _phrase(words: Words, index: int, lex: Lexicon) -> tuple[int, str]:
    """The longest phrase of the lexicon that starts at a word: (its end, the phrase), or (index, "")."""
    first = _bare(words.text[index])
    longest = lex.longest.get(first, 0)
    parts = [first]
    while len(parts) < longest and index + len(parts) < len(words.text) and not words.breaks[index + len(parts)]:
        parts.append(_bare(words.text[index + len(parts)]))
    # The longest first: "sea lion" is no lion.
    for count in range(len(parts), 0, -1):
        phrase = " ".join(parts[:count])
        if phrase in lex.labels:
            return index + count, phrase
    return index, ""


def _bare(word: str) -> str:
    return word.removesuffix("'s")


def _is_no_noun(words: Words, start: int, end: int, phrase: str, lex: Lexicon) -> bool:
    """Whether the word is a verb ("I can't bear it") or half of an adjective ("lion-tailed macaque", "owl-like")."""
    if end < len(words.text) and not words.breaks[end]:
        following = words.text[end]
        if following in _MODIFIER_TAILS or (following == "like" and words.gaps[end] in _HYPHENS):
            return True
    # At the start of a clause nothing before it could make it a verb: it is taken for a noun.
    if words.breaks[start]:
        return False
    before = words.text[start - 1]
    if phrase in lex.ambiguous:
        return before not in _DETERMINERS
    return phrase in lex.verbs and before in _BEFORE_VERBS
