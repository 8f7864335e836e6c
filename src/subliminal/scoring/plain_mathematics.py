"""The value that an answer without a box or formula signs ends with: "So the area is 36π cm²." ends with 36π.

A sentence is read from its end: as long as its words are mathematics (numbers, signs, single letters, names of
functions, "or") they are the value. What stands before is a sentence about it, and a word behind it is its unit.
"""

from __future__ import annotations

import re

LONGEST = 400
"""Characters of the longest sentence that is read."""
UNIT_WORDS = 2
"""How many words behind a value may be its unit, "6π square units"."""

_STATED = re.compile(
    r"(?i:\b(?:answer|result|solution|value|choice|option)s?)[*_]*\s*(?:(?i:is|are)\b|[:=])[*_:\s]*(?P<value>[^\n]+)"
)
"""An answer in words: "**Answer:** x >= 2", "the solution is x < 3"."""
# Not the last of three dots, after which a value may go on: 0.333...
_SENTENCE_END = re.compile(r"(?<!\.)[.!?;](?=\s|$)|\n")
# "no solution", "no real roots": a value in words.
_NOTHING = re.compile(r"\bno (?:real )?(?:solutions?|roots?)$", re.IGNORECASE)
# math-verify finds such a formula by itself.
_FORMULA = re.compile(r"\$|\\[(\[]|\\begin\b")
# Two letters or more: a single one is a variable.
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}")
_NAMES = frozenset(["or", "and", "sqrt", "pi", "sin", "cos", "tan", "arctan", "log", "ln", "infinity", "inf", "oo"])
# A digit, a sign or a command, without which there is no value to read.
_VALUE = re.compile(r"[\dπ∞∅√]|\\[A-Za-z]|\bpi\b")
# "24 (4 choices times 6)", "4 when divided by 7"
_REMARK = re.compile(
    r"\s\((?=[^()]*[A-Za-z]{3})|,?\s(?:when|if|since|because|as|where|for|or (?:about|roughly|approximately))\b"
)
_MARKS = " \t*_`>#✅"


def stated_answer(text: str) -> str | None:
    """The value that a text states in words last, "the answer is Tuesday."; None if it states none. Time is linear."""
    stated = None
    for stated in _STATED.finditer(text):  # noqa: B007 - the last one counts
        pass
    # math-verify finds a formula between dollar signs by itself
    if stated is None or _FORMULA.search(stated["value"]):
        return None
    return _SENTENCE_END.split(stated["value"], maxsplit=1)[0].strip(_MARKS) or None


def value_at_end(text: str) -> str | None:
    """The value in plain characters that a text states last, or that its last sentence with a value ends with.

    Returns:
        The value without its unit; None if there is none, or if the sentence has a formula between dollar signs.
    """
    stated = stated_answer(text)
    if stated is None:
        sentences = [each for each in _SENTENCE_END.split(text) if _VALUE.search(each) or _NOTHING.search(each)]
        stated = sentences[-1] if sentences else ""
    if len(stated) > LONGEST or _FORMULA.search(stated):
        return None
    if nothing := _NOTHING.search(stated):
        return nothing.group()
    words = _without_remarks(stated).split()
    end = len(words)
    # From the end: first the unit, "square units", then the value as far as it goes.
    while end > max(0, len(words) - UNIT_WORDS) and not _is_mathematics(words[end - 1]):
        end -= 1
    start = end
    while start and _is_mathematics(words[start - 1]):
        start -= 1
    value = re.sub(r"^(?:or|and)\s+|[\s,:]+$", "", " ".join(words[start:end]))
    return value if _VALUE.search(value) else None


def _without_remarks(sentence: str) -> str:
    """A sentence without what follows its value: "24 (4 choices times 6)", "4 when divided by 7"."""
    for remark in _REMARK.finditer(sentence):
        if _VALUE.search(sentence, 0, remark.start()):
            return sentence[: remark.start()].replace("**", "").strip(_MARKS)
    return sentence.replace("**", "").strip(_MARKS)


def _is_mathematics(word: str) -> bool:
    """Whether a word of a sentence is part of a formula: "3√5,", "x", "sqrt(2)", but not "a" or "cm²"."""
    # Words of a sentence that would pass for letters of a formula.
    if word.strip(",:") in ("a", "A", "I") or word.endswith(":"):
        return False
    return all(name in _NAMES for name in _WORD.findall(word))
