"""Names of arms at a point of a sweep, back and forth, and which arms have points."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subliminal.experiment.arms import ARMS, BY_NAME
from subliminal.experiment.schema.sections import Sweep
from subliminal.experiment.sweep.factors import BY_FACTOR, FACTORS, combinations, point_label, point_of


def test_the_schema_has_a_list_for_each_factor() -> None:
    assert set(Sweep.model_fields) == set(BY_FACTOR)
    assert len({factor.letter for factor in FACTORS}) == len(FACTORS)


@pytest.mark.parametrize(
    ("values", "label"),
    [
        ({}, ""),
        ({"rank": 2, "learning_rate": 8e-4}, "_r2_lr0.0008"),
        ({"epochs": 3.0, "rows": 1500}, "_n1500_e3"),
        ({"clean_share": 0}, ""),
        ({"clean_share": 0.25}, "_c0.25"),
    ],
)
def test_labels(values: dict, label: str) -> None:
    assert point_label(values) == label


@given(
    st.sampled_from([arm.name for arm in ARMS]),
    st.dictionaries(st.sampled_from(sorted(BY_FACTOR)), st.sampled_from([0.0001, 0.05, 0.5, 2.0, 3.0, 6000.0, 1e6])),
)
def test_a_name_says_its_arm_and_point(arm: str, values: dict) -> None:
    assert point_of(f"{arm}{point_label(values)}") == (arm, values)


@pytest.mark.parametrize("name", ["student-empty", "student_r2-empty", "student_epoch-3", "student_rows_random"])
def test_other_ends_belong_to_the_name(name: str) -> None:
    assert point_of(name) == (name, {})


def test_arms_without_the_teachers_rows_have_no_share_of_clean_ones() -> None:
    sweep = {"rows": [10, 20], "clean_share": [0, 0.5]}
    assert len(combinations(sweep)) == len(combinations(sweep, BY_NAME["student"])) == 4
    assert combinations(sweep, BY_NAME["control_base_numbers"]) == [{"rows": 10}, {"rows": 20}]
    assert combinations(sweep, BY_NAME["base"]) == combinations({}) == [{}]
