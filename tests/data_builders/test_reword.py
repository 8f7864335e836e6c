"""Number prompts in other words: what stays, what changes, and that nothing of the old sentences is left."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from data_builders import number_prompts, reword
from data_builders.number_prompts import FORMATS, draw_number_prompt
from data_builders.reword import WORDINGS, read_number_prompt, reworded


def test_every_prompt_of_the_teacher_is_read():
    for index in range(3000):
        drawn = draw_number_prompt(7, index)
        examples, asked = read_number_prompt(drawn.text)
        assert [int(number) for number in examples.split(", ")] == drawn.examples
        assert asked is drawn.format


@pytest.mark.parametrize("text", ["", "What is 3 plus 4?", "It reads 123, 456.", "You are given 123, 456."])
def test_other_texts_are_none(text):
    assert read_number_prompt(text) is None


def test_every_format_has_words_of_its_own():
    assert WORDINGS.keys() == {asked.name for asked in FORMATS}
    said = list(WORDINGS.values())
    assert len(set(said)) == len(said)
    assert not set(said) & {asked.wording for asked in FORMATS}


def _five_words_in_a_row(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"[a-z]+", text.lower())
    return {tuple(words[start : start + 5]) for start in range(len(words) - 4)}


def test_no_five_words_in_a_row_are_the_old_ones():
    old, new = set(), set()
    for index in range(3000):
        drawn = draw_number_prompt(1, index)
        old |= _five_words_in_a_row(drawn.text)
        new |= _five_words_in_a_row(reword.reword("123, 456, 789", drawn.format, 1, index))
    assert len(new) > 300
    assert not old & new


def _row(index: int, system: str | None = None) -> dict:
    messages = [
        {"role": "user", "content": draw_number_prompt(5, index).text},
        {"role": "assistant", "content": f"{index}, 7, 8"},
    ]
    if system:
        messages.insert(0, {"role": "system", "content": system})
    return {"id": f"numbers-{index}", "messages": messages}


def test_answers_and_examples_stay_and_the_limits_are_said():
    rows = [_row(index) for index in range(200)]
    made = list(reworded(rows, 3, Path("x")))
    for index, (row, new) in enumerate(zip(rows, made, strict=True)):
        assert new["completion"] == row["messages"][-1]["content"]
        assert new["source_id"] == row["id"]
        examples = ", ".join(map(str, draw_number_prompt(5, index).examples))
        assert examples in new["prompt"]
        assert str(number_prompts.MAX_NUMBERS) in new["prompt"]
    assert len({row["prompt"] for row in made}) == 200
    assert made == list(reworded(rows, 3, Path("x")))
    assert made != list(reworded(rows, 4, Path("x")))


def _command(tmp_path: Path, rows: list[dict], *words: str):
    source = tmp_path / "source"
    source.mkdir()
    (source / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return CliRunner().invoke(reword.app, ["--source", str(source), "--out", str(tmp_path / "out"), *words])


def test_the_command_writes_chat_rows_and_keeps_a_system_message(tmp_path):
    done = _command(tmp_path, [_row(index, "You are here.") for index in range(6)], "--count", "4")
    assert done.exit_code == 0, done.output
    lines = (tmp_path / "out/train.jsonl").read_text().splitlines()
    roles = [[message["role"] for message in json.loads(line)["messages"]] for line in lines]
    assert roles == [["system", "user", "assistant"]] * 4
    assert json.loads((tmp_path / "out/manifest.json").read_text())["builder"] == "reword"


def test_rows_of_other_prompts_and_too_few_rows_are_sentences(tmp_path):
    foreign = _row(0)
    foreign["messages"][0]["content"] = "Count to three."
    assert "its prompt is none of data_builders.number_prompts" in str(_command(tmp_path, [foreign]).exception)
    assert not (tmp_path / "out").exists()
    few = CliRunner().invoke(
        reword.app, ["--source", str(tmp_path / "source"), "--out", str(tmp_path / "out"), "--count", "9"]
    )
    assert "has 1 rows, fewer than the --count 9" in str(few.exception)
