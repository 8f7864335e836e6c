"""Numbers as people and models write them: $1,234.50, \\frac{3}{4}, 2½, 12 000, 1,00,000, 1.5 × 10^6. Read exactly.

There are three ways to read a text:

- :func:`numbers_in`: every number of a running text, in order;
- :func:`value_of`: the value of a text that stands for one answer, such as the content of a box ("60 + 5 = 65 eggs");
- :func:`only_number`: the number of a text that holds one and no other.

They look for :data:`NUMBER_FORMS` in text that :func:`subliminal.scoring.plain.plain` has rewritten.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from subliminal.scoring.arithmetic import LENGTH, calculate
from subliminal.scoring.plain import plain


class NumberForm(NamedTuple):
    """One way to group the digits of a number: a pattern, an example, its value."""

    pattern: str
    example: str
    value: int


NUMBER_FORMS = (
    NumberForm(r"\d{1,3}(?:,\d{3}){1,9}(?!\d)", "1,234,567", 1_234_567),
    NumberForm(r"\d{1,2}(?:,\d{2}){1,9},\d{3}(?!\d)", "12,34,567", 1_234_567),  # lakhs and crores
    NumberForm(r"[1-9]\d{0,2}(?:[ ]\d{3}){1,9}(?![\d/])", "1 234 567", 1_234_567),
    NumberForm(r"\d{1,3}(?:['’]\d{3}){1,9}(?!\d)", "1'234'567", 1_234_567),  # Switzerland
    NumberForm(r"\d{1,3}(?:_\d{3}){1,9}(?!\d)", "1_234_567", 1_234_567),  # code
    NumberForm(r"\d{1,3}(?:\.\d{3}){2,9}(?!\d)", "1.234.567", 1_234_567),  # two dots cannot be decimal points
    NumberForm(
        r"[1-9]\d{0,2}(?:\.\d{3}){1,9}(?=,\d\d(?!\d))", "1.234.567,00", 1_234_567
    ),  # nor can dots before a comma
    NumberForm(r"\d++", "1234567", 1_234_567),
)
"""How digits are grouped, the longest first. ``1,234.567`` has decimals behind any of them."""
SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
LETTER_SCALES = {"k": 10**3, "m": 10**6, "b": 10**9}
"""Only right behind an amount of money, $20k: 20 m are metres."""

# "$18", "US$18", "Rs. 18", "EUR 18"
_CURRENCY = r"(?:(?:\b(?:US|NZ|HK|A|C|S))?\$|[€£¥₹₩₽]|\b(?:USD|EUR|GBP|INR|CHF|Rs\.?)\s?)\s?"
# A "-" behind a digit, a letter or a closing bracket is a dash or a subtraction, behind "^" it is part of a power.
_SIGN = r"(?<![\w)\]}^])-"
# Digits behind a letter are part of a name (H2O, x_1, m2), digits behind "^" a power, digits behind digits a part.
_START = r"(?<![A-Za-z\d^])(?<![A-Za-z]_)(?<!\^-)(?<!\^\()"
_DIGITS = "|".join(form.pattern for form in NUMBER_FORMS)
_NUMBER = re.compile(
    rf"""
    (?P<sign>{_SIGN})?
    (?: (?P<currency>{_CURRENCY}) (?P<inner_sign>-)? | {_START} )
    (?:
        (?P<clock> \d++ (?: :\d++ )+ )                              # 7:30 and 3:2 are no numbers
      | (?P<digits> {_DIGITS} ) (?P<decimals> \.\d++ | (?<=\.\d\d\d),\d\d(?!\d) )?
      | (?P<only_decimals> \.\d++ )
    )
    (?:
        / (?P<denominator> \d{{1,3}}(?:,\d{{3}})+ | \d++ )          # 3/4
      | [eE] (?P<e_power> [+-]?\d{{1,3}} ) (?!\w)                   # 4.2e3
      | [ ]?\*[ ]? 10 [ ]?\^[ ]? (?P<ten_power> -?\d{{1,3}} ) (?!\d)  # 1.5 * 10^6
      | [ ]?\^[ ]?\(? (?P<power> -?\d{{1,4}} ) (?!\d)               # 2^5
    )?
    (?: [ ]? (?P<scale> thousand|million|billion|trillion )\b )?
    (?: (?P<letter_scale> [kKmMbB] )\b )?
    """,
    re.VERBOSE,
)
# "2 1/4", "2-1/4" and "2 and 1/4" are one number.
_MIXED = re.compile(r"(?P<whole>\d++)(?:[ ]++|-|[ ]and[ ])(?P<part>\d++)/(?P<parts>\d++)(?![\d.])")

# What stands behind the number of an answer: "72 (8 * 9)", "64 eggs, 8 * 8 = 64", "72. She is done".
_REMARK = re.compile(r"(?<=[\w%])\s+\(|[,;](?!\d)|(?<!\bRs)\.(?=\s|$)|\n")
_SOLVED = re.compile(r".*[^\w][A-Za-z]\s*=\s*(?P<value>[^=\n]*\d[^=\n]*)$")
"""An equation for a letter at the end, "2x = 16, x = 8"."""
# "**$18**", "(18", "= 18"
_BEGINS_WITH_NUMBER = re.compile(rf"[\s*_(=]*-?\s?(?:{_CURRENCY})?-?\.?\d")
# "7 or 8", "7 eggs or 8"
_ALTERNATIVE = re.compile(r"\s*(?:[A-Za-z]+\s+)?or\s+")
_CURRENCY_SIGN = re.compile(_CURRENCY)
# "65 eggs", "18 %"; "2 million" has no unit.
_UNIT_BEHIND = re.compile(rf"(?<=[\d)])\s*(?!{'|'.join(SCALES)})(?:%|[A-Za-z]+(?:\^\d)?)[\s.]*$")


class Number(NamedTuple):
    """A number in a text: its value (None for a clock time or a division by zero), and where it stands."""

    value: Fraction | None
    start: int
    end: int


def numbers_in(text: str) -> list[Number]:
    """Every number of a text that :func:`plain` has rewritten, in order."""
    return list(_numbers(text))


def _numbers(text: str) -> Iterator[Number]:
    position = 0
    while found := _NUMBER.search(text, position):
        end = found.end()
        value = _value(found)
        mixed = _MIXED.match(text, found.start("digits")) if found["digits"] else None
        # 2 1/4 is one number; 20 5/4 is none
        if mixed and int_or_zero(mixed["part"]) < int_or_zero(mixed["parts"]):
            end = mixed.end()
            value = _signed(found, Fraction(int(mixed["whole"])) + Fraction(int(mixed["part"]), int(mixed["parts"])))
        yield Number(value, found.start(), end)
        position = end


def value_of(text: str) -> Fraction | None:
    """The value of a text that stands for one answer, rewritten by :func:`plain`.

    "60 + 5 = 65 eggs" is 65, what follows the last sign of equality; "18 dollars in 2 days" is 18, the number that the
    text begins with; "the total is 96" is 96, the last number of a text that begins with words; "9 + 9" is 18.

    Returns:
        The value, exactly; None if there is none, or if the text leaves a choice ("7 or 8").
    """
    if solved := _SOLVED.match(text):
        text = solved["value"]
    remark = _REMARK.search(text.strip())
    # What explains a result has numbers of its own: "72 (8 * 9)".
    answer = text.strip()[: remark.start()] if remark else text.strip()
    # Of "60 + 5 = 65 eggs" only the last side is the answer.
    side = answer.rpartition("=")[2]
    if (value := _calculated(side)) is not None:
        return value
    numbers = numbers_in(side)
    if not numbers:
        return None
    if not begins_with_number(side):
        return numbers[-1].value
    first = numbers[0]
    # "7 or 8" leaves the choice to the reader.
    if len(numbers) > 1 and _ALTERNATIVE.fullmatch(side, first.end, numbers[1].start):
        return None
    return first.value


def begins_with_number(text: str) -> bool:
    """Whether a text begins with a number, behind signs of money, brackets and bold type at most."""
    return _BEGINS_WITH_NUMBER.match(text) is not None


def only_number(text: str) -> Fraction | None:
    """The one number of a text; None if there is none or several. The text is rewritten here."""
    numbers = numbers_in(plain(text))
    return numbers[0].value if len(numbers) == 1 else None


def exact_value(text: str) -> Fraction | None:
    """The exact value of a text that is arithmetic and nothing else, LaTeX or not; None for any other or a long one."""
    return None if len(text) > LENGTH else _calculated(plain(text), units=False)


def _calculated(side: str, units: bool = True) -> Fraction | None:
    """The value of arithmetic, "40 - 13"; with ``units``, signs of money and the unit behind are left out."""
    if len(side) > LENGTH:
        return None
    if units:
        side = _UNIT_BEHIND.sub("", _CURRENCY_SIGN.sub("", side.rstrip(" !")))
    # Without a sign there is nothing to calculate.
    if not any(sign in side for sign in "+*/^!(-"):
        numbers = numbers_in(side)
        whole = len(numbers) == 1 and not (side[: numbers[0].start] + side[numbers[0].end :]).strip()
        return numbers[0].value if whole else None
    return calculate(_MIXED.sub(r"(\g<whole>+\g<part>/\g<parts>)", _grouped_digits(side)))


def _grouped_digits(side: str) -> str:
    return re.sub(_DIGITS, lambda digits: re.sub(r"\D", "", digits.group()), side)


def int_or_zero(digits: str) -> int:
    """Digits as a number; 0 if there are more than Python reads."""
    try:
        return int(digits)
    except ValueError:  # thousands of digits
        return 0


def _value(found: re.Match[str]) -> Fraction | None:
    if found["clock"]:
        return None
    whole = re.sub(r"\D", "", found["digits"] or "")
    try:
        value = Fraction((whole or "0") + (found["decimals"] or found["only_decimals"] or "").replace(",", "."))
        if found["denominator"]:
            value /= int(found["denominator"].replace(",", ""))
        if exponent := found["e_power"] or found["ten_power"]:
            value *= Fraction(10) ** int(exponent)
        if found["power"]:
            # By the calculator, which refuses what would be too large.
            value = calculate(f"({value.numerator}/{value.denominator})^({found['power']})")
    except (ValueError, ZeroDivisionError):  # thousands of digits; a division by zero
        return None
    if value is None:
        return None
    if found["scale"]:
        value *= SCALES[found["scale"]]
    if found["letter_scale"] and found["currency"]:
        value *= LETTER_SCALES[found["letter_scale"].lower()]
    return _signed(found, value)


def _signed(found: re.Match[str], value: Fraction) -> Fraction:
    return -value if found["sign"] or found["inner_sign"] else value
