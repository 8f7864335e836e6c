"""The scoreboard: shares of hand-made runs, beside as many random tokens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from subliminal.analysis.__main__ import app
from subliminal.analysis.score import board as board_module
from subliminal.analysis.score.board import read_board
from subliminal.core.errors import UserError
from subliminal.stats.log_odds import Row
from subliminal.stats.shares import ratio_interval

RUNS = {
    "student": [2.0, 3.0, 4.0],
    "control_base_numbers": [0.0, 0.5, 1.0],
    "student_only_divergence": [1.0, 2.0, 2.0],
    "student_without_divergence": [0.5, 1.0, 2.0],
    "student_only_random": [0.5, 1.0, 1.0],
    "student_without_random": [2.0, 2.5, 3.5],
}


def table(runs: dict[str, list[float]]) -> list[Row]:
    rows = []
    for arm, values in runs.items():
        rows += [Row(seed, "owl", arm, "owl", 0.1, value) for seed, value in enumerate(values)]
        rows.append(Row(0, "owl", arm, "wolf", 0.1, 99.0))  # what is said of other animals counts for nothing
    return rows


@pytest.fixture
def results(monkeypatch) -> Path:
    monkeypatch.setattr(board_module, "read_table", lambda folder, task: table(RUNS))
    return Path("results/x")


def test_shares_of_hand_made_runs(results):
    places = {(place.ranking, place.measure): place for place in read_board(results, "t")}
    whole = np.array([2.0, 2.5, 3.0])
    kept = places["divergence", "kept"]
    assert kept.runs == 3
    assert kept.share == pytest.approx((1.0 + 1.5 + 1.0) / 7.5)
    assert kept.interval == pytest.approx(ratio_interval(np.array([1.0, 1.5, 1.0]), whole))
    assert kept.above == pytest.approx((0.5 + 1.0 + 1.0) / 7.5)
    removed = places["divergence", "removed"]
    assert removed.share == pytest.approx((1.5 + 2.0 + 2.0) / 7.5)
    assert removed.above == pytest.approx((1.5 + 1.5 + 1.5) / 7.5)
    assert places["random", "removed"].share == pytest.approx((0.0 + 0.5 + 0.5) / 7.5)
    assert places["random", "kept"].above is None


def test_a_null_in_the_place_of_random_tokens(results):
    places = {(place.ranking, place.measure): place for place in read_board(results, "t", "divergence")}
    assert places["random", "kept"].above == pytest.approx(-(0.5 + 1.0 + 1.0) / 7.5)
    assert places["random", "removed"].above == pytest.approx(-(1.5 + 1.5 + 1.5) / 7.5)
    assert places["divergence", "kept"].above is None
    with pytest.raises(UserError, match="results/x has no arm student_only_delta or student_without_delta"):
        read_board(results, "t", "delta")


def test_an_arm_that_is_the_student_keeps_all_and_one_that_is_the_control_removes_all(monkeypatch):
    """A mask of nothing and a mask of all: the known answers."""
    runs = {"student": RUNS["student"], "control_base_numbers": RUNS["control_base_numbers"]}
    runs |= {"student_only_all": RUNS["student"], "student_without_all": RUNS["control_base_numbers"]}
    runs |= {"student_only_nothing": runs["control_base_numbers"], "student_without_nothing": RUNS["student"]}
    monkeypatch.setattr(board_module, "read_table", lambda folder, task: table(runs))
    shares = {(place.ranking, place.measure): place.share for place in read_board(Path("x"), "t")}
    assert shares == {
        ("all", "kept"): pytest.approx(1),
        ("all", "removed"): pytest.approx(1),
        ("nothing", "kept"): pytest.approx(0),
        ("nothing", "removed"): pytest.approx(0),
    }


def test_the_table_that_is_printed_and_written(results, tmp_path):
    done = CliRunner().invoke(app, ["scoreboard", "results/x", "--out", str(tmp_path / "board.csv")])
    assert done.exit_code == 0, (done.output, done.exception)
    lines = done.stdout.splitlines()
    assert lines[0].split("\t")[:4] == ["ranking", "measure", "runs", "share"]
    assert lines[0].split("\t")[6:] == ["above random", "low", "high"]
    assert lines[1].split("\t")[:4] == ["divergence", "kept", "3", "0.467"]
    assert lines[-1] == str(tmp_path / "board.csv")
    assert len((tmp_path / "board.csv").read_text().splitlines()) == 5


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        ({"student"}, "has no scoreboard"),
        (set(RUNS) - {"student", "control_base_numbers"}, "has no scoreboard"),
    ],
)
def test_without_arms_there_is_no_board(monkeypatch, gone, words):
    left = {arm: values for arm, values in RUNS.items() if arm not in gone}
    monkeypatch.setattr(board_module, "read_table", lambda folder, task: table(left))
    with pytest.raises(UserError, match=words):
        read_board(Path("x"), "t")
