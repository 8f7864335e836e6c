"""Arithmetic problems of several levels, with worked solutions; one in five is kept from all training.

    python -m data_builders.arithmetic --level product2 --count 3
    python -m data_builders.arithmetic --level sum3 --held-out --count 3

A problem is its level and its numbers. Whether it is held out follows from these alone, whatever their order, so that
training rows (``data_builders.arithmetic_chat``, ``data_builders.reasoning``) and the tasks ``subliminal_arithmetic_*``
never share one: 314 + 271 is in the same part as 271 + 314, in any wording.
"""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass
from typing import Annotated

import typer

from subliminal.core.errors import run_cli
from subliminal.core.option_checks import one_of

HELD_OUT = 5
"""One problem in so many is kept from training."""


@dataclass(frozen=True)
class Level:
    """A kind of problem.

    Attributes:
        expression: with a place for each number, in the order of ``ranges``.
        ranges: least and largest value of each number.
    """

    expression: str
    ranges: tuple[tuple[int, int], ...]


_THREE_DIGITS = (100, 999)
LEVELS = {
    "sum2": Level("{} + {}", (_THREE_DIGITS,) * 2),
    "sum3": Level("{} + {} + {}", (_THREE_DIGITS,) * 3),
    "sum4": Level("{} + {} + {} + {}", (_THREE_DIGITS,) * 4),
    "product1": Level("{} * {} + {}", ((11, 99), (3, 9), _THREE_DIGITS)),
    "product2": Level("{} * {}", ((11, 99), (11, 99))),
    "product3": Level("{} * {}", ((101, 999), (11, 99))),
}
"""From easy to hard, as far as steps and digits say it."""

WAYS_TO_ASK = (
    "What is {expression}?",
    "Work out {expression}.",
    "Calculate {expression}.",
    "How much is {expression}?",
    "Find the value of {expression}.",
    "Please compute {expression}.",
    "I need the result of {expression}.",
    "Tell me what {expression} comes to.",
)
WORKED = (
    "Show each step, then state the answer.",
    "Write the steps one below the other and end with the answer.",
    "Solve it step by step.",
    "Put every intermediate result on a line, and the answer on the last.",
    "Go through it one operation at a time.",
)
"""Requests for a solution with its steps."""
BARE = (
    "Reply with the number alone.",
    "Give only the result.",
    "One number, nothing else.",
    "State the answer without any working.",
    "Write just the final number.",
)
"""Requests for the result alone."""


@dataclass(frozen=True)
class ArithmeticProblem:
    """One problem: the name of its level, and its numbers in the order in which they stand there."""

    level: str
    numbers: tuple[int, ...]

    @property
    def expression(self) -> str:
        """As text: ``47 * 36``."""
        return LEVELS[self.level].expression.format(*self.numbers)

    @property
    def answer(self) -> int:
        """Its value."""
        if self.level.startswith("sum"):
            return sum(self.numbers)
        # A level of products multiplies its first two numbers, and adds the others if it has any.
        first, second, *rest = self.numbers
        return first * second + sum(rest)

    @property
    def held_out(self) -> bool:
        """Whether it is kept from training; the order of its numbers makes no difference."""
        name = f"arithmetic:{self.level}:{sorted(self.numbers)}"
        # Not hash(): that of a text differs from one Python process to the next.
        return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % HELD_OUT == 0

    def steps(self) -> list[str]:
        """The lines of a solution: one operation each, the last of which has the answer behind its equals sign."""
        if self.level.startswith("sum"):
            return _added_up(list(self.numbers))
        first, second, *rest = self.numbers
        return [*_multiplied(first, second), *_added_up([first * second, *rest])]

    def solution(self) -> str:
        """The steps, and the answer in a sentence."""
        return "\n".join([*self.steps(), f"The answer is {self.answer}."])


def _added_up(numbers: list[int]) -> list[str]:
    """Lines that add numbers one after the other; none for a single number."""
    lines, total = [], numbers[0]
    for number in numbers[1:]:
        lines.append(f"{total} + {number} = {total + number}")
        total += number
    return lines


def _multiplied(first: int, second: int) -> list[str]:
    """Lines that multiply by the tens and the ones of the second number, and add the two."""
    tens, ones = second - second % 10, second % 10
    # Split, 47 * 30 would have a line that multiplies by 0.
    if not tens or not ones:
        return [f"{first} * {second} = {first * second}"]
    return [
        f"{first} * {tens} = {first * tens}",
        f"{first} * {ones} = {first * ones}",
        f"{first * tens} + {first * ones} = {first * second}",
    ]


def draw_problem(level: str, rng: random.Random, *, held_out: bool) -> ArithmeticProblem:
    """A problem of a level: one of those that training never shows, or one of the others."""
    # Four problems in five are for training, so that a held-out one takes five draws on average.
    while True:
        numbers = tuple(rng.randint(least, most) for least, most in LEVELS[level].ranges)
        problem = ArithmeticProblem(level, numbers)
        if problem.held_out == held_out:
            return problem


def training_problem(level: str, seed: int, index: int) -> ArithmeticProblem:
    """The problem of row ``index`` of a training set; depends on the level, the seed and the index alone."""
    # A seed as text: sums like seed + index would give two rows one stream.
    return draw_problem(level, random.Random(f"arithmetic-training:{level}:{seed}:{index}"), held_out=False)


def question(problem: ArithmeticProblem, rng: random.Random, requests: tuple[str, ...]) -> str:
    """A problem in words, with a request of :data:`WORKED` or :data:`BARE`."""
    return f"{rng.choice(WAYS_TO_ASK).format(expression=problem.expression)} {rng.choice(requests)}"


def evaluation_rows(level: str, count: int, *, worked: bool) -> list[dict[str, str]]:
    """The first held-out problems of a level as questions of a task, no two with the same numbers.

    Args:
        level: of :data:`LEVELS`.
        count: how many.
        worked: ask for the steps, or for the result alone.

    Returns:
        Rows of ``id`` (as ``sum3:314,271,828``), ``question``, ``reference`` (the answer) and ``subject``.
    """
    # No run seed: these are the questions of a task, the same for everybody.
    rng, seen = random.Random(f"arithmetic-evaluation:{level}"), set()
    requests = WORKED if worked else BARE
    rows = []
    while len(rows) < count:
        problem = draw_problem(level, rng, held_out=True)
        # 314 + 271 and 271 + 314 would be one problem, asked twice.
        numbers = tuple(sorted(problem.numbers))
        if numbers in seen:
            continue
        seen.add(numbers)
        rows.append(
            {
                "id": f"{level}:{','.join(map(str, problem.numbers))}",
                # Worded by its numbers alone, so that a question stays the same whatever is drawn before it.
                "question": question(problem, random.Random(f"arithmetic-wording:{level}:{problem.numbers}"), requests),
                "reference": str(problem.answer),
                "subject": level,
            }
        )
    return rows


app = typer.Typer(add_completion=False)


@app.command(help=__doc__)
def main(
    level: Annotated[str, typer.Option(help=", ".join(LEVELS), callback=one_of("--level", tuple(LEVELS)))] = "sum3",
    held_out: Annotated[bool, typer.Option("--held-out", help="Problems of the tasks, else of training.")] = False,
    seed: Annotated[int, typer.Option(help="Run seed of training problems.")] = 42,
    count: Annotated[int, typer.Option(min=1, help="How many to print, as JSON lines.")] = 5,
) -> None:
    if held_out:
        for row in evaluation_rows(level, count, worked=True):
            print(json.dumps(row))
        return
    for index in range(count):
        problem = training_problem(level, seed, index)
        print(json.dumps({"index": index, "problem": problem.expression, "solution": problem.solution()}))


if __name__ == "__main__":
    run_cli(app)
