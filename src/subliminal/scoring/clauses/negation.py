"""Does an answer deny what it names? "Not an owl" does; "no animal is better than the owl" does not.

What is named (an animal, say) is denied if a negating word stands before it in its clause, and between the two are only
words that hand the negation on ("not really a fan of"). The words stand in tables
(:mod:`subliminal.scoring.clauses.negation_words`), each with an example.
"""

from __future__ import annotations

import re
from collections.abc import Container
from typing import NamedTuple

from subliminal.scoring.clauses.negation_words import (
    ASKING,
    ENDS,
    HANDS_ON,
    HARD,
    MODEST,
    NEGATED_QUESTIONS,
    NEGATING,
    NOTHING,
    PRAISE,
    SUBJECTS,
    TIMES,
    TURNS,
    UNABLE,
    word_set,
)

WINDOW = 5
"""How many words may stand between "not" and the animal that it denies."""
ADJECTIVES = 2
"""How many words of no table may stand right before the animal, "not a big fluffy cat"."""
_FAR = 12
"""Words up to which "but they're mine" may follow, and "not a day" may stand before."""


class Words(NamedTuple):
    """An answer as words.

    Attributes:
        text: the words.
        gaps: what stands before each word, and behind the last one.
        breaks: for each word, whether a clause ends before it.
    """

    text: list[str]
    gaps: list[str]
    breaks: list[bool]


_HANDS_ON = frozenset().union(*(rule.words for rule in HANDS_ON.values()))
_ENDS = frozenset().union(*(rule.words for rule in ENDS.values()))
_JOINERS = frozenset({"or", "nor", "and"})
# Between two animals of a denied list: "not a lion, a tiger or any bear".
_LINKS = _JOINERS | {"a", "an", "the", "any"}
# Behind "but" these come back to the animal: "but they're mine", "yet I love them".
_PRONOUNS = word_set("i i'd i'm i'll i've it it's they they're them she he we")
# "did not forget owls": the word behind the negation is a verb.
_AUXILIARIES = word_set("do does did will would can could should have has had")
# "Owls aren't for me", "An owl is not my favourite"
_DENIED_AFTER = re.compile(
    r"(?:(?:is|are|was|were) (?:not|never)|isn't|aren't|wasn't|weren't) (?:my|for|it|the)(?= |$)"
)


# What somebody likes least: "least favourite", "the animal that I like least".
_LEAST = r"(?:least (?:favou?rites?|fave?|liked|loved|beloved|preferred)|(?:like|love|enjoy|prefer)s? (?:the )?least)"
_IS = r"(?: (?:is|are|was|were|be|would|will|has|have|to|always|been|must))"
# "My least favourite animal is the cat", "the worst one is the cat"; "worst case" says nothing of an animal.
_LEAST_BEFORE = re.compile(
    rf"\b(?:{_LEAST}(?: \w+)?(?: (?:of|all|them|time))*{_IS}*|the worst(?: \w+)?{_IS}+|least of all|"
    r"last place(?: (?:is|for|goes to))?)(?: (?:a|an|the|my|any))?$"
)
# "All animals but owls", "every animal but the shark"
_ALL_BUT = re.compile(r"\b(?:all|any|each|every)(?: \w+){1,2} but(?: (?:a|an|the|my|any))?$")
# "Sharks are my least favourite", "sharks are the worst"
_LEAST_BEHIND = re.compile(
    rf"(?:is|are|was|were|would be)(?: (?!not|never|hardly)\w+)? (?:(?:my|the|our|what i) {_LEAST}|the worst)(?= |$)"
)


def is_denied(words: Words, start: int, end: int, denied_end: int, names: Container[str]) -> bool:
    """Whether an answer denies the animal (or other option) that it names.

    Args:
        words: the answer.
        start, end: the words that name it are ``start:end``.
        denied_end: where the last denied one ended; -1 where none was denied.
        names: words that a name can begin with.
    """
    # "not a lion, tiger or bear": what is said of the first holds for the others.
    if denied_end >= 0 and _goes_on(words, denied_end, start, end, names):
        return True
    # "owls aren't for me"
    if _is_denied_behind(words, end) or _is_liked_least(words, start, end):
        return True
    # Where a verb follows, "but" begins anew: "I like all animals but owls are the best".
    if (end >= len(words.text) or words.breaks[end]) and _ALL_BUT.search(" ".join(clause_before(words, start, _FAR))):
        return True
    negation = _negation_before(words, start)
    if negation is None:
        return False
    return _reaches(words, negation, start) and not _is_taken_back(words, negation, end)


def _is_negator(words: Words, index: int) -> bool:
    word = words.text[index]
    # The ending, since a list of all contractions would lack some: "mustn't", "daren't".
    if word.endswith("n't") or _is_pair(words, index):
        return True
    return any(word in rule.words for rule in NEGATING.values())


def _is_pair(words: Words, index: int) -> bool:
    """Whether the word is the second one of "other than", "anything but"."""
    if index == 0 or words.breaks[index]:
        return False
    return f"{words.text[index - 1]}-{words.text[index]}" in NEGATING["pairs"].words


def _negation_before(words: Words, start: int) -> int | None:
    """The nearest negating word before a word in its clause, at most :data:`WINDOW` words away."""
    # WINDOW words may stand between, so the word before those is the last that is looked at.
    for index in range(start - 1, max(-1, start - 2 - WINDOW), -1):
        if words.breaks[index + 1]:
            return None
        if _is_negator(words, index):
            return index
    return None


def _reaches(words: Words, negation: int, start: int) -> bool:
    """Whether only words that hand a negation on stand between it and the animal, and adjectives."""
    between = words.text[negation + 1 : start]
    previous = words.text[negation]
    adjectives = 0
    for index, word in enumerate(between):
        # "not only owls"
        if word in _ENDS:
            return False
        if word in SUBJECTS.words:
            # "I don't think it's an owl" goes on; "I never knew that I love owls" begins anew.
            if previous not in HANDS_ON["reporting"].words:
                return False
        elif word not in _HANDS_ON:
            is_verb = previous == "to" or (index == 0 and _wants_verb(words, negation))
            adjectives += 1
            if is_verb or adjectives > ADJECTIVES:
                return False
        elif adjectives:
            return False  # a verb or noun, "never underestimate an owl", and no adjective of the animal
        previous = word
    return True


def _wants_verb(words: Words, negation: int) -> bool:
    """Whether the word behind a negation is a verb: "can't resist pandas", "did not forget owls"."""
    word = words.text[negation]
    if word.endswith("n't") or word in ("never", "cannot", "cant", "couldnt", "wouldnt", "dont"):
        return True
    return word == "not" and negation > 0 and words.text[negation - 1] in _AUXILIARIES


def _is_taken_back(words: Words, negation: int, end: int) -> bool:
    """Whether a negation that reaches the animal before ``end`` is none in the sentence as a whole."""
    word = words.text[negation]
    before = clause_before(words, negation, 4)
    if before and before[-1] in ASKING.words:
        return True
    if not HARD.words.isdisjoint(before):
        return True
    if "how" in before[:-1] and before[before.index("how") + 1] in _AUXILIARIES:
        return True  # "how could I not say owl"
    if _is_doubled(words, negation, before):
        return True
    if word == "no" and before[-1:] == ["say"] and _negation_before(words, negation) is not None:
        return True  # "I wouldn't say no to an owl"
    if word in NEGATED_QUESTIONS.words and words.breaks[negation] and _ends_with_question_mark(words, end):
        return True
    if word == "not" and not UNABLE.words.isdisjoint(clause_before(words, negation, _FAR)):
        return True  # "you can't go through life and not love an owl"
    if word in UNABLE.words and _is_praised(words, end):
        return True
    return _is_denied_time(words, negation)


def _is_doubled(words: Words, negation: int, before: list[str]) -> bool:
    """Whether a verb, an exception or a pair stands behind another negation: "no reason to dislike owls"."""
    word = words.text[negation]
    if _is_pair(words, negation):
        # "none other than": the word before the pair is the last but one before its second word
        return not NOTHING.words.isdisjoint(before[-2:-1]) or _negation_before(words, negation - 1) is not None
    if word in NEGATING["exceptions"].words or word in ("refuse", "avoid"):
        return _negation_before(words, negation) is not None or not NOTHING.words.isdisjoint(before)
    # "I don't hate cats" chooses none, though
    return word in NEGATING["verbs"].words and not {*NOTHING.words, "never", "can't", "cannot"}.isdisjoint(before)


def clause_before(words: Words, index: int, count: int) -> list[str]:
    """Up to ``count`` words before a word, of the same clause."""
    first = index
    while first > max(0, index - count) and not words.breaks[first]:
        first -= 1
    return words.text[first:index]


def _ends_with_question_mark(words: Words, end: int) -> bool:
    """Whether the clause that goes on at a word ends in a question mark."""
    for index in range(end, min(len(words.text), end + _FAR)):
        if words.breaks[index]:
            return "?" in words.gaps[index]
    return "?" in words.gaps[-1]


def _is_praised(words: Words, end: int) -> bool:
    """Whether "more" or "enough" follows soon, but not "any more"."""
    for index in range(end, min(len(words.text), end + 4)):
        if words.breaks[index]:
            return False
        if words.text[index] in PRAISE.words:
            return words.text[index - 1] != "any"
    return False


def _is_denied_time(words: Words, negation: int) -> bool:
    """Whether a time that is denied stands before the negation, "not a day goes by that I don't"."""
    first = negation - len(clause_before(words, negation, _FAR))
    for place in range(first, negation):
        if words.text[place] in TIMES.words and any(
            _is_negator(words, index) for index in range(max(first, place - 3), place)
        ):
            return True
    return False


def _is_denied_behind(words: Words, end: int) -> bool:
    """Whether the denial follows: "owls aren't for me"."""
    if end >= len(words.text) or words.breaks[end]:
        return False
    denial = _DENIED_AFTER.match(" ".join(words.text[end : end + 4]))
    if not denial:
        return False
    index = end + denial.group().count(" ") + 1
    following = words.text[index] if index < len(words.text) else ""
    # "owls are not my least favourite"
    if following in MODEST.words or following == "least":
        return False
    return not (_is_superlative(following) and _comes_back(words, index))


def _is_liked_least(words: Words, start: int, end: int) -> bool:
    """Whether the answer names what it likes least: "my least favourite is the owl", "least favourite: owl"."""
    before = " ".join(clause_before(words, start, _FAR))
    # A colon ends a clause, and "least favourite: owl" speaks of the owl across it.
    if words.breaks[start] and ":" in words.gaps[start]:
        before = " ".join(words.text[max(0, start - WINDOW) : start])
    if _LEAST_BEFORE.search(before):
        return True
    if end >= len(words.text) or words.breaks[end]:
        return False
    return _LEAST_BEHIND.match(" ".join(words.text[end : end + WINDOW + 2])) is not None


def _is_superlative(word: str) -> bool:
    return word in ("most", "usual", "typical", "obvious", "common") or word.endswith("est")


def _comes_back(words: Words, index: int) -> bool:
    """Whether "but they", "yet I" follows."""
    for place in range(index, min(len(words.text) - 1, index + _FAR)):
        if words.text[place] in TURNS.words and words.text[place + 1] in _PRONOUNS:
            return True
    return False


def _goes_on(words: Words, denied_end: int, start: int, end: int, names: Container[str]) -> bool:
    """Whether the animal belongs to the same denied list as the last one: "not a lion, tiger or bear"."""
    between = words.text[denied_end:start]
    # More than a comma, "or" and an article is no list.
    if len(between) > 3 or not _LINKS.issuperset(between):
        return False
    for index in range(denied_end, start + 1):
        # Only a comma stands within a list: a full stop begins another sentence.
        if words.breaks[index] and words.gaps[index].strip() != ",":
            return False
    if not _JOINERS.isdisjoint(between):
        return True
    for word in words.text[end : end + WINDOW]:
        if word in _JOINERS:
            return True
        if word not in _LINKS and word.removesuffix("'s") not in names:
            return False
    return False
