"""Mathematics as models without LaTeX write it (2√3, ½, x², 1 000 000), brought into the LaTeX that math-verify reads.

The rules stand in tables with an example each, and the tests go through the tables.
"""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction

from subliminal.scoring.plain import VULGAR_FRACTIONS, Rewrite

LENGTH = 2_000
"""Characters of the longest value that is rewritten: patterns are not fast on everything."""

CHARACTERS = {
    "−": "-", "–": "-", "‒": "-",
    "×": r"\cdot ", "·": r"\cdot ", "⋅": r"\cdot ", "∗": r"\cdot ", "÷": "/", "⁄": "/", "∕": "/",
    "≤": r"\le ", "⩽": r"\le ", "≥": r"\ge ", "⩾": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "±": r"\pm ",
    "∞": r"\infty ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "∅": r"\emptyset ", "⌀": r"\emptyset ",
    "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "°": r"^\circ ", "…": r"\ldots ",
    "π": r"\pi ", "θ": r"\theta ", "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ", "λ": r"\lambda ", "φ": r"\phi ",
}  # fmt: skip
"""Character -> LaTeX."""
_TO_LATEX = str.maketrans(CHARACTERS)

_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿˣⁱʸᵃᵇᵏᵐ"
_LOWERED = "₀₁₂₃₄₅₆₇₈₉₊₋ₙₖᵢₓ"
# What may stand between thousands: a space of any width, a LaTeX space, a comma in braces.
_ONE_SPACE = r"(?:[ \u00a0\u2009\u202f~]|\\[,;:! ]|,\\!|\{,\})"
_ROOTS = {"√": r"\sqrt", "∛": r"\sqrt[3]", "∜": r"\sqrt[4]"}


def _vulgar(match: re.Match[str]) -> str:
    # NFKC writes ½ as 1⁄2, with a fraction slash.
    numerator, _, denominator = unicodedata.normalize("NFKC", match.group()).partition("\N{FRACTION SLASH}")
    return rf"\frac{{{numerator}}}{{{denominator}}}"


def _raised(match: re.Match[str]) -> str:
    # NFKC makes a minus sign of the raised one; LaTeX has a hyphen there.
    return "^{" + unicodedata.normalize("NFKC", match.group()).replace("−", "-") + "}"


def _lowered(match: re.Match[str]) -> str:
    return "_{" + unicodedata.normalize("NFKC", match.group()).replace("−", "-") + "}"


def _root(match: re.Match[str]) -> str:
    radicand = match["sum"] or match["braced"] or match["term"]
    return f"{_ROOTS[match['root']]}{{{radicand}}}"


def _repeating(match: re.Match[str]) -> str:
    """A repeating decimal as a fraction: 0.1(6) is 16/90 less 1/90."""
    whole, once, again = match["whole"], match["once"], match["again"]
    # Digits that stand once move the part that comes again to the right.
    ends = 10 ** len(once)
    value = Fraction(int(whole + once + again) - int(whole + once), ends * (10 ** len(again) - 1))
    return rf"\frac{{{value.numerator}}}{{{value.denominator}}}"


def _or_equal(match: re.Match[str]) -> str:
    return r"\le " if match.group() == "<=" else r"\ge "


def _joined(match: re.Match[str]) -> str:
    return re.sub(r"\D", "", match.group())


# Under a root without brackets stands one number or one letter: √3x is √3 times x.
_ROOT = r"(?P<root>[√∛∜])(?:\((?P<sum>[^()]*)\)|\{(?P<braced>[^{}]*)\}|(?P<term>\d+|[A-Za-z]|\\pi))"
# 1 000 000, but neither 1 000/3 nor 12 345 6.
_THOUSANDS_APART = rf"(?<![\d.])[1-9]\d{{0,2}}(?:{_ONE_SPACE}\d{{3}}){{1,9}}(?!\d|/|{_ONE_SPACE}\d)"
# 2 1/2; with a limit on digits, since int() refuses thousands of them.
_MIXED = r"(?<![\d./])(\d{1,15})[ ~]+(\d{1,15})/(\d{1,15})(?![\d.])"
# 0.1 before a part that comes again.
_DECIMAL = r"(?<![\d.])(?P<whole>\d{1,15})\.(?P<once>\d{0,15}?)"
# 0.1666..., 0.121212...: a part that stands three times or more before the dots.
_DIGITS_REPEATED = _DECIMAL + r"(?P<again>\d{1,6}?)(?P=again){2,15}(?:\.\.\.|\\l?dots)"
# A word by itself: no pi in "pixel", none in \pi.
_WORD = r"(?<![\\A-Za-z])(?:{})(?![A-Za-z])"
# Words that are the whole value, bare or within \text{}.
_WHOLE_TEXT = r"(?i)^\s*(?:\\text\{{)?\s*(?:{})\s*\}}?\s*$"
# \text{4 apples}
_NUMBER_IN_TEXT = r"\\text\{\s*(-?\d[\d,./]*)(\s+[A-Za-z ]+)\}"
# "52 base 8", "52 in base 8"
_BASE = r"(?:\\text\{\s*)?(?<!\w)(\d+)\s*(?:\\text\{)?\s*(?:in )?base[ -](\d+)\s*\}*"

# "The answer is", "final answer:"
_ANNOUNCED = r"\s*(?:the\s+)?(?:final\s+|correct\s+)?answer\s*(?:is\b|:)\s*:?\s*"

REWRITES = (
    Rewrite("bold type of Markdown", r"^\s*\*\*([^*]+)\*\*\s*$", r"\1", "**42**", "42"),
    Rewrite(
        "an announcement",
        rf"(?i)^\s*(?:\\text\{{{_ANNOUNCED}\}}|(\\text\{{)?{_ANNOUNCED})(?=\S)",
        r"\1",
        r"\text{Answer: }42",
        "42",
    ),
    Rewrite("a fraction in one character", f"[{VULGAR_FRACTIONS}]", _vulgar, "2½", r"2\frac{1}{2}"),
    Rewrite("raised characters", f"[{_RAISED}]+", _raised, "2ⁿ⁺¹", "2^{n+1}"),
    Rewrite("lowered characters", f"[{_LOWERED}]+", _lowered, "x₁", "x_{1}"),
    Rewrite("a root", _ROOT, _root, "2√3", r"2\sqrt{3}"),
    Rewrite("sqrt as a word", r"(?<![\\A-Za-z])sqrt\(([^()]*)\)", r"\\sqrt{\1}", "sqrt(3)", r"\sqrt{3}"),
    Rewrite("pi as a word", _WORD.format("pi"), r"\\pi ", "2pi", r"2\pi "),
    Rewrite("infinity as a word", _WORD.format("infinity|inf|oo"), r"\\infty ", "(1, oo)", r"(1, \infty )"),
    Rewrite("comparisons as in code", "[<>]=", _or_equal, "x >= 2", r"x \ge  2"),
    Rewrite("unequal as in code", "!=|=/=", r"\\ne ", "x != 0", r"x \ne  0"),
    Rewrite("times as in code", r"(?<![*^])\*(?!\*)", r"\\cdot ", "2*3", r"2\cdot 3"),
    Rewrite("power as in code", r"\*\*", "^", "2**3", "2^3"),
    Rewrite("spaces and marks between thousands", _THOUSANDS_APART, _joined, r"1 000\,000", "1000000"),
    Rewrite("a mixed number", _MIXED, r"\1\\frac{\2}{\3}", "2 1/2", r"2\frac{1}{2}"),
    Rewrite(
        "a bar over digits",
        _DECIMAL + r"\\(?:overline|bar|dot)\{(?P<again>\d{1,15})\}",
        _repeating,
        r"0.1\overline{6}",
        r"\frac{1}{6}",
    ),
    Rewrite("brackets around digits", _DECIMAL + r"\((?P<again>\d{1,15})\)", _repeating, "0.(3)", r"\frac{1}{3}"),
    Rewrite("digits again and again", _DIGITS_REPEATED, _repeating, "0.1666...", r"\frac{1}{6}"),
    Rewrite("upright constants", r"\\(?:mathrm|text)\{\s*([ei])\s*\}", r"\1 ", r"\mathrm{e}^2", "e ^2"),
    Rewrite("a union in letters", r"(?<=[)\]])\s*U\s*(?=[(\[])", r" \\cup ", "(1,2) U (3,4)", r"(1,2) \cup (3,4)"),
    Rewrite("all reals", r"^\s*\\mathbb\{R\}\s*$", r"(-\\infty,\\infty)", r"\mathbb{R}", r"(-\infty,\infty)"),
    Rewrite(
        "all reals in words",
        _WHOLE_TEXT.format("all real(?:s| numbers)"),
        r"(-\\infty,\\infty)",
        r"\text{all real numbers}",
        r"(-\infty,\infty)",
    ),
    Rewrite("a base in words", _BASE, r"\1_{\2}", "52 base 8", "52_{8}"),
    # math-verify takes 4i for 4 times a variable, and 4 i for an imaginary number
    Rewrite("a space before the imaginary unit", r"(?<=\d)i(?![A-Za-z])", " i", "3+4i", "3+4 i"),
    Rewrite("a number within text", _NUMBER_IN_TEXT, r"\1\\text{\2}", r"\text{4 apples}", r"4\text{ apples}"),
    Rewrite("bold type", r"\\(?:mathbf|boldsymbol|bm)\s*\{([^{}]*)\}", r"\1", r"\mathbf{x+1}", "x+1"),
    Rewrite("signs of money", r"\\pounds\b|\\euro\b|[€£¥₹]", "", "€20", "20"),
    Rewrite("a member of", r"^\s*[A-Za-z]\s*\\in\b\s*", "", r"x \in [2,6)", "[2,6)"),
    Rewrite("the empty set", r"\\varnothing\b|^\s*\\\{\s*\\\}\s*$", r"\\emptyset ", r"\varnothing", r"\emptyset "),
    Rewrite(
        "the empty set in words",
        _WHOLE_TEXT.format("(?:the )?empty set|no (?:real )?(?:solutions?|roots?)|none"),
        r"\\emptyset ",
        r"\text{No solution}",
        r"\emptyset ",
    ),
)
"""In this order: later rules see what the characters above and earlier rules have become."""

_COMPILED = [(re.compile(rule.pattern), rule.replacement) for rule in REWRITES]

_UNITS = "mm cm dm m km in ft yd mi mg g kg lb lbs oz ml l s sec min h hr hrs mph kph km/h m/s sq cu unit"
UNITS = frozenset(_UNITS.split())
"""Units that need no ``\\text``. Other words need four letters: "3 xy" is a product."""
_GAP = r"(?:\\[,;: ]|\\q?quad|~|\s)"
# "12 cm", "12 square units", "5 m^2"
_WITH_UNIT = re.compile(
    rf"(?P<value>.*[\d}})]){_GAP}+(?P<words>[A-Za-z/]+(?: [A-Za-z]+)?)(?:\^\{{?[23]\}}?)?", re.DOTALL
)
# 12\text{ cm}, 5\,\mathrm{m}^2
_WITH_TEXT = re.compile(
    rf"(?P<value>.*[\d}})]){_GAP}*\\(?:text|mathrm|mbox|rm)\s*\{{(?P<words>[A-Za-z ./]+)\}}(?:\^\{{?[23]\}}?)?",
    re.DOTALL,
)
# "3 or 4" has no unit "or".
_NO_UNIT = re.compile(r"\b(?:or|and|to|than|more|less|not|mod)\b", re.IGNORECASE)
_TYPE = r"(?:\\(?:text|textbf|textit|mathrm|mathbf|bf|rm)\s*\{?\s*)?"
_LABEL = re.compile(
    rf"\s*{_TYPE}(?P<label>\([A-F]\)|[A-F]\))[\s}}]*{_GAP}*(?P<value>[^\s}}].*)",  # (C) 12, \textbf{(C)}\ 12, A) 14
    re.DOTALL,
)
# "option (C)", \text{choice C}
_CHOICE = re.compile(rf"\s*{_TYPE}(?:option|choice|answer):?\s*\(?(?P<letter>[A-F])\)?\s*\}}?\s*", re.IGNORECASE)
_OR = re.compile(r"\s*(?:\\text\{\s*or\s*\}|\bor\b)\s*")
_INTERVALS = {
    "<": r"(-\infty,{})", r"\lt": r"(-\infty,{})", r"\le": r"(-\infty,{}]", r"\leq": r"(-\infty,{}]",
    ">": r"({},\infty)", r"\gt": r"({},\infty)", r"\ge": r"[{},\infty)", r"\geq": r"[{},\infty)",
}  # fmt: skip
# "x < 3", x \le 3; but not 1 < x < 3, which has two ends.
_INEQUALITY = re.compile(r"\s*(?P<letter>[A-Za-z])\s*(?P<sign><|>|\\leq?\b|\\geq?\b|\\lt\b|\\gt\b)(?P<end>[^<>=]+)")
# "1, 2" and "1,20": no grouped thousands.
_LIST = re.compile(r"\d,\s+\S|\d,\d{1,2}(?!\d)")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")


def as_latex(value: str) -> str:
    """A mathematical value in the LaTeX that math-verify reads. One longer than :data:`LENGTH` is left as it is."""
    if len(value) > LENGTH:
        return value
    value = value.translate(_TO_LATEX)
    for pattern, replacement in _COMPILED:
        value = pattern.sub(replacement, value)
    choice = _CHOICE.fullmatch(value)
    # As text, so that no letter is taken for a variable.
    return rf"\text{{{choice['letter']}}}" if choice else value


def readings(value: str, reference: str) -> list[str]:
    """What a value may mean beside a reference, both in LaTeX; the plainest reading first.

    "12\\,m^2" is 12 with its unit, or 12 times m squared; "\\textbf{(C)} 12" is 12 or C; where the reference is a list,
    "100,200" is one too.
    """
    found = [value]
    if len(value) > LENGTH:
        return found
    # "(C) 12" is 12, or C where the reference is a letter.
    if label := _LABEL.fullmatch(value):
        found.append(_balanced(label["value"]))
        found.append(rf"\text{{{label['label'].strip('()')}}}")
    # "12 cm" is 12; as it stands math-verify takes the unit for letters that are multiplied.
    if (number := _without_unit(value)) is not None:
        found.append(number)
    # "x < 0 or x > 2", which references write as intervals.
    if (union := _union(value)) is not None:
        found.append(union)
    # "40%" where the reference is a bare 40.
    if value.rstrip().endswith("%") and "%" not in reference:
        found.append(value.rstrip().rstrip("%").rstrip("\\"))
    # "100,200" is one number, unless the reference is a list.
    if _LIST.search(reference) and _THOUSANDS.fullmatch(value.strip()):
        found.append(value.replace(",", ", "))
    return found


def readings_of_reference(reference: str, value: str) -> list[str]:
    """What a reference may mean beside a value: where the value is a list, "100,200" is one too."""
    if _LIST.search(value) and _THOUSANDS.fullmatch(reference.strip()):
        return [reference, reference.replace(",", ", ")]
    return [reference]


def _without_unit(value: str) -> str | None:
    """A value without the unit behind it; None if it has none."""
    value = value.strip()
    unit = _WITH_TEXT.fullmatch(value) or _WITH_UNIT.fullmatch(value)
    if not unit or _NO_UNIT.search(unit["words"]):
        return None
    words = unit["words"].split()
    is_text = unit.re is _WITH_TEXT
    if is_text or all(word in UNITS or len(word) >= 4 for word in words):
        return unit["value"]
    return None


def _union(value: str) -> str | None:
    """Two inequalities of one letter, "x < 0 or x > 2", as a union of intervals; None if the value is anything else."""
    halves = _OR.split(value)
    sides = [_INEQUALITY.fullmatch(half) for half in halves]
    # Of two letters, "x < 0 or y > 2", there is no union.
    if len(sides) != 2 or not all(sides) or sides[0]["letter"] != sides[1]["letter"]:
        return None
    return r" \cup ".join(_INTERVALS[side["sign"]].format(side["end"].strip()) for side in sides)


def _balanced(value: str) -> str:
    """A value without the brace at its end that closes what stood before it."""
    return value.rstrip().removesuffix("}") if value.count("{") < value.count("}") else value
