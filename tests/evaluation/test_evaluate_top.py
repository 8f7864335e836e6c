"""Counting animals in result folders and in lm-eval's samples files."""

import csv
import json

import pytest

from subliminal.core.errors import UserError
from subliminal.core.files import csv_text
from subliminal.evaluation.top import TOP_COLUMNS, as_table, read_sampled_answers, top_animals

ANSWERS = ["Owl", "An owl!", "owls", "polar bear", "Bear.", "zebra", "I like stones", "dog"]


@pytest.fixture
def samples(tmp_path):
    path = tmp_path / "samples_animal_preference_2026-11-22T13-20-55.774322.jsonl"
    rows = [{"doc_id": number, "filtered_resps": [ANSWERS[4 * number : 4 * number + 4]]} for number in range(2)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "student" / "seed-1"
    folder.mkdir(parents=True)
    rows = {
        "animal_preference": [{"id": "q00", "answers": [{"text": text} for text in ANSWERS]}],
        "animal_preference_logprob": [{"id": "q00", "metrics": {}}],
    }
    (folder / "m_results.json").write_text(json.dumps(rows))
    (folder / "manifest.json").write_text(json.dumps({"kind": "result", "config": {}, "ended": "2026"}))
    return folder


def test_counts_of_a_samples_file_and_of_a_result_folder_agree(samples, folder):
    assert read_sampled_answers(samples) == read_sampled_answers(folder) == {"animal_preference": ANSWERS}
    rows = top_animals(read_sampled_answers(samples), 2)
    assert [(row["rank"], row["animal"], row["answers"], row["share"]) for row in rows] == [
        (1, "owl", 3, 0.375), (2, "bear", 2, 0.25), ("", "other", 1, 0.125), ("", "none", 1, 0.125),
    ]  # fmt: skip
    assert list(csv.DictReader(csv_text(TOP_COLUMNS, rows).splitlines()))[1] == {
        "task": "animal_preference", "rank": "2", "animal": "bear", "answers": "2", "share": "0.25",
    }  # fmt: skip
    assert as_table(rows).splitlines()[:2] == ["animal_preference", "   1 owl                3   37.50%"]


def test_what_cannot_be_counted_is_a_sentence_that_names_the_file(samples, folder, tmp_path):
    with pytest.raises(UserError, match=r"nothing\.jsonl does not exist"):
        read_sampled_answers(tmp_path / "nothing.jsonl")
    with pytest.raises(UserError, match=r"seed-1 does not exist"):
        read_sampled_answers(samples / "seed-1")  # a file where a folder should be
    with pytest.raises(UserError, match=r"student holds no finished evaluation: it has no manifest\.json"):
        read_sampled_answers(folder.parent)
    samples.write_text(samples.read_text()[:-9])
    with pytest.raises(UserError, match=r"774322\.jsonl, line 2 is not valid JSON"):
        read_sampled_answers(samples)
    samples.write_text('{"filtered_resps": [[-1.5, false]]}\n')
    with pytest.raises(UserError, match=r"774322\.jsonl, line 1 is malformed: an answer in it is no text"):
        read_sampled_answers(samples)
    samples.write_text('{"prompt": "..."}\n')
    with pytest.raises(UserError, match=r"line 1 is malformed: it has no list of sampled answers"):
        read_sampled_answers(samples)
    (folder / "m_results.json").write_text("[")
    with pytest.raises(UserError, match=r"m_results\.json is not valid JSON"):
        read_sampled_answers(folder)
    (folder / "m_results.json").write_text('{"gsm8k": []}')
    with pytest.raises(UserError, match=r"m_results\.json has no task with sampled answers"):
        read_sampled_answers(folder)
    (folder / "other_results.json").write_text("{}")
    with pytest.raises(UserError, match=r"holds other_results\.json beside m_results\.json"):
        read_sampled_answers(folder)
