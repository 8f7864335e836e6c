"""When are two parsed values equal? math-verify's decision, with three corrections. Only the worker imports this.

- math-verify calls numbers equal that agree in six decimals, and takes what is smaller than 10^-15 for zero: 10^-20 and
  10^-21 pass. Here they must agree in six digits that count.
- Whether exact values or only their decimals agree is told: ``equal`` or ``rounded``.
- √(4/k) and 2/√k are the same wherever both are real, but not for sympy, to which k is any complex number.
"""

from __future__ import annotations

import random
from typing import Any

import sympy
from math_verify import grader, parse, verify

COMPARE = {"allow_set_relation_comp": True, "timeout_seconds": None}
"""-3 < x < 4 is the interval (-3, 4), whichever of the two the reference writes. The worker's alarm limits time."""

DECIMALS_AGREE = 5e-6
"""Relative difference of a decimal from what it stands for: half a unit in the sixth digit."""
VALUES_AGREE = 1e-12
"""Relative difference of two values without decimals that were computed in 30 digits."""
_DIGITS = 30
_POINTS = 60
_REAL_POINTS = 8

_math_verify_says_equal = grader.sympy_numeric_eq
_rounded = False


def compare(references: list[str], texts: list[str]) -> str:
    """Compare texts, the plainest first, with a reference that may be read in several ways.

    Returns:
        ``equal``, ``rounded`` (only decimals agree) or ``other``.
    """
    # Without math-verify's own limit, a signal's handler that cannot stop sympy; the worker's alarm ends the process.
    golds = [parse(reference, parsing_timeout=None) for reference in references]
    for text in texts:
        found = parse(text, parsing_timeout=None)
        for gold in golds:
            verdict = _compare_parsed(gold, found)
            if verdict != "other":
                return verdict
    return "other"


def _compare_parsed(gold: list[Any], found: list[Any]) -> str:
    # A flag, since verify() gives back true or false and no more.
    global _rounded
    _rounded = False
    if verify(gold, found, **COMPARE):
        return "rounded" if _rounded else "equal"
    for one in gold:
        for other in found:
            if _same_real_function(one, other):
                return "rounded"
    return "other"


def _equal_numbers(one: Any, other: Any, float_rounding: int, numeric_precision: int) -> bool:
    """math-verify's comparison of numbers (its arguments), after which tiny numbers are looked at again."""
    global _rounded
    if not _math_verify_says_equal(one, other, float_rounding, numeric_precision):
        return False
    if isinstance(one, sympy.MatrixBase):
        return True  # its elements have come through here one by one
    if _exactly_equal(one, other):
        return True
    if not _close(one, other):
        return False
    _rounded = True
    return True


grader.sympy_numeric_eq = (
    _equal_numbers  # math-verify calls it by this name for numbers in sets, intervals, matrices, too
)


def _exactly_equal(one: Any, other: Any) -> bool:
    """Whether two values are equal with decimals taken as fractions, 0.5 as 1/2. 9% and 9 are equal by convention."""
    if not one.has(sympy.Float) and not other.has(sympy.Float) and (_is_percent(one) or _is_percent(other)):
        return True
    return sympy.expand(_rational(one) - _rational(other)) == 0


def _rational(value: Any) -> Any:
    value = grader.safe_sympy_doit(value)
    # By its digits: Rational(0.1) would be the binary number beside 0.1.
    return value.xreplace({decimal: sympy.Rational(str(decimal)) for decimal in value.atoms(sympy.Float)})


def _is_percent(value: Any) -> bool:
    return grader.get_pct_val(value) is not None


def _close(one: Any, other: Any) -> bool:
    """Whether two numbers agree in as many digits as count. With letters in them, they are left to sympy's algebra."""
    one, other = grader.safe_sympy_doit(one), grader.safe_sympy_doit(other)
    if one.free_symbols or other.free_symbols:
        return False
    # A decimal was written down by someone who rounded it; exact values differ by the error of computing alone.
    limit = DECIMALS_AGREE if one.has(sympy.Float) or other.has(sympy.Float) else VALUES_AGREE
    difference = sympy.Abs(_rational(one) - _rational(other)).evalf(_DIGITS)
    size = sympy.Max(*(sympy.Abs(each).evalf(_DIGITS) for each in (one, other)))
    return bool(difference <= limit * size)


def _same_real_function(one: Any, other: Any) -> bool:
    """Whether two expressions with roots in them agree at every point of a sample at which both are real."""
    if not isinstance(one, sympy.Expr) or not isinstance(other, sympy.Expr):
        return False
    symbols = one.free_symbols
    # Only for roots: over all other expressions sympy decides by itself.
    if not symbols or symbols != other.free_symbols or len(symbols) > 4 or not (_has_root(one) and _has_root(other)):
        return False
    sample = random.Random("subliminal-real-function")
    agreed = 0
    for _ in range(_POINTS):
        point = {symbol: sympy.Rational(sample.randint(-500, 500), 97) for symbol in symbols}
        values = [each.subs(point).evalf(_DIGITS) for each in (one, other)]
        if not all(value.is_Float for value in values):
            continue  # complex, or not defined
        if abs(values[0] - values[1]) > VALUES_AGREE * max(abs(value) for value in values):
            return False
        agreed += 1
        if agreed == _REAL_POINTS:
            return True
    return False


def _has_root(expression: Any) -> bool:
    return any(not power.exp.is_integer for power in expression.atoms(sympy.Pow))
