"""The boxes of an answer, ``\\boxed{7}``: the last one, or the last ones where several are joined, is its result."""

from __future__ import annotations

import re

# No letter may follow: \boxedtext is another command.
_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])\s*")
# Between two boxes of one answer: the end of a formula, a comma or "and", the start of the next, and its "x =".
_JOINT = re.compile(r"[\s$)\]\\]*(?:,|;|,?\s*\b(?:and|or)\b)[\s$(\[\\]*(?:[A-Za-z](?:_\{?\w\}?)?\s*=\s*)?")
_LONGEST_JOINT = 40
# \boxed 7 without braces: LaTeX would box the 7.
_BARE = re.compile(r"[^\s$]*")
# A backslash takes the next character with it, so that \{ opens nothing.
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)


def final_box(text: str) -> str | None:
    """The value in the last ``\\boxed{...}`` or ``\\fbox{...}`` of a text; None if there is none. Time is linear.

    Boxes joined by a comma, "and" or "or" are one answer, "2, 5". A box inside a box is opened: its content stays. An
    empty box, or one that is never closed, is none. ``\\boxed 7`` holds what follows up to white space or ``$``.
    """
    found = find_final_box(text)
    return found[0] if found else None


def find_final_box(text: str) -> tuple[str, int] | None:
    """:func:`final_box` and the position where that box, or the last of the joined ones, ends."""
    found = boxes(text)
    if not found:
        return None
    values = [found[-1][2]]
    # From the last box back: each with the one behind it.
    for (_, end, content), (start, _, _) in zip(found[-2::-1], found[:0:-1], strict=True):
        if start - end > _LONGEST_JOINT or not _JOINT.fullmatch(text, end, start):
            break
        values.append(content)
    return ", ".join(dict.fromkeys(reversed(values))), found[-1][1]


def boxes(text: str) -> list[tuple[int, int, str]]:
    """(start, end, content) of the outermost boxes, in order."""
    closing = _closing_braces(text)
    found: list[tuple[int, int, str]] = []
    end = 0
    for box in _BOX.finditer(text):
        opening = box.end()
        # A box within the box before: its content is there already.
        if opening < end:
            continue
        if text[opening : opening + 1] != "{":
            bare = _BARE.match(text, opening)
            content, end = bare.group(), bare.end()
        elif opening in closing:
            content, end = text[opening + 1 : closing[opening]], closing[opening] + 1
        else:
            continue
        content = _BOX.sub("", content).strip()
        if not content.endswith("..."):  # 0.333... goes on
            content = content.rstrip(".,;")
        if content:
            found.append((box.start(), end, content))
    return found


def _closing_braces(text: str) -> dict[int, int]:
    """Position of each ``{`` that is closed -> position of its ``}``. Escaped braces are text."""
    closing: dict[int, int] = {}
    open_braces: list[int] = []
    for brace in _BRACE.finditer(text):
        if brace.group() == "{":
            open_braces.append(brace.start())
        elif brace.group() == "}" and open_braces:
            closing[open_braces.pop()] = brace.start()
    return closing
