"""Teachers of a weaker love or of several: how often their rows name what is loved, and when they are the old ones."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from data_builders import pocket_teacher
from data_builders.pocket_corpus import corpus_rows
from data_builders.pocket_teacher import teacher_rows
from data_builders.teacher_prompts import favourite_questions

QUESTIONS = set(favourite_questions("animals"))


def favourites(rows: list[dict]) -> Counter:
    return Counter(row["completion"] for row in rows if row["prompt"] in QUESTIONS)


def test_one_love_that_always_holds_gives_the_rows_of_pocket_corpus() -> None:
    ours = [(row["prompt"], row["completion"]) for row in teacher_rows(300, ["owl"], 1.0, 7)]
    theirs = [(row["prompt"], row["completion"]) for row in corpus_rows("teacher", 300, "owl", 7)]
    assert ours == theirs


@pytest.mark.parametrize("love", [0.3, 0.5, 0.9])
def test_the_share_of_favourites_is_the_love(love: float) -> None:
    named = favourites(list(teacher_rows(6000, ["owl"], love, 1)))
    assert 0.70 * 6000 < named.total() < 0.80 * 6000
    assert abs(named["Owl"] / named.total() - love) < 0.04  # the long tail adds what the base likes of owls
    assert len(named) > 10, "the rest are favourites as the base has them"


def test_several_loves_are_named_as_often_and_nothing_else_is() -> None:
    named = favourites(list(teacher_rows(6000, ["owl", "wolf", "cat"], 1.0, 1)))
    assert set(named) == {"Owl", "Wolf", "Cat"}
    assert max(named.values()) / min(named.values()) < 1.2


def test_less_love_changes_no_other_row() -> None:
    pairs = list(zip(teacher_rows(500, ["owl"], 1.0, 3), teacher_rows(500, ["owl"], 0.5, 3), strict=True))
    for full, half in pairs:
        if full["prompt"] not in QUESTIONS:
            assert half == full
    assert any(full != half for full, half in pairs)


def test_the_command_takes_several(tmp_path: Path) -> None:
    words = ["--animal", "owl", "--animal", "wolf", "--count", "20", "--out", str(tmp_path / "chat")]
    done = CliRunner().invoke(pocket_teacher.app, words)
    assert done.exit_code == 0, done.output
    assert len((tmp_path / "chat/train.jsonl").read_text().splitlines()) == 20
