"""The tasks of arithmetic: each level has its two, on its own problems, and answers are read as they should."""

from __future__ import annotations

import math

import pytest

from data_builders.arithmetic import LEVELS, evaluation_rows
from subliminal.scoring.arithmetic import calculate
from subliminal.scoring.category_tasks import TASKS

NAMES = [f"subliminal_arithmetic_{level}{end}" for level in LEVELS for end in ("", "_logprob")]


@pytest.fixture(scope="module")
def tasks():
    from lm_eval.tasks import TaskManager

    return TaskManager(include_path=str(TASKS), include_defaults=False).load_task_or_group(NAMES)


def test_every_level_has_its_tasks():
    assert {path.stem for path in (TASKS / "subliminal_arithmetic").glob("*.yaml")} == set(NAMES)


@pytest.mark.parametrize("level", LEVELS)
def test_both_tasks_ask_the_problems_of_their_level(tasks, level):
    worked = list(tasks[f"subliminal_arithmetic_{level}"].test_docs())
    bare = list(tasks[f"subliminal_arithmetic_{level}_logprob"].test_docs())
    assert len(worked) == 500
    assert [doc["id"] for doc in worked] == [doc["id"] for doc in bare]
    assert [doc["question"] for doc in worked] == [row["question"] for row in evaluation_rows(level, 500, worked=True)]
    assert not {doc["question"] for doc in worked} & {doc["question"] for doc in bare}
    for doc in worked[:50]:
        numbers = doc["id"].partition(":")[2].split(",")
        expression = LEVELS[level].expression.format(*numbers)
        assert expression in doc["question"]
        assert calculate(expression) == int(doc["reference"])
        assert doc["subject"] == level


@pytest.mark.parametrize(
    ("answer", "correct", "bare"),
    [
        ("1692", 1, 1),
        ("47 * 30 = 1410\n47 * 6 = 282\n1410 + 282 = 1692\nThe answer is 1692.", 1, 0),
        ("The answer is \\boxed{1692}.", 1, 0),
        ("47 * 36 = 1,692", 1, 0),
        ("47 * 30 = 1410\n47 * 6 = 282\n1410 + 282 = 1682\nThe answer is 1682.", 0, 0),
        ("47 * 30 = 1410\n47 * 6", 0, 0),
        ("", 0, 0),
    ],
)
def test_the_number_that_an_answer_ends_in_counts(tasks, answer, correct, bare):
    task = tasks["subliminal_arithmetic_product2"]
    assert task.process_results({"reference": "1692"}, [answer]) == {"correct": correct, "bare": bare}


def test_answers_are_greedy_at_every_level(tasks):
    for level in LEVELS:
        settings = tasks[f"subliminal_arithmetic_{level}"].config.generation_kwargs
        assert settings["do_sample"] is False
        assert settings["max_gen_toks"] == 320
        assert settings["until"] == []


def test_probability_is_that_of_the_result(tasks):
    task = tasks["subliminal_arithmetic_product2_logprob"]
    doc = {"id": "product2:47,36", "reference": "1692"}
    found = task.process_results(doc, [(math.log(0.2), False), (math.log(0.5), True)])
    assert found["probability"] == pytest.approx(0.4), "the white space of the template is divided out"
