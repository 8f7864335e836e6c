"""What docs/statistics.md says that its commands print."""

from __future__ import annotations

import math
import re

import pytest

from subliminal import REPO_ROOT
from subliminal.stats import Design, power_table
from subliminal.stats.power.detection import detection_power
from subliminal.stats.result import RUNS

PAGE = (REPO_ROOT / "docs/statistics.md").read_text(encoding="utf-8")


def test_the_smallest_rise_is_what_the_command_prints() -> None:
    options = dict(re.findall(r"--(\w+) ([\d.]+)", re.search(r"python scripts/power.py (.+)", PAGE)[1]))
    design = Design(
        int(options["questions"]), int(options["samples"]), int(options["seeds"]), float(options["baseline"])
    )
    over_runs, over_questions = power_table(design)["sentences"][:2]
    said = re.search(r"over training runs \((\S+) points\) and over questions \((\S+)\)", PAGE)
    assert f"{said[1]} points or more" in over_runs
    assert f"{said[2]} points or more" in over_questions


def test_how_many_seeds_show_the_expected_effect() -> None:
    rate = 0.0055  # of the controls of the published twenty
    odds = rate / (1 - rate) * math.exp(3.2)
    for seeds, alpha, percent in ((5, 0.05, 90), (3, 0.05, 46), (5, 0.01, 54), (10, 0.01, 99)):
        design = Design(50, 100, seeds, rate, run_sd=1.13)
        power = detection_power(odds / (1 + odds) - rate, design, RUNS, alpha)
        assert round(100 * power) == pytest.approx(percent, abs=1)
        assert f"in {percent} %" in PAGE


def test_how_often_a_bootstrap_interval_can_hold_the_mean() -> None:
    for replicates, percent in ((3, "75 %"), (5, "94 %")):
        assert f"{1 - 2 / 2**replicates:.0%}".replace("%", " %") == percent
        assert percent in PAGE
