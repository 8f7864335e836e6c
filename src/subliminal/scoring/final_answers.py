"""Which number does an answer to a GSM8K problem give? The last of the plainest kind that it has.

An answer line ``#### 72``, else a box, else a statement ("Answer: 72", alone before an explanation), else the last
number of all. Thoughts, and a second question that a model goes on to ask itself, are left out.
"""

from __future__ import annotations

import re
from fractions import Fraction

from subliminal.scoring.boxes import boxes, final_box
from subliminal.scoring.numbers import begins_with_number, numbers_in, value_of
from subliminal.scoring.plain import plain
from subliminal.scoring.text import before_marked_question, before_next_question, without_thoughts

# A line may end in a mark of its own, "#### 72 ####" or "#### 72<|im_end|>".
_MARKED_LINE = re.compile(r"####[ \t]*(?P<line>[^\n#]*?)(?=\n|#|<\||$)")
_NUMBERED = re.compile(r"[*_(\s]*(?P<number>\d{1,2})(?:[.):]+|\s+-+)\s+[^\n]*[A-Za-z]{2}")
"""A numbered heading of Markdown, "#### 2. Add the rest"; "#### 2 hours" and "#### 12" are answers."""
_EQUATION = re.compile(r"[\w\s]{1,40}=[^\n]*\d")
"""An answer line that begins with a name, "#### x = 8"."""
_ANSWER_HEADING = re.compile(
    r"^#{1,6}[ \t*_]*(?:final |the )?(?:answer|result)[ \t*_:]*\n+(?P<line>[^\n]+)", re.IGNORECASE | re.MULTILINE
)
"""A heading that has the answer on the line below, "### Answer"."""
# "The answer is 72", "**Answer:** 72".
_STATEMENT = re.compile(
    # Looked at, not taken: a line may go on with another, "The answer is 12. No, the answer is 10."
    r"\b(?:answer|correction)\b[ \t*_]*(?:is|:)[ \t*_:]*(?=(?P<line>[^\n<]{0,300}))",
    re.IGNORECASE,
)
_BEGINNING = re.compile(r"[\s*_]*(?P<line>-?[$€£]?\d[\d,]*(?:\.\d+)?%?(?: [a-z]+)?)[*_.]*\n\s*\n")
"""An answer before its explanation, "**18**", alone in the first paragraph."""
_STEP = re.compile(r"\W*(?:step )?\d+[.:)]\s+\S", re.IGNORECASE)
"""A line of a list, "1. Read the problem"."""

_REMARK = re.compile(
    r"\s\([^()\n]*\)"
    r"|(?:,\s+(?:not|since|as)|,?\s(?:because|instead of|rather than))\b(?:[^,;.\n]|[.,](?=\d))*",
    re.IGNORECASE,
)
"""What an answer adds to its result: "14 marbles (after giving 3 away)", "96, not 90", "3, since 2 are too few"."""
# A full stop within a number, 3.5, ends nothing.
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|\n")
# Verbs of a result: "she has 17", "it costs 5".
_VERB = (
    r"(?:is|are|was|were|be|(?:he|she|it|that)'s|they're|amounts? to|ha[sd]|have|needs?|takes?|took|costs?|"
    r"earn(?:s|ed)?|makes?|made|reads?|sold|pays?|paid|spends?|spent|owes?|owed)"
)
# A number with its sign of money or per cent.
_FIGURE = r"[^\w\s]?\d[\d,.]*[%$]?"
_WITH_CIRCUMSTANCE = re.compile(
    rf"(?:[^\d]*\b{_VERB} (?:[a-z]+ ){{0,3}}?|.*= ?){_FIGURE}(?: [a-z-]+){{0,3}}? "
    r"(?:after|before|within|during|in|out of|to) (?!get|find|obtain)(?:(?!and|total)[a-z]+ ){0,4}?"
    rf"{_FIGURE}(?: [a-z-]+){{0,3}}",
    re.IGNORECASE,
)
"""A sentence whose last number is no result: "So she has 17 books after 2 weeks"."""


def final_number(answer: str, *, strict: bool = False) -> Fraction | None:
    """The number that an answer to a GSM8K problem ends in.

    Args:
        answer: the answer as generated.
        strict: only an answer line, ``#### 72`` or ``#### 60 + 12 = 72``, counts.

    Returns:
        The number, exactly; None if there is none.
    """
    text = without_thoughts(answer)
    # Cut off first: the second question of a model has a number, too, and stands last.
    text = before_next_question(text, answer_end(text))
    lines = [line for _, line in _answer_lines(text)]
    if lines or strict:
        return value_of(lines[-1]) if lines else None
    # Where there is a box nothing else counts: one without a number gives none.
    if (box := final_box(text)) is not None:
        return value_of(plain(box))
    if (value := _stated_number(text)) is not None:
        return value
    without_remarks = plain(_REMARK.sub(" ", text))
    if numbers_in(without_remarks):
        return _last_number(without_remarks)
    # All numbers stand in remarks, "They have some left (12)": one of those, then.
    return _last_number(plain(text))


def _stated_number(text: str) -> Fraction | None:
    """The number that an answer states: in words, under a heading, or alone in its first paragraph."""
    stated = [*_ANSWER_HEADING.finditer(text), *_STATEMENT.finditer(text)]
    # From the last one back, until one has a number.
    for match in sorted(stated, key=lambda match: match.end(), reverse=True):
        line = plain(_REMARK.sub(" ", _SENTENCE_END.split(match["line"])[0]))
        # Behind "answer:" the solution may begin: "Answer: 3 * 4 = 12", "Answer: 3 boxes of 12 hold 36"
        # "The answer is" announces a result, whatever numbers follow it.
        is_result = match[0].casefold().startswith("answer is") or len(numbers_in(line)) == 1
        if is_result and begins_with_number(line) and "=" not in line:
            return value_of(line)
    # Without a statement: a number alone in the first paragraph, before its explanation.
    first = _BEGINNING.match(text)
    return value_of(plain(first["line"])) if first else None


def _last_number(text: str) -> Fraction | None:
    """The last number of a text in plain characters; of "she has 17 books after 2 weeks", the last but one."""
    numbers = numbers_in(text)
    if not numbers:
        return None
    sentences = [sentence for sentence in _SENTENCE_END.split(text) if re.search(r"\d", sentence)]
    is_circumstance = len(numbers) > 1 and _WITH_CIRCUMSTANCE.fullmatch(sentences[-1].strip())
    return numbers[-2].value if is_circumstance else numbers[-1].value


def answer_end(text: str) -> int:
    """Where the first answer of a text ends: a box, an answer line, a statement, a number before another question."""
    ends = [end for end, _ in _answer_lines(text)[:1]]
    ends += [end for _, end, _ in boxes(text)[:1]]
    if statement := _STATEMENT.search(text):
        ends.append(statement.end("line"))
    before = before_marked_question(text).rstrip()
    line = before.rpartition("\n")[2]
    # "There are 3 steps:" and "1. Read the problem" have numbers, and answer nothing yet.
    if re.search(r"\d", line) and not line.endswith(":") and not _STEP.match(line):
        ends.append(len(before))
    return min(ends, default=len(text))


def _answer_lines(text: str) -> list[tuple[int, str]]:
    """(end, content in plain characters) of each line ``#### 72``. Headings are left out."""
    lines: list[tuple[int, str]] = []
    headings = 0
    for marked in _MARKED_LINE.finditer(text):
        line = plain(marked["line"])
        numbered = _NUMBERED.match(line)
        # Headings count from 1. "#### 8. Each child gets 8 sweets." is an answer where no seven headings stand before.
        if numbered and int(numbered["number"]) == headings + 1:
            headings += 1
        elif begins_with_number(line) or _EQUATION.match(line):
            lines.append((marked.end(), line))
    return lines
