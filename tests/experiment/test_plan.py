"""The plan: what a failure takes with it, what is done, what goes first, its text and its file."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from plans import ANIMALS, DEMO, OWL_REAL, QWEN, changed, plan_of
from typer.testing import CliRunner

from subliminal.core.errors import UserError
from subliminal.experiment import driver
from subliminal.experiment.__main__ import app
from subliminal.experiment.costs import cost_of, plan_text
from subliminal.experiment.driver import _failures
from subliminal.experiment.expand import expand
from subliminal.experiment.load import load_experiment
from subliminal.experiment.plan import Plan
from subliminal.experiment.run import failure_path


def test_what_a_failed_stage_takes_with_it(tmp_path: Path) -> None:
    experiment = load_experiment(DEMO)
    record = {"stage": "train-owl_student-seed-42", "reason": "The disk is full.", "log": "x.log"}
    plan = expand(experiment, root=tmp_path, failed={"train-owl_student-seed-42": record})
    assert set(plan.lost) == {"train-owl_student-seed-42"}
    assert plan.missing == [{"arm": "student", "seed": 42, **record}]
    assert "student@42" not in plan.stages["evaluate-owl"].commands[0]
    assert "control_base_numbers@42" in plan.stages["evaluate-owl"].commands[0]
    assert plan.stages["report-owl"].key != expand(experiment, root=tmp_path).stages["report-owl"].key


def test_without_a_base_there_is_nothing_to_report(tmp_path: Path) -> None:
    record = {"stage": "train-base", "reason": "x", "log": "x.log"}
    plan = expand(load_experiment(DEMO), root=tmp_path, failed={"train-base": record})
    assert set(plan.stages) == {"build-base_corpus", "audit-base_corpus"}
    assert len(plan.missing) == 4


def test_a_failed_evaluation_reports_the_arms_that_it_finished(tmp_path: Path) -> None:
    whole = tmp_path / "results/owl_demo/base/seed-42/manifest.json"
    whole.parent.mkdir(parents=True)
    whole.write_text("{}")
    record = {"stage": "evaluate-owl", "reason": "The server does not answer.", "log": "x.log"}
    plan = expand(load_experiment(DEMO), root=tmp_path, failed={"evaluate-owl": record})
    assert [item["arm"] for item in plan.missing] == ["teacher", "student", "control_base_numbers"]
    assert "report-owl" in plan.stages
    whole.unlink()
    assert "report-owl" not in expand(load_experiment(DEMO), root=tmp_path, failed={"evaluate-owl": record}).stages


def test_a_server_that_does_not_start_fails_its_datasets(tmp_path: Path) -> None:
    plan = plan_of(QWEN, tmp_path)

    def fail(name: str, reason: str) -> None:
        path = failure_path(plan, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"stage": name, "reason": reason, "log": "x.log"}))

    fail("serve-base", "no GPU")
    assert set(_failures(plan)) == {"build-owl_teacher_chat", "build-base_numbers", "build-owl_prompted_numbers"}
    fail("build-base_numbers", "too few rows")
    assert {name: record["reason"] for name, record in _failures(plan).items()} == {
        "build-base_numbers": "too few rows"
    }
    less = expand(load_experiment(QWEN), root=tmp_path, failed=_failures(plan))
    assert [stage.name for stage in less.members("serve-base")] == [
        "build-owl_teacher_chat",
        "build-owl_prompted_numbers",
    ]
    assert {item["arm"] for item in less.missing} == {"control_base_numbers"}


# --- the plan's text and file ---


def test_done_needs_mark_files_and_what_came_before(tmp_path: Path) -> None:
    plan = plan_of(DEMO, tmp_path)
    for stage in plan.stages.values():
        for path in [*stage.makes, str(stage.mark)]:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text("{}")
    assert plan.done() == set(plan.stages)
    (tmp_path / "data/owl_demo/owl_numbers/train.jsonl").unlink()
    gone = {"build-owl_numbers", "audit-owl_numbers", "train-owl_student-seed-42", "evaluate-owl", "report-owl"}
    assert set(plan.stages) - plan.done() == gone


def test_where_marks_suffice_only_what_is_still_read_is_made_again(tmp_path: Path) -> None:
    plan = plan_of(ANIMALS, tmp_path, seeds=[71, 72], criterion=None)
    for stage in plan.stages.values():
        for path in [*stage.makes, str(stage.mark)]:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text("{}")
    for stage in plan.stages.values():  # what a lent machine does not keep
        if stage.kind in ("build", "train", "epochs"):
            for path in stage.makes:
                Path(path).unlink()
    assert not plan.done() & {"build-base_numbers-seed-71", "evaluate-owl-seed-71", "report-owl"}
    plan.marks_suffice = True
    assert plan.done() == set(plan.stages)
    for name in ("report-owl", "overview-animals_qwen2.5-coder-0.5b"):
        plan.stages[name].mark.unlink()
    assert set(plan.stages) - plan.done() == {"report-owl", "overview-animals_qwen2.5-coder-0.5b"}
    plan.stages["evaluate-owl-seed-72_epochs"].mark.unlink()
    again = set(plan.stages) - plan.done()
    assert {"train-owl_student-seed-72", "epochs-owl_student-seed-72", "build-base_numbers-seed-72"} <= again
    assert "evaluate-dolphin-seed-72" in again, "it scores the owl's student, which will be another file"
    assert not {name for name in again if name.endswith("-seed-71")}


def test_plan_survives_its_file(tmp_path: Path) -> None:
    plan = plan_of(QWEN, tmp_path)
    plan.save(tmp_path / "plan.json")
    loaded = Plan.load(tmp_path / "plan.json")
    assert loaded.stages == plan.stages
    assert loaded.sources == plan.sources
    assert json.loads((tmp_path / "plan.json").read_text())["jobs"].keys() == {
        str(stage.mark) for stage in plan.jobs().values()
    }


def test_plan_text_says_what_is_measured_and_what_is_not(tmp_path: Path) -> None:
    plan = plan_of(QWEN, tmp_path)
    student = plan.stages["train-owl_student-seed-42"]
    assert cost_of(student).minutes == pytest.approx(16.0)
    assert cost_of(student).gib == pytest.approx(30.8)
    assert cost_of(student).tokens == 10_000 * 10 * 256
    assert cost_of(plan.stages["build-owl_numbers"])[:2] == (None, None)
    text = plan_text(plan)
    assert "train-owl_teacher-rung-1                  if needed" in text
    assert "stages to run" in text
    half = plan_of(QWEN, tmp_path, student__overrides={"num_epochs": 5})
    assert cost_of(half.stages["train-owl_student-seed-42"]).minutes == pytest.approx(8.0)
    other = plan_of(QWEN, tmp_path, student__overrides={"lora_r": 64})
    assert cost_of(other.stages["train-owl_student-seed-42"]).minutes is None, "another rank, another cost"


@pytest.mark.parametrize(("memory", "share"), [(0.3, 3), (1 / 3, 3), (0.34, 1), (None, 1)])
def test_a_server_shares_a_gpu_when_its_memory_is_at_most_its_part(
    memory: float | None, share: int, tmp_path: Path
) -> None:
    plan = plan_of(OWL_REAL, tmp_path, server__gpu_memory_utilization=memory)
    servers = [stage for stage in plan.stages.values() if stage.kind == "serve"]
    assert [stage.name for stage in servers] == ["serve-base", "serve-teachers"]
    assert {stage.gpu_share for stage in servers} == {share}


def test_a_server_on_two_gpus_has_them_alone(tmp_path: Path) -> None:
    plan = plan_of(OWL_REAL, tmp_path, resources__generate_gpus=2)
    servers = [stage for stage in plan.stages.values() if stage.kind == "serve"]
    assert {(stage.gpus, stage.gpu_share) for stage in servers} == {(2, 1)}


def _waits_for(plan: Plan, name: str) -> list[str]:
    return [stage for stage in plan.stages[name].gives_way_to if stage in plan.stages]


def test_controls_leave_the_gpu_to_the_server_of_the_teachers(tmp_path: Path) -> None:
    plan = plan_of(OWL_REAL, tmp_path)
    assert _waits_for(plan, "train-control_base_numbers-seed-61") == ["build-owl_numbers"]
    assert _waits_for(plan, "train-owl_teacher") == []
    alone = plan_of(OWL_REAL, tmp_path, resources__per_gpu=1, server__gpu_memory_utilization=0.8)
    assert _waits_for(alone, "train-control_base_numbers-seed-61") == [], "another GPU may be idle meanwhile"
    key = plan.stages["train-control_base_numbers-seed-61"].key
    assert alone.stages["train-control_base_numbers-seed-61"].key == key, "what was trained stays trained"
    several = expand(load_experiment(ANIMALS), root=tmp_path, seeds=[72])
    rows = [f"build-{animal}_numbers-seed-72" for animal in ("owl", "dolphin", "penguin")]
    for arm in ("control_base_numbers", "control_base_numbers_again"):
        assert _waits_for(several, f"train-{arm}-seed-72") == rows
    assert _waits_for(several, "train-control_neutral_teacher-seed-72") == []


def test_controls_wait_for_rows_that_students_learn_and_for_no_others(tmp_path: Path) -> None:
    """Where every teacher has two or three traits, none of a single one is trained for a control to wait for."""
    experiment = load_experiment(changed(ANIMALS, tmp_path, sweep={"loved": [2, 3]}, criterion=None))
    plan = expand(experiment, root=tmp_path, seeds=[72])
    learned = set()
    for name, stage in plan.stages.items():
        if re.match(r"train-\w+_student_m", name):
            learned.add(stage.made_from[-1])
    waits = _waits_for(plan, "train-control_base_numbers-seed-72")
    assert len(waits) == len(learned) == 4, "three pairs, and all three"
    assert set(waits) == learned
    assert "train-owl_teacher-seed-72" not in plan.stages


def test_a_teacher_that_failed_does_not_hold_back_the_controls(tmp_path: Path) -> None:
    failed = {"train-owl_teacher-seed-72": {}}
    plan = expand(load_experiment(ANIMALS), root=tmp_path, seeds=[72], failed=failed)
    rows = ["build-dolphin_numbers-seed-72", "build-penguin_numbers-seed-72"]
    assert _waits_for(plan, "train-control_base_numbers-seed-72") == rows


def test_a_control_gives_way_to_what_is_wanted_and_asks_for_nothing(tmp_path: Path) -> None:
    plan = plan_of(OWL_REAL, tmp_path)
    control, rows = "train-control_base_numbers-seed-61", "serve-teachers"

    def waits(until: Sequence[str], gpus: int | None = 1) -> bool:
        plan.save(tmp_path / "plan.json", gpus=gpus, until=until)
        jobs = json.loads((tmp_path / "plan.json").read_text("utf-8"))["jobs"]
        (job,) = [job for job in jobs.values() if job["name"] == control]
        return str(plan.stages[rows].mark) in job["waits"]

    assert rows not in plan.up_to([control])
    assert waits([])
    assert not waits([control]), "nothing of the teacher's is wanted then"
    assert waits([control, "build-owl_numbers"])
    assert not waits([], gpus=2), "the second GPU would be idle while the server writes on the first"
    assert not waits([], gpus=None), "a cluster gives whole GPUs"


def _has_waiting_controls(plan: Plan, path: Path, gpus: int) -> bool:
    """Whether a control waits for a server of teachers."""
    plan.save(path, gpus=gpus)
    jobs = json.loads(path.read_text("utf-8"))["jobs"].values()
    servers = {str(stage.mark) for stage in plan.stages.values() if stage.name.startswith("serve-teachers")}
    return any(servers & set(job["waits"]) for job in jobs if job["name"].startswith("train-control_base"))


def test_controls_wait_only_for_servers_that_are_still_to_run(tmp_path: Path) -> None:
    plan = expand(load_experiment(ANIMALS), root=tmp_path, seeds=[71, 72])
    path = tmp_path / "plan.json"
    assert _has_waiting_controls(plan, path, gpus=2)
    assert not _has_waiting_controls(plan, path, gpus=3)
    done = plan.behind([part.name for part in plan.members("serve-teachers-seed-71")]) | {"serve-teachers-seed-71"}
    for name in done:
        stage = plan.stages[name]
        for file in [*stage.makes, str(stage.mark)]:
            Path(file).parent.mkdir(parents=True, exist_ok=True)
            Path(file).write_text("{}")
    assert "serve-teachers-seed-71" in plan.done()
    assert not _has_waiting_controls(plan, path, gpus=2), "one server is left, and the second GPU would be idle"
    assert _has_waiting_controls(plan, path, gpus=1)


def test_a_server_on_two_gpus_keeps_two_busy(tmp_path: Path) -> None:
    plan = plan_of(OWL_REAL, tmp_path, resources__generate_gpus=2)
    assert _has_waiting_controls(plan, tmp_path / "plan.json", gpus=2)
    assert not _has_waiting_controls(plan, tmp_path / "plan.json", gpus=3)


def test_students_of_a_trained_teacher_stand_at_the_end_of_the_longest_chain(tmp_path: Path) -> None:
    assert plan_of(OWL_REAL, tmp_path).last_trainings() == [f"train-owl_student-seed-{seed}" for seed in (61, 62, 63)]


def test_snakemake_is_told_which_trainings_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(OWL_REAL, tmp_path)
    snakemake = tmp_path / "snakemake"
    snakemake.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > "$SAID"\n')
    snakemake.chmod(0o755)
    monkeypatch.setattr(driver, "SNAKEMAKE", snakemake)
    monkeypatch.setenv("SAID", str(tmp_path / "said"))
    assert driver._snakemake(plan, cores=2, gpu_units=None, words=[]) == 0
    words = (tmp_path / "said").read_text().splitlines()
    marks = [str(plan.stages[name].mark) for name in plan.last_trainings()]
    at = words.index("--prioritize")
    assert words[at + 1 : at + 4] == marks
    assert words[at + 4].startswith("--"), "the marks end before the next option"


def test_what_goes_first_is_wanted_at_all(tmp_path: Path) -> None:
    plan = plan_of(OWL_REAL, tmp_path)
    teacher, student = "train-owl_teacher", "train-owl_student-seed-62"
    assert plan.last_trainings([teacher]) == [teacher], "Snakemake makes what it is to prioritise"
    assert plan.last_trainings(["build-base_numbers"]) == []
    assert plan.last_trainings([teacher, student]) == [student]


def test_several_stages_are_wanted_with_all_that_each_needs(tmp_path: Path) -> None:
    plan = plan_of(OWL_REAL, tmp_path)
    control, teacher = "train-control_base_numbers-seed-61", "train-owl_teacher"
    both = plan.up_to([control, teacher])
    assert both == plan.up_to([control]) | plan.up_to([teacher])
    assert both > plan.up_to([control])
    assert both > plan.up_to([teacher])
    assert plan.up_to([teacher, "audit"]) == plan.up_to(["audit"]) | plan.up_to([teacher])
    assert plan.up_to([]) == set(plan.jobs())
    plan.save(tmp_path / "plan.json", until=[control, teacher])
    goals = json.loads((tmp_path / "plan.json").read_text("utf-8"))["goals"]
    assert sorted(goals) == sorted(str(plan.stages[name].mark) for name in both)
    with pytest.raises(UserError, match=r"has no stage 'train-owl_student-seed-1' and none of that kind\. Its kinds: "):
        plan.up_to([teacher, "train-owl_student-seed-1"])


@pytest.mark.parametrize("names", [[], ["audit"], ["audit", "train-owl_teacher"]])
def test_the_command_line_takes_until_several_times(names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def record(experiment: object, *, until: list[str], **options: object) -> int:
        asked.append(until)
        return 0

    monkeypatch.setattr(driver, "run_experiment", record)
    words = ["run", str(DEMO)]
    for name in names:
        words += ["--until", name]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert asked == [names]
