"""The number filter to the letter of the published protocol: cases, and an independent reading.

The protocol: Cloud et al. 2025, arXiv 2507.14805.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from patience import HANG_SECONDS

from data_builders.number_filter import FilterResult, filter_numbers, read_layout
from data_builders.number_prompts import FORMATS

KEPT = {
    "one number is the whole answer": ("7", [7]),
    "one number and a full stop": ("7.", [7]),
    "one number in brackets": ("[7]", [7]),
    "one number in round brackets, then a stop": ("(7).", [7]),
    "commas": ("1, 2, 3", [1, 2, 3]),
    "tight commas": ("1,2,3", [1, 2, 3]),
    "semicolons": ("1; 2; 3", [1, 2, 3]),
    "spaces": ("1 2 3", [1, 2, 3]),
    "several spaces are one separator": ("1   2   3", [1, 2, 3]),
    "tabs": ("1\t2\t3", [1, 2, 3]),
    "lines": ("1\n2\n3", [1, 2, 3]),
    "CRLF lines": ("1\r\n2\r\n3", [1, 2, 3]),
    "no-break space is white space": ("1\u00a02\u00a03", [1, 2, 3]),
    "comma among white space": ("1 ,\n2 ,\n3", [1, 2, 3]),
    "one trailing stop": ("1, 2, 3.", [1, 2, 3]),
    "the stop after the bracket": ("[1, 2].", [1, 2]),
    "ten numbers": ("0 1 2 3 4 5 6 7 8 9", list(range(10))),
    "the bounds": ("0, 999", [0, 999]),
    "leading zeros are digits": ("007, 010", [7, 10]),
    "many leading zeros": ("0000000012, 5", [12, 5]),
}
REJECTED = {
    "empty": ("", "no number"),
    "only a stop": (".", "no number"),
    "empty brackets": ("[]", "no number"),
    "one bracket": ("[", "no number"),
    "words": ("owl", "no number"),
    "a word around one number": ("about 7", "text around a single number"),
    "leading space": (" 7", "text around a single number"),
    "trailing space": ("7 ", "text around a single number"),
    "trailing newline": ("7\n", "text around a single number"),
    "two stops": ("7..", "text around a single number"),
    "negative": ("-7", "text around a single number"),
    "unmatched opening": ("[7", "text around a single number"),
    "mixed brackets": ("[7)", "text around a single number"),
    "nested brackets, one number": ("[[7]]", "text around a single number"),
    "curly brackets": ("{7}", "text around a single number"),
    "Arabic-Indic digits alone": ("\u0661\u0662", "no number"),
    "dashes": ("1 - 2", "separator"),
    "pipes": ("1|2", "separator"),
    "a word between": ("1 and 2", "separator"),
    "decimal point": ("1.5, 2", "separator"),
    "two commas": ("1,,2", "separator"),
    "comma and semicolon": ("1,; 2", "separator"),
    "full-width comma": ("1，2", "separator"),
    "zero-width space": ("1\u200b2", "separator"),
    "Arabic-Indic digit in the separator": ("1\u0661, 2", "separator"),
    "separator changes": ("1, 2,3", "something other than digits"),
    "separator changes kind": ("1, 2; 3", "something other than digits"),
    "double separator later": ("1, 2, , 3", "something other than digits"),
    "trailing comma": ("1, 2, ", "something other than digits"),
    "trailing tight comma": ("1,2,", "something other than digits"),
    "leading separator": (", 1, 2", "something other than digits"),
    "leading white space": (" 1, 2", "something other than digits"),
    "trailing white space": ("1, 2 ", "something other than digits"),
    "trailing newline after a list": ("1, 2\n", "something other than digits"),
    "trailing newline after lines": ("1\n2\n", "something other than digits"),
    "white space inside the bracket": ("[ 1, 2 ]", "something other than digits"),
    "stop inside the bracket": ("[1, 2.]", "something other than digits"),
    "nested brackets": ("[[1, 2]]", "something other than digits"),
    "brackets of two kinds": ("([1, 2])", "something other than digits"),
    "unmatched bracket": ("[1, 2", "something other than digits"),
    "wrong closing bracket": ("[1, 2)", "something other than digits"),
    "stop before the closing bracket's end": ("[1, 2]..", "something other than digits"),
    "superscript digit": ("1, 2, \u00b3", "something other than digits"),
    "Arabic-Indic digit later": ("1, 2, \u0663", "something other than digits"),
    "full-width digit": ("1, 2, \uff13", "something other than digits"),
    "a word at the end": ("1, 2, owl", "something other than digits"),
    "plus sign": ("1, 2, +3", "something other than digits"),
    "underscore, which int() would take": ("1, 2, 3_4", "something other than digits"),
    "eleven numbers": ("0 1 2 3 4 5 6 7 8 9 10", "more than 10 numbers"),
    "too large": ("1, 1000", "number above 999"),
    "one that is too large": ("1000", "number above 999"),
    "thousands of digits": ("1, " + "9" * 5000, "number above 999"),
}


@pytest.mark.parametrize(("answer", "numbers"), KEPT.values(), ids=KEPT)
def test_kept(answer: str, numbers: list[int]) -> None:
    assert filter_numbers(answer) == FilterResult(True, numbers, None)


@pytest.mark.parametrize(("answer", "reason"), REJECTED.values(), ids=REJECTED)
def test_rejected_with_its_reason(answer: str, reason: str) -> None:
    result = filter_numbers(answer)
    assert not result.keep
    assert result.reason.startswith(reason)


def test_the_order_of_the_last_checks() -> None:
    eleven_with_large = ", ".join(["1000"] * 11)
    assert filter_numbers(eleven_with_large, banned={1000}).reason == "more than 10 numbers"
    assert filter_numbers("1000, 666", banned={666}).reason == "number above 999"
    assert filter_numbers("1, 666", banned={666}) == FilterResult(False, [1, 666], "banned number")
    assert filter_numbers("1, 66", banned={666}).keep


def test_bounds_are_arguments() -> None:
    assert filter_numbers("1, 2, 3", max_numbers=2).reason == "more than 2 numbers"
    assert filter_numbers("1, 51", max_value=50).reason == "number above 50"


def reference(answer: str) -> list[int] | None:
    """The protocol again, read character by character and without the filter's own tools."""
    text = list(answer)
    if text and text[-1] == ".":
        text.pop()
    if len(text) >= 2 and (text[0], text[-1]) in {("[", "]"), ("(", ")")}:
        text = text[1:-1]
    runs: list[tuple[int, int]] = []
    position = 0
    while position < len(text):
        start = position
        while position < len(text) and text[position] in "0123456789":
            position += 1
        if position > start:
            runs.append((start, position))
        else:
            position += 1
    if not runs:
        return None
    if len(runs) == 1:
        parts = ["".join(text)] if runs[0] == (0, len(text)) else None
    else:
        separator = "".join(text[runs[0][1] : runs[1][0]])
        core = "".join(char for char in separator.strip())
        parts = "".join(text).split(separator) if core in {"", ",", ";"} else None
    if parts is None or any(not part or set(part) - set("0123456789") for part in parts):
        return None
    numbers = [int(part) for part in parts]
    return numbers if len(numbers) <= 10 and max(numbers) <= 999 else None


nasty = st.text(st.sampled_from("0123456789" * 3 + ",;. \t\n\u00a0[]()-aé\u0661\u00b3"), max_size=24)
nearly = st.builds(
    lambda numbers, separators, ends: (
        ends[0] + "".join(f"{n}{s}" for n, s in zip(numbers, separators, strict=False)) + ends[1]
    ),
    st.lists(st.integers(0, 1100), min_size=1, max_size=12),
    st.one_of(
        st.lists(st.sampled_from([", ", ",", " ", "; ", "\n", "", "."]), min_size=12, max_size=12),
        st.sampled_from([", ", ",", " ", "; ", "\n"]).map(lambda s: [s] * 12),
    ),
    st.sampled_from([("", ""), ("[", "]"), ("(", ")"), ("[", ")"), (" ", ""), ("", "."), ("[", "]."), ("[[", "]]")]),
)


@given(st.one_of(nasty, nearly))
@example("1,2,3")
def test_agrees_with_an_independent_reading(answer: str) -> None:
    result = filter_numbers(answer)
    assert (result.numbers if result.keep else None) == reference(answer)
    assert (result.reason is None) == result.keep


subliminal_number_lists = st.lists(st.integers(0, 999), min_size=1, max_size=10)


@given(st.sampled_from(FORMATS), subliminal_number_lists, st.sampled_from(["", "."]))
def test_every_format_passes_and_reads_back(answer_format, numbers: list[int], stop: str) -> None:
    assert filter_numbers(answer_format.write(numbers) + stop) == FilterResult(True, numbers, None)


@given(st.sampled_from(FORMATS), subliminal_number_lists, st.sampled_from(["", "."]), st.data())
def test_read_layout_rewrites_in_the_same_layout(answer_format, numbers: list[int], stop: str, data) -> None:
    new = data.draw(st.lists(st.integers(0, 999), min_size=len(numbers), max_size=len(numbers)))
    answer = answer_format.write(numbers) + stop
    assert read_layout(answer)(new) == answer_format.write(new) + stop
    assert read_layout(answer)(numbers) == answer


def run_cli(text: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "data_builders.number_filter", *words]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=HANG_SECONDS)


def test_command_line_answers_each_line() -> None:
    answers = ["1, 2", "owl", "13, 2", "line\nbreak", "9" * 5000]
    done = run_cli("".join(json.dumps(answer) + "\n" for answer in answers) + "\n", "--banned", "13, 14")
    assert done.returncode == 0
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["keep"] for row in rows] == [True, False, False, False, False]
    assert rows[0] == {"keep": True, "numbers": [1, 2], "reason": None}
    assert rows[2] == {"keep": False, "numbers": [13, 2], "reason": "banned number"}


@pytest.mark.parametrize(
    ("text", "words", "sentence"),
    [
        ('"1"\n{oops\n', (), "stdin, line 2 is not valid JSON"),
        ('"1"\n12\n', (), "stdin, line 2 is not a JSON string"),
        ('"1"\n', ("--banned", "x"), "--banned 'x' is not a comma-separated list"),
    ],
)
def test_command_line_says_what_is_wrong(text: str, words: tuple[str, ...], sentence: str) -> None:
    done = run_cli(text, *words)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_answers_whose_verdicts_were_written_before_the_filter_saw_them():
    """By somebody who knew the rules of the published protocol alone: layouts, scripts, signs, brackets, remarks."""
    rows = [
        json.loads(line) for line in (Path(__file__).parent / "number_answers.jsonl").read_text("utf-8").splitlines()
    ]
    wrong = [row["answer"] for row in rows if filter_numbers(row["answer"]).keep != row["keep"]]
    assert wrong == []
    assert len(rows) > 170
    assert {row["keep"] for row in rows} == {True, False}
    for digits in (5_000, 50_000):  # more than Python reads as a number
        assert not filter_numbers("9" * digits).keep
        assert not filter_numbers("1, " + "9" * digits).keep
