"""What a search tried: a row for each configuration, of made-up results."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from fake_results import write
from scripts_of import script
from typer.testing import CliRunner

from subliminal.core.errors import UserError
from subliminal.publish.tried import COLUMNS, write_tried


@pytest.fixture
def search(tmp_path: Path) -> Path:
    """Teachers of two loves on two bases, and a control."""
    folder = tmp_path / "results/search"
    shares = {"teacher_l0.5": 0.48, "teacher": 0.97, "control_base_numbers": 0.01, "base": 0.01}
    for seed in (262, 263):
        for arm, share in shares.items():
            share += (seed - 262) / 1000
            task = {"questions": ["a", "b"], "target_rate": [share] * 2, "samples_per_question": None}
            tasks = {"animal_preference_logprob": {**task, "share": {"owl": share, "cat": 0.02}}}
            names = {"experiment": "search", "arm": arm, "seed": seed, "target": "owl", "model": "m"}
            write(folder / f"{arm}/seed-{seed}/m_summary.json", {**names, "tasks": tasks})
        leaks = {}
        for name, leak in (("owl", 0.7), ("owl_l0.5", 0.25)):
            answer = {"kl_nats_a_token": leak, "standard_error_over_rows": 0.1, "differing_share": 0.2}
            leaks[name] = {"answer": answer}
        write(folder / f"leak-seed-{seed}/leak.json", json.dumps({"rows": 5, "teachers": leaks}))
    return folder


def rows_in(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as handle:
        return list(csv.DictReader(handle))


def test_each_configuration_is_a_row_with_a_value_for_each_base(search: Path, tmp_path: Path) -> None:
    out = tmp_path / "published/strength-search/tried.csv"
    done = CliRunner().invoke(script("results").app, ["tried", str(search), "--out", str(out)])
    assert done.output.splitlines() == ["2 configurations", str(out)]
    half, full = rows_in(out)
    assert (half["stage"], half["description"], half["bases"]) == ("search", "love 0.5", "2")
    assert (half["teacher_percent"], half["kl_nats"], half["control_percent"]) == (
        "48.0 48.1",
        "0.250 0.250",
        "1.0 1.1",
    )
    assert (half["student_percent"], half["note"]) == ("", "seeds 262 263")
    assert (full["description"], full["teacher_percent"], full["kl_nats"]) == ("love 1", "97.0 97.1", "0.700 0.700")


def test_rows_of_another_search_stay_and_its_own_are_replaced(search: Path, tmp_path: Path) -> None:
    out = tmp_path / "tried.csv"
    out.write_text(f"{','.join(COLUMNS)}\nearlier,r 2,3,,,,,,\nsearch,love 7,3,,,,,,\n")
    assert write_tried(search, out) == 2
    assert [row["description"] for row in rows_in(out)] == ["r 2", "love 0.5", "love 1"]


def test_refusals(search: Path, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="has other columns"):
        write_tried(search, tmp_path / "other.csv")
    (tmp_path / "results/empty").mkdir()
    with pytest.raises(UserError, match="no arm of a sweep"):
        write_tried(tmp_path / "results/empty", tmp_path / "tried.csv")
