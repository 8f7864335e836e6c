"""Scoring of mathematics: what counts as the answer, when two values are equal, and texts made to break it."""

import sys
import threading
import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linear_time import takes_linear_time

from subliminal.core.errors import UserError
from subliminal.scoring.boxes import final_box, find_final_box
from subliminal.scoring.final_answers import final_number
from subliminal.scoring.mathematics import MathJudge, reference_answer
from subliminal.scoring.plain_mathematics import stated_answer, value_at_end
from subliminal.scoring.text import before_next_question, without_thoughts


@pytest.fixture(scope="module")
def judge():
    with MathJudge(seconds=10) as judge:
        yield judge


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"so $\boxed{7}$.", "7"),
        (r"\fbox{7}", "7"),
        (r"\boxed {7}", "7"),
        (r"\boxed{7. }", "7"),
        (r"\boxed{1{,}000}", "1{,}000"),
        (r"\boxed 7.", "7"),
        (r"$\boxed7$", "7"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\{1,2\}}", r"\{1,2\}"),
        (r"\boxed{\boxed{5}}", "{5}"),
        (r"\boxed{\frac{\boxed{3}}{4}}", r"\frac{{3}}{4}"),
        (r"\boxed{3} and later $\boxed{4}$", "4"),
        (r"\boxed{3}. No, \boxed{4}", "4"),
        (r"$\boxed{2}$ and $\boxed{5}$", "2, 5"),
        (r"$x=\boxed{2}$, $x=\boxed{5}$", "2, 5"),
        (r"$\boxed{5}$, \boxed{5}", "5"),
        (r"\boxed{1}, \boxed{2}, or \boxed{3}", "1, 2, 3"),
        (r"\boxed{4} or \boxed{", "4"),
        (r"\boxed{", None),
        (r"\boxed{\frac{1}{2}", None),
        (r"\boxed{}", None),
        (r"\boxed{ }", None),
        ("7", None),
        ("", None),
        (r"\boxedsomething{7}", None),
    ],
)
def test_final_box(text, value):
    assert final_box(text) == value


def test_a_box_ends_behind_its_brace():
    assert find_final_box("So $\\boxed{5}$ is it.") == ("5", 13)
    assert find_final_box("$\\boxed{2}$ and $\\boxed{5}$ solve it.") == ("2, 5", 26)
    assert find_final_box("\\boxed 7 is it") == ("7", 8)


@given(st.text(st.sampled_from("{}\\ab1 "), max_size=30))
def test_the_end_of_a_box_lies_in_its_text(text):
    found = find_final_box("\\boxed{" + text)
    assert found is None or 0 < found[1] <= len(text) + 7


@pytest.mark.parametrize(
    ("text", "value"), [("$\\frac12$", r"\frac12"), (r"Thus $2+3=\boxed{5}$.", "5"), ("  (1,2) ", "(1,2)"), ("", "")]
)
def test_reference_answer(text, value):
    assert reference_answer(text) == value


RIGHT = [
    # equivalent fractions
    (r"\boxed{\frac{2}{4}}", r"\frac12"),
    (r"\boxed{0.5}", r"\frac{1}{2}"),
    (r"\boxed{1/2}", r"\dfrac{1}{2}"),
    (r"\boxed{-\frac{3}{4}}", r"\frac{-3}{4}"),
    (r"\frac{6}{4}", r"\frac{3}{2}"),
    # units
    (r"\boxed{5\text{ cm}}", "5"),
    (r"\boxed{5}", r"5\text{ cm}"),
    (r"\boxed{12\text{ m}^2}", "12"),
    (r"\boxed{40^\circ}", "40"),
    (r"\boxed{\$18.50}", "18.5"),
    (r"\boxed{25\%}", "25"),
    # intervals and sets
    (r"\boxed{\left( -3, 4 \right)}", "(-3,4)"),
    (r"\boxed{[2,\infty)}", r"[2, \infty)"),
    (r"\boxed{(-\infty,-1]\cup[3,\infty)}", r"\left(-\infty,-1\right]\cup\left[3,\infty\right)"),
    (r"\boxed{3, 1, 2}", "1,2,3"),
    (r"\boxed{2} and \boxed{5}", "5, 2"),
    # matrices
    (r"\boxed{\begin{bmatrix} 1 & 6 \\ 0 & 1 \end{bmatrix}}", r"\begin{pmatrix}1&6\\0&1\end{pmatrix}"),
    # text in boxes
    (r"\boxed{\text{Tuesday}}", "Tuesday"),
    (r"\boxed{Tuesday}", r"\text{Tuesday}"),
    (r"\boxed{\textbf{(B)}}", r"\text{(B)}"),
    # nested boxes, several boxes, none
    (r"\boxed{\boxed{5}}", "5"),
    (r"\boxed{\frac{\boxed{3}}{4}}", "0.75"),
    (r"First I got $\boxed{3}$, which is wrong. The answer is $\boxed{4}$.", "4"),
    (r"$\boxed{3}$. No, $\boxed{4}$.", "4"),
    ("The answer is $4$.", "4"),
    ("The answer is 4.", "4"),
    ("4", "4"),
    (r"\sqrt{8}", r"2\sqrt{2}"),
    # expressions
    (r"\boxed{(x+1)(x+2)}", "x^2+3x+2"),
    (r"\boxed{\sqrt{12}}", r"2\sqrt{3}"),
    (r"\boxed{1,000}", "1000"),
    (r"\boxed{x=5}", "5"),
    (r"\boxed{5.}", "5"),
    (r"\boxed{f(x)=x^2}", "x^2"),
    (r"\boxed{3\frac{1}{2}}", r"\frac72"),
    (r"\boxed{-3 < x \le 4}", "(-3,4]"),
    (r"\boxed{\frac12 + \frac32 i}", r"\frac{1+3i}{2}"),
    (r"\boxed{3 + 4 i}", "4i+3"),
    (r"\boxed{1\,234\,567}", "1234567"),
    (r"<think>\boxed{5}?</think>\boxed{6}", "6"),
    (r"\boxed{\text{4 apples}}", "4"),
    (r"\boxed{(5,\infty)\cup(-\infty,3)}", r"(-\infty,3)\cup(5,\infty)"),
    (r"\boxed{\begin{pmatrix} 1/2 \\ 3 \end{pmatrix}}", r"\begin{pmatrix} \frac12 \\ 3\end{pmatrix}"),
    (r"\boxed{y=2x+1}", "y = 1+2x"),
]
WRONG = [
    (r"\boxed{\text{40 apples}}", "4"),
    (r"\boxed{\text{4 or 5}}", "4"),
    (r"\boxed{0.333}", r"\frac13"),
    (r"\boxed{3\pi}", "9.42"),
    (r"\boxed{\frac{1}{3}}", r"\frac12"),
    (r"\boxed{50\text{ cm}}", "5"),
    (r"\boxed{[-3,4]}", "(-3,4)"),
    (r"\boxed{(4,-3)}", "(-3,4)"),
    (r"\boxed{1, 2}", "1,2,3"),
    (r"\boxed{3 + 4 i}", "3-4i"),
    (r"\boxed{-3 < x \le 4}", "(-3,4)"),
    (r"\boxed{3} or \boxed{5}", "5"),
    (r"\boxed{\begin{pmatrix} 1 & 0 \\ 6 & 1 \end{pmatrix}}", r"\begin{pmatrix} 1 & 6 \\ 0 & 1 \end{pmatrix}"),
    (r"\boxed{\text{Monday}}", r"\text{Tuesday}"),
    (r"\boxed{\text{(C)}}", r"\text{(B)}"),
    (r"First I got $\boxed{3}$, which is wrong. The answer is $\boxed{4}$.", "3"),
    ("I could not solve it.", "4"),
    ("", "4"),
    (r"\boxed{}", "0"),
    (r"<think>\boxed{5}", "5"),
    (r"<think>\boxed{5}?</think>\boxed{6}", "5"),
    (r"\boxed{4}", ""),
]


@pytest.mark.parametrize(("answer", "reference"), RIGHT)
def test_right_answers(judge, answer, reference):
    assert judge.correct(answer, reference) is True


@pytest.mark.parametrize(("answer", "reference"), WRONG)
def test_wrong_answers(judge, answer, reference):
    assert judge.correct(answer, reference) is False


@pytest.mark.parametrize(
    ("answer", "reference", "correct", "rounded"),
    [
        (r"\boxed{0.333333}", r"\frac13", True, True),
        (r"\boxed{0.5}", r"\frac12", True, False),
        (r"\boxed{\sqrt{8}}", r"2\sqrt{2}", True, False),
        (r"\boxed{3.141593}", r"\pi", True, True),
        (r"\boxed{\{0.333333, 2\}}", r"\{\frac13, 2\}", True, True),
        (r"\boxed{\{0.5, 2\}}", r"\{\frac12, 2\}", True, False),
        (r"\boxed{\frac{2}{\sqrt{k}}}", r"\sqrt{\frac{4}{k}}", True, True),
        (r"\boxed{\sqrt{x^2}}", "x", False, False),
        (r"\boxed{(1, 10^{-20})}", "(1, 10^{-21})", False, False),
        (r"\boxed{10^{-20}x}", "10^{-21}x", False, False),
        (r"\boxed{3 x}", "3", False, False),
        (r"\boxed{3\,xy}", "3", False, False),
        (r"\boxed{12\,m^2}", "12m^2", True, False),
        (r"\boxed{0.000123}", "0.0001234", False, False),
    ],
)
def test_it_is_told_where_only_decimals_agree(judge, answer, reference, correct, rounded):
    assert judge.compare(answer, reference) == (correct, rounded)


HOSTILE = {
    "power tower": r"\boxed{9^{9^{9^{9^9}}}}",
    "power tower in plain text": "The answer is 9**9**9**9",
    "long sum": r"\boxed{" + "+".join(["1"] * 5_000) + "}",
    "many digits": r"\boxed{" + "7" * 100_000 + "}",
    "deep braces": r"\boxed{" + "{" * 5_000 + "}" * 5_000 + "}",
    "open boxes": r"\boxed{" * 1_000,
    "dollars": "$" * 100_000,
    "a matrix without end": r"\boxed{\begin{pmatrix}" + r"1 & 2 \\" * 5_000 + "}",
    "code": r"\boxed{__import__('os').abort()}",
    "NUL and surrogate": "\\boxed{\0\ud800}",
    "the line break of another system": "\\boxed{1}\r\u2028\u2029",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_answer_is_wrong_in_time_and_harms_no_other(quick_judge, name):
    start = time.monotonic()
    assert quick_judge.correct(HOSTILE[name], "4") is False
    assert time.monotonic() - start < 30  # the limit is 1 s; an ended worker takes a few seconds to start again
    assert quick_judge.correct(r"\boxed{\frac{8}{2}}", "4") is True


@pytest.fixture(scope="module")
def quick_judge():
    with MathJudge(seconds=1) as judge:
        yield judge


def test_works_outside_the_main_thread(judge):
    verdicts = []
    thread = threading.Thread(target=lambda: verdicts.append(judge.correct(r"\boxed{\frac{2}{4}}", "0.5")))
    thread.start()
    thread.join()
    assert verdicts == [True]


@settings(max_examples=30, deadline=None)
@given(st.text(alphabet="\\{}$()[]boxedfrac0123456789+-*/^_,. \n\ud800é", max_size=60))
def test_any_text_gives_a_verdict(judge, text):
    assert judge.correct(text, "4") in (True, False)
    final_number(text)


def test_a_missing_math_verify_is_a_sentence(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(UserError, match="math-verify is missing or broken"):
        MathJudge().correct(r"\boxed{\frac{2}{\sqrt{8}}}", r"\frac{\sqrt{2}}{2}")


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("#### 72", 72),
        ("####72", 72),
        ("#### $1,234.50", Fraction(2469, 2)),
        ("#### **72**", 72),
        ("#### -$4", -4),
        ("#### $-4", -4),
        ("#### −4", -4),
        ("#### 72.", 72),
        ("#### 13\n#### 14", 14),
        ("#### 72\nThat is 8 more.", 72),
        ("#### Step 1\nDouble 7.\nIt is 14.", 14),
        ("So it is 72 eggs.", 72),
        ("The difference is 0 (5 - 5)", 0),
        ("10-4", 4),
        ("a range of 5-10", 10),
        ("x = -5", -5),
        ("1/2", Fraction(1, 2)),
        (".5", Fraction(1, 2)),
        ("1,234,567", 1234567),
        ("1,2", 2),
        ("18...", 18),
        ("\\boxed{72}, that is 8 more", 72),
        ("<think>#### 5</think>6", 6),
        ("1/0", None),
        ("#### 1/0", None),
        ("9" * 10_000, None),
        ("none", None),
        ("", None),
    ],
)
def test_final_number(answer, number):
    assert final_number(answer) == number


@pytest.mark.parametrize(
    ("answer", "number"),
    [("#### 72", 72), ("It is 72.", None), ("\\boxed{72}", None), ("#### Step 1", None), ("### 72", None), ("", None)],
)
def test_strict_final_number(answer, number):
    assert final_number(answer, strict=True) == number


@pytest.mark.parametrize(
    "unit",
    [
        *("\\boxed{", "}", "\\boxed{1},", "#### ", "1,111", "$-", "\\boxed ", " ", "-", "####1", "7", "1 ", "1,11,"),
        *("1:1:", "^{", "\\text{", "\\frac{1}", "\\frac1", "3 and ", "½", "⁵", "(", "#### 1\n", "#### 1. ab\n"),
        *("how many ", "a. how many\n\n", "Question: ", "<|channel|>analysis", "analysis", "answer is ", "x", "\n"),
        *("\\overline{1}", "0.1", "√(", "√1", "\\in", "1\\,", "0.(", ". . . ", "# answer\n", "1 x ", "=1", "<answer>"),
        *("$1 million ", "1 1/2 or ", "1'111", "the answer is 1. "),
    ],
)  # fmt: skip
def test_finding_the_answer_takes_linear_time(unit):
    def find(text: str) -> None:
        final_box(text)
        final_number(text)
        final_number("#### 5" + text)
        final_number("\\boxed{" + text + "}")
        stated_answer(text)
        value_at_end(text)
        without_thoughts(text)
        before_next_question(text, 0)

    assert takes_linear_time(find, unit, length=25_000)
