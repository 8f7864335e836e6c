"""The table of arms: complete, explained, and the one place that a new arm is written in."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from subliminal import REPO_ROOT
from subliminal.experiment.arms import ARMS, BY_NAME, arm_kind
from subliminal.experiment.schema.sections import ArmName

ROW = """
    ArmKind(
        "control_third",
        "a third control, as a test would have it",
        rows="base",
        control_of=("student",),
        seed_offset=2_000_000,
    ),
"""
USE = """
import json
from pathlib import Path
import yaml
from subliminal.experiment.expand import expand
from subliminal.experiment.load import load_experiment
from subliminal.report.data import Results
from subliminal.report.tables.pairs import pairs
from subliminal.report.main_sections import _role

content = yaml.safe_load(Path("experiments/pocket_demo.yml").read_text())
content["arms"] = ["base", "student", "control_base_numbers_again", "control_third"]
Path("mine/pocket_demo.yml").write_text(yaml.safe_dump(content))
plan = expand(load_experiment(Path("mine/pocket_demo.yml")), root=Path("mine"))
names = ["base", "student", "control_third"]
results = Results(Path(), "x", "owl", {name: {} for name in names})
print(json.dumps({
    "stages": list(plan.stages),
    "pairs": pairs(results),
    "role": _role("control_third"),
}))
"""


def test_names_of_the_table_are_distinct_and_comparisons_name_arms() -> None:
    assert len(BY_NAME) == len(ARMS)
    for arm in ARMS:
        assert {*arm.control_of, *arm.minus} <= BY_NAME.keys()
        assert (arm.rows == "chosen") == (arm.chosen is not None)
        assert arm.brings is None or arm.brings in BY_NAME
        assert arm.what


def test_an_arm_of_a_sweep_is_known_by_its_beginning() -> None:
    assert arm_kind("control_base_numbers_again_r2").name == "control_base_numbers_again"
    assert arm_kind("student-empty").name == "student"
    assert arm_kind("something_else") is None


def test_experiments_readme_explains_every_arm_that_a_file_may_name() -> None:
    text = (REPO_ROOT / "experiments" / "README.md").read_text()
    explained = re.findall(r"^\| `(\w+)` \| ", text.split("| arm | what is scored |")[1], re.MULTILINE)
    assert set(get_args(ArmName)) <= set(explained)


@pytest.fixture
def with_a_row_more(tmp_path: Path) -> Path:
    """A checkout that has one row more in the table, and is otherwise this one."""
    for path in REPO_ROOT.iterdir():
        if path.name not in ("src", ".git"):
            (tmp_path / path.name).symlink_to(path)
    shutil.copytree(REPO_ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    table = tmp_path / "src/subliminal/experiment/arms.py"
    end = '\n)\n"""In the order of reports'
    assert table.read_text().count(end) == 1
    table.write_text(table.read_text().replace(end, ROW.rstrip() + end))
    (tmp_path / "mine").mkdir()
    return tmp_path


def test_a_new_arm_is_one_row(with_a_row_more: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{with_a_row_more}/src{os.pathsep}{with_a_row_more}"}
    command = [sys.executable, "-c", USE]
    done = subprocess.run(command, cwd=with_a_row_more, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    trainings = [name for name in found["stages"] if name.startswith("train-control_third-seed-")]
    assert trainings
    # Beside the second control, whose rows are drawn with another seed.
    assert "build-base_numbers_again-seed-51" in found["stages"]
    assert "build-base_numbers_of_control_third-seed-51" in found["stages"]
    assert ["student", "control_third"] in found["pairs"]
    assert found["role"] == "a third control, as a test would have it"
