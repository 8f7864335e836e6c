"""``headline.json``: what a terminal shows of a report is what the report says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from fake_results import RATES, add_arm, graded, summary

from subliminal.experiment.display.outcome import answer_lines
from subliminal.report.pages import markdown
from subliminal.report.write import compose, headline


def test_it_holds_the_answer_and_the_share_of_each_arm(tmp_path: Path) -> None:
    for arm in RATES:
        add_arm(tmp_path, arm)
    report = compose(tmp_path / "results/owl-demo")
    said = json.loads(json.dumps(headline(report)))
    text = markdown(report.page)
    assert said["sentence"] in text
    assert said["number"] in text
    assert said["label"].startswith("student − control")
    assert said["measure"] == "share of owl in sampled answers"
    shares = {bar["arm"]: bar["share"] for bar in said["bars"]}
    assert shares.keys() == RATES.keys()
    for arm, share in shares.items():
        assert share == pytest.approx(np.mean(summary(arm)["tasks"]["animal_preference"]["target_rate"]))
    assert said["sentence"] in " ".join(" ".join(answer_lines(said, 80)).split())


def test_without_a_control_there_is_no_number(tmp_path: Path) -> None:
    add_arm(tmp_path, "teacher")
    said = headline(compose(tmp_path / "results/owl-demo"))
    assert (said["number"], said["label"]) == (None, None)
    assert said["sentence"] == "No student among the arms has a control, so there is nothing to answer."
    assert [bar["arm"] for bar in said["bars"]] == ["teacher"]


def test_solved_problems_alone(tmp_path: Path) -> None:
    for arm, right in (("student", 30), ("control", 10)):
        graded(tmp_path, arm, 1, right)
    (folder,) = (tmp_path / "results").glob("*")
    said = headline(compose(folder))
    assert said["measure"].startswith("solved (")
    assert {bar["arm"]: bar["share"] for bar in said["bars"]} == {"student": 0.75, "control": 0.25}
