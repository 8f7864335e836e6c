"""The criterion of an experiment is recorded before its first student trains, and stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError
from subliminal.experiment import criterion as recording
from subliminal.experiment.criterion import learns_numbers, record_criterion, refuse_late_criterion
from subliminal.experiment.expand import expand
from subliminal.experiment.load import load_experiment
from subliminal.experiment.plan import Plan

CLAUSE = {"name": "effect", "arm": "student", "minus": "control_base_numbers", "confidence": 0.99, "above": 0}
STAGE = "criterion-owl_pocket"


def plan_of(root: Path, *clauses: dict[str, Any], **changes: Any) -> Plan:
    """The plan of experiments/owl_pocket.yml with a criterion of these clauses, saved where the run saves it."""
    content = yaml.safe_load((REPO_ROOT / "experiments/owl_pocket.yml").read_text()) | changes
    if clauses:
        content["criterion"] = {"clauses": list(clauses)}
    file = root / "owl_pocket.yml"
    file.write_text(yaml.safe_dump(content))
    plan = expand(load_experiment(file), root=root)
    plan.save(Path(plan.results) / "plan.json")
    return plan


def record(plan: Plan) -> dict[str, Any]:
    """Record the plan's criterion as its stage does."""
    record_criterion(Plan.load(Path(plan.results) / "plan.json"), STAGE)
    return json.loads((Path(plan.results) / "criterion.json").read_text())


def finish(plan: Plan, name: str) -> None:
    """Leave the manifest of a training as if it had run."""
    proof = Path(plan.stages[name].proof)
    proof.parent.mkdir(parents=True)
    proof.write_text("{}")


def test_every_training_on_number_rows_waits_for_it_and_nothing_else(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, CLAUSE)
    waiting = {name for name, stage in plan.stages.items() if STAGE in stage.after}
    trained = {name for name in plan.stages if name.startswith("train-")}
    assert waiting == {name for name in trained if "teacher" not in name and not name.startswith("train-base")} - {
        name for name in trained if name.startswith("train-other_base-")
    } - {"train-other_base"}
    assert {"train-owl_student-seed-21", "train-control_base_numbers-seed-21"} <= waiting
    assert STAGE in plan.needs("train-owl_student-seed-21")[1]


def test_it_changes_the_key_of_nothing_else(tmp_path: Path) -> None:
    without = {name: stage.key for name, stage in plan_of(tmp_path).stages.items()}
    plan = plan_of(tmp_path, CLAUSE)
    assert {name: stage.key for name, stage in plan.stages.items() if name != STAGE} == without
    assert STAGE not in without
    other = plan_of(tmp_path, CLAUSE | {"above": 1})
    assert {name for name in plan.stages if plan.stages[name].key != other.stages[name].key} == {STAGE}


def test_the_first_record_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = record(plan_of(tmp_path, CLAUSE))
    assert first["criterion"]["seeds"] == [21, 22, 23]
    assert first["criterion"]["animals"] == ["owl", "dolphin"]
    assert set(first) == {"sha256", "made", "git", "criterion"}
    monkeypatch.setattr(recording, "utc_now", lambda: "2099-01-01T00:00:00+00:00")
    assert record(plan_of(tmp_path, CLAUSE)) == first
    changed = record(plan_of(tmp_path, CLAUSE | {"above": 1}))  # nothing is trained yet
    assert changed["made"].startswith("2099")
    assert changed["sha256"] != first["sha256"]


def test_another_is_refused_once_a_student_is_trained(tmp_path: Path) -> None:
    first = record(plan := plan_of(tmp_path, CLAUSE))
    finish(plan, "train-base")  # bases and teachers decide nothing
    record(plan_of(tmp_path, CLAUSE | {"above": 1}))
    record(plan_of(tmp_path, CLAUSE))
    finish(plan, "train-control_base_numbers-seed-22")
    assert record(plan_of(tmp_path, CLAUSE))["sha256"] == first["sha256"]
    with pytest.raises(UserError, match=r"control_base_numbers-seed-22 is trained\. A criterion that"):
        record(plan_of(tmp_path, CLAUSE | {"above": 1}))
    assert json.loads((tmp_path / "results/owl_pocket/criterion.json").read_text())["sha256"] == first["sha256"]


def test_other_replicates_are_another_criterion(tmp_path: Path) -> None:
    record(plan := plan_of(tmp_path, CLAUSE))
    finish(plan, "train-owl_student-seed-21")
    with pytest.raises(UserError, match="Another criterion is recorded"):
        refuse_late_criterion(plan_of(tmp_path, CLAUSE, seeds=[21, 22, 23, 24]))


def test_one_that_comes_after_the_results_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "results/owl_pocket/owl"
    for arm in ("base", "teacher"):
        (folder / arm / "seed-21").mkdir(parents=True)
        (folder / arm / "seed-21/manifest.json").write_text("{}")
    refuse_late_criterion(plan_of(tmp_path, CLAUSE))
    (folder / "student/seed-21").mkdir(parents=True)
    (folder / "student/seed-21/manifest.json").write_text("{}")
    with pytest.raises(UserError, match="No criterion is recorded there"):
        refuse_late_criterion(plan_of(tmp_path, CLAUSE))


def test_a_damaged_record_is_a_sentence(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, CLAUSE)
    (tmp_path / "results/owl_pocket/criterion.json").write_text("{")
    with pytest.raises(UserError, match="is not valid JSON"):
        refuse_late_criterion(plan)


def test_several_animals_have_a_page_together(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    overview = plan.stages["overview-owl_pocket"]
    assert overview.made_from == ["report-owl", "report-dolphin"]
    assert overview.makes == [f"{tmp_path}/results/owl_pocket/overview.md"]
    alone = expand(load_experiment(REPO_ROOT / "experiments/owl_pocket_replicates.yml"), root=tmp_path)
    assert not [name for name in alone.stages if name.startswith("overview-")]


@pytest.mark.parametrize(
    ("arm", "does"),
    [
        ("student", True),
        ("student_n750_e1", True),
        ("control_base_numbers_b4096", True),
        ("control_neutral_teacher", True),
        ("an_arm_of_another_day", True),  # what is not known may have learned them
        ("base", False),
        ("base_b4096", False),
        ("teacher", False),
        ("teacher_m3", False),
        ("neutral_teacher", False),
    ],
)
def test_which_arms_a_criterion_must_be_older_than(arm: str, does: bool) -> None:
    assert learns_numbers(arm) is does
