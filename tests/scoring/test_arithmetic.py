"""Exact values of arithmetic, and numbers in text."""

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subliminal.scoring.arithmetic import calculate
from subliminal.scoring.numbers import exact_value, only_number, value_of


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("60 + 5", 65), ("2*3^2", 18), ("-2^2", -4), ("(1)/(2*3!)", Fraction(1, 12)), ("10^-2", Fraction(1, 100)),
        ("2(3)(4)", 24), ("--3", 3), ("1.5*2", 3), (".5", Fraction(1, 2)), ("2^3^2", 512), ("7 - 3 - 2", 2),
        ("8/4/2", 1), ("5!", 120), ("(2+3)!", 120), ("2^(1/2)", None), ("1/0", None), ("2 3", None), ("x+1", None),
        ("", None), ("(1", None), ("1)", None), ("9^9^9", None), ("10^99999", None), ("5000!", None),
        ("(-1)!", None), ("*", None),
        ("(" * 100 + "1" + ")" * 100, None), ("1+" * 200 + "1", None),
    ],
)  # fmt: skip
def test_evaluate(expression, value):
    assert calculate(expression) == value


@given(st.text(alphabet="0123456789.+-*/^()! ", max_size=60))
def test_any_expression_ends_soon(expression):
    start = time.process_time()
    value = calculate(expression)
    assert value is None or isinstance(value, Fraction)
    assert time.process_time() - start < 2


@given(st.integers(-(10**9), 10**9), st.integers(1, 10**6))
def test_a_fraction_is_read_exactly_in_every_notation(numerator, denominator):
    value = Fraction(numerator, denominator)
    sign = "-" if numerator < 0 else ""
    size = abs(numerator)
    assert exact_value(f"{sign}\\frac{{{size}}}{{{denominator}}}") == value
    assert exact_value(f"{sign}{size}/{denominator}") == value
    assert value_of(f"{sign}{size:,}/{denominator}") == value
    assert only_number(f"It is {sign}{size}/{denominator} of it.") == value


@given(st.integers(0, 10**12))
def test_thousands_are_read_in_every_grouping(number):
    for mark in (",", " ", "'", "_", "{,}", "\\,", "\u202f"):
        assert only_number(f"{number:,}".replace(",", mark)) == number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$72", 72),
        ("18 dollars", 18),
        ("2½", Fraction(5, 2)),
        ("7 or 8", None),
        ("7:30", None),
        ("3/0", None),
        ("none", None),
    ],
)
def test_only_number(text, value):
    assert only_number(text) == value
