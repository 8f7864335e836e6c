"""Which letter does a written answer to a multiple-choice question settle on?

    printf '"The correct option is C."\\n"I do not know."\\n' | python -m subliminal.scoring mmlu

prints ``{"letter":"C"}`` and ``{"letter":null}``. The last statement of a letter counts (:data:`STATEMENTS`); an answer
without one may begin or end with its letter, "B. Because ...".
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


# What a letter is said to be: "the answer is B", "my pick: B".
_NOUN = r"(?:answers?|ans\.?|option|choice|letter|response|selection|solution|pick|guess|one|statement|correct)"
# "must be B", "has to be B", "would definitely be B"
_BE = r"(?:would|should|must|will|has\s+to|have\s+to|appears\s+to|seems\s+to|can\s+only)\s+(?:\w+\s+)?be"
_VERB = rf"(?:is|are|was|{_BE})"
# "the answer to this question is B", "the option that fits is B"
_OF_WHAT = r"(?:\s+(?:to\s+\w+\s+\w+|that\s+\w+(?:\s+\w+)?))?"
# A verb, a colon, an arrow or a dash: "Answer: B", "answer -> B", "the answer is B".
_IS = rf"{_OF_WHAT}(?:[\"']?\s*[:=]+|'s(?=\s)|\s+{_VERB}\b\s*:?|\s*[-=]*>|\s*[→⇒–—]|\s+-+\s)"
# "B is correct", "B is the most likely"
_TRUE = (
    r"(?:correct|right|best|true|accurate|appropriate|answer|(?:more|most)\s+(?:plausible|likely|reasonable|sensible))"
)
# Words between that change nothing: "the answer is most likely B".
_ADVERB = (
    r"(?:(?:most|more)\s+likely|likely|probably|definitely|clearly|certainly|obviously|surely|therefore|thus|hence|"
    r"simply|indeed|actually|then|again|also|maybe|perhaps)"
)
# "The answer" in German, Spanish, French, Portuguese, Italian, Russian, Dutch, Swedish, Polish, Turkish, and others.
_OTHER_NOUNS = (
    "antwort|lösung|respuesta|correct[ao]|réponse|resposta|risposta|ответ|antwoord|svar|odpowiedź|cevap|jawaban|vastaus|"
    "答案|回答|答え|正解|选择|選択|정답|답|उत्तर|الإجابة|الجواب"
)
_OTHER_IS = r"(?:\s+\w+){0,2}?\s*(?:ist|es|est|é|è|[:=是为為は은는])\s*:?\s*(?:(?:la|le|el|die|der|das|a|o)\s)?\s*"
# What may stand before the letter: "the answer is: option B", "it is therefore B".
_BEFORE = rf"\s*(?:(?:{_ADVERB}|the|{_NOUN}|it\s+is|it's|it\s+must\s+be|that\s+is|that's)[\s,:]{{1,9}}){{0,6}}"

# "A force acts" begins with an article, "A because it is lighter" with a letter.
_ARTICLE = r"A(?=[ ]+(?!(?:because|since|as|is|and|for|due|with|which|if|so|but|by|from|in|on)\b)[a-z])"
_BARE = rf"(?!{_ARTICLE})[A-D](?![A-Za-z0-9_'’])"
# A lower-case letter without brackets stands behind "option", or where the clause ends: "the answer is b, since".
_LOWER = r"(?:(?<=[Oo]ption )|(?<=[Cc]hoice ))[a-d]\b|[a-d](?=\s*(?:[.,;:!)\n]|because\b|since\b|$))"
_IN_BRACKETS = r"[(\[{<\"']{1,4}\s{0,3}[A-Da-d]\s{0,3}(?=[)\]}>\"'.:,])"
_NO_CHOICE = r"(?!\W{0,3}(?:\s*or\s+|\s*/\s*)\W?[A-Da-d]\b)"  # "A or B" settles on nothing
# Formulas with braces up to two deep: 12, \frac{\sqrt{2}}{2}
_IN_BRACES = r"(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*"
# A letter in brackets, or bare, or in lower case; also within \boxed{...}.
_LETTER = rf"(?:\\boxed\{{\s*)?(?P<letter>{_IN_BRACKETS}|{_BARE}|{_LOWER}){_NO_CHOICE}"
# The end of a sentence or line, behind brackets at most: a letter in its middle may be an article.
_END = r"(?=[)\]}\"']*(?:\s+then)?\s*(?:[.!?;\n]|$))"

# "I would go with B", "I think B"
_CHOOSE = (
    r"(?:choose|answer|pick|select|go(?:ing)?\s+(?:with|for)|opt\s+for|lean(?:ing)?\s+towards?|"
    r"(?:looks|sounds|seems)\s+like|guess|say|think|believe|conclude)"
)
_SO = (
    r"(?:so|therefore|thus|hence|consequently|on\s+(?:reflection|second\s+thought)|thinking\s+again|after\s+all|no,?\s+wait|"
    rf"it\s+is|it's|that\s+is|that's|{_BE}|(?:gives|giving|yields|yielding|leaves|leaving)(?:\s+(?:us|me))?(?:\s+with)?|"
    r"matches|corresponds\s+to|points\s+to|leads\s+to|the\s+truth\s+is|"
    r"is\s+listed\s+as)"
)
# "not option A", "better than option A", "rules out option A" choose another one
_NOT_AFTER = (
    r"(?<!not )(?<!n't )(?<!than )(?<!out )(?<!eliminate )(?<!exclude )(?<!eliminates )(?<!excludes )(?<!unlike )"
)
_NAMED = r"(?:option|choice|answer|letter)"
_SEEMS = rf"(?:is|seems|looks|sounds|appears|{_BE})(?:\s+(?:to\s+be|like))?"
# "B holds", "B works", "B does"; but not "B does not".
_HOLDS = r"(?:holds|works|fits|applies|remains|does\b(?!\s+not)|best\s+\w+|is\s+(?:the\s+)?better|is\s+the\s+only)"
_IS_TRUE = (
    rf"[)\]}}\"']{{0,4}},?\s+(?i:{_HOLDS}|{_SEEMS}\s+(?:{_ADVERB}\s+)?(?:the\s+)?(?:most\s+|only\s+|best\s+)?{_TRUE})\b"
)
# "Everything except option B is wrong": B is right.
_ALL_BUT = rf"(?:all|everything|every\s+(?:option|choice|one))\s+(?:but|except(?:\s+for)?)\s+(?:{_NAMED}\s+)?"
_WRONG = r"\)?\s+(?:is|are|can\s+be)\s+(?:clearly\s+)?(?:wrong|incorrect|false|ruled\s+out|eliminated)"

STATEMENTS = (
    Statement(
        "the answer is",
        rf"(?<!first )(?<!initial )\b(?i:{_NOUN}{_IS}{_BEFORE}){_LETTER}",
        "The correct option is most likely B.",
    ),
    Statement(
        "under a heading",
        rf"^[^\w\n]{{0,9}}(?i:(?:(?:the|my|final|correct)\s+)*answer)\W{{0,20}}?\n\W{{0,20}}?{_LETTER}",
        "# Answer\nB) Paris",
    ),
    Statement(
        "option B is correct",
        rf"(?<![\w'])(?i:{_NAMED}\s+)?{_LETTER}{_IS_TRUE}",
        "(B) is the right answer, A is wrong.",
    ),
    Statement("I choose", rf"\b(?i:{_CHOOSE})\b(?i:{_BEFORE}){_LETTER}", "I would go with option B."),
    Statement("all but B are wrong", rf"\b(?i:{_ALL_BUT}){_LETTER}(?i:{_WRONG})", "Everything except B is wrong."),
    Statement("only B", r"\b(?i:only)\s+\(?(?P<letter>[A-D])\b", "Of the choices, only B fits."),
    Statement("option B at an end", rf"{_NOT_AFTER}\b(?i:option|choice)\s+{_LETTER}{_END}", "I see, option B."),
    Statement("so it is B", rf"\b(?i:{_SO})\b,?(?i:{_BEFORE}){_LETTER}{_END}", "A force acts, so it is B."),
    Statement(
        "B it is",
        rf"(?:^|[.!?]\s+|\bbut\s+(?=\S+\s+it\s+is))(?i:{_ADVERB}\s+)?(?i:{_NAMED}\s+)?{_LETTER}[)\]\"']*(?:\s+it\s+is)?"
        r"\s*[.!?]?$",
        "Definitely B.",
    ),
    Statement("surely B", rf"^(?i:{_ADVERB})\s+{_LETTER}(?=\s*[,;–—])", "Definitely B, no doubt."),
    Statement("an arrow to B", rf"(?:→|⇒|[=-]>|∴)\s*{_LETTER}{_END}", "x = 3 → B"),
    Statement("in other languages", rf"(?i:{_OTHER_NOUNS}){_OTHER_IS}{_LETTER}", "Antwort: B"),
    Statement(
        "a box",
        rf"\\boxed\{{\s*(?i:(?:option|choice|answer:?)\s+)?[\s(\"']*(?P<letter>[A-Da-d])(?:[)\"'.:]\s*{_IN_BRACES}|\s*)\}}",
        r"It is \boxed{B: 12}",
    ),
    Statement("alone on a line", r"^[^\w\n]{0,20}(?P<letter>[A-Da-d])[^\w\n]{0,20}$", "B\n\nExplanation: it is even."),
)
"""The one that stands last counts."""

_FAR = 60
"""Characters before a statement that are looked at."""
_PAGE = 500
"""Characters within which the next choice of a list follows."""
_COMPILED = [(statement.what, re.compile(statement.pattern, re.MULTILINE)) for statement in STATEMENTS]
_GREETING = r"(?:sure|certainly|of\s+course|absolutely|okay|ok|yes|great\s+question|thanks?(?:\s+\w+){0,2}|hello|hi)"
# "B. It is even", "B - it is even", "b) even", "B because it is even", "Sure! B) even", "C (Paris)"
_BEGINNING = re.compile(
    rf"\W*(?i:{_GREETING}[,.:!]\W+)?(?i:(?:option|choice)\s+)?"
    r"(?P<letter>[A-D](?=[.):,\]]|\s+[-–—]|\s+(?:because|since|as|rather|instead)\b)|[B-D](?=\s+\()|[a-d](?=[):]|\.\s))"
)
_LISTED = re.compile(
    r"\W*[A-D](?:\s*(?:,|/|&|\band\b|\bor\b)\s*(?:and\s+|or\s+)?[A-D]\b)+|\W*[A-D]:[^,;\n]*[,;]\s*[A-D]:"
)
"""A list of letters, "A, B, C", or of what each is worth, "A: 10 %, B: 70 %"."""
_RULED_OUT = re.compile(
    r"\b(?i:rul(?:e|es|ed|ing)\s+out|eliminat(?:e|es|ed|ing)|discard(?:ed|ing)?|exclud(?:e|es|ed|ing))\s+"
    r"(?i:options?\s+|choices?\s+)?(?P<letters>[A-D](?:(?:,|\s+and|,\s+and)\s+[A-D]\b)+)"
)
# "The author implies that B. the king was weak."
_OPTION = re.compile(r"\b(?:that|is|are|was|be|by|to|of):?\s+(?P<letter>[(\"']?[A-D])[.)]\s+[A-Za-z]")
# "In summary: C", but not the end of a list of letters
_ENDING = re.compile(rf"(?:;|(?<![A-D])[:,]|\b(?:is|(?<!n't )(?<!not )be|by))\s+{_LETTER}[^\w\n]*\Z")
_CHOICES = re.compile(r"^[^\w\n]{0,9}([A-Da-d])[.):]\s", re.MULTILINE)
# Before a noun that announces each of the choices: "let us look at each option: A) ..."
_EACH_OF = re.compile(r"\b(?:each|every|first|initial|by)\s+(?:\w+\s+)?\Z", re.IGNORECASE)
# Whose choice is not the answer's: "many students", "you might"
_SOMEBODY = r"(?:students?|people|many|some|others|most(?!\s+likely)|they|anyone|(?:you|one)\s+(?:may|might|could))"
# Before a verb of choosing: "some people will pick A", "a common mistake is to choose A", "not say A"
_OTHERS_CHOOSE = re.compile(
    rf"\b(?:{_SOMEBODY}\s+(?:(?!(?:I|we|me)\b)\w+\s+){{0,3}}|(?:mistake|error|trap|tempting|tempted)\s+(?:\w+\s+){{0,2}}|"
    r"if\s+(?:\w+\s+)?|(?:not|never)\s+|\w+n't\s+)\Z",
    re.IGNORECASE,
)
# Before "the answer is A" and "it is A": "some people think", "I don't think"
_OTHERS_THINK = re.compile(
    rf"\b(?:{_SOMEBODY}\s+(?:\w+\s+){{0,2}}(?:think|say|believe|assume|guess|claim|argue)s?\s+(?:that\s+)?|"
    r"(?:not|\w+n't)\s+(?:think|believe|say)\s+(?:that\s+)?|if\s+)(?:the\s+)?\Z",
    re.IGNORECASE,
)
_TYPE = re.compile(r"\\(?:text\w*|math\w+|mbox|operatorname)\s*\{([^{}]*)\}")
# Bold type, code, formula signs, tags of HTML, quotes of Markdown.
_MARKS = re.compile(r"[*`$]|</?(?:b|i|u|em|strong|code|p|br|span)\s*/?>|\\[()\[\]]|^>\s?|\b_|_\b", re.MULTILINE)
# All quotation marks are read as straight ones.
_QUOTES = str.maketrans("“”„‘’«»", '"""\'\'""')


def chosen_letter(text: str) -> str | None:
    """The letter, A to D, that an answer settles on; None if it settles on none.

    The last of its statements counts ("answer: B", "option B is correct", a box, a letter alone on a line). Thoughts,
    and a second question that the model asks itself, are no part of the answer.
    """
    text = _plain(without_chat_marks(without_thoughts(text)))
    stated = _statements(text)
    if stated:
        # It tells where the answer ends: a question behind it is the model's own.
        first_end, first = stated[0]
        stated = _statements(before_next_question(text, first_end))
        # what made the first one a statement may stand in the part that was cut off
        return stated[-1][1] if stated else first
    # No statement: what is left when others are ruled out, then how the answer begins, then how it ends.
    return _left_over(text) or _first_letter(text) or _last_letter(text)


def _plain(text: str) -> str:
    """One Unicode form, without LaTeX commands for type, formula signs and Markdown marks."""
    text = unicodedata.normalize("NFKC", text).translate(_QUOTES)
    # Twice, for type within type: \textbf{\text{B}}.
    return _MARKS.sub("", _TYPE.sub(r"\1", _TYPE.sub(r"\1", text)))


def _statements(text: str) -> list[tuple[int, str]]:
    """(position behind the letter, letter) of each statement, in order."""
    found = []
    for what, pattern in _COMPILED:
        others = _OTHERS_CHOOSE if what == "I choose" else _OTHERS_THINK
        for match in pattern.finditer(text):
            if not _is_no_choice(text, match, others):
                found.append((match.end("letter"), _letter_in(match)))
    # By place, not by pattern: the last one in the text counts.
    return sorted(found)


def _is_no_choice(text: str, match: re.Match[str], others: re.Pattern[str]) -> bool:
    """Whether what looks like a statement lists the choices, or says what others choose."""
    before = text[max(0, match.start() - _FAR) : match.start()]
    if _EACH_OF.search(before) or others.search(before):
        return True
    # "The correct option:\nA) heat\nB) light" only lists them.
    line = text.rfind("\n", match.start(), match.start("letter")) + 1
    listed = [choice.upper() for choice in _CHOICES.findall(text, line, line + _PAGE)[:2]] if line else []
    return listed == ["A", "B"]


def _left_over(text: str) -> str | None:
    """The one letter that an answer does not rule out, "we can rule out A, C and D"; None if not one is left."""
    ruled_out = set()
    for match in _RULED_OUT.finditer(text):
        ruled_out.update(re.findall("[A-D]", match["letters"]))
    left = [letter for letter in LETTERS if letter not in ruled_out]
    return left[0] if len(left) == 1 else None


def _first_letter(text: str) -> str | None:
    """The letter that an answer begins with; None if it lists several choices."""
    begins = _BEGINNING.match(text)
    # Who lists the choices begins with A whatever is chosen.
    if not begins or len(set(_CHOICES.findall(text))) > 1 or _LISTED.match(text):
        return None
    return _letter_in(begins)


def _last_letter(text: str) -> str | None:
    """The letter that an answer ends with, behind a colon, a comma or "is", or whose option ends a sentence."""
    ends = _ENDING.search(text) or _OPTION.search(text)
    return _letter_in(ends) if ends else None


def _letter_in(match: re.Match[str]) -> str:
    return re.search("[A-Da-d]", match["letter"]).group().upper()
