"""The section on what the teachers leak: its files, its numbers as they were measured, and nothing where none ran."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from subliminal.core.errors import UserError
from subliminal.report.analyses.leak import leak_section

OWL = {
    "answer": {"tokens": 900, "kl_nats_a_token": 0.3812, "standard_error_over_rows": 0.0123, "differing_share": 0.262},
    "above_neutral": {"kl_nats_a_token": 0.0514, "standard_error_over_rows": None},
}
NEUTRAL = {
    "answer": {"tokens": 900, "kl_nats_a_token": 0.3298, "standard_error_over_rows": 0.0119, "differing_share": 0.241}
}


def written(folder: Path, teachers: dict) -> None:
    folder.mkdir(parents=True)
    (folder / "leak.json").write_text(json.dumps({"rows": 500, "neutral": "neutral", "teachers": teachers}))


def test_every_teacher_of_every_seed_is_a_row(tmp_path: Path) -> None:
    for seed in (71, 72):
        written(tmp_path / f"leak-seed-{seed}", {"owl": OWL, "neutral": NEUTRAL})
    (tmp_path / "owl").mkdir()
    for folder in (tmp_path, tmp_path / "owl"):  # of the experiment, and of one animal in it
        section = leak_section(folder)
        assert section.tables[0].rows == [
            ["seed 71", "owl", "0.381 ± 0.012", "26.2 %", "0.051"],
            ["seed 71", "neutral", "0.330 ± 0.012", "24.1 %", "–"],
            ["seed 72", "owl", "0.381 ± 0.012", "26.2 %", "0.051"],
            ["seed 72", "neutral", "0.330 ± 0.012", "24.1 %", "–"],
        ]
        assert "on 500 number rows" in section.text[0]


def test_one_teacher_for_all_seeds_is_said_so(tmp_path: Path) -> None:
    written(tmp_path / "leak", {"owl": OWL})
    assert leak_section(tmp_path).tables[0].rows[0][0] == "all seeds"


def test_without_a_leak_stage_there_is_no_section(tmp_path: Path) -> None:
    assert leak_section(tmp_path / "owl") is None


@pytest.mark.parametrize("content", ["{", "[]", '{"rows": 5}', '{"rows": 5, "teachers": {"owl": {}}}'])
def test_a_torn_file_is_a_sentence(content: str, tmp_path: Path) -> None:
    (tmp_path / "leak").mkdir()
    (tmp_path / "leak/leak.json").write_text(content)
    with pytest.raises(UserError, match=r"is not what .* writes"):
        leak_section(tmp_path)


@pytest.mark.parametrize(("nats", "said"), [(-0.0012, "−0.001 ± 0.001"), (-0.0003, "0.000 ± 0.001")])
def test_a_teacher_nearer_than_the_neutral_one_has_a_minus_sign(nats: float, said: str, tmp_path: Path) -> None:
    above = {"kl_nats_a_token": nats, "standard_error_over_rows": 0.0011}
    written(tmp_path / "leak", {"owl": OWL | {"above_neutral": above}, "neutral": NEUTRAL})
    assert leak_section(tmp_path).tables[0].rows[0][-1] == said
