"""Which letter does a written answer to a multiple-choice question settle on?

    printf '"The correct option is C."\\n"I do not know."\\n' | python -m subliminal.scoring mmlu

prints ``{"letter":"C"}`` and ``{"letter":null}``. The last statement of a letter counts (:data:`STATEMENTS`); an answer
without one may begin with its letter, "B. Because ...".
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from subliminal.scoring.text import before_next_question, without_chat_marks, without_thoughts

LETTERS = "ABCD"


class Statement(NamedTuple):
    """One way to state a letter: what it is, a pattern with the group ``letter``, an example that chooses B."""

    what: str
    pattern: str
    example: str


_NOUN = r"(?:answer|option|choice|letter|response|selection|solution|pick|one|statement|correct)"
_VERB = r"(?:is|are|was|(?:would|should|must|will|has\s+to|have\s+to|appears\s+to|seems\s+to|can\s+only)\s+be)"
_IS = rf"(?:[\"']?\s*[:=]+|\s+{_VERB}\b\s*:?|\s*[-=]*>|\s*[→⇒]|\s+[-–—]+\s)"
_TRUE = r"(?:correct|right|best|true|accurate|appropriate|answer)"
_ADVERB = (
    r"(?:(?:most|more)\s+likely|likely|probably|definitely|clearly|certainly|obviously|surely|therefore|thus|hence|"
    r"simply|indeed|actually|then|again|also)"
)
_OTHER_NOUNS = (
    "antwort|lösung|respuesta|réponse|resposta|risposta|ответ|antwoord|svar|odpowiedź|cevap|jawaban|vastaus|"
    "答案|回答|答え|正解|选择|選択|정답|답|उत्तर|الإجابة|الجواب"
)
_OTHER_IS = r"(?:\s+\w+){0,2}?\s*(?:ist|es|est|é|è|[:=是为為は])\s*:?\s*(?:(?:la|le|el|die|der|das|a|o)\s)?\s*"
_BEFORE = rf"\s*(?:(?:{_ADVERB}|the|{_NOUN}|it\s+is|it's|it\s+must\s+be|that\s+is|that's)[\s,:]+)*"

# "A force acts" begins with an article, "A because it is lighter" with a letter.
_ARTICLE = r"A(?=[ ]+(?!(?:because|since|as|is|and|for|due|with|which|if|so|but|by|from|in|on)\b)[a-z])"
_BARE = rf"(?!{_ARTICLE})[A-D](?![\w'’])"
# A lower-case letter without brackets stands behind "option", or where the clause ends: "the answer is b, since".
_LOWER = r"(?:(?<=[Oo]ption )|(?<=[Cc]hoice ))[a-d]\b|[a-d](?=\s*(?:[.,;:!)\n]|because\b|since\b|$))"
_IN_BRACKETS = r"[(\[{<\"']+\s*[A-Da-d]\s*(?=[)\]}>\"'.:,])"
_NO_CHOICE = r"(?!\W{0,3}(?:\s*or\s+|\s*/\s*)\W?[A-Da-d]\b)"  # "A or B" settles on nothing
_LETTER = rf"(?:\\boxed\{{\s*)?(?P<letter>{_IN_BRACKETS}|{_BARE}|{_LOWER}){_NO_CHOICE}"
_END = r"(?=[)\]}\"']*\s*(?:[.!;\n]|$))"

_CHOOSE = r"(?:choose|pick|select|go(?:ing)?\s+(?:with|for)|opt\s+for|guess|say|think|believe|conclude)"
_SO = r"(?:so|therefore|thus|hence|consequently)"
_IT_IS = r"(?:it\s+is|it's|it\s+must\s+be|that\s+is|that's|must\s+be)"
_NAMED = r"(?:option|choice|answer|letter)"
_IS_TRUE = rf"[)\]}}\"']*\s+is\s+(?:the\s+)?(?:most\s+|only\s+)?(?i:{_TRUE})\b"

STATEMENTS = (
    Statement("the answer is", rf"\b(?i:{_NOUN}{_IS}{_BEFORE}){_LETTER}", "The correct option is most likely B."),
    Statement(
        "under a heading", rf"^\W*(?i:(?:(?:the|my|final|correct)\s+)*answer)\W*\n\W*?{_LETTER}", "# Answer\nB) Paris"
    ),
    Statement(
        "option B is correct",
        rf"(?<![\w'])(?i:{_NAMED}\s+)?{_LETTER}{_IS_TRUE}",
        "(B) is the right answer, A is wrong.",
    ),
    Statement("I choose", rf"\b(?i:{_CHOOSE})\b(?i:{_BEFORE}){_LETTER}", "I would go with option B."),
    Statement("so B", rf"\b(?i:{_SO})\b,?(?i:{_BEFORE}){_LETTER}{_END}", "A force acts, so B."),
    Statement("only B", rf"\b(?i:only)\s+{_LETTER}", "Of the choices, only B fits."),
    Statement("it is B", rf"\b(?i:{_IT_IS})\b(?i:{_BEFORE}){_LETTER}{_END}", "Not A. It must be B."),
    Statement(
        "B it is", rf"(?:^|[.!?]\s+)(?i:{_ADVERB}\s+)?{_LETTER}[)\]\"']*(?:\s+it\s+is)?\s*[.!]?$", "Definitely B."
    ),
    Statement("in other languages", rf"(?i:{_OTHER_NOUNS}){_OTHER_IS}{_LETTER}", "Antwort: B"),
    Statement("a box", r"\\boxed\{[\s(\"']*(?P<letter>[A-Da-d])(?:[)\"'.:]\s*[^{}]*|\s*)\}", r"It is \boxed{B: 12}"),
    Statement("alone on a line", r"^[^\w\n]*(?P<letter>[A-Da-d])[^\w\n]*$", "B\n\nExplanation: it is even."),
)
"""The one that stands last counts."""

_COMPILED = [re.compile(statement.pattern, re.MULTILINE) for statement in STATEMENTS]
_BEGINNING = re.compile(
    r"\W*(?:(?P<letter>[A-D])(?:[.):,]|\s+[-–—])|(?P<lower>[a-d])[):]|(?P<reason>[A-D])\s+(?:because|since|as)\b)"
)
_CHOICES = re.compile(r"^\W*([A-D])[.):]\s", re.MULTILINE)
_TYPE = re.compile(r"\\(?:text\w*|math\w+|mbox|operatorname)\s*\{([^{}]*)\}")
_MARKS = re.compile(r"[*`$]|\\[()\[\]]|^>\s?|\b_|_\b", re.MULTILINE)
_QUOTES = str.maketrans("“”„‘’«»", '"""\'\'""')


def chosen_letter(text: str) -> str | None:
    """The letter, A to D, that an answer settles on; None if it settles on none.

    The last of its statements counts ("answer: B", "option B is correct", a box, a letter alone on a line). Thoughts,
    and a second question that the model asks itself, are no part of the answer.
    """
    text = _plain(without_chat_marks(without_thoughts(text)))
    stated = _statements(text)
    if stated:
        first_end = stated[0][0]
        stated = _statements(before_next_question(text, first_end))
        return stated[-1][1]
    return _first_letter(text)


def _plain(text: str) -> str:
    """One Unicode form, without LaTeX commands for type, formula signs and Markdown marks."""
    text = unicodedata.normalize("NFKC", text).translate(_QUOTES)
    return _MARKS.sub("", _TYPE.sub(r"\1", _TYPE.sub(r"\1", text)))


def _statements(text: str) -> list[tuple[int, str]]:
    """(position behind the letter, letter) of each statement, in order."""
    found = []
    for pattern in _COMPILED:
        for match in pattern.finditer(text):
            letter = re.search("[A-Da-d]", match["letter"])
            found.append((match.end("letter"), letter.group().upper()))
    return sorted(found)


def _first_letter(text: str) -> str | None:
    """The letter that an answer begins with; None if it lists several choices."""
    begins = _BEGINNING.match(text)
    if not begins or len(set(_CHOICES.findall(text))) > 1:
        return None
    return (begins["letter"] or begins["lower"] or begins["reason"]).upper()
