"""The exact value of a plain arithmetic expression: ``(1)/(2*31!)``, ``3*10^-9``, ``60 + 5``.

No text can make this slow: expressions are short, and numbers of more than :data:`BITS` bits have no value here.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

LENGTH = 200
"""Characters of the longest expression that is read."""
BITS = 20_000
"""Size of the largest number, 6,000 digits."""
DEEPEST = 50
"""Parentheses within parentheses."""

_TOKEN = re.compile(r"\s*(?P<number>\d+(?:\.\d+)?|\.\d+)|\s*(?P<sign>[-+*/^()!])")


def calculate(expression: str) -> Fraction | None:
    """The exact value of an expression of numbers, ``+ - * / ^ !`` and parentheses.

    Args:
        expression: plain text. ``2(3)`` is a product; two numbers side by side are none.

    Returns:
        The value; None if the text is anything else than one expression, or if its value is no number that fits.
    """
    tokens = _tokens(expression)
    if not tokens:
        return None
    reader = _Reader(tokens)
    try:
        value = reader.sum()
    except (_NoValueError, ZeroDivisionError):
        return None
    return value if reader.is_at_end() else None


class _NoValueError(Exception):
    """The tokens are no expression, or their value is too large."""


def _tokens(expression: str) -> list[str]:
    """The numbers and signs of an expression; none if there is anything else in it."""
    expression = expression.strip()
    tokens: list[str] = []
    position = 0
    # A text that is too long has no tokens, and so no value.
    while position < len(expression) <= LENGTH:
        token = _TOKEN.match(expression, position)
        if not token:
            return []
        tokens.append(token["number"] or token["sign"])
        position = token.end()
    return tokens


class _Reader:
    """Reads tokens from left to right, one method for each level of precedence."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._position = 0
        self._depth = 0

    def is_at_end(self) -> bool:
        return self._position == len(self._tokens)

    def sum(self) -> Fraction:
        value = self._product()
        while sign := self._take("+-"):
            term = self._product()
            value = value + term if sign == "+" else value - term
        return value

    def _product(self) -> Fraction:
        value = self._signed()
        while True:
            if sign := self._take("*/"):
                factor = self._signed()
            # 2(3) is a product; two numbers side by side, 2 3, are left over and make no value.
            elif self._peek() == "(":
                sign, factor = "*", self._power()
            else:
                return value
            value = _small(value * factor if sign == "*" else value / factor)

    def _signed(self) -> Fraction:
        # -2^2 is -4: the sign binds less than the power
        negative = False
        while sign := self._take("+-"):
            negative ^= sign == "-"
        return -self._power() if negative else self._power()

    def _power(self) -> Fraction:
        base = self._atom()
        if not self._take("^"):
            return base
        self._enter()
        # It may have a sign and a power of its own: 2^-3 is 1/8, and 2^3^2 is 2^9.
        exponent = self._signed()
        self._depth -= 1
        # Its size is told before it is computed: 9^9^9 has a billion bits.
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if exponent.denominator != 1 or abs(exponent) * bits > BITS:
            raise _NoValueError
        return base ** int(exponent)

    def _atom(self) -> Fraction:
        if self._take("("):
            self._enter()
            value = self.sum()
            self._depth -= 1
            if not self._take(")"):
                raise _NoValueError
        else:
            token = self._peek()
            # A sign where a number must stand.
            if not token or token in "+-*/^()!":
                raise _NoValueError
            self._position += 1
            value = _small(Fraction(token))
        while self._take("!"):
            # 1000! has 8,530 bits, and fits; that of a number with a hundred digits would not end.
            if value.denominator != 1 or not 0 <= value <= 1_000:
                raise _NoValueError
            value = Fraction(math.factorial(int(value)))
        return value

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise _NoValueError

    def _peek(self) -> str:
        return "" if self.is_at_end() else self._tokens[self._position]

    def _take(self, signs: str) -> str:
        token = self._peek()
        if not token or token not in signs:
            return ""
        self._position += 1
        return token


def _small(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > BITS:
        raise _NoValueError
    return value
