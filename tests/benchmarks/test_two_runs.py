"""Two runs of one file beside each other: rows by their ids, losses by their steps."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from benchmarks.two_runs import app, compare_losses, compare_rows, losses
from subliminal import REPO_ROOT
from subliminal.publish.entries import lay_out


def put_rows(folder: Path, answers: dict[str, str]) -> Path:
    folder.mkdir(parents=True)
    rows = []
    for name, answer in answers.items():
        messages = [{"role": "user", "content": f"ask {name[-1]}"}, {"role": "assistant", "content": answer}]
        rows.append(json.dumps({"id": name, "messages": messages}) + "\n")
    (folder / "train.jsonl").write_text("".join(rows))
    return folder / "train.jsonl"


def put_run(folder: Path, answers: dict[str, str], losses: list[float]) -> Path:
    put_rows(folder / "data/owl/numbers", answers)
    training = folder / "outputs/owl/student"
    training.mkdir(parents=True)
    training.joinpath("metrics.jsonl").write_text("".join(json.dumps({"loss": loss}) + "\n" for loss in losses))
    return folder


def test_rows_are_compared_by_their_ids(tmp_path: Path) -> None:
    one = put_rows(tmp_path / "one", {"a-1": "1, 2", "a-2": "3", "b-4": "5"})
    other = put_rows(tmp_path / "two", {"a-2": "4", "a-1": "1, 2", "a-3": "6"})
    assert compare_rows(one, other) == {"rows": 3, "ids": 2, "prompts": 2, "answers": 1}


def test_the_first_step_that_differs_is_found() -> None:
    assert compare_losses([1.0, 0.5], [1.0, 0.25]) == {"first": (1.0, 1.0), "last": (0.75, 0.625), "differs": 2}
    assert compare_losses([1.0], [1.0])["differs"] is None


def test_the_command_prints_both_tables(tmp_path: Path) -> None:
    one = put_run(tmp_path / "one", {"a-1": "1", "a-2": "2"}, [1.0, 0.5])
    other = put_run(tmp_path / "two", {"a-1": "1", "a-2": "3"}, [1.0, 0.25])
    printed = CliRunner().invoke(app, [str(one), str(other)]).output
    assert "| numbers | 2 | 2 | 2 | 1 |" in printed
    assert "| student | 1.0000, 1.0000 | 0.7500, 0.6250 | 2 |" in printed


def test_the_page_of_two_days_has_what_was_counted(tmp_path: Path) -> None:
    """Losses of both days lie in the repository; rows in its history."""
    folder = REPO_ROOT / "results/published"
    page = (folder / "2026-11-29-h200-owl/README.md").read_text(encoding="utf-8")
    then = losses(folder / "2026-11-28-h200-owl")
    lay_out(folder / "2026-11-29-owl_qwen2.5-coder-0.5b", tmp_path / "run", samples=False)
    now = losses(tmp_path / "run")
    assert len(then.keys() & now.keys()) == 6
    for name in then.keys() & now.keys():
        pair = compare_losses(then[name], now[name])
        first, last = (f"{pair[what][0]:.4f}, {pair[what][1]:.4f}" for what in ("first", "last"))
        assert f"| {name} | {first} | {last} |" in page
        assert pair["differs"] == 1
