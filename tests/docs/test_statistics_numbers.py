"""What docs/statistics.md says that its commands print."""

from __future__ import annotations

import re

from subliminal import REPO_ROOT
from subliminal.stats import Design, power_table

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


def test_how_often_a_bootstrap_interval_can_hold_the_mean() -> None:
    for replicates, percent in ((3, "75 %"), (5, "94 %")):
        assert f"{1 - 2 / 2**replicates:.0%}".replace("%", " %") == percent
        assert percent in PAGE
