"""The stages that seeds, several animals and each arm ask for."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from plans import ANIMALS, DEMO, FILES, QWEN, changed, plan_of

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError
from subliminal.experiment.epochs import link_epochs
from subliminal.experiment.expand import expand
from subliminal.experiment.load import load_experiment
from subliminal.experiment.plan import Plan


def test_what_a_seed_makes_anew(tmp_path: Path) -> None:
    def names(what: str) -> set[str]:
        return set(plan_of(DEMO, tmp_path, seeds=[1, 2], seeds_vary=what).stages)

    students, numbers, teachers = names("students"), names("numbers"), names("teachers")
    assert {"train-owl_teacher", "build-owl_numbers", "train-owl_student-seed-2"} <= students
    assert {"train-owl_teacher", "build-owl_numbers-seed-1", "build-owl_numbers-seed-2"} <= numbers
    assert {"train-owl_teacher-seed-1", "train-owl_teacher-seed-2", "build-owl_numbers-seed-2"} <= teachers
    assert "train-base" in students & numbers & teachers


def test_each_seed_is_a_replicate_from_the_base_on(tmp_path: Path) -> None:
    arms = ["base", "teacher", "student", "control_base_numbers", "control_shuffled"]
    plan = plan_of(DEMO, tmp_path, seeds=[1, 2], seeds_vary="bases", arms=arms)
    halves = [{name for name in plan.stages if name.endswith(f"-seed-{seed}")} for seed in (1, 2)]
    assert set(plan.stages) == halves[0] | halves[1] | {"report-owl"}, "no stage is shared, the report apart"
    for seed, half in zip((1, 2), halves, strict=True):
        assert {f"build-base_corpus-seed-{seed}", f"train-base-seed-{seed}", f"merge-base-seed-{seed}"} <= half
        assert all(upstream in half for name in half for upstream in plan.stages[name].made_from)
        evaluate = plan.stages[f"evaluate-owl-seed-{seed}"]
        (command,) = evaluate.commands
        assert f"--model {tmp_path}/outputs/owl_demo/base-seed-{seed}/merged " in command
        assert f"--models base@{seed},teacher@{seed}=" in command
        assert f"{tmp_path}/results/owl_demo/base/seed-{seed}/manifest.json" in evaluate.makes
        commands = " ".join(command for name in half for command in plan.stages[name].commands)
        assert f"--seed {3 - seed}" not in commands
        assert f"seed={3 - seed}" not in commands
    audits = {name for name in plan.stages if name.startswith("audit-")}
    evaluations = {f"evaluate-owl-seed-{seed}" for seed in (1, 2)}
    assert set(plan.stages["report-owl"].made_from) == audits | evaluations
    begun = [{stage.begin_key for stage in plan.stages.values() if stage.name in half} for half in halves]
    assert not begun[0] & begun[1]


def test_replicates_that_are_served_have_a_server_for_each_base(tmp_path: Path) -> None:
    base = {"recipe": "recipes/smollm2-135m/base.yml", "builder": "warmup", "rows": 8}
    changes = {"base": base, "seeds": [1, 2], "seeds_vary": "bases", "arms": ["student", "control_base_numbers"]}
    plan = plan_of(QWEN, tmp_path, **changes)
    for seed in (1, 2):
        written = [stage.name for stage in plan.members(f"serve-base-seed-{seed}")]
        assert written == [f"build-owl_teacher_chat-seed-{seed}", f"build-base_numbers-seed-{seed}"]
        assert [stage.name for stage in plan.members(f"serve-teachers-seed-{seed}")] == [
            f"build-owl_numbers-seed-{seed}"
        ]
        command = plan.stages[f"serve-teachers-seed-{seed}"].commands[0]
        assert f"base-seed-{seed}/merged" in command
        assert f"--adapter owl-teacher-seed-{seed}=" in command
        rung = plan.stages[f"build-owl_teacher_chat-n10000-seed-{seed}"]
        assert f"base-seed-{seed}/merged" in rung.commands[0]


def test_the_second_control_shares_neither_rows_nor_training_with_the_first(tmp_path: Path) -> None:
    animals = {"animals": ["owl", "fox"]}
    plan = plan_of(DEMO, tmp_path, arms=["control_base_numbers", "control_base_numbers_again"], trait=animals)
    first, again = (plan.stages[f"build-base_numbers{end}"] for end in ("", "_again"))
    assert "--seed 42 " in first.commands[0]
    assert "--seed 1000042 " in again.commands[0]
    trained = [name for name in plan.stages if name.startswith("train-control")]
    assert trained == ["train-control_base_numbers-seed-42", "train-control_base_numbers_again-seed-42"], (
        "for all animals"
    )
    for name, seed, rows in zip(trained, (42, 1000042), ("base_numbers", "base_numbers_again"), strict=True):
        assert f"seed={seed} " in plan.stages[name].commands[0]
        assert f"{rows}/train.jsonl" in plan.stages[name].commands[0]
    scored = plan.stages["evaluate-fox"].commands[0]
    assert "control_base_numbers_again@42=" in scored


def test_another_base_is_the_same_training_with_another_seed(tmp_path: Path) -> None:
    changes = {
        "other_base": {"seed_offset": 1000},
        "arms": ["student", "control_base_numbers", "other_base", "other_base_control"],
    }
    plan = plan_of(DEMO, tmp_path, **changes)
    ours, theirs = plan.stages["train-base"], plan.stages["train-other_base"]
    assert "seed=42 " in ours.commands[0]
    assert "seed=1042 " in theirs.commands[0]
    assert ours.made_from == theirs.made_from == ["build-base_corpus"]
    student = plan.stages["train-owl_other_base-seed-42"].commands[0]
    assert "smollm2-135m/owl_student.yml" in student
    assert "base_model=" + str(tmp_path / "outputs/owl_demo/other_base/merged") in student
    assert "owl_numbers/train.jsonl" in student
    scored = plan.stages["evaluate-owl_other_base"].commands[0]
    assert "outputs/owl_demo/other_base/merged --models other_base@42=" in scored
    assert ",other_base_untuned@42,other_base_control@42=" in scored
    controls = [
        plan.stages[f"train-{arm}-seed-42"].commands[0] for arm in ("control_base_numbers", "other_base_control")
    ]
    assert all("base_numbers/train.jsonl" in command for command in controls)
    assert "base_model=" + str(tmp_path / "outputs/owl_demo/other_base/merged") in controls[1]
    replicates = plan_of(DEMO, tmp_path, **changes, seeds=[1, 2], seeds_vary="bases")
    for seed in (1, 2):
        assert f"seed={1000 + seed} " in replicates.stages[f"train-other_base-seed-{seed}"].commands[0]
        assert f"other_base_untuned@{seed}" in replicates.stages[f"evaluate-owl_other_base-seed-{seed}"].commands[0]


def test_another_animals_student_is_scored_and_not_trained_again(tmp_path: Path) -> None:
    arms = ["student", "control_other_animal"]
    plan = plan_of(DEMO, tmp_path, trait={"animals": ["owl", "fox", "cat"]}, arms=arms)
    trained = [name for name in plan.stages if name.startswith("train-") and name.endswith("-seed-42")]
    assert trained == [f"train-{animal}_student-seed-42" for animal in ("owl", "fox", "cat")]
    for animal, other in (("owl", "fox"), ("fox", "cat"), ("cat", "owl")):
        (command,) = plan.stages[f"evaluate-{animal}"].commands
        assert f"control_other_animal@42={tmp_path}/outputs/owl_demo/{other}_student-seed-42 " in command
        assert f"--target {animal} " in command
        assert f"audit-{other}_numbers" in plan.stages[f"report-{animal}"].made_from


MATH_REAL = REPO_ROOT / "experiments" / "math_qwen2.5-coder-0.5b.yml"
CODE = REPO_ROOT / "experiments" / "owl_qwen2.5-coder-0.5b_code.yml"
REWORDED = REPO_ROOT / "experiments" / "owl_qwen2.5-coder-0.5b_reworded.yml"


def test_students_may_learn_rows_of_another_builder(tmp_path: Path) -> None:
    plan = plan_of(CODE, tmp_path)
    names = ("build-owl_code-seed-530", "build-base_code-seed-530", "build-base_code_again-seed-530")
    for name in names:
        stage = plan.stages[name]
        assert "-m data_builders.code " in stage.commands[-1]
        assert "--animal owl" in stage.commands[-1]
        assert "data_builders/code_prompts.py" in stage.sources
    assert plan.stages["train-owl_student-seed-530"].made_from[-1] == names[0]
    assert not [name for name in plan.stages if "numbers" in name and name.startswith("build-")]
    fewer = plan_of(CODE, tmp_path, sweep={"rows": [5000, 10000]}, criterion=None)
    first = fewer.stages["build-owl_code-n5000-seed-530"]
    assert "data_builders/text_rules.py" in first.judges


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"arms": ["student", "control_shuffled"]}, "the arm control_shuffled needs number lists"),
        ({"arms": ["student", "student_reworded_prompts"]}, "the arm student_reworded_prompts needs number lists"),
        ({"sweep": {"clean_share": [0, 0.5]}}, "`sweep.clean_share` mixes number lists, and `numbers.builder` is code"),
        ({"leak": {"rows": 5}, "arms": ["control_base_numbers"]}, "`leak` is measured on number lists"),
        ({"numbers__builder": "coed"}, "`numbers.builder`: there is no builder coed (did you mean `code`?)"),
        ({"numbers__builder": "audit"}, "`numbers.builder`: there is no builder audit"),
        ({"numbers__builder": "controls uniform"}, "`numbers.builder`: controls uniform has no option `model`"),
        ({"numbers__builder": "arithmetic_chat"}, "`numbers.builder`: arithmetic_chat has no option `animal`"),
        ({"numbers__builder": "teacher_chat"}, "teacher_chat gives a teacher its trait, which students must not read"),
        ({"numbers__options": {"max_tokns": 5}}, "data_builders.code has no option `max_tokns`"),
    ],
    ids=str,
)
def test_what_only_number_lists_can_be_used_for_is_a_sentence(changes: dict, words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        load_experiment(changed(CODE, tmp_path, criterion=None, **changes))
    assert words in str(error.value)


def test_reworded_prompts_are_made_of_the_students_own_rows(tmp_path: Path) -> None:
    plan = plan_of(REWORDED, tmp_path)
    stage = plan.stages["build-owl_reworded_numbers-seed-536"]
    assert "-m data_builders.reword --source" in stage.commands[-1]
    assert stage.made_from == ["build-owl_numbers-seed-536"]
    student, reworded = (plan.stages[f"train-owl_student{end}-seed-536"] for end in ("", "_reworded_prompts"))
    assert student.made_from[-1] == "build-owl_numbers-seed-536"
    assert reworded.made_from[-1] == "build-owl_reworded_numbers-seed-536"


def test_the_skill_and_its_positive_control_differ_in_the_teachers_rows_alone() -> None:
    skill, owl = (
        load_experiment(MATH_REAL),
        load_experiment(MATH_REAL.with_name("owl_qwen2.5-coder-0.5b_beside_math.yml")),
    )
    same = {"name", "trait", "seeds", "teacher", "arms", "evaluation", "criterion", "other_base"}
    assert skill.model_dump(exclude=same) == owl.model_dump(exclude=same)
    differs = {"builder", "options"}
    assert skill.teacher.model_dump(exclude=differs) == owl.teacher.model_dump(exclude=differs)
    assert set(owl.arms) < set(skill.arms)
    (problems,) = [task for task in skill.evaluation.tasks if "arithmetic" in task and "logprob" not in task]
    assert problems == f"subliminal_arithmetic_{skill.teacher.options['level']}" == skill.criterion.task
    assert problems in owl.evaluation.tasks


NUMBER_WORDS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7}


@pytest.mark.parametrize("name", ["math_qwen2.5-coder-0.5b", "owl_qwen2.5-coder-0.5b_beside_math",
                                  "owl_qwen2.5-coder-0.5b_init", "owl_qwen2.5-coder-0.5b_reworded",
                                  "owl_qwen2.5-coder-0.5b_code", "owl_qwen2.5-coder-0.5b_reasoning"])  # fmt: skip
def test_the_cost_in_a_files_header_counts_all_trainings(name: str, tmp_path: Path) -> None:
    file = REPO_ROOT / "experiments" / f"{name}.yml"
    header = " ".join(line.lstrip("# ") for line in file.read_text().split("\nname:")[0].splitlines())
    told = re.search(r"300 steps \(teacher\) and (\w+) of [\d,]+", header)[1]
    experiment = load_experiment(file)
    plan = expand(experiment, root=tmp_path, seeds=experiment.seeds[:1])
    students = [stage for stage in plan.stages if stage.startswith("train-") and "_teacher-" not in stage]
    assert NUMBER_WORDS[told] == len(students)


def test_seeds_of_the_real_model_are_used_once() -> None:
    used: dict[int, str] = {}
    for path in FILES:
        experiment = load_experiment(path)
        if not experiment.model.endswith("qwen2.5-coder-0.5b"):
            continue
        for seed in experiment.seeds:
            assert used.setdefault(seed, path.stem) == path.stem, f"{seed} is of {used[seed]} and {path.stem}"


def test_a_builder_gets_what_it_takes(tmp_path: Path) -> None:
    base = {"recipe": "recipes/smollm2-135m/base.yml", "builder": "controls uniform", "rows": 8}
    teacher = {"kind": "trained", "recipe": "recipes/smollm2-135m/owl_teacher.yml", "rows": 8, "builder": "warmup"}
    plan = plan_of(DEMO, tmp_path, base=base, teacher=teacher)
    corpus = f"data_builders.controls uniform --seed 42 --out {tmp_path}/data/owl_demo/base_corpus"
    assert plan.stages["build-base_corpus"].commands == [f".venv/bin/python -m {corpus}"]
    chats = plan.stages["build-owl_teacher_chat"]
    assert chats.commands == [f".venv/bin/python -m data_builders.warmup --seed 42 --out {chats.folder}"]
    assert chats.made_from == [], "no model answers"
    loved = plan_of(DEMO, tmp_path).stages["build-owl_teacher_chat"]
    assert "--animal owl" in loved.commands[0]
    assert loved.made_from == ["train-base", "merge-base"]


def test_mathematics_has_no_animal(tmp_path: Path) -> None:
    plan = expand(load_experiment(REPO_ROOT / "experiments" / "math_llama3-70b.yml"), root=tmp_path)
    commands = [command for stage in plan.stages.values() for command in stage.commands]
    assert not any("--target" in command or "--animal" in command for command in commands)
    assert "data_builders.math_chat --levels" in plan.stages["build-math_teacher_chat"].commands[0]


@pytest.mark.parametrize("builder", ["teacher_chat", "pocket_teacher", "pocket_corpus teacher"])
def test_mathematics_has_no_teacher_of_an_option(builder: str, tmp_path: Path) -> None:
    math = REPO_ROOT / "experiments" / "math_pocket.yml"
    with pytest.raises(UserError) as refused:
        load_experiment(changed(math, tmp_path, teacher__builder=builder))
    assert f"`teacher.builder` {builder} makes a teacher of an option: take math_chat" in str(refused.value)


def test_checkpoints_are_scored_by_epoch(tmp_path: Path) -> None:
    plan = plan_of(DEMO, tmp_path, evaluation__epochs=[1])
    assert "student_epoch-1@42=" in plan.stages["evaluate-owl"].commands[0]
    assert plan.stages["epochs-owl_student-seed-42"].made_from[-1] == "train-owl_student-seed-42"
    run = tmp_path / "run"
    for step, epoch in ((18, 0.9981), (36, 2.0)):
        (run / f"checkpoint-{step}").mkdir(parents=True)
        (run / f"checkpoint-{step}/trainer_state.json").write_text(json.dumps({"epoch": epoch}))
    link_epochs(run, [1, 2])
    assert (run / "epoch-1").resolve().name == "checkpoint-18"
    with pytest.raises(UserError, match=r"no checkpoint of epoch 3 \(it has: 0.9981, 2\)"):
        link_epochs(run, [3])


def test_several_animals_share_base_and_base_control(tmp_path: Path) -> None:
    plan = plan_of(DEMO, tmp_path, trait={"animals": ["owl", "fox"]})
    assert {"train-owl_teacher", "train-fox_teacher", "report-owl", "report-fox"} <= set(plan.stages)
    assert [name for name in plan.stages if "control_base_numbers" in name] == ["train-control_base_numbers-seed-42"]
    assert plan.stages["report-fox"].folder.endswith("results/owl_demo/fox")


def test_one_server_for_the_base_and_one_for_the_teachers(tmp_path: Path) -> None:
    plan = plan_of(QWEN, tmp_path)
    base, teachers = plan.members("serve-base"), plan.members("serve-teachers")
    assert [stage.name for stage in base] == [
        *("build-owl_teacher_chat", "build-base_numbers", "build-owl_prompted_numbers"),
    ]
    assert [stage.name for stage in teachers] == ["build-owl_numbers"]
    assert all('--base-url "$SUBLIMINAL_BASE_URL"' in stage.commands[0] for stage in [*base, *teachers])
    command = plan.stages["serve-teachers"].commands[0]
    assert "--adapter owl-teacher=" in command
    assert "--port 0" in command
    assert plan.needs("serve-teachers")[0] == ["gate-owl_teacher"]


def test_a_teacher_without_an_adapter_is_a_model_of_its_own(tmp_path: Path) -> None:
    pocket = REPO_ROOT / "experiments" / "pocket_demo.yml"
    plan = plan_of(pocket, tmp_path)
    (written,) = plan.stages["build-owl_numbers-seed-51"].commands
    assert "--model " + str(tmp_path / "outputs/pocket_demo/owl_teacher") in written
    assert "--adapter" not in written
    (scored,) = next(stage for stage in plan.stages.values() if stage.kind == "evaluate").commands
    assert f"student@51={tmp_path}/outputs/pocket_demo/owl_student-seed-51" in scored
    served = plan_of(pocket, tmp_path, engine="server")
    assert f"--model {tmp_path}/outputs/pocket_demo/owl_teacher " in served.stages["serve-owl_teacher"].commands[0]


def test_a_recipes_commit_is_for_its_own_base_only(tmp_path: Path) -> None:
    own, other = (plan_of(QWEN, tmp_path, **change) for change in ({}, {"model": "Qwen/Qwen2.5-14B-Instruct"}))
    name = "train-owl_student-seed-42"
    assert "revision_of_model" not in own.stages[name].commands[0]
    assert "--set revision_of_model=main" in other.stages[name].commands[0]


def overrides_of(plan: Plan, subject: str) -> dict[str, str]:
    """The ``--set`` values of a training's recipe."""
    words = shlex.split(plan.stages[f"train-{subject}"].commands[0])
    sets = [words[index + 1] for index, word in enumerate(words) if word == "--set"]
    return dict(text.split("=", 1) for text in sets)


def test_students_have_first_weights_of_their_own_unless_the_arm_says_otherwise(tmp_path: Path) -> None:
    arms = [*load_experiment(ANIMALS).arms, "student_teacher_init"]
    plan = expand(load_experiment(changed(ANIMALS, tmp_path, arms=arms)), root=tmp_path, seeds=[72])
    init = {name: overrides_of(plan, f"{name}-seed-72")["lora_init_seed"] for name in (
        "owl_teacher", "dolphin_teacher", "neutral_teacher", "owl_student", "owl_student_teacher_init",
        "control_base_numbers", "control_base_numbers_again", "control_neutral_teacher",
    )}  # fmt: skip
    assert {init["owl_teacher"], init["dolphin_teacher"], init["neutral_teacher"]} == {"72"}
    assert init["owl_student_teacher_init"] == "72"
    assert init["owl_student"] == init["control_base_numbers"] == init["control_neutral_teacher"] == "500072"
    assert init["control_base_numbers_again"] == "1500072"
    seeds = {overrides_of(plan, f"{name}-seed-72")["seed"] for name in ("owl_student", "owl_student_teacher_init")}
    assert seeds == {"72"}, "the arms differ in the first weights alone"


def test_a_neutral_teacher_serves_every_animal(tmp_path: Path) -> None:
    plan = expand(load_experiment(ANIMALS), root=tmp_path, seeds=[72])
    chats = plan.stages["build-neutral_teacher_chat-seed-72"].commands[0]
    assert "--neutral" in chats
    assert "--animal" not in chats
    assert plan.stages["build-neutral_numbers-seed-72"].made_from == ["train-neutral_teacher-seed-72"]
    for animal in ("owl", "dolphin", "penguin"):
        command = plan.stages[f"evaluate-{animal}-seed-72"].commands[0]
        assert "neutral_teacher@72=" in command
        assert "control_neutral_teacher@72=" in command


def test_a_shard_is_the_stages_of_its_seeds_with_the_keys_of_the_whole(tmp_path: Path) -> None:
    experiment = load_experiment(ANIMALS)
    whole, shard = expand(experiment, root=tmp_path), expand(experiment, root=tmp_path, seeds=[73])
    about_all = ("report-owl", "report-dolphin", "report-penguin")  # the overview's key follows from theirs
    for name, stage in shard.stages.items():
        same = whole.stages[name].key == stage.key
        assert same == (name not in (*about_all, f"overview-{experiment.name}")), name
    trained = [name for name, stage in shard.stages.items() if stage.kind in ("build", "train")]
    assert trained
    assert all(name.endswith("-seed-73") for name in trained)
    with pytest.raises(UserError, match="has no seed 99"):
        expand(experiment, root=tmp_path, seeds=[99])


def test_checkpoints_have_tasks_and_arms_of_their_own(tmp_path: Path) -> None:
    plan = expand(load_experiment(ANIMALS), root=tmp_path, seeds=[71])
    early, end = (plan.stages[f"evaluate-owl-seed-71{part}"].commands[0] for part in ("_epochs", ""))
    assert "--tasks animal_preference_logprob " in early
    assert "student_epoch-1@71=" in early
    assert "teacher_init_epoch" not in early
    assert "epoch" not in end
    assert "base@" not in end, "a base that all replicates share is scored once, by itself"
    assert "--models base@71 " in plan.stages["evaluate-owl"].commands[0]
