"""The scoreboard in a report: shares of hand-made runs, and no section where nothing was ranked."""

from __future__ import annotations

import math
from pathlib import Path

from fake_results import add_arm, manifest, write

from subliminal.report.analyses.scoreboard import scoreboard_section
from subliminal.report.load import load_results

LEVELS = {
    "student": [2.0, 2.6],
    "control_base_numbers": [0.0, 0.5],
    "student_only_random": [0.5, 1.025],
    "student_without_random": [1.5, 2.075],
    "student_only_gradient": [1.0, 1.55],
    "student_without_gradient": [0.0, 0.5],
}
"""Arm -> log-odds of the owl in two runs; the effect is 2 and 2.1 nats."""


def results(root: Path, levels: dict[str, list[float]] = LEVELS) -> Path:
    folder = root / "results/owl-demo"
    for arm, by_seed in levels.items():
        for seed, level in enumerate(by_seed, start=1):
            share = 1 / (1 + math.exp(-level))
            task = {"questions": ["a", "b"], "target_rate": [share] * 2, "samples_per_question": None}
            tasks = {"animal_preference_logprob": {**task, "share": {"owl": share, "dog": 1 - share}}}
            names = {"experiment": "owl-demo", "arm": arm, "model": "m", "seed": seed, "target": "owl"}
            place = folder / arm / f"seed-{seed}"
            write(place / "m_summary.json", {**names, "tasks": tasks})
            write(place / "manifest.json", manifest("result", "evaluate", {}))
    return folder


def test_a_row_a_ranking_in_the_order_of_the_arms(tmp_path: Path) -> None:
    section = scoreboard_section(load_results(results(tmp_path)))
    (table,) = section.tables
    # every part is the same share of both effects, so that its interval is that share alone
    assert table.rows == [
        [
            *("gradient", "the tokens whose gradients go most towards the animal"),
            *("50 % [50, 50]", "+25 % [25, 25]", "100 % [100, 100]", "+75 % [75, 75]"),
        ],
        ["random", "as many random tokens", "25 % [25, 25]", "–", "25 % [25, 25]", "–"],
    ]
    assert "over 2 runs" in section.text[0]
    assert section.brief.tables == [table]
    (figure,) = section.brief.figures
    assert figure.words.endswith("gradient 50 % [50, 50], 100 % [100, 100]; random 25 % [25, 25], 25 % [25, 25].")
    drawn = figure.draw()
    assert drawn.startswith("<?xml")
    assert drawn == figure.draw(), "the same board gives the same bytes"


def test_a_student_without_an_effect_has_no_shares(tmp_path: Path) -> None:
    section = scoreboard_section(load_results(results(tmp_path, LEVELS | {"student": [-1.0, 0.0]})))
    assert section.text == ["The student shows no effect over its control, so there is nothing to keep or to remove."]
    assert section.tables == []


def test_without_ranked_arms_there_is_no_section(tmp_path: Path) -> None:
    for arm in ("student", "control"):
        add_arm(tmp_path, arm)
    assert scoreboard_section(load_results(tmp_path / "results/owl-demo")) is None
