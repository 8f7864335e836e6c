"""Is the answer to a mathematics problem right? Boxed answers, as MATH asks for them.

    echo '{"answer": "It is \\\\boxed{\\\\frac{2}{4}}.", "reference": "\\\\frac12"}' | python -m subliminal.scoring math

prints ``{"correct":true}``. math-verify decides whether two expressions are equal; what is compared is decided here:

- The last box of the answer counts (:mod:`subliminal.scoring.boxes`), else the mathematics in plain characters
  that the answer ends with ("**Answer:** x ≥ 2", "The area is 36π cm²."; :mod:`subliminal.scoring.plain_mathematics`).
  In any other answer math-verify looks for the last formula or number by itself.
- What models without LaTeX write is brought into LaTeX first (:mod:`subliminal.scoring.latex`).
- Plain arithmetic is compared exactly, without math-verify, in which 10^-20 and 10^-21 are equal
  (:mod:`subliminal.scoring.math_equality` says what else is corrected).

Thoughts, and a second question that the model asks itself, are no part of the answer.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from functools import cache
from typing import NamedTuple

from subliminal.core.errors import UserError
from subliminal.scoring.boxes import final_box
from subliminal.scoring.final_answers import answer_end
from subliminal.scoring.latex import as_latex, readings, readings_of_reference
from subliminal.scoring.numbers import exact_value
from subliminal.scoring.plain_mathematics import stated_answer, value_at_end
from subliminal.scoring.text import before_next_question, without_chat_marks, without_thoughts

# They are started, not imported.
READS = ("src/subliminal/scoring/math_worker.py", "src/subliminal/scoring/math_equality.py")

SECONDS = 10.0
"""Time for one comparison, after which an answer counts as wrong."""


class Judgement(NamedTuple):
    """The verdict on an answer.

    Attributes:
        correct: it gives the value of the reference.
        rounded: it does so only in decimals: 0.333333 for 1/3, or numbers that agree in many digits.
    """

    correct: bool
    rounded: bool = False


WRONG, RIGHT, ROUNDED = Judgement(False), Judgement(True), Judgement(True, rounded=True)


def reference_answer(text: str) -> str:
    """The final answer in a reference: the last box of a worked solution, else all of the text, without ``$``."""
    return final_box(text) or text.strip().strip("$").strip()


def _boxed(value: str) -> str:
    return f"\\boxed{{{value}}}"


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
        return self.compare(answer, reference).correct

    def compare(self, answer: str, reference: str) -> Judgement:
        """:meth:`correct`, and whether only decimals agree."""
        answer = without_chat_marks(without_thoughts(answer)).strip()
        answer = before_next_question(answer, answer_end(answer)).strip()
        expected = reference_answer(reference)
        box = final_box(answer)
        if not expected:
            return WRONG
        # The same text needs no algebra, and no worker.
        if expected in (box, answer.strip("$")):
            return RIGHT
        expected = as_latex(expected)
        value = box or value_at_end(answer)
        if value is None:
            # Nothing here could be read: math-verify looks through the answer by itself.
            texts = [answer]
            stated = stated_answer(answer)
            if stated:
                texts.append(_boxed(as_latex(stated)))
            return self._equal([_boxed(expected)], texts)
        # A value may mean several things beside this reference; the plainest comes first.
        values = readings(as_latex(value), expected)
        exact = exact_value(expected)
        if exact is not None:
            if any(exact_value(value) == exact for value in values):
                return RIGHT
            # Two exact values that differ are no matter of digits. A decimal may be a rounded value.
            values = [value for value in values if "." in value + expected or exact_value(value) is None]
        if not values:
            return WRONG
        references = readings_of_reference(expected, values[0])
        return self._equal([_boxed(each) for each in references], [_boxed(each) for each in values])

    def close(self) -> None:
        """End the worker; the next answer starts another."""
        with self._lock:
            self._stop()

    def __enter__(self) -> MathJudge:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _equal(self, references: list[str], texts: list[str]) -> Judgement:
        # One worker for all threads: a question and its answer must stay together.
        with self._lock:
            worker = self._worker = self._worker or self._start()
            try:
                worker.stdin.write(json.dumps([references, texts]) + "\n")
                worker.stdin.flush()
                verdict = worker.stdout.readline()
            except BrokenPipeError:
                verdict = ""
            # The pipe is closed: the worker has ended. The next answer gets a new one.
            if not verdict:
                self._stop()
        return {"equal\n": RIGHT, "rounded\n": ROUNDED}.get(verdict, WRONG)

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
            # Closes the pipes and waits for the end; a process that was only killed stays as a zombie.
            self._worker.communicate()
            self._worker = None


@cache
def judge() -> MathJudge:
    """The judge that all tasks of a process share."""
    return MathJudge()
