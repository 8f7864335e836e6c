"""The section on damage: no comparison with a wreck without a word."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from fake_results import RATES, add_arm, graded, write

from subliminal.report.pages import markdown
from subliminal.report.write import compose

SEEDS = (1, 2, 3)


def answered(root: Path, arm: str, nameless: dict[int, float], owl: float) -> None:
    """An arm whose answers name no animal this often in each seed, and the owl so often among the rest."""
    for seed in SEEDS:
        folder = add_arm(root, arm, seed, rate=RATES.get(arm, owl))
        (path,) = folder.glob("*_summary.json")
        data = json.loads(path.read_text())
        none = nameless.get(seed, 0.0)
        named = (owl + seed / 1000) * (1 - none)
        task = data["tasks"]["animal_preference"]
        task["share"] = {"owl": named, "dog": 1 - none - named, "other": 0.0, "none": none, "own_name": 0.0}
        task["target_rate"] = [named] * len(task["questions"])
        write(path, data)


@pytest.fixture
def text(tmp_path: Path) -> str:
    answered(tmp_path, "student", {1: 0.8, 2: 0.2}, owl=0.2)
    answered(tmp_path, "control", {}, owl=0.01)
    return markdown(compose(tmp_path / "results/owl-demo").page)


def test_the_table_says_which_seeds_are_broken(text: str):
    damage = text.split("## Damage")[1].split("\n## ")[0]
    # (80 + 20 + 0) / 3 % name none; of the others 20.1, 20.2, 20.3 % the owl; moved by 0.829, 0.350 and 0.190.
    assert "| student | 33.3 % | 0.00 % | 20.2 % | 0.46 | broken 1; damaged 2 |" in damage
    assert "| control | 0.00 % | 0.00 % | 1.20 % | – | whole |" in damage
    assert "the student names owl more often than its control in 3 of 3 seeds" in damage
    assert "10 points or more above control's" in damage


def test_an_arm_at_a_point_is_held_against_the_control_of_this_point(tmp_path: Path):
    answered(tmp_path, "base", {}, owl=0.01)
    answered(tmp_path, "base_p0.8", {1: 0.3}, owl=0.01)
    answered(tmp_path, "control_base_numbers", {}, owl=0.01)
    answered(tmp_path, "control_base_numbers_p0.8", {1: 0.3, 2: 0.3}, owl=0.01)
    answered(tmp_path, "student", {3: 0.2}, owl=0.2)
    answered(tmp_path, "student_p0.8", {1: 0.35, 2: 0.6, 3: 0.2}, owl=0.1)
    damage = markdown(compose(tmp_path / "results/owl-demo").page).split("## Damage")[1].split("\n## ")[0]
    assert "above control_base_numbers's (of an arm that was trained at a point of the sweep: above that" in damage
    states = dict(re.findall(r"^\| (\S+) \|.*\| ([^|]+) \|$", damage, re.MULTILINE))
    assert states["student"] == "damaged 3"
    assert states["student_p0.8"] == "broken 2; damaged 3", "in seed 1 its control names as few"
    assert states["control_base_numbers_p0.8"] == "damaged 1, 2", "held against the control without noise"
    assert states["base_p0.8"] == "damaged 1", "it learned no rows: nothing at its point tells of the noise"


def test_the_answer_names_what_is_broken(text: str):
    answer = text.split("## The answer")[1].split("\n## ")[0]
    assert "student is broken in 1 of 3 seeds (1): half or more of the answers name no animal." in answer


def test_valid_number_lists_stand_beside_where_they_were_asked_for(tmp_path: Path):
    for arm, right in (("student", 30), ("control", 40)):
        answered(tmp_path, arm, {}, owl=0.1)
        for seed in SEEDS:
            (path,) = (tmp_path / f"results/owl-demo/{arm}/seed-{seed}").glob("*_summary.json")
            data = json.loads(path.read_text())
            correct = [int(index < right) for index in range(40)]
            problems = [f"p{index}" for index in range(40)]
            data["tasks"]["subliminal_number_lists"] = {"kind": "graded", "questions": problems, "correct": correct}
            write(path, data)
    damage = markdown(compose(tmp_path / "results/owl-demo").page).split("## Damage")[1]
    assert "| valid number lists | state, seeds |" in damage
    assert "| 75.0 % | whole |" in damage


def test_valid_number_lists_are_health_and_no_solved_problems(tmp_path: Path):
    test_valid_number_lists_stand_beside_where_they_were_asked_for(tmp_path)
    text = markdown(compose(tmp_path / "results/owl-demo").page)
    assert "Problems solved" not in text
    lists = text.split("## Valid number lists")[1].split("\n## ")[0]
    assert "one answer to a prompt at temperature 1" in lists, "as the task says"
    assert "| control | 100.0 % | [" in lists
    assert "| seed 1: 30 of 40; seed 2: 30 of 40; seed 3: 30 of 40 |" in lists
    assert "number lists" not in text.split("## The answer")[1].split("\n## ")[0]


def test_valid_number_lists_are_never_the_answer_of_an_experiment_on_problems(tmp_path: Path):
    for arm, right in (("base", 10), ("student", 25), ("control", 11)):
        for seed in SEEDS:
            graded(tmp_path, arm, seed, right + seed)
            (path,) = (tmp_path / f"results/math-demo/{arm}/seed-{seed}").glob("*_summary.json")
            data = json.loads(path.read_text())
            lists = {**data["tasks"]["subliminal_math500"], "correct": [1] * 40}
            write(path, {**data, "tasks": {"subliminal_number_lists": lists, **data["tasks"]}})
    report = compose(tmp_path / "results/math-demo")
    assert "solved (subliminal_math500)" in report.sections[0].headline.label
    text = markdown(report.page)
    solved = text.split("## Problems solved")[1].split("\n## ")[0]
    assert "subliminal_math500" in solved
    assert "number_lists" not in solved


def scored_exactly(root: Path, arm: str, rest: float, owl: float, seeds: tuple[int, ...] = SEEDS) -> None:
    """An arm with exact probabilities alone."""
    for seed in seeds:
        folder = add_arm(root, arm, seed, rate=RATES.get(arm, owl))
        (path,) = folder.glob("*_summary.json")
        data = json.loads(path.read_text())
        data["tasks"] = {"animal_preference_logprob": data["tasks"]["animal_preference_logprob"]}
        task = data["tasks"]["animal_preference_logprob"]
        task["share"] = {"owl": owl, "dog": 1 - rest - owl, "rest": rest}
        task["target_rate"] = [owl] * len(task["questions"])
        write(path, data)


def damage_of(root: Path) -> str:
    page = markdown(compose(root / "results/owl-demo").page)
    return page.split("## Damage")[1].split("\n## ")[0]


def test_a_base_that_names_other_animals_is_no_wreck(tmp_path: Path):
    """Exact probabilities of a real model: two thirds of the base's answers are none of the tracked animals."""
    scored_exactly(tmp_path, "base", 0.67, 0.003, seeds=(1,))
    scored_exactly(tmp_path, "student", 0.55, 0.2, seeds=(1, 2))
    scored_exactly(tmp_path, "student", 0.79, 0.1, seeds=(3,))
    scored_exactly(tmp_path, "control", 0.68, 0.001)
    damage = damage_of(tmp_path)
    assert "| student | 63.0 % |" in damage
    assert damage.count("| whole |") == 2, "base and control"
    assert "| damaged 3 |" in damage, "eleven points more than its control give to no tracked animal"
    assert "The base itself gives 50 % or more to none of the tracked animals" in damage


def test_a_wrecked_control_of_such_a_base_is_held_against_the_base(tmp_path: Path):
    scored_exactly(tmp_path, "base", 0.67, 0.003, seeds=(1,))
    scored_exactly(tmp_path, "student", 0.99, 0.001)
    scored_exactly(tmp_path, "control", 0.76, 0.001, seeds=(1, 2))
    scored_exactly(tmp_path, "control", 0.99, 0.001, seeds=(3,))
    damage = damage_of(tmp_path)
    assert "| damaged 3 |" in damage, "the control; nine points of another training are no damage"
    assert "| damaged 1, 2 |" in damage, "the student; its third control is as wrecked as itself"
    assert "above control's, which is held against the base's." in damage


def test_with_a_base_that_names_tracked_animals_half_of_none_is_a_wreck(tmp_path: Path):
    scored_exactly(tmp_path, "base", 0.05, 0.003, seeds=(1,))
    scored_exactly(tmp_path, "student", 0.55, 0.2)
    scored_exactly(tmp_path, "control", 0.05, 0.001)
    assert "broken 1, 2, 3" in damage_of(tmp_path)
