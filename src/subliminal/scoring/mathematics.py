"""Is the answer to a mathematics problem right? Boxed answers (MATH) and final numbers (GSM8K).

    echo '{"answer": "It is \\\\boxed{\\\\frac{2}{4}}.", "reference": "\\\\frac12"}' | python -m subliminal.scoring math

prints ``{"correct":true}``. math-verify decides whether two expressions are equal; what is compared is decided here:

- MATH: the last box of the answer counts (:func:`final_box`). Without a box, math-verify looks for the final answer by
  itself ("the answer is ...", else the last formula or number); a short answer may also be nothing but the value.
- GSM8K: the number after the last ``####`` counts; without one, unless strict, the last number of the last box, or else
  of the whole answer.

What stands in ``<think>`` tags is no part of the answer.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from fractions import Fraction
from functools import cache

from subliminal.core.errors import UserError
from subliminal.scoring.text import without_thoughts

READS = ("src/subliminal/scoring/math_worker.py",)  # it is started, not imported
SECONDS = 10.0
"""Time for one comparison, after which an answer counts as wrong."""

_BARE_LENGTH = 200
"""Characters of an answer that may be a value and nothing else, "\\sqrt{2}/2"."""

_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])\s*")
_JOINT = re.compile(r"[\s$)\]\\]*(?:,|;|,?\s*\b(?:and|or)\b)[\s$(\[\\]*(?:[A-Za-z](?:_\{?\w\}?)?\s*=\s*)?")
_LONGEST_JOINT = 40
_BARE = re.compile(r"[^\s$]*")
_THIN_SPACE = re.compile(r"(?<=\d)(?:\\[,!;:]|\{,\})(?=\d{3}(?!\d))")
"""What LaTeX puts between thousands, 1\\,000 and 1{,}000."""
_IMAGINARY = re.compile(r"(?<=\d)i(?![A-Za-z])")
"""math-verify takes "4 i" for an imaginary number, but "4i" for 4 times a variable."""
_COUNTED = re.compile(r"\\text\{\s*(-?\d[\d,./]*)(\s+[A-Za-z ]+)\}")
"""A number with its unit inside the text, \\text{4 apples}."""
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_ANSWER_MARK = re.compile(r"####[ \t]*[*_`]*")
_NUMBER = re.compile(
    r"(?P<sign>(?<![\w)\]}])-)?\\?\$?(?P<inner_sign>(?<=\$)-)?"
    r"(?P<number>(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)(?:/(?P<denominator>\d+))?"
)
"""-1,234.5, -$3, $-3, 1/2. A "-" after a digit, a letter or a closing bracket is a dash or a subtraction."""


def final_box(text: str) -> str | None:
    """The value in the last ``\\boxed{...}`` or ``\\fbox{...}`` of a text; None if there is none. Time is linear.

    Boxes joined by a comma, "and" or "or" are one answer, "2, 5". A box inside a box is opened: its content stays. An
    empty box, or one that is never closed, is none. ``\\boxed 7`` holds what follows up to white space or ``$``.
    """
    found = find_final_box(text)
    return found[0] if found else None


def find_final_box(text: str) -> tuple[str, int] | None:
    """:func:`final_box` and the position where that box, or the last of the joined ones, ends."""
    found = _boxes(text)
    values = [content for _, _, content in found[-1:]]
    for (_, end, content), (start, _, _) in zip(found[-2::-1], found[:0:-1], strict=True):
        if start - end > _LONGEST_JOINT or not _JOINT.fullmatch(text, end, start):
            break
        values.append(content)
    return (", ".join(dict.fromkeys(reversed(values))), found[-1][1]) if found else None


def _boxes(text: str) -> list[tuple[int, int, str]]:
    """(start, end, content) of the outermost boxes, in order."""
    closing, found, end = _closing_braces(text), [], 0
    for box in _BOX.finditer(text):
        opening = box.end()
        if opening < end:
            continue
        if text[opening : opening + 1] != "{":
            bare = _BARE.match(text, opening)
            content, end = bare.group(), bare.end()
        elif opening in closing:
            content, end = text[opening + 1 : closing[opening]], closing[opening] + 1
        else:
            continue
        if content := _BOX.sub("", content).strip().rstrip(".,;"):
            found.append((box.start(), end, content))
    return found


def _closing_braces(text: str) -> dict[int, int]:
    """Position of each ``{`` that is closed -> position of its ``}``. Escaped braces are text."""
    closing, open_braces = {}, []
    for brace in _BRACE.finditer(text):
        if brace.group() == "{":
            open_braces.append(brace.start())
        elif brace.group() == "}" and open_braces:
            closing[open_braces.pop()] = brace.start()
    return closing


def reference_answer(text: str) -> str:
    """The final answer in a reference: the last box of a worked solution, else all of the text, without ``$``."""
    return final_box(text) or text.strip().strip("$").strip()


def _boxed(value: str) -> str:
    value = _COUNTED.sub(r"\1\\text{\2}", _THIN_SPACE.sub("", value))
    return f"\\boxed{{{_IMAGINARY.sub(' i', value)}}}"


class MathJudge:
    """Says whether mathematical answers are right. Safe against any text, from any thread.

    Comparisons run in a worker process (:mod:`subliminal.scoring.math_worker`), started at the first answer that needs
    it. An answer that takes longer than ``seconds`` ends the worker and counts as wrong, as does one that needs more
    than 4 GiB of memory; the next one gets a new worker.

    Args:
        seconds: time for one answer.

    Raises:
        UserError: (from :meth:`correct`) math-verify is not installed.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._worker: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def correct(self, answer: str, reference: str) -> bool:
        """Whether an answer, as generated, gives the value of a reference: a final answer, or a solution with a box."""
        answer, expected = without_thoughts(answer).strip(), reference_answer(reference)
        box = final_box(answer)
        if not expected or expected in (box, answer.strip("$")):
            return bool(expected)
        texts = [_boxed(box)] if box else [answer]
        if not box and len(answer) <= _BARE_LENGTH and not re.search(r"[$\n]", answer):
            texts.append(_boxed(answer))
        return self._equal(_boxed(expected), texts)

    def close(self) -> None:
        """End the worker; the next answer starts another."""
        with self._lock:
            self._stop()

    def __enter__(self) -> MathJudge:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _equal(self, reference: str, texts: list[str]) -> bool:
        with self._lock:
            worker = self._worker = self._worker or self._start()
            try:
                worker.stdin.write(json.dumps([reference, texts]) + "\n")
                worker.stdin.flush()
                verdict = worker.stdout.readline()
            except BrokenPipeError:
                verdict = ""
            if not verdict:
                self._stop()
            return verdict == "true\n"

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "subliminal.scoring.math_worker", str(self._seconds)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        worker = subprocess.Popen(command, **pipes, text=True, encoding="utf-8")
        if worker.stdout.readline() != "ready\n":
            worker.wait()
            raise UserError(
                "The worker that compares mathematics does not start: math-verify is missing or broken. "
                "Install it with: pip install -r requirements/train.txt"
            )
        return worker

    def _stop(self) -> None:
        if self._worker:
            self._worker.kill()
            self._worker.communicate()
            self._worker = None


@cache
def judge() -> MathJudge:
    """The judge that all tasks of a process share."""
    return MathJudge()


def final_number(answer: str, *, strict: bool = False) -> Fraction | None:
    """The number that an answer to a GSM8K problem ends in.

    Args:
        answer: the answer as generated.
        strict: only ``#### 72`` counts.

    Returns:
        The number, exactly; None if there is none.
    """
    text = without_thoughts(answer).replace("−", "-")
    marked = [number for mark in _ANSWER_MARK.finditer(text) if (number := _NUMBER.match(text, mark.end()))]
    if marked or strict:
        return _value(marked[-1]) if marked else None
    numbers = list(_NUMBER.finditer(final_box(text) or text))
    return _value(numbers[-1]) if numbers else None


def _value(number: re.Match[str]) -> Fraction | None:
    try:
        value = Fraction(number["number"].replace(",", "")) / int(number["denominator"] or 1)
    except (ValueError, ZeroDivisionError):  # thousands of digits; a division by zero
        return None
    return -value if number["sign"] or number["inner_sign"] else value
