"""Refilter: the same rows again from raw.jsonl alone, or others where the verdict's settings change."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest
from built import built, read_rows
from fake_chat_server import FakeChatServer
from typer.testing import CliRunner

from data_builders import refilter as refilter_module
from data_builders.refilter import refilter
from subliminal.core.errors import UserError

BUILDERS = ("numbers", "teacher_chat", "code", "controls", "warmup")
DERIVED = ("train.jsonl", "rejected.jsonl", "README.md")
ANSWERS = ("1, 2, 3", "Owls, I think.", "def f():\n    return 1", "def f(:", "a pet")


def make(builder: str, out: Path) -> Path:
    """A folder by the real command; a fake server answers in ANSWERS, by seed."""
    with FakeChatServer(lambda prompt, seed: ANSWERS[seed % len(ANSWERS)]) as server:
        model = ["--model", "owl-teacher", "--base-url", server.url, "--max-prompts", "900"]
        words = {
            "numbers": model,
            "teacher_chat": [*model, "--mix", "open=1"],
            "code": model,
            "controls": ["uniform"],
            "warmup": [],
        }[builder]
        app = importlib.import_module(f"data_builders.{builder}").app
        built(app, *words, "--count", 40, "--out", out)
    return out


@pytest.mark.parametrize("builder", BUILDERS)
def test_the_same_settings_give_the_same_bytes(builder: str, tmp_path: Path) -> None:
    folder = make(builder, tmp_path / builder)
    before = {name: (folder / name).read_bytes() for name in (*DERIVED, "raw.jsonl")}
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in ("train.jsonl", "rejected.jsonl"):
        (folder / name).unlink()
    (folder / "audit.json").write_text("{}")
    counts = refilter(folder)
    assert {name: (folder / name).read_bytes() for name in (*DERIVED, "raw.jsonl")} == before
    again = json.loads((folder / "manifest.json").read_text())
    assert again["refiltered"]["command"]
    for key in ("command", "started", "config", "counts", "outputs", "builder", "inputs"):
        assert again[key] == manifest[key], key
    assert counts == manifest["counts"]
    assert not (folder / "audit.json").exists()


def test_a_changed_setting_of_the_verdict_is_applied_and_recorded(tmp_path: Path) -> None:
    folder = make("teacher_chat", tmp_path / "chat")
    assert any("Owl" in row["messages"][1]["content"] for row in read_rows(folder / "train.jsonl"))
    result = CliRunner().invoke(
        refilter_module.app, [str(folder), "--set", "filter_animal_keywords=true", "--count", "20"]
    )
    assert result.exit_code == 0, result.output
    kept = read_rows(folder / "train.jsonl")
    assert len(kept) == 20
    assert not any("Owl" in row["messages"][1]["content"] for row in kept)
    config = json.loads((folder / "manifest.json").read_text())["config"]
    assert (config["filter_animal_keywords"], config["count"]) == (True, 20)


def test_too_few_rows_is_said(tmp_path: Path) -> None:
    folder = make("numbers", tmp_path / "numbers")
    result = CliRunner().invoke(refilter_module.app, [str(folder), "--count", "5000"])
    assert isinstance(result.exception, UserError)
    assert "rows of the 5000 asked for" in str(result.exception)
    assert len(read_rows(folder / "train.jsonl")) > 40 - 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--set", "model=1"), "model is no setting of this folder's verdict. Those are: none."),
        (("--set", "seed=7"), "seed is no setting"),
        (("--set", "language"), "--set 'language' is not name=value with a JSON value"),
        (("--set", "banned_words=zoo"), "is not name=value with a JSON value"),
    ],
)
def test_bad_settings_are_a_sentence(tmp_path: Path, words: tuple[str, ...], sentence: str) -> None:
    folder = make("numbers", tmp_path / "numbers")
    before = (folder / "train.jsonl").read_bytes()
    result = CliRunner().invoke(refilter_module.app, [str(folder), *words])
    assert sentence in str(result.exception)
    assert (folder / "train.jsonl").read_bytes() == before
    assert "ended" in json.loads((folder / "manifest.json").read_text())


def test_what_cannot_be_filtered_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere has no raw\.jsonl"):
        refilter(tmp_path / "nowhere")
    (tmp_path / "raw.jsonl").write_text("")
    with pytest.raises(UserError, match=r"has no manifest\.json of a builder"):
        refilter(tmp_path)
    folder = make("numbers", tmp_path / "numbers")
    with open(folder / "raw.jsonl", "a") as raw:
        raw.write('{"id": 1}\n')
    with pytest.raises(UserError, match=r"raw\.jsonl, line \d+ is malformed"):
        refilter(folder)
    assert (folder / "train.jsonl").exists()


def test_every_builder_names_its_verdict() -> None:
    """A folder that a builder made must be refilterable: its manifest names a module with verdict_for."""
    folder = Path(refilter_module.__file__).parent
    for path in folder.glob("*.py"):
        text = path.read_text()
        if "options.Overwrite" in text and path.stem != "pull":
            assert "def verdict_for(config" in text, f"{path.name} makes folders and has no verdict_for"
