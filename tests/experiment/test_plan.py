"""The plan: what a failure takes with it, what is done, what goes first, its text and its file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from plans import ANIMALS, DEMO, OWL_REAL, QWEN, changed, plan_of
from typer.testing import CliRunner

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError
from subliminal.experiment import driver
from subliminal.experiment.__main__ import app
from subliminal.experiment.costs import cost_of, plan_text
from subliminal.experiment.driver import _failures
from subliminal.experiment.expand import expand
from subliminal.experiment.load import load_experiment
from subliminal.experiment.plan import Plan
from subliminal.experiment.run import failure_path
from subliminal.experiment.stage import STAGE_KINDS

POCKET = REPO_ROOT / "experiments" / "pocket_demo.yml"


def test_the_workflow_says_what_each_kind_of_stage_runs() -> None:
    said = (REPO_ROOT / "workflow/Snakefile").read_text().split('"""')[1]
    # A gate scores its teachers itself.
    assert [kind for kind in STAGE_KINDS if kind != "score" and f"{kind} " not in f"{said} ".replace(",", " ")] == []


@pytest.mark.parametrize(("written", "tokens"), [(24, 72 * 24), ("24", 72 * 24), (None, None)])
def test_an_option_is_text_or_left_to_its_command(written: object, tokens: int | None, tmp_path: Path) -> None:
    plan = plan_of(DEMO, tmp_path, numbers={"rows": 72, "options": {"max_tokens": written}})
    assert plan.stages["build-owl_numbers"].facts["tokens"] == tokens
    changes = {"server__gpu_memory_utilization": "0.25", "numbers__options": {"max_tokens": written}}
    served = plan_of(OWL_REAL, tmp_path, **changes)
    assert {stage.gpu_share for stage in served.stages.values() if stage.kind == "serve"} == {4}


def test_what_a_failed_stage_takes_with_it(tmp_path: Path) -> None:
    experiment = load_experiment(DEMO)
    record = {"stage": "train-owl_student-seed-42", "reason": "The disk is full.", "log": "x.log"}
    plan = expand(experiment, root=tmp_path, failed={"train-owl_student-seed-42": record})
    assert set(plan.lost) == {"train-owl_student-seed-42"}
    assert plan.missing == [{"arm": "student", "seed": 42, **record}]
    assert "student@42" not in plan.stages["evaluate-owl"].commands[0]
    assert "control_base_numbers@42" in plan.stages["evaluate-owl"].commands[0]
    assert plan.stages["report-owl"].key != expand(experiment, root=tmp_path).stages["report-owl"].key


def test_a_report_is_of_the_arms_and_seeds_of_the_file(tmp_path: Path) -> None:
    experiment = load_experiment(DEMO)
    experiment = experiment.model_copy(update={"seeds": [42, 43]})
    whole = expand(experiment, root=tmp_path).stages["report-owl"]
    asked = {"arms": ["base", "teacher", "student", "control_base_numbers"], "seeds": [42, 43]}
    assert whole.facts["planned"] == asked
    # Shards that are run one after the other end in one report.
    assert expand(experiment, root=tmp_path, seeds=[43]).stages["report-owl"].facts["planned"] == asked
    fewer = experiment.model_copy(update={"arms": ["base", "student"]})
    assert expand(fewer, root=tmp_path).stages["report-owl"].key != whole.key


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


def test_what_was_done_with_other_inputs_is_called_outdated(tmp_path: Path) -> None:
    plan = plan_of(DEMO, tmp_path)
    for stage in plan.stages.values():
        for path in [*stage.makes, str(stage.mark)]:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text("{}")
    assert "outdated" not in plan_text(plan)
    text = plan_text(plan_of(DEMO, tmp_path, student__overrides={"learning_rate": 1e-3}))
    outdated = {line.split()[0] for line in text.splitlines() if " outdated " in f"{line} " and "Stages" not in line}
    assert {"train-owl_student-seed-42", "evaluate-owl", "report-owl"} <= outdated
    assert not outdated & {"train-base", "build-owl_numbers"}
    assert "To keep what is there, copy data/, outputs/ and results/ first" in text
    (tmp_path / "data/owl_demo/owl_numbers/train.jsonl").unlink()
    assert "outdated" not in plan_text(plan), "a file that is gone is no other input"


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


def notes_of(source: Path, folder: Path, **changes: object) -> list[str]:
    """What `make plan` notes below its table of a copy of an experiment file with other values."""
    file = changed(source, folder, **changes)
    done = CliRunner().invoke(app, ["plan", str(file), "--root", str(folder)])
    assert done.exit_code == 0, done.output
    return [line for line in done.output.splitlines() if line.startswith("Note: ")]


@pytest.mark.parametrize(
    ("arms", "noted"),
    [
        (["base", "teacher", "student"], True),
        (["control_base_numbers"], True),
        (["base", "teacher", "control_base_numbers"], True),
        (["student", "control_base_numbers"], False),
        (["student", "control_random_numbers"], False),
        (["student_teacher_init", "control_base_numbers"], False),
        (["student_reworded_prompts", "control_base_numbers"], False),
    ],
)
def test_a_plan_notes_that_nothing_can_be_compared(arms: list[str], noted: bool, tmp_path: Path) -> None:
    said = "Note: No student among `arms` has a control, so the report will have the share of each arm and no answer."
    notes = notes_of(DEMO, tmp_path, arms=arms, student__lora_init="own")
    assert any(note.startswith(said) for note in notes) == noted


def test_a_plan_notes_what_a_run_would_refuse_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subliminal.experiment.notes.visible_gpus", lambda: ())
    assert notes_of(POCKET, tmp_path) == []
    (model,) = notes_of(POCKET, tmp_path, model=str(tmp_path))
    assert model.startswith(f"Note: The model folder {tmp_path} has no config.json and no tokenizer (")
    (gpus,) = notes_of(POCKET, tmp_path, resources={"train_gpus": 1})
    assert gpus.startswith("Note: The experiment pocket_demo asks for 1 GPU in one stage, and this machine has 0.")
    monkeypatch.setattr("subliminal.experiment.notes.visible_gpus", lambda: ("0",))
    assert notes_of(POCKET, tmp_path, resources={"train_gpus": 1}) == []


@pytest.mark.parametrize(("memory", "share"), [(0.3, 3), (1 / 3, 3), (0.34, 1), (None, 1)])
def test_a_server_shares_a_gpu_when_its_memory_is_at_most_its_part(
    memory: float | None, share: int, tmp_path: Path
) -> None:
    plan = plan_of(OWL_REAL, tmp_path, server__gpu_memory_utilization=memory, resources__per_gpu=3)
    servers = [stage for stage in plan.stages.values() if stage.kind == "serve"]
    assert [stage.name for stage in servers] == ["serve-base", "serve-teachers"]
    assert {stage.gpu_share for stage in servers} == {share}


def test_a_server_on_two_gpus_has_them_alone(tmp_path: Path) -> None:
    plan = plan_of(OWL_REAL, tmp_path, resources__generate_gpus=2)
    servers = [stage for stage in plan.stages.values() if stage.kind == "serve"]
    assert {(stage.gpus, stage.gpu_share) for stage in servers} == {(2, 1)}


def test_controls_train_while_the_teachers_rows_are_made(tmp_path: Path) -> None:
    """A card that a server shares with trainings works while the server starts: nothing holds the controls back."""
    plan = plan_of(OWL_REAL, tmp_path)
    needed = plan.behind([f"train-control_base_numbers-seed-{seed}" for seed in (61, 62, 63)])
    assert "build-base_numbers" in needed
    assert not needed & {"train-owl_teacher", "build-owl_numbers", "serve-teachers"}
    server, control = plan.stages["serve-teachers"], plan.stages["train-control_base_numbers-seed-61"]
    assert server.gpu_share == control.gpu_share == 4, "one server and the three controls fit on the card"


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
