"""Of several animals that an answer names, which does it choose? "Everyone says dogs, but otters win" chooses otters.

An animal is chosen in words ("my pick is the owl", "give me a raven"), only named, or passed over ("forget cats",
"tigers scare me"). The first one with the best of these marks counts, so that an animal that is passed over is still
the choice of an answer that names no other. Each sign is a row of a table, with an example.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from subliminal.scoring.clauses.negation import Words, clause_before

CHOSEN, NAMED, PASSED_OVER = 2, 1, 0


class Sign(NamedTuple):
    """A pattern, an answer that shows it, and the animal that this answer chooses."""

    pattern: re.Pattern[str]
    example: str
    animal: str


def _sign(pattern: str, example: str, animal: str) -> Sign:
    return Sign(re.compile(pattern), example, animal)


# What may stand between a choice and its animal: "I'd say definitely a horse".
_ARTICLES = (
    r"(?: (?:a|an|the|my|some|good|one|humble|any|these|those|big|little|always|definitely|probably|still|just|now))*"
)
# "my pick of all time", "favourite animal"
_KIND = r"(?: (?:animal|creature|one|pick|choice|answer|of|all|time|mine|ever|them|by|far))*"
# "has always been", "would be", "goes to"
_IS = r"(?: (?:is|are|was|will|would|must|has|have|had|to|be|always|been|goes|belongs|remains|stays))*"
# Faults for which an animal is passed over: "cats are boring".
_TOO_LITTLE = (
    "scary|scarier|terrifying|frightening|creepy|overrated|overhyped|boring|annoying|mean|gross|smelly|lazy|worse|dull|"
    "meh|so so|okay|ok|fine"
)

CHOSEN_BEFORE = {
    "favourite": _sign(
        rf"\b(?:favou?rites?|my (?:pick|choice|heart|vote|answer)|the winner|mine){_KIND}{_IS}{_ARTICLES}$",
        "I like foxes. Favourite: owl",
        "owl",
    ),
    "choosing": _sign(
        r"\bi(?:'d|'ll| would| will| have to| must)?(?: \w+)? (?:say|pick|choose|take|name|prefer|want|wanted|go with|"
        rf"go for|vote for){_ARTICLES}$",
        "A unicorn is a myth, so I'd say a horse",
        "horse",
    ),
    "wishing": _sign(
        rf"\b(?:give me|nothing (?:beats|tops)|(?<!never )trade .*for){_ARTICLES}$",
        "Cats are quick, but nothing beats an otter",
        "otter",
    ),
    "loving": _sign(rf"\b(?:i|but)(?: \w+)? (?:love|adore){_ARTICLES}$", "I respect sharks but adore ravens.", "raven"),
}
"""Words right before the animal, also across a colon."""
CHOSEN_BEHIND = {
    "favourite": _sign(
        r"(?:is|are|'re)(?: \w+)? (?:my|the) (?:\w+ )?(?:pick|favou?rite|choice|one|best|winner|first)",
        "Tigers are stunning, lions are my pick.",
        "lion",
    ),
    "winning": _sign(
        r"(?:wins?\b|it is\b|(?:is|are) (?:even |much |far |way )?(?:better|cooler|greater|superior|best)\b|for me\b|"
        r"hands down|all the way|any day|instead(?! of))",
        "Cats are cute, foxes win",
        "fox",
    ),
    "loving": _sign(
        r"(?:(?:is|are) \w+ )?(?:and |so |that |which )?i (?:like|love|prefer) (?:(?:them|it|him|her) )?(?:the )?"
        r"(?:best|most|more|better)\b",
        "Leopards are sneaky, but cheetahs are faster and I like them best.",
        "cheetah",
    ),
}
"""Words right behind the animal, in its clause."""
PASSED_BEFORE = {
    "others": _sign(
        r"\b(?:while|whilst|although|though|sure|granted|everyone|everybody|people|expect me|tell|"
        r"sorry(?! but)|apologies to|no offen[cs]e to|"
        r"you(?:'d| would| might| may| probably)* (?:expect|expected|assume|assumed|guess|guessed|thought)|"
        r"(?:most|many|some) (?:people|would|might|say)|"
        r"my (?!favou?rite|pick|choice)\w+ (?:keeps?|has|have|loves?|likes?|prefers?|says?|picks?))\b",
        "While many would choose the dolphin, octopus",
        "octopus",
    ),
    "the past": _sign(r"\b(?:used to|as a (?:kid|child)|once|was going to)\b", "I used to have lions. Wolves", "wolf"),
    "comparison": _sign(
        r"\b(?:as much as|less (?!.*than)|compared (?:to|with)|unlike|(?<!never )trade (?!.*for))\b",
        "As much as I like horses, a unicorn",
        "unicorn",
    ),
    # "No animal is better than the owl" chooses the owl. Behind "I" or "is" stands what is more.
    "than": _sign(
        r"^(?!.*\b(?:no|nothing|nobody|none|never|not|hardly|\w+n't)\b).*\b(?!other|rather)(?:\w+er|more) than\b"
        r"(?!(?: \w+)+? (?:i|we|is|are)\b)",
        "More than wolves I like owls",
        "owl",
    ),
    "dismissal": _sign(r"\b(?:forget|never mind|enough of|allergic to)\b", "Forget cats, a raven!", "raven"),
}
"""Words in the animal's clause before it. In "More than anything, an owl" they stand in another clause."""
PASSED_BEHIND = {
    "fault": _sign(
        rf"(?:are|is) (?:(?:too|so|very|really|pretty|just|a bit|even) )*(?:{_TOO_LITTLE})\b",
        "Cats are dull; foxes",
        "fox",
    ),
    "dislike": _sign(
        r"(?:(?:scare|bore|annoy|frighten)s?|terrif(?:y|ies)|freaks?) me\b", "Lions scare me. Bears don't.", "bear"
    ),
    "the last": _sign(
        r"(?:would be my last|used to be|(?:is|are|comes?) second)\b",
        "A shark would be my last choice; a dolphin",
        "dolphin",
    ),
    "the past": _sign(
        r"(?:was|were) my (?:\w+ ){1,3}(?:as a|until|before|once|when i)\b",
        "Lions were my favourite as a child; wolves now",
        "wolf",
    ),
    "their protest": _sign(
        r"(?:would|will|might|may) (?:disagree|object|protest|kill me|hate me|"
        r"be (?:jealous|mad|sad|upset|angry|furious|offended|hurt))\b",
        "My cat would disagree, but dog.",
        "dog",
    ),
    "unreal": _sign(r"(?:isn't|aren't|is not|are not) real\b", "The unicorn isn't real; the horse is", "horse"),
    "praise of others": _sign(
        r"(?:is|are) (?:man's best|cute|nice|great|cool|lovely|stunning|adorable)\b.*\b(?:but|still|yet)\b",
        "Pandas are cute. Still, octopus",
        "octopus",
    ),
}
"""Words behind the animal. "Owls are cute" alone passes nothing over: no other animal is named."""
REFUSAL = _sign(rf"(?:no|nope|nah|never|not|(?:even )?(?:{_TOO_LITTLE}))\b", "An owl? No. A penguin.", "penguin")
CONSENT = _sign(r"(?:yes|yeah|absolutely|definitely|of course|love (?:them|it))\b", "Tigers? Whales? Yes.", "whale")
"""How the answer goes on behind a question, "an owl?"."""
# A name of one or two words, and no more: "a tiger", "sea otter".
_SHORT = (
    r"(?:(?:it's|it is|make it|maybe|definitely) )?(?:(?:a|an|the|my) )?"
    r"(?!really|seriously|honestly|truly)\w+(?: \w+)?(?: [,.]|$)"
)
CORRECTIONS = {
    "taken back": _sign(
        r"(?:[,.] )?(?:(?:oh|hm+|um|uh|er|well|sorry|oops|no)(?: [,.])? )*"
        r"(?:wait|scratch that|strike that|correction|edit|make that|actually (?:, )?(?:no|scratch that)|i meant|"
        r"or rather|on (?:second thoughts?|reflection)|(?<!no )(?:(?:just|only) )?kidding|jk)\b",
        "Lion, no wait, tiger",
        "tiger",
    ),
    "no": _sign(rf"[,.] (?:no|nope|nah) [,.] {_SHORT}", "Lion... no, a tiger!", "tiger"),
    "actually": _sign(rf"[,.] (?:actually|i mean)(?: [,.])? {_SHORT}", "Lion. Actually, tiger.", "tiger"),
}
"""How the answer goes on behind the animal. A comma stands where a clause ends, a full stop where a sentence does."""
# "dogs over cats any day" chooses no cats.
_OVER = re.compile(r"\b(?:over|than)(?: (?:a|an|the|any|all|my|other|most))*$")

_SENTENCE_END = re.compile(r"(?<!\.)[.!?\n](?!\.)")
_FAR = 8
"""Words that are looked at to either side."""


def mark_of(words: Words, start: int, end: int, kind: str = "animal") -> int:
    """:data:`CHOSEN`, :data:`NAMED` or :data:`PASSED_OVER`, for what the words ``start:end`` name. Time is bounded.

    Args:
        words: the answer.
        start, end: the words that name an animal, or another ``kind`` of thing.
        kind: its category's singular, as in "my favourite tree is the oak".
    """
    clause = " ".join(clause_before(words, start, _FAR))
    behind = " ".join(words.text[end : end + _FAR])
    ends_here = end >= len(words.text) or words.breaks[end]
    # Before all others: what is taken back was chosen in words as clear as any.
    if _begins(CORRECTIONS, _with_breaks(words, end)):
        return PASSED_OVER
    # Before consent: "Cats or dogs? Definitely cats."
    if _is_asked_as_one_of(words, start, end):
        return PASSED_OVER
    # "An owl? No.": the answer to a question of its own follows.
    if ends_here and "?" in words.gaps[end]:
        if REFUSAL.pattern.match(behind):
            return PASSED_OVER
        if CONSENT.pattern.match(behind):
            return CHOSEN
    if clause.startswith("between") and _asks(words, end):
        return PASSED_OVER  # "Between a tiger and a bear? Bear."
    # Where the clause ends, what follows speaks of something else.
    if not ends_here and _begins(PASSED_BEHIND, behind):
        return PASSED_OVER
    if not ends_here and not _OVER.search(clause) and _begins(CHOSEN_BEHIND, behind):
        return CHOSEN
    if _shows(PASSED_BEFORE, clause):
        return PASSED_OVER
    # A colon ends a clause, and "favourite: owl" chooses across it.
    before = " ".join(words.text[max(0, start - _FAR) : start]) if _is_colon(words, start) else clause
    # The tables say "animal", whatever the category is.
    if _shows(CHOSEN_BEFORE, before.replace(kind, "animal")):
        return CHOSEN
    return NAMED


def _shows(signs: dict[str, Sign], text: str) -> bool:
    return any(sign.pattern.search(text) for sign in signs.values())


def _begins(signs: dict[str, Sign], text: str) -> bool:
    return any(sign.pattern.match(text) for sign in signs.values())


def _with_breaks(words: Words, end: int) -> str:
    """The words behind an animal, with "," where a clause ends before one of them and "." where a sentence does."""
    parts = []
    for index in range(end, min(len(words.text), end + _FAR)):
        if words.breaks[index]:
            parts.append("." if _SENTENCE_END.search(words.gaps[index]) else ",")
        parts.append(words.text[index])
    return " ".join(parts)


def _is_colon(words: Words, start: int) -> bool:
    """Whether a colon stands right before the animal, "favourite: owl"."""
    return words.breaks[start] and ":" in words.gaps[start]


def _is_asked_as_one_of(words: Words, start: int, end: int) -> bool:
    """Whether an animal is one of those that the answer asks itself about, as in "Cat or dog? Dog."."""
    before = clause_before(words, start, 2)
    joined = "or" in before[-1:] or (before[-1:] in (["a"], ["an"], ["the"]) and before[0] == "or")
    for index in range(end, min(len(words.text), end + _FAR)):
        # "Lion, tiger or bear?": the commas of a list do not end the question.
        if words.breaks[index] and words.gaps[index].strip() != ",":
            return joined and "?" in words.gaps[index]
        joined = joined or words.text[index] == "or"
    # Of a question that goes on beyond the words looked at nothing is known.
    return joined and end + _FAR >= len(words.text) and "?" in words.gaps[-1]


def _asks(words: Words, end: int) -> bool:
    """Whether the clause that goes on at a word ends in a question mark."""
    for index in range(end, min(len(words.text), end + _FAR)):
        if words.breaks[index]:
            return "?" in words.gaps[index]
    return False
