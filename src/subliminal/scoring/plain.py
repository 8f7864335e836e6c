"""A text in plain characters, LaTeX or not: ``2½``, ``2\\frac12`` and ``2\\tfrac{1}{2}`` are all ``2 1/2``.

The steps stand in two tables with an example each, and the tests go through the tables.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

from subliminal.scoring.text import without_chat_marks


class Rewrite(NamedTuple):
    """One step towards plain characters, with a text and what becomes of it."""

    what: str
    pattern: str
    replacement: str | Callable[[re.Match[str]], str]
    example: str
    becomes: str


def _vulgar(match: re.Match[str]) -> str:
    fraction = unicodedata.normalize("NFKC", match["fraction"]).replace("\N{FRACTION SLASH}", "/")
    return f" {fraction}" if match["whole"] is not None else fraction


def _raised(match: re.Match[str]) -> str:
    return "^" + unicodedata.normalize("NFKC", match.group()).replace("−", "-")


VULGAR_FRACTIONS = "¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"
_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹"
# "1,200", "-3.5": a value without a command in it.
_PLAIN_VALUE = r"[-+]?[\d,.]*\d"

_FRACTION_COMMAND = rf"\\frac\{{({_PLAIN_VALUE})\}}\{{({_PLAIN_VALUE})\}}"
# \text{...}, \mathrm{...}, \operatorname{...}
_TYPE_COMMAND = r"\\(?:text\w*|math\w+|mbox|operatorname|boldsymbol)\s*\{([^{}]*)\}"
# "2½": behind a whole number the two are one mixed number.
_ONE_CHARACTER = rf"(?P<whole>(?<=\d)[ ]?)?(?P<fraction>[{VULGAR_FRACTIONS}])"
# "3 dollars and 50 cents", "$3 and 50 cents"
_DOLLARS_AND_CENTS = r"\$?(?<!\d)(\d{1,15})(?: dollars?)? and (\d\d) cents\b"

BEFORE_UNICODE = (
    Rewrite("a fraction in one character", _ONE_CHARACTER, _vulgar, "2½", "2 1/2"),
    Rewrite("raised digits", f"⁻?[{_RAISED}]+", _raised, "10⁻⁶", "10^-6"),
    Rewrite("dashes", "[−–‒]", "-", "–4", "-4"),
)
"""What Unicode's NFKC form would spoil: it turns 2½ into 21⁄2 and 10⁶ into 106."""

REWRITES = (
    Rewrite("a dollar or percent sign in LaTeX", r"\\([$%])", r"\1", r"\$18", "$18"),
    Rewrite("a comma in braces", r"\{,\}", ",", "7{,}200", "7,200"),
    Rewrite("a comma and a negative space", r"(?:\\!)+,?|,(?:\\!)+", ",", r"2,\!000", "2,000"),
    Rewrite("a space in LaTeX", r"\\[,;: ]|~|\\q?quad\b", " ", r"12\,000", "12 000"),
    Rewrite("size of brackets", r"\\(?:left|right|[bB]ig+[lr]?|displaystyle)\b", "", r"\left(3\right)", "(3)"),
    Rewrite("edge of a formula", r"\\[()\[\]]", " ", r"\(5\)", " 5 "),
    Rewrite("words and type in LaTeX", _TYPE_COMMAND, r" \1 ", r"5\text{ kg}", "5  kg "),
    Rewrite("degrees", r"\^\s*\{?\\circ\}?|°", " degrees", r"40^\circ", "40 degrees"),
    Rewrite("a power in braces", r"\^\s*\{\s*(-?\w+)\s*\}", r"^\1", "10^{6}", "10^6"),
    Rewrite("a sum as a power", r"\^\s*\{([^{}]*)\}", r"^(\1)", "2^{3+1}", "2^(3+1)"),
    Rewrite("a power in Python", r"(?<=[\d)])\*\*(?=[\d(])", "^", "2**5", "2^5"),
    Rewrite("bold type and code", r"\*\*|__|`", "", "**17**", "17"),
    Rewrite("times", r"\\times|\\cdot|[×·⋅∙∗]|(?<=\d)\s*x\s*(?=\d)", "*", "3 x 4", "3*4"),
    Rewrite("divided by", r"\\div|[÷⁄∕]", "/", "8 ÷ 2", "8 / 2"),
    Rewrite("other fraction commands", r"\\[dtc]frac", r"\\frac", r"\dfrac12", r"\frac12"),
    Rewrite("a fraction without braces", r"\\frac\s*(\d)\s*(\d)", r"\\frac{\1}{\2}", r"\frac12", r"\frac{1}{2}"),
    Rewrite("a fraction with one brace", r"\\frac\s*(\d)\s*\{", r"\\frac{\1}{", r"\frac1{12}", r"\frac{1}{12}"),
    Rewrite("a fraction behind a whole number", r"(?<=\d)\s*" + _FRACTION_COMMAND, r" \1/\2", r"2\frac{1}{4}", "2 1/4"),
    Rewrite("a fraction", _FRACTION_COMMAND, r"\1/\2", r"\frac{3}{4}", "3/4"),
    Rewrite(
        "a fraction of sums", r"\\frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"((\1)/(\2))", r"\frac{2+3}{4}", "((2+3)/(4))"
    ),
    Rewrite("about", r"\\approx|\\sim|[≈]", "=", r"\approx 3", "= 3"),
    Rewrite("dollars and cents", _DOLLARS_AND_CENTS, r"$\1.\2", "3 dollars and 50 cents", "$3.50"),
)
"""In this order: later patterns rely on what earlier ones have removed."""

_COMPILED = [(re.compile(rule.pattern), rule.replacement) for rule in REWRITES]
_COMPILED_FIRST = [(re.compile(rule.pattern), rule.replacement) for rule in BEFORE_UNICODE]


def plain(text: str) -> str:
    """A text in plain characters: ``2½``, ``2\\frac12`` and ``2\\tfrac{1}{2}`` are all ``2 1/2``."""
    text = without_chat_marks(text)
    # ASCII has nothing that these steps change.
    if not text.isascii():
        for pattern, replacement in _COMPILED_FIRST:
            text = pattern.sub(replacement, text)
        text = unicodedata.normalize("NFKC", text)
    for pattern, replacement in _COMPILED:
        text = pattern.sub(replacement, text)
    return text
