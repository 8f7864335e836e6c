"""The table of arms: complete and explained. That a new arm is one row of it, tests/docs/test_extending.py shows."""

from __future__ import annotations

import re
from typing import get_args

from subliminal import REPO_ROOT
from subliminal.experiment.arms import ARMS, BY_NAME, arm_kind
from subliminal.experiment.schema.sections import ArmName


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
