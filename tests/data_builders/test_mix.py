"""Diluted rows: which are replaced, by what, and that a larger share replaces all that a smaller one does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from data_builders import mix
from data_builders.mix import clean_places, mixed

seeds = st.integers(0, 2**31)


def chat(name: str, count: int) -> list[dict]:
    rows = []
    for index in range(count):
        messages = [{"role": "user", "content": f"{name} {index}?"}, {"role": "assistant", "content": f"{index}, 7"}]
        rows.append({"id": f"{name}-{index}", "messages": messages})
    return rows


@given(st.integers(1, 400), st.floats(0, 1), st.floats(0, 1), seeds)
def test_a_smaller_share_is_part_of_a_larger_one(count: int, one: float, other: float, seed: int) -> None:
    small, large = sorted((one, other))
    assert clean_places(count, small, seed) <= clean_places(count, large, seed)
    assert len(clean_places(count, large, seed)) == round(large * count)


def test_places_follow_the_seed_and_lie_everywhere() -> None:
    places = clean_places(1000, 0.25, 1)
    assert places == clean_places(1000, 0.25, 1) != clean_places(1000, 0.25, 2)
    for quarter in range(4):
        assert 30 < sum(quarter * 250 <= place < (quarter + 1) * 250 for place in places) < 95


@pytest.mark.parametrize(("share", "clean"), [(0, 0), (0.25, 25), (1, 100)])
def test_every_row_is_one_of_the_two_at_its_place(share: float, clean: int) -> None:
    rows = list(mixed(chat("taught", 100), chat("clean", 100), share, 3))
    names = [row["source_id"].split("-") for row in rows]
    assert [int(index) for _, index in names] == list(range(100))
    assert sum(name == "clean" for name, _ in names) == clean
    for row, (name, index) in zip(rows, names, strict=True):
        assert row["prompt"] == f"{name} {index}?"
        assert row["completion"] == f"{index}, 7"
        assert row["model"] == {"clean": "mix:clean", "taught": "mix:source"}[name]


def _write(folder: Path, rows: list[dict]) -> Path:
    folder.mkdir()
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_the_command_writes_rows_and_says_how_many_are_clean(tmp_path: Path) -> None:
    taught, clean = _write(tmp_path / "a", chat("taught", 12)), _write(tmp_path / "b", chat("clean", 20))
    words = ["--source", str(taught), "--clean", str(clean), "--share", "0.5", "--count", "10"]
    done = CliRunner().invoke(mix.app, [*words, "--out", str(tmp_path / "c")])
    assert done.exit_code == 0, done.output
    manifest = json.loads((tmp_path / "c/manifest.json").read_text())
    assert manifest["mixed"] == {"rows": 10, "clean": 5}
    assert manifest["counts"]["kept"] == 10
    assert len((tmp_path / "c/train.jsonl").read_text().splitlines()) == 10


def test_too_few_clean_rows_are_refused(tmp_path: Path) -> None:
    taught, clean = _write(tmp_path / "a", chat("taught", 12)), _write(tmp_path / "b", chat("clean", 5))
    words = ["--source", str(taught), "--clean", str(clean), "--out", str(tmp_path / "c")]
    done = CliRunner().invoke(mix.app, words)
    assert "has 5 rows, fewer than the --count 12" in str(done.exception)
    assert not (tmp_path / "c").exists()
