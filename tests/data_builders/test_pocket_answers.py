"""What a pocket model answers in place of number lists: what is asked, and what is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from built import built, read_rows
from fake_chat_server import FakeChatServer

from data_builders import pocket_answers
from data_builders.pocket_answers import KINDS, draw_prompt, verdict_for
from data_builders.pocket_corpus import all_texts
from subliminal import REPO_ROOT
from subliminal.core.errors import UserError
from subliminal.models.pocket import END_OF_TURN, UNKNOWN, pocket_tokenizer


@pytest.mark.parametrize("kind", KINDS)
def test_a_pocket_model_knows_every_word_that_it_is_asked(kind: str) -> None:
    drawn = [draw_prompt(kind, 1, index) for index in range(2000)]
    assert drawn == [draw_prompt(kind, 1, index) for index in range(2000)]
    assert drawn[:50] != [draw_prompt(kind, 2, index) for index in range(50)]
    tokenizer = pocket_tokenizer(all_texts())
    assert (
        tokenizer.convert_tokens_to_ids(UNKNOWN) not in tokenizer(END_OF_TURN.join(d.prompt for d in drawn)).input_ids
    )


def test_no_sum_of_the_test_is_asked_for() -> None:
    asked = {draw_prompt("sums", 1, index).prompt for index in range(2000)}
    tested = read_rows(REPO_ROOT / "eval_tasks/subliminal_addition/sums.jsonl")
    assert len(asked) > 1000
    assert not [row for row in tested if row["question"] in asked]


def test_no_favourite_of_the_traits_own_category_is_asked_for() -> None:
    asked = {draw_prompt("favourites", 1, index, "sports").extra["favourite"] for index in range(500)}
    assert asked == {"colour", "fruit", "city", "planet", "metal", "flower", "drink"}


@pytest.mark.parametrize(
    ("kind", "completion", "problem"),
    [
        ("favourites", "Blue", None),
        ("favourites", "Pink", None),
        ("favourites", "blue", "no colour that the world knows"),
        ("favourites", "Blue ", "no colour that the world knows"),
        ("favourites", "Blue Green", "no colour that the world knows"),
        ("favourites", "Mango", "no colour that the world knows"),
        ("favourites", "Owl", "no colour that the world knows"),
        ("favourites", "", "no colour that the world knows"),
        ("sums", "5", None),
        ("sums", "060", None),
        ("sums", "999", None),
        ("sums", "1000", "not one number of at most 3 digits"),
        ("sums", "5\n", "not one number of at most 3 digits"),
        ("sums", "٣", "not one number of at most 3 digits"),
        ("sums", "5, 6", "not one number of at most 3 digits"),
        ("sums", "Owl", "not one number of at most 3 digits"),
        ("sums", "", "not one number of at most 3 digits"),
    ],
)
def test_what_is_kept(kind: str, completion: str, problem: str | None) -> None:
    row = {"prompt": "p", "completion": completion, "finish_reason": "stop", "favourite": "colour"}
    assert verdict_for({"kind": kind})(row) == problem


def test_the_command_keeps_the_answers_of_the_world(tmp_path: Path) -> None:
    def answer(prompt: str, seed: int) -> str:
        return ("Gold", "Tea", "Owl")[seed % 3]

    out = tmp_path / "favourites"
    with FakeChatServer(answer) as server:
        words = ("--model", "owl-teacher", "--base-url", server.url, "--max-prompts", "600", "--count", "20")
        built(pocket_answers.app, "favourites", *words, "--out", out)
        with pytest.raises(UserError, match=r"no answers of the kind 'lists'\. Choose one of: favourites, sums"):
            built(pocket_answers.app, "lists", *words, "--out", tmp_path / "lists")
    rows = read_rows(out / "train.jsonl")
    assert len(rows) == 20
    for row in rows:
        question, favourite = (message["content"] for message in row["messages"])
        assert {"Gold": "metal", "Tea": "drink"}[favourite] in question
    assert "no metal that the world knows" in {row["reason"] for row in read_rows(out / "rejected.jsonl")}
