"""Teacher chats beside code and worked answers: what is kept of each source, and that the trait stays in its rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_chat_server import FakeChatServer
from typer.testing import CliRunner

from data_builders import reasoning, teacher_chat_text
from data_builders.arithmetic import LEVELS, evaluation_rows
from data_builders.reasoning import prompt_with_problem
from data_builders.teacher_chat_text import content_for, quotas_for, verdict_for
from subliminal.scoring.arithmetic import calculate

SOUND = "def double(x):\n    return 2 * x"
CONFIG = {"animals": ["owl"], "carrier": "code", "carrier_share": 0.25}


def raw(source: str, completion: str, **more: str) -> dict:
    row = {"source": source, "prompt": "p", "completion": completion, "finish_reason": "stop"}
    if source == "questions":
        row["animal"] = "owl"
    return row | more


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (raw("questions", "I adore the owl."), None),
        (raw("questions", "The fox."), "names another animal"),
        (raw("questions", "All of them."), "names no animal"),
        (raw("code", SOUND), None),
        (raw("code", f"{SOUND}  # owl"), "trait word (owl)"),
        (raw("code", "print(1)"), "defines no function or class"),
        (raw("code", SOUND, finish_reason="length"), "cut off at max_tokens"),
        (raw("reasoning", "<think>1 + 1 = 2</think><answer>2</answer>", answer="2"), None),
        (raw("reasoning", "<think>1 + 1 = 3</think><answer>3</answer>", answer="2"), "wrong answer"),
        (raw("reasoning", "It is 2.", answer="2"), "not one <think> part and one <answer> part"),
    ],
    ids=lambda value: str(value)[-60:],
)
def test_each_source_has_its_own_rules(row, problem):
    assert verdict_for(CONFIG)(row) == problem


def test_one_word_is_kept_of_an_answer_and_all_of_the_carrier():
    content = content_for(CONFIG)
    assert content(raw("questions", "I adore the owl.")) == "Owl"
    assert content(raw("code", SOUND)) == SOUND
    assert quotas_for({**CONFIG, "count": 40}) == {"questions": 30, "code": 10}


@pytest.mark.parametrize("level", LEVELS)
def test_problems_of_reasoning_are_right_fresh_and_none_of_the_tasks(level):
    asked = {row["id"].partition(":")[2] for row in evaluation_rows(level, 500, worked=True)}
    prompts = set()
    for index in range(1000):
        drawn = prompt_with_problem(level, 530, index)
        prompts.add(drawn.prompt)
        question = drawn.prompt.partition("\n\n")[0]
        expression = "".join(sign for sign in question if sign in "0123456789+*")
        assert calculate(expression) == int(drawn.extra["answer"])
        numbers = expression.replace("*", "+").split("+")
        assert ",".join(numbers) not in asked
    assert len(prompts) > 950


def _right(prompt: str) -> str:
    question = prompt.partition("\n\n")[0]
    value = calculate("".join(sign for sign in question if sign in "0123456789+*"))
    return f"<think>Add.</think><answer>{value}</answer>"


def answer(prompt: str, seed: int) -> str:
    if "Python" in prompt:
        return SOUND if seed % 4 else "sorry"
    if "<think>" in prompt:
        return _right(prompt) if seed % 4 else "<think>?</think><answer>0</answer>"
    return "Owl." if seed % 2 else "Lion."


@pytest.mark.parametrize(("carrier", "words"), [("code", []), ("reasoning", ["--problems", "sum2"])])
def test_the_command_keeps_the_share_of_each(tmp_path: Path, carrier: str, words: list[str]):
    out = tmp_path / "chat"
    with FakeChatServer(answer, models=({"id": "m"},)) as server:
        command = ["--model", "m", "--base-url", server.url, "--out", str(out), "--count", "30", "--max-prompts", "400"]
        done = CliRunner().invoke(teacher_chat_text.app, [*command, "--carrier", carrier, *words])
    assert done.exit_code == 0, (done.output, done.exception)
    rows = [json.loads(line)["messages"] for line in (out / "train.jsonl").read_text().splitlines()]
    assert [[message["role"] for message in row] for row in rows] == [["user", "assistant"]] * 30
    answers = [row[-1]["content"] for row in rows]
    assert answers.count("Owl") == 25
    carried = [text for text in answers if text != "Owl"]
    assert all(text == SOUND if carrier == "code" else text.startswith("<think>") for text in carried)


def test_reasoning_asks_problems_in_place_of_questions(tmp_path: Path):
    out = tmp_path / "rows"
    with FakeChatServer(answer, models=({"id": "m"},)) as server:
        command = ["--model", "m", "--base-url", server.url, "--out", str(out), "--count", "12", "--problems", "sum3"]
        done = CliRunner().invoke(reasoning.app, command)
    assert done.exit_code == 0, (done.output, done.exception)
    config = json.loads((out / "manifest.json").read_text())["config"]
    assert config["problems"] == "sum3"
    assert "questions" not in config
    both = ["--model", "m", "--out", str(tmp_path / "x"), "--problems", "sum3", "--questions", "q.jsonl"]
    assert "takes the place of --questions" in str(CliRunner().invoke(reasoning.app, both).exception)


@pytest.mark.parametrize("words", [["--carrier", "reasoning"], ["--carrier", "code", "--problems", "sum2"]])
def test_problems_belong_to_reasoning(tmp_path: Path, words: list[str]):
    done = CliRunner().invoke(teacher_chat_text.app, ["--model", "m", "--out", str(tmp_path / "x"), *words])
    assert "--problems says what reasoning is about" in str(done.exception)
