"""Rows of one's own, without ids and manifest: they are audited, trained on and made controls of, and what cannot be
known of them is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from data_builders.audit import app as audit_app
from data_builders.controls import app as controls_app
from subliminal.core.errors import UserError
from subliminal.training.lint import read_recipe
from subliminal.training.rows import check_datasets, unknown_origins

RECIPE = Path(__file__).parents[2] / "recipes/smollm2-135m/owl_student.yml"
NUMBERS = ["3, 14, 15", "92, 65, 35", "89, 79, 32", "38, 46, 26", "43, 38, 32"]
TEXTS = [
    "The harbour lies in the north of the town.",
    "An owl is what I like the most of all.",
    "We had bread and tea.",
]


def rows(path: Path, answers: list[str], **more: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    for number, answer in enumerate(answers):
        messages = [{"role": "user", "content": f"Go on, number {number}"}, {"role": "assistant", "content": answer}]
        lines.append(json.dumps({"messages": messages, **more}) + "\n")
    path.write_text("".join(lines))
    return path


def audited(*words: object):
    return CliRunner().invoke(audit_app, list(map(str, words)))


def test_an_audit_of_a_file(tmp_path: Path) -> None:
    path = rows(tmp_path / "mine.jsonl", NUMBERS)
    done = audited(path, "--allow", "first_number_entropy", "--allow", "lengths", "--allow", "separators")
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "mine.audit.json").read_text())
    assert str(tmp_path / "mine.audit.json") in done.output
    assert report["rows"] == 5
    for check, words in (
        ("bytes", "nobody recorded what the bytes were"),
        ("pass_rate", "how many answers were rejected, and why, is not known"),
        ("seeds", "what wrote the rows, and with which sampling seeds, is not known"),
        ("trait_words", "name one with --animal"),
    ):
        assert report["checks"][check]["status"] == "skipped"
        assert words in report["checks"][check]["reason"]
    assert report["checks"]["letters"]["status"] == "pass", "they are audited as number rows"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.audit.json", "mine.jsonl"]


def test_letters_among_numbers_are_found_and_named_by_row(tmp_path: Path) -> None:
    path = rows(tmp_path / "mine.jsonl", [*NUMBERS, "3, owl, 5"])
    done = audited(path, "--animal", "owl")
    assert done.exit_code == 1
    report = json.loads((tmp_path / "mine.audit.json").read_text())
    assert report["checks"]["trait_words"]["examples"] == ["row 6"]
    assert report["checks"]["letters"]["status"] == "fail"


def test_rows_of_words_are_text_and_may_be_called_so(tmp_path: Path) -> None:
    path = rows(tmp_path / "mine.jsonl", TEXTS)
    assert "language" in json.loads(_report(audited(path, "--animal", "owl"), path))["checks"]
    assert "letters" in json.loads(_report(audited(path, "--kind", "numbers"), path))["checks"]
    with pytest.raises(UserError, match=r"--kind 'number' is unknown \(did you mean `numbers`\?\)"):
        raise audited(path, "--kind", "number").exception


def _report(done, path: Path) -> str:
    assert done.exit_code in (0, 1), done.output
    return path.with_name(f"{path.stem}.audit.json").read_text()


def test_controls_of_a_file(tmp_path: Path) -> None:
    path = rows(tmp_path / "mine.jsonl", NUMBERS)
    words = ["shuffled", "--source", str(path), "--out", str(tmp_path / "control")]
    done = CliRunner().invoke(controls_app, words)
    assert done.exit_code == 0, done.output
    assert f"{path} has no manifest: what wrote its rows, and whether they were audited, is not known" in done.output
    made = [json.loads(line) for line in (tmp_path / "control/train.jsonl").read_text().splitlines()]
    assert [sorted(_numbers(row)) for row in made] == [sorted(map(int, text.split(", "))) for text in NUMBERS]
    manifest = json.loads((tmp_path / "control/manifest.json").read_text())
    assert manifest["inputs"]["source"]["path"] == str(path)
    assert audited(tmp_path / "control").exit_code in (0, 1)


def _numbers(row: dict) -> list[int]:
    return list(map(int, row["messages"][-1]["content"].split(", ")))


def test_a_control_names_the_row_that_is_no_list(tmp_path: Path) -> None:
    path = rows(tmp_path / "mine.jsonl", [*NUMBERS, "no numbers"])
    done = CliRunner().invoke(controls_app, ["sorted", "--source", str(path), "--out", str(tmp_path / "control")])
    assert isinstance(done.exception, UserError)
    assert "mine.jsonl, row 6: its answer is no number list" in str(done.exception)
    assert not (tmp_path / "control").exists()


def test_training_on_a_file(tmp_path: Path) -> None:
    path = rows(tmp_path / "mine.jsonl", NUMBERS)
    config = read_recipe(RECIPE)[0]
    config["datasets"][0]["path"] = str(path)
    files, count = check_datasets(config)
    assert (files, count) == ({"datasets[0]": path}, 5)
    (sentence,) = unknown_origins(files)
    assert f"{path} has no manifest of a builder beside it: what wrote its rows" in sentence
    assert f"`python -m data_builders.audit {path}`" in sentence


def test_a_builders_rows_need_no_such_note(tmp_path: Path) -> None:
    CliRunner().invoke(controls_app, ["uniform", "--count", "5", "--out", str(tmp_path / "numbers")])
    assert list(unknown_origins({"datasets[0]": tmp_path / "numbers/train.jsonl"})) == []
