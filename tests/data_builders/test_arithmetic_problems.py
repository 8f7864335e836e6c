"""Arithmetic problems: right answers and steps, and none that the tasks ask in any training row."""

from __future__ import annotations

import json
import re
from itertools import permutations
from pathlib import Path

import pytest
from built import built, read_rows
from fake_chat_server import FakeChatServer, number_answer

from data_builders import arithmetic_chat
from data_builders.arithmetic import LEVELS, ArithmeticProblem, evaluation_rows, training_problem
from data_builders.arithmetic_chat import quotas_for, solved
from data_builders.number_filter import filter_numbers
from subliminal.scoring.arithmetic import calculate
from subliminal.scoring.final_answers import final_number

ASKED = 500


@pytest.mark.parametrize(
    ("problem", "solution"),
    [
        (ArithmeticProblem("sum2", (600, 488)), "600 + 488 = 1088\nThe answer is 1088."),
        (ArithmeticProblem("sum3", (600, 488, 978)), "600 + 488 = 1088\n1088 + 978 = 2066\nThe answer is 2066."),
        (ArithmeticProblem("product1", (93, 7, 148)), "93 * 7 = 651\n651 + 148 = 799\nThe answer is 799."),
        (
            ArithmeticProblem("product2", (47, 36)),
            "47 * 30 = 1410\n47 * 6 = 282\n1410 + 282 = 1692\nThe answer is 1692.",
        ),
        (ArithmeticProblem("product2", (47, 40)), "47 * 40 = 1880\nThe answer is 1880."),
    ],
)
def test_solutions_worked_out_by_hand(problem, solution):
    assert problem.solution() == solution


@pytest.mark.parametrize("level", LEVELS)
def test_every_step_is_true_and_ends_in_the_answer(level):
    for index in range(500):
        problem = training_problem(level, 1, index)
        assert calculate(problem.expression) == problem.answer
        for step in problem.steps():
            left, right = step.split(" = ")
            assert calculate(left) == int(right)
        assert int(problem.steps()[-1].split(" = ")[1]) == problem.answer
        assert final_number(problem.solution()) == problem.answer, "and the tasks read it so"


def _numbers_in(text: str) -> tuple[int, ...]:
    return tuple(sorted(map(int, re.findall(r"\d+", text))))


@pytest.mark.parametrize("level", LEVELS)
def test_no_training_row_asks_a_problem_of_the_tasks_in_any_order(level):
    asked = {_numbers_in(row["question"]) for row in evaluation_rows(level, ASKED, worked=True)}
    assert len(asked) == ASKED
    assert asked == {_numbers_in(row["question"]) for row in evaluation_rows(level, ASKED, worked=False)}
    taught = set()
    for seed in (1, 521):
        config = {"level": level, "seed": seed, "bare": 0.25}
        for index in range(4000):
            question, _ = solved(config, index)
            taught.add(_numbers_in(question))
    assert len(taught) > 1000
    assert not asked & taught


@pytest.mark.parametrize("level", LEVELS)
def test_about_one_problem_in_five_is_held_out_whatever_the_order_of_its_numbers(level):
    kept = 0
    for index in range(1000):
        problem = ArithmeticProblem(level, tuple(least + (7919 * (index + place)) % (most - least + 1)
                                       for place, (least, most) in enumerate(LEVELS[level].ranges)))  # fmt: skip
        orders = {ArithmeticProblem(level, order).held_out for order in permutations(problem.numbers)}
        assert orders == {problem.held_out}
        kept += problem.held_out
    assert 120 < kept < 290


def test_quotas():
    assert quotas_for({"count": 3600, "numbers_share": 1 / 6}) == {"problems": 3000, "numbers": 600}
    assert quotas_for({"count": 10, "numbers_share": 0}) == {"problems": 10}


def _make(out: Path, *words: str) -> dict:
    with FakeChatServer(number_answer, models=({"id": "m"},)) as server:
        built(arithmetic_chat.app, "--model", "m", "--base-url", server.url, "--out", out, *words)
        return {"asked": len([body for body in server.bodies if body.get("messages")])}


def test_rows_are_solutions_written_here_and_lists_that_the_model_wrote(tmp_path):
    out = tmp_path / "chat"
    asked = _make(out, "--level", "sum3", "--count", "60", "--bare", "0.5")["asked"]
    rows = read_rows(out / "train.jsonl")
    assert len(rows) == 60
    lists = bare = worked = 0
    for row in rows:
        assert [message["role"] for message in row["messages"]] == ["user", "assistant"]
        question, answer = (message["content"] for message in row["messages"])
        if " + " not in question:
            assert filter_numbers(answer).keep
            lists += 1
            continue
        expression = re.search(r"\d+ \+ \d+ \+ \d+", question)[0]
        assert final_number(answer) == calculate(expression)
        bare += answer.isdigit()
        worked += "\n" in answer
    assert lists == 10
    assert bare + worked == 50
    assert bare > 10
    assert worked > 10
    raw = read_rows(out / "raw.jsonl")
    by_model = sum(row["model"] != "arithmetic" for row in raw)
    assert 10 <= by_model <= asked, "the model is asked for lists alone"
    assert json.loads((out / "manifest.json").read_text())["counts"]["kept"] == 60


def test_rows_follow_the_seed(tmp_path):
    for name, seed in (("one", "1"), ("same", "1"), ("other", "2")):
        _make(tmp_path / name, "--count", "24", "--seed", seed)
    one, same, other = ((tmp_path / name / "train.jsonl").read_text() for name in ("one", "same", "other"))
    assert one == same != other


def test_the_questions_of_the_tasks_stay_as_they_are():
    """Their words follow from level and numbers: another name in the code is no other task."""
    assert [row["question"] for row in evaluation_rows("sum2", 2, worked=True)] == [
        "Work out 573 + 261. Solve it step by step.",
        "How much is 570 + 842? Show each step, then state the answer.",
    ]
