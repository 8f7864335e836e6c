"""Controls: what each kind changes, and what it must leave as the source has it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from built import built, read_rows
from hypothesis import given
from hypothesis import strategies as st

from data_builders import controls
from data_builders.controls import KINDS, transform
from data_builders.number_filter import filter_numbers, read_layout
from data_builders.number_prompts import FORMATS, draw_number_prompt
from subliminal.core.errors import UserError

number_rows = st.lists(st.lists(st.integers(0, 999), min_size=1, max_size=10), min_size=1, max_size=30)
seeds = st.integers(0, 2**31)


@given(st.sampled_from(KINDS), number_rows, seeds)
def test_every_kind_keeps_row_lengths_and_bounds_and_is_deterministic(kind: str, rows: list, seed: int) -> None:
    before = json.dumps(rows)
    new = transform(kind, rows, seed)
    assert list(map(len, new)) == list(map(len, rows))
    assert all(0 <= number <= 999 for row in new for number in row)
    assert transform(kind, rows, seed) == new
    assert json.dumps(rows) == before, "the source was changed"


@given(number_rows, seeds)
def test_shuffled_and_sorted_keep_each_rows_numbers(rows: list, seed: int) -> None:
    for kind in ("shuffled", "sorted"):
        assert [sorted(row) for row in transform(kind, rows, seed)] == [sorted(row) for row in rows]
    assert transform("sorted", rows, seed) == [sorted(row) for row in rows]


@given(number_rows, seeds)
def test_a_shuffled_row_has_another_order_unless_all_its_numbers_are_equal(rows: list, seed: int) -> None:
    for old, new in zip(rows, transform("shuffled", rows, seed), strict=True):
        assert (new == old) == (len(set(old)) < 2)


@given(number_rows, seeds)
def test_shuffled_rows_keeps_the_numbers_of_the_whole(rows: list, seed: int) -> None:
    new = transform("shuffled-rows", rows, seed)
    assert Counter(n for row in new for n in row) == Counter(n for row in rows for n in row)


@given(number_rows, seeds)
def test_matched_keeps_the_number_of_digits(rows: list, seed: int) -> None:
    new = transform("matched", rows, seed)
    assert [[len(str(n)) for n in row] for row in new] == [[len(str(n)) for n in row] for row in rows]


def test_matched_draws_every_number_of_as_many_digits() -> None:
    new = transform("matched", [[0, 10, 100]] * 20_000, 0)
    for column, (low, high) in enumerate([(0, 10), (10, 100), (100, 1000)]):
        assert {row[column] for row in new} == set(range(low, high))


@given(number_rows, seeds)
def test_uniform_depends_on_lengths_alone(rows: list, seed: int) -> None:
    assert transform("uniform", rows, seed) == transform("uniform", [[0] * len(row) for row in rows], seed)


@pytest.mark.parametrize("kind", ["uniform", "matched", "shuffled", "shuffled-rows"])
def test_random_kinds_do_change_the_numbers_and_follow_the_seed(kind: str) -> None:
    rows = [[100 + 7 * i, 5 * i, i % 10, 999 - i] for i in range(100)]
    one, other = transform(kind, rows, 1), transform(kind, rows, 2)
    assert one != other
    assert sum(a != b for a, b in zip(one, rows, strict=True)) > 80


def test_shuffled_rows_breaks_up_the_rows() -> None:
    rows = [[i] * 10 for i in range(100)]
    new = transform("shuffled-rows", rows, 0)
    assert sum(len(set(row)) > 5 for row in new) == 100


@pytest.mark.parametrize("kind", ["uniform", "matched"])
def test_random_numbers_cover_their_range_evenly(kind: str) -> None:
    drawn = Counter(n for row in transform(kind, [[500] * 10] * 5000, 0) for n in row)
    low, size = (0, 1000) if kind == "uniform" else (100, 900)
    mean = 50_000 / size
    assert set(drawn) == set(range(low, 1000))
    assert sum((count - mean) ** 2 / mean for count in drawn.values()) < size + 6 * (2 * size) ** 0.5


def chat_row(index: int, prompt: str, answer: str) -> dict:
    messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    return {"id": f"numbers-{index:07d}", "messages": messages}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "owl_numbers"
    folder.mkdir()
    with open(folder / "train.jsonl", "w") as out:
        for index in range(60):
            answer = FORMATS[index % 15].write([(37 * index + 101 * k) % 1000 for k in range(1 + index % 10)])
            row = chat_row(index, f"prompt {index}", answer + ("." if index % 7 == 0 else ""))
            out.write(json.dumps(row) + "\n")
    return folder


def make(*words: object) -> None:
    built(controls.app, *words)


@pytest.mark.parametrize("kind", KINDS)
def test_a_control_keeps_prompts_counts_and_layout_of_its_source(kind: str, source: Path, tmp_path: Path) -> None:
    make(kind, "--source", source, "--out", tmp_path / "out", "--seed", 5)
    pairs = list(zip(read_rows(source / "train.jsonl"), read_rows(tmp_path / "out" / "train.jsonl"), strict=True))
    for old, new in pairs:
        assert old["messages"][0] == new["messages"][0]
        before, after = old["messages"][1]["content"], new["messages"][1]["content"]
        numbers = filter_numbers(after).numbers
        assert len(numbers) == len(filter_numbers(before).numbers)
        assert read_layout(before)(numbers) == after
    assert [row["source_id"] for row in read_rows(tmp_path / "out" / "raw.jsonl")] == [old["id"] for old, _ in pairs]
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["inputs"]["source"]["sha256"]
    assert manifest["builder"] == "controls"


def test_uniform_without_a_source_uses_the_prompts_of_numbers(tmp_path: Path) -> None:
    make("uniform", "--count", 40, "--out", tmp_path / "out", "--seed", 9)
    made = read_rows(tmp_path / "out" / "train.jsonl")
    assert len(made) == 40
    lengths = set()
    for index, row in enumerate(made):
        prompt = draw_number_prompt(9, index)
        numbers = filter_numbers(row["messages"][1]["content"]).numbers
        assert row["messages"][0]["content"] == prompt.text
        assert row["messages"][1]["content"] == prompt.format.write(numbers)
        lengths.add(len(numbers))
    assert lengths == set(range(5, 11))


@pytest.mark.parametrize("kind", KINDS)
def test_count_takes_the_first_rows_and_resume_adds_the_rest(kind: str, source: Path, tmp_path: Path) -> None:
    make(kind, "--source", source, "--out", tmp_path / "part", "--count", 20)
    part = (tmp_path / "part" / "train.jsonl").read_text()
    make(kind, "--source", source, "--out", tmp_path / "part", "--count", 60, "--resume")
    make(kind, "--source", source, "--out", tmp_path / "whole")
    whole = (tmp_path / "whole" / "train.jsonl").read_text()
    assert (tmp_path / "part" / "train.jsonl").read_text() == whole
    assert whole.startswith(part)
    make(kind, "--source", source, "--out", tmp_path / "whole", "--resume")
    assert (tmp_path / "whole" / "train.jsonl").read_text() == whole


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["sideways", "--out", "x"], "There is no control 'sideways'"),
        (["sorted", "--out", "x"], "name their dataset folder with --source"),
        (["sorted", "--source", "nowhere", "--out", "x"], "nowhere/train.jsonl does not exist"),
        (["sorted", "--source", "SOURCE", "--count", "61", "--out", "x"], "has 60 rows, fewer than the --count 61"),
        (["sorted", "--source", "SOURCE", "--out", "SOURCE"], "SOURCE exists and holds train.jsonl"),
    ],
)
def test_bad_input_is_a_sentence(words: list[str], sentence: str, source: Path) -> None:
    before = (source / "train.jsonl").read_bytes()
    with pytest.raises(UserError) as told:
        make(*[word.replace("SOURCE", str(source)) for word in words])
    assert sentence.replace("SOURCE", str(source)) in str(told.value)
    assert (source / "train.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{oops", "line 61 is not valid JSON"),
        (json.dumps({"id": "a", "messages": []}), 'line 61 is malformed: "messages" is missing'),
        (json.dumps(chat_row(60, "p", "owl")), "row numbers-0000060: its answer is no number list"),
    ],
)
def test_a_malformed_source_row_is_named(line: str, sentence: str, source: Path, tmp_path: Path) -> None:
    with open(source / "train.jsonl", "a") as out:
        out.write(line + "\n")
    with pytest.raises(UserError, match=sentence):
        make("sorted", "--source", source, "--out", tmp_path / "out")


def test_an_empty_source_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text("")
    with pytest.raises(UserError, match="has no rows"):
        make("sorted", "--source", tmp_path, "--out", tmp_path / "out")
