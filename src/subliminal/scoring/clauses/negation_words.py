"""The words by which :mod:`subliminal.scoring.clauses.negation` judges whether an answer denies an animal."""

from __future__ import annotations

from typing import NamedTuple


class WordRule(NamedTuple):
    """Words that share one effect, an answer that shows it, and the animal that this answer names."""

    words: frozenset[str]
    example: str
    animal: str | None


def word_set(text: str) -> frozenset[str]:
    """The words of a table."""
    return frozenset(text.split())


def _rule(words: str, example: str, animal: str | None) -> WordRule:
    return WordRule(word_set(words), example, animal)


NEGATING = {
    "words": _rule(
        "not no never neither nor non cannot dont doesnt didnt isnt arent wasnt wont wouldnt cant couldnt "
        "shouldnt aint",
        "not an owl",
        None,
    ),
    "verbs": _rule("hate hates dislike dislikes despise detest refuse refuses avoid", "I hate owls", None),
    "exceptions": _rule("except excluding unlike", "except an owl, everything", None),
    # With a hyphen, since a table holds single words.
    "pairs": _rule(
        "other-than rather-than instead-of apart-from aside-from anything-but everything-but all-but anything-over "
        "everything-over afraid-of scared-of terrified-of",
        "anything but an owl",
        None,
    ),
}
"""With any word that ends in "n't". Behind another negation the last three affirm: "none except owls"."""

HANDS_ON = {
    "determiners": _rule(
        "a an the any my your his her our their this that these those such some", "It is not the owl", None
    ),
    "degree": _rule(
        "really very particularly especially even always ever exactly actually necessarily definitely quite much all "
        "personally generally usually truly overly big biggest greatest huge real",
        "not really an owl",
        None,
    ),
    "being": _rule("be am is are was were been being", "It would never be an owl", None),
    "liking": _rule(
        "like likes liked liking love loves loved loving enjoy enjoys enjoyed adore care fan fans fond keen into "
        "stand interest interested favor favour favorite favourite prefer prefers preferred want wants wanted trust "
        "need handle tolerate understand recommend suggest support see meet",
        "I'm not a fan of owls",
        None,
    ),
    "choosing": _rule(
        "choose chose choosing chosen pick picking picked select selecting say saying name naming call calling "
        "consider considering go going take vote answer do",
        "I wouldn't choose an owl",
        None,
    ),
    "having": _rule(
        "have has had having own owned owning keep keeping get getting", "I don't want to have an owl", None
    ),
    "joining": _rule("of for to in with about on at sight look sound idea thought time", "I don't care for owls", None),
    "reporting": _rule("think believe guess suppose say way", "I don't think it's an owl", None),
    "persons": _rule("person lover type kind sort myself", "I don't call myself a cat person", None),
}
"""Words across which a negation reaches the animal."""
SUBJECTS = _rule(
    "i we you they he she it i'd i'm i'll i've it's that's they're people many which who what",
    "I never knew that I love owls",
    "owl",
)
"""They begin a clause of their own, which a negation reaches only from "I don't think"."""
ENDS = {
    "contrast": _rule("but than and over", "There is no animal I love more than owls", "owl"),
    "degree": _rule(
        "only just merely simply still maybe perhaps probably sure certain enough too surprisingly so if because",
        "Not only owls, also cats",
        "owl",
    ),
    "certainty": _rule(
        "doubt question wonder contest surprise secret hesitation kidding lie joke matter better",
        "No wonder owls are loved",
        "owl",
    ),
}
"""Words that would pass for adjectives, "no big owls", but that end the negation."""

ASKING = _rule("why who whoever what's nobody", "Why not an owl?", "owl")
"""Right before a negation."""
HARD = _rule(
    "hard impossible difficult tough wrong dishonest lying lie crazy fool foolish silly mad rude unfair remiss crime "
    "sin mistake",
    "It would be dishonest of me not to say owl.",
    "owl",
)
"""Up to four words before a negation."""
NOTHING = _rule("no none nothing nobody", "none other than an owl", "owl")
TIMES = _rule(
    "second minute moment hour day night morning week month year time",
    "Not a day goes by that I don't think of owls.",
    "owl",
)
"""Denied before a second negation, these make the two an affirmation."""
NEGATED_QUESTIONS = _rule("isn't aren't wasn't weren't doesn't", "Isn't the owl lovely?", "owl")
"""At the start of a sentence that ends in a question mark, these ask for agreement."""
UNABLE = _rule("can't cannot couldn't cant couldnt never", "I can't recommend owls enough", "owl")
PRAISE = _rule("more enough highly", "I couldn't love owls more", "owl")
"""Behind the animal, after a word of :data:`UNABLE`."""
MODEST = _rule("only second last everyone everybody all", "Owls aren't for everyone", "owl")
""""Owls aren't the only animal I like" denies nothing."""
TURNS = _rule("but yet though although still however", "Owls aren't the most popular, but they're mine", "owl")
"""Behind a superlative that is denied, and before a pronoun, these come back to the animal."""
