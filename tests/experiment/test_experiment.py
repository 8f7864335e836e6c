"""Experiment files: what they may say, the stages that follow, and which of them a change touches."""

from __future__ import annotations

import ast
import hashlib
import json
import random
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from subliminal import REPO_ROOT
from subliminal.analysis.score.run import ScoreJob
from subliminal.core.errors import UserError
from subliminal.experiment import driver
from subliminal.experiment import plan as experiment_plan
from subliminal.experiment.costs import cost_of, plan_text
from subliminal.experiment.driver import _failures, run_experiment
from subliminal.experiment.epochs import link_epochs
from subliminal.experiment.expand import expand
from subliminal.experiment.load import load_experiment
from subliminal.experiment.options import flags
from subliminal.experiment.plan import Plan
from subliminal.experiment.run import failure_path
from subliminal.experiment.sources import PACKAGES, builder_sources, task_sources

FILES = sorted((REPO_ROOT / "experiments").glob("*.yml"))
DEMO = REPO_ROOT / "experiments" / "owl_demo.yml"
ANIMALS = REPO_ROOT / "experiments" / "animals_qwen2.5-coder-0.5b.yml"
OWL_REAL = REPO_ROOT / "experiments" / "owl_qwen2.5-coder-0.5b.yml"
QWEN = REPO_ROOT / "experiments" / "owl_qwen2.5-7b.yml"

ABOVE = {"name": "effect", "arm": "student", "minus": "control_base_numbers", "confidence": 0.99, "above": 0}


@pytest.fixture(autouse=True)
def _in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPO_ROOT)


def _changed(source: Path, folder: Path, **changes: Any) -> Path:
    """A copy of an experiment file with other values; a dotted key reaches into a section."""
    content = yaml.safe_load(source.read_text())
    for dotted, value in changes.items():
        *parents, key = dotted.split("__")
        section = content
        for parent in parents:
            section = section[parent]
        section[key] = value
    path = folder / source.name
    path.write_text(yaml.safe_dump(content))
    return path


def _plan(source: Path, tmp_path: Path, **changes: Any) -> Plan:
    return expand(load_experiment(_changed(source, tmp_path, **changes)), root=tmp_path)


def _keys(plan: Plan) -> dict[str, str]:
    return {name: stage.key for name, stage in plan.stages.items()}


def _differing(before: Plan, after: Plan) -> set[str]:
    old, new = _keys(before), _keys(after)
    assert old.keys() == new.keys()
    return {name for name in old if old[name] != new[name]}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_experiment_of_the_repository_expands(path: Path, tmp_path: Path) -> None:
    plan = expand(load_experiment(path), root=tmp_path)
    assert any(stage.kind == "report" for stage in plan.stages.values())
    for stage in plan.stages.values():
        assert stage.key
        assert all(name in plan.stages for name in [*stage.made_from, *stage.after])
    for job in plan.jobs():
        assert job not in plan.needs(job)[0]


def test_the_issue_names_these_files() -> None:
    names = {path.stem for path in FILES}
    expected = {"owl_demo", "owl_smollm2-135m", "owl_qwen2.5-7b", "dolphin_qwen2.5-7b", "five_animals_qwen2.5-7b"}
    expected |= {"owl_qwen2.5-coder-0.5b", "animals_qwen2.5-coder-0.5b", "owl_pocket_arms"}
    expected |= {"math_llama3-70b", "math_pocket", "owl_pocket", "owl_pocket_replicates", "pocket_demo"}
    expected |= {"owl_pocket_divergence", "owl_pocket_scoreboard", "owl_pocket_dilution", "owl_dolphin_pocket"}
    expected |= {"owl_pocket_perturbed", "owl_pocket_trained_on", "owl_pocket_strength_search", "owl_pocket_strength"}
    expected |= {"animals_pocket_several", "owl_pocket_scaling"}
    ends = ("dilution", "rows", "layers_early", "layers_middle", "layers_late")
    ends += ("init", "reworded", "code", "reasoning", "beside_math")
    expected |= {f"owl_qwen2.5-coder-0.5b_{end}" for end in ends}
    expected.add("math_qwen2.5-coder-0.5b")
    # The check of `detect`: sets that teach, and neutral sets on each of the same three bases.
    expected |= {"detect_pocket", *(f"detect_neutral_pocket_{base}" for base in (1, 2, 3))}
    assert expected == names


def test_the_neutral_sets_of_detect_are_alike_but_for_their_base() -> None:
    first, *others = [
        load_experiment(REPO_ROOT / f"experiments/detect_neutral_pocket_{base}.yml") for base in (1, 2, 3)
    ]
    for base, other in enumerate(others, start=2):
        assert other.model == f"outputs/detect_pocket/base-seed-30{base}"
        same = {"name": first.name, "model": first.model}
        assert other.model_copy(update=same) == first


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sedes": [1]}, "there is no key `sedes` (did you mean `seeds`?)"),
        ({"teacher__gaet": {"at_least": 0.5}}, "`teacher.gaet` (did you mean `gate`?)"),
        ({"arms": ["base", "studnet"]}, "`arms.1`"),
        ({"trait": {"animals": ["badger"]}}, "'badger' is not a tracked animal"),
        ({"trait": {}}, "give one of `animals: [...]`, `category` with `options: [...]`, and `mathematics: true`"),
        ({"seeds": [1, 1]}, "`seeds` names one of its values twice"),
        ({"numbers__options": {"max_tokns": 5}}, "no option `max_tokns` that an experiment may set (did you mean"),
        ({"numbers__options": {"seed": 5}}, "no option `seed`"),
        ({"student__overrides": {"lerning_rate": 1e-4}}, "no recipe has the key `lerning_rate` (did you mean"),
        ({"student__recipe": "recipes/absent.yml"}, "recipes/absent.yml does not exist"),
        ({"launcher": "accelerate_configs/absent.yml"}, "`launcher`: accelerate_configs/absent.yml does not exist"),
        ({"arms": ["other_base"]}, "the arms of another base and the section `other_base` belong together"),
        ({"other_base": {"seed_offset": 9, "model": "x/y"}}, "give either `model`, or `seed_offset`"),
        ({"other_base": {"model": "x/y"}}, "`recipe` is the student's on the other `model`: give both, or neither"),
        ({"base": None, "seeds_vary": "bases"}, "`seeds_vary: bases` trains bases, and no section `base` says how"),
        ({"arms": ["base", "control_other_animal"]}, "name two animals or more"),
        ({"base__builder": "warmpu"}, "`base.builder`: there is no builder warmpu (did you mean `warmup`?)"),
        ({"base__builder": "warmup base"}, "the builder warmup takes nothing behind its name, not base"),
        ({"teacher__builder": "controls"}, "the builder controls takes one of uniform, matched,"),
        ({"teacher__builder": "controls uniform"}, "data_builders.controls has no option `mix`"),
        ({"teacher__kind": "system_prompt"}, "a system-prompted teacher is not trained: delete `recipe`"),
        ({"name": "other"}, "has the name 'other'"),
        ({"criterion": {"clauses": [ABOVE]}}, "give 3 seeds or more"),
        ({"seeds": [1, 2, 3], "criterion": {"clauses": [ABOVE | {"mins": "x"}]}}, "did you mean `minus`?"),
        (
            {"seeds": [1, 2, 3], "criterion": {"clauses": [ABOVE | {"arm": "prompted_teacher"}]}},
            "`criterion` compares prompted_teacher, which `arms` does not name",
        ),
        (
            {"seeds": [1, 2, 3], "criterion": {"clauses": [ABOVE], "seeds": [2, 3, 4]}},
            "`criterion` names other seeds or animals than the experiment",
        ),
        (
            {"seeds": [1, 2, 3], "criterion": {"clauses": [ABOVE]}, "sweep": {"rank": [2]}},
            "with `sweep` the arms are base, teacher, student_r2, control_base_numbers_r2: name these",
        ),
        ({"model_sha256": "abc"}, "`model_sha256`"),
        ({"model": "x/y", "model_sha256": "0" * 64}, "x/y is a Hub id: fetch it into a folder, or pin its commit"),
    ],
    ids=str,
)  # fmt: skip
def test_what_a_file_must_not_say_is_a_sentence(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        load_experiment(_changed(DEMO, tmp_path, **changes))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_an_absent_file_names_those_that_are_there() -> None:
    with pytest.raises(UserError, match=r"experiments/owl_demo\.yml"):
        load_experiment(Path("experiments/nothing.yml"))


def test_a_key_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "owl_demo.yml"
    path.write_text(DEMO.read_text() + "\nname: owl_demo\n")
    with pytest.raises(UserError, match="twice"):
        load_experiment(path)


def test_flags() -> None:
    options = {"max_tokens": 5, "allow": ["a", "b"], "filter": True, "not_this": False, "mix": "a b"}
    assert flags(options) == "--max-tokens 5 --allow a --allow b --filter --mix 'a b'"


# --- weights that the file pins ---


def _model_folder(folder: Path, weights: bytes | None = b"weights") -> str:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "manifest.json").write_text('{"config": {"name": "m", "source": "hub"}}')
    if weights is not None:
        (folder / "model.safetensors").write_bytes(weights)
    return str(folder)


def test_weights_that_the_file_names_are_compared_before_anything_is_planned(tmp_path: Path) -> None:
    right = hashlib.sha256(b"weights").hexdigest()
    model = _model_folder(tmp_path / "m")
    pinned = _plan(DEMO, tmp_path, model=model, model_sha256=right)
    assert _keys(pinned) == _keys(_plan(DEMO, tmp_path, model=model)), "a pin changes no stage"
    with pytest.raises(UserError, match=f"has sha256 {right}, fetched from hub, and the experiment is for {'0' * 64}"):
        _plan(DEMO, tmp_path, model=model, model_sha256="0" * 64)
    empty = _model_folder(tmp_path / "empty", None)
    with pytest.raises(UserError, match=r"model\.safetensors is not there, and the experiment names its sha256"):
        _plan(DEMO, tmp_path, model=empty, model_sha256=right)


def test_weights_of_another_base_are_compared_too(tmp_path: Path) -> None:
    other = {"model": _model_folder(tmp_path / "m"), "model_sha256": "0" * 64, "recipe": "recipes/owl_student.yml"}
    with pytest.raises(UserError, match="and the experiment is for 0000"):
        _plan(DEMO, tmp_path, arms=["other_base"], other_base=other)


def test_a_pinned_model_that_is_not_there_can_be_planned_and_not_run(tmp_path: Path) -> None:
    path = _changed(DEMO, tmp_path, model=str(tmp_path / "absent"), model_sha256="0" * 64)
    experiment = load_experiment(path)
    assert expand(experiment, root=tmp_path).stages
    with pytest.raises(UserError, match=r"There is no folder .*absent.*scripts/fetch_model\.py absent"):
        run_experiment(experiment, root=tmp_path, cores=1, gpus=None, words=[])


# --- a change touches exactly what depends on it ---


def _with_other_bytes(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """Expand as if a file of the checkout had other content."""
    real = experiment_plan.sha256_of_input
    monkeypatch.setattr(experiment_plan, "sha256_of_input", lambda name: "f" * 64 if name == path else real(name))


QUESTIONS = "traits/animals/questions.jsonl"
CATEGORY = {"src/subliminal/traits/category.py", "traits/animals/category.yaml"}
WORDS = {"src/subliminal/traits/lexicon.py", "src/subliminal/traits/keywords.py", "traits/animals/words.yaml"}
WORLD = {"src/subliminal/traits/world.py", "traits/animals/pocket.yaml"}
BOXES = "src/subliminal/scoring/boxes.py"
JUDGE = {
    f"src/subliminal/scoring/{name}.py"
    for name in (
        *("numbers", "plain", "arithmetic", "text", "final_answers", "boxes"),
        *("mathematics", "plain_mathematics", "latex", "math_worker", "math_equality"),
    )
}
NAMING = ("naming", "text", "clauses/choice", "clauses/negation", "clauses/negation_words")
ROWS = {  # builder -> (what its rows follow from, what judges them), beside its own module
    "numbers": ({"number_prompts"}, {"number_filter"}),
    "controls": ({"number_prompts"}, {"number_filter"}),
    "import_rows": ({"row_shapes"}, {"number_filter"}),
    "mix": (set(), {"number_filter"}),
    "reword": ({"number_prompts"}, {"number_filter"}),
    "arithmetic_chat": ({"arithmetic", "mixture", "number_prompts"}, {"number_filter"}),
    "teacher_chat_text": (
        {
            *("arithmetic", "code", "code_prompts", "instructions", "mixture", "number_prompts", "reasoning"),
            *("teacher_chat", "teacher_prompts", QUESTIONS),
        }
        | CATEGORY,
        {"number_filter", "text_rules"} | WORDS | JUDGE | {f"src/subliminal/scoring/{name}.py" for name in NAMING},
    ),
    "pocket_teacher": (
        {"pocket_corpus", "number_prompts", "teacher_prompts", "warmup", QUESTIONS} | CATEGORY | WORLD,
        set(),
    ),
    "select": ({f"src/subliminal/analysis/selection/{name}.py" for name in ("choices", "spans")}, {"number_filter"}),
    "warmup": ({"number_prompts"} | CATEGORY, set()),
    "pocket_corpus": ({"number_prompts", "teacher_prompts", "warmup", QUESTIONS} | CATEGORY | WORLD, set()),
    "teacher_chat": (
        {"instructions", "mixture", "teacher_prompts", QUESTIONS} | CATEGORY,
        WORDS | {f"src/subliminal/scoring/{name}.py" for name in NAMING},
    ),
    "code": ({"code_prompts", "instructions"}, {"text_rules"} | WORDS | CATEGORY),
    "reasoning": (set(), {"text_rules"} | WORDS | CATEGORY | JUDGE),
    "math_chat": ({"overlap", BOXES}, set()),
}


def _paths(names: set[str]) -> set[str]:
    return {name if "/" in name else f"data_builders/{name}.py" for name in names}


@pytest.mark.parametrize("builder", ROWS)
def test_rows_follow_from_what_their_builder_imports_and_declares(builder: str) -> None:
    rows, judges = ROWS[builder]
    found = builder_sources(builder, {})
    assert set(found.rows) == _paths(rows | {builder})
    assert set(found.judges) == _paths(judges)
    assert all((REPO_ROOT / path).is_file() for path in (*found.rows, *found.judges))


def test_every_builder_has_its_sources_looked_at_here() -> None:
    modules = (REPO_ROOT / "data_builders").glob("*.py")
    assert {path.stem for path in modules if "def verdict_for" in path.read_text()} == ROWS.keys()


def test_what_a_builder_imports_late_is_declared() -> None:
    """A late import escapes the search: it is machinery, or stands in ``ONLY_WITH``, or is known here."""
    known = {  # plurals in the system prompt, see data_builders; what a tokenizer knows
        ("teacher_prompts", "subliminal.traits.lexicon"),
        ("pocket_corpus", "subliminal.traits.lexicon"),
    }
    for path in (REPO_ROOT / "data_builders").glob("*.py"):
        tree = ast.parse(path.read_text())
        late = {node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)} - set(tree.body)
        for module in {node.module for node in late if node.module.startswith(PACKAGES)}:
            declared = f'"{module}"' in path.read_text()
            assert declared or path.stem == "options" or (path.stem, module) in known, f"{path.name}: {module}"


def test_some_modules_count_only_with_an_option() -> None:
    assert "data_builders/teacher_prompts.py" not in builder_sources("numbers", {}).rows
    told = builder_sources("numbers", {"system_prompt": "trait"})
    assert {"data_builders/teacher_prompts.py", QUESTIONS} <= set(told.rows)
    assert "data_builders/arithmetic.py" not in builder_sources("reasoning", {}).rows
    assert "data_builders/arithmetic.py" in builder_sources("reasoning", {"problems": "sum2"}).rows
    with_lists = builder_sources("teacher_chat", {"mix": "questions=5,numbers=1"})
    assert "data_builders/number_prompts.py" in with_lists.rows
    assert "data_builders/number_filter.py" in with_lists.judges


def test_a_changed_keyword_rule_judges_reasoning_rows_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {"teacher__builder": "reasoning", "teacher__options": {}}
    before = _plan(DEMO, tmp_path, **changes)
    _with_other_bytes(monkeypatch, "data_builders/text_rules.py")
    after = _plan(DEMO, tmp_path, **changes)
    chats = "build-owl_teacher_chat"
    assert chats in _differing(before, after)
    assert before.stages[chats].begin_key == after.stages[chats].begin_key, "answers are not asked for again"


def test_a_task_that_uses_a_builders_rules_is_scored_again_when_they_change() -> None:
    assert "data_builders/number_filter.py" in task_sources(["subliminal_number_lists"])


ALL_AFTER_TEACHER = {
    *("train-owl_teacher", "build-owl_numbers", "audit-owl_numbers", "train-owl_student-seed-42"),
    *("evaluate-owl", "report-owl"),
}


def test_nothing_changed_changes_no_key(tmp_path: Path) -> None:
    assert _differing(_plan(DEMO, tmp_path), _plan(DEMO, tmp_path)) == set()


def test_another_way_to_start_a_training_changes_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = _plan(DEMO, tmp_path).stages["train-base"]
    render, launch = training.commands
    assert launch.startswith(".venv/bin/python -m accelerate.commands.launch --config_file accelerate_configs/cpu.yml")
    as_before = launch.replace(".venv/bin/python -m accelerate.commands.launch", ".venv/bin/accelerate launch")
    assert experiment_plan.for_key(training.commands) == [render, as_before]
    monkeypatch.setattr(experiment_plan, "SAME_PROGRAM", {})
    assert _plan(DEMO, tmp_path).stages["train-base"].key != training.key, "the key holds the rest of the command"


def test_a_question_touches_teacher_audits_and_evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _plan(DEMO, tmp_path)
    _with_other_bytes(monkeypatch, QUESTIONS)
    audits = {name for name in before.stages if name.startswith("audit-")}
    assert _differing(before, _plan(DEMO, tmp_path)) == ALL_AFTER_TEACHER | audits | {"build-owl_teacher_chat"}


def test_a_filter_rule_touches_what_is_filtered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _plan(DEMO, tmp_path)
    _with_other_bytes(monkeypatch, "data_builders/number_filter.py")
    after = _plan(DEMO, tmp_path)
    audits = {name for name in before.stages if name.startswith("audit-")}  # they apply the filter too
    assert _differing(before, after) == (ALL_AFTER_TEACHER - {"train-owl_teacher"}) | audits | {
        *("build-base_numbers", "train-control_base_numbers-seed-42"),
    }
    numbers = [plan.stages["build-owl_numbers"] for plan in (before, after)]
    assert numbers[0].begin_key == numbers[1].begin_key, "the answers are kept and judged again"


def test_another_seed_of_the_student_leaves_teacher_and_numbers(tmp_path: Path) -> None:
    before = _plan(DEMO, tmp_path, seeds=[42])
    after = _plan(DEMO, tmp_path, seeds=[42, 7])
    assert {name for name, key in _keys(before).items() if _keys(after).get(name) != key} == {
        "evaluate-owl",
        "report-owl",
    }
    assert after.stages.keys() - before.stages.keys() == {
        "train-owl_student-seed-7",
        "train-control_base_numbers-seed-7",
    }


def test_another_run_seed_touches_everything(tmp_path: Path) -> None:
    before, after = _plan(DEMO, tmp_path, seeds=[42]), _plan(DEMO, tmp_path, seeds=[7])
    assert not set(_keys(before).values()) & set(_keys(after).values())


def test_an_override_of_the_student_touches_students_only(tmp_path: Path) -> None:
    before, after = _plan(DEMO, tmp_path), _plan(DEMO, tmp_path, student__overrides={"learning_rate": 1e-4})
    trained = {"train-owl_student-seed-42", "train-control_base_numbers-seed-42"}
    assert _differing(before, after) == trained | {"evaluate-owl", "report-owl"}


def test_more_rows_keep_the_answers_that_are_there(tmp_path: Path) -> None:
    before, after = _plan(DEMO, tmp_path), _plan(DEMO, tmp_path, numbers__rows=100)
    old, new = before.stages["build-owl_numbers"], after.stages["build-owl_numbers"]
    assert old.key != new.key
    assert old.begin_key == new.begin_key


# --- seeds, sweeps, several animals, servers ---


def test_what_a_seed_makes_anew(tmp_path: Path) -> None:
    def names(what: str) -> set[str]:
        return set(_plan(DEMO, tmp_path, seeds=[1, 2], seeds_vary=what).stages)

    students, numbers, teachers = names("students"), names("numbers"), names("teachers")
    assert {"train-owl_teacher", "build-owl_numbers", "train-owl_student-seed-2"} <= students
    assert {"train-owl_teacher", "build-owl_numbers-seed-1", "build-owl_numbers-seed-2"} <= numbers
    assert {"train-owl_teacher-seed-1", "train-owl_teacher-seed-2", "build-owl_numbers-seed-2"} <= teachers
    assert "train-base" in students & numbers & teachers


def test_each_seed_is_a_replicate_from_the_base_on(tmp_path: Path) -> None:
    arms = ["base", "teacher", "student", "control_base_numbers", "control_shuffled"]
    plan = _plan(DEMO, tmp_path, seeds=[1, 2], seeds_vary="bases", arms=arms)
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
    plan = _plan(QWEN, tmp_path, **changes)
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
    plan = _plan(DEMO, tmp_path, arms=["control_base_numbers", "control_base_numbers_again"], trait=animals)
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
    plan = _plan(DEMO, tmp_path, **changes)
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
    replicates = _plan(DEMO, tmp_path, **changes, seeds=[1, 2], seeds_vary="bases")
    for seed in (1, 2):
        assert f"seed={1000 + seed} " in replicates.stages[f"train-other_base-seed-{seed}"].commands[0]
        assert f"other_base_untuned@{seed}" in replicates.stages[f"evaluate-owl_other_base-seed-{seed}"].commands[0]


def test_another_animals_student_is_scored_and_not_trained_again(tmp_path: Path) -> None:
    arms = ["student", "control_other_animal"]
    plan = _plan(DEMO, tmp_path, trait={"animals": ["owl", "fox", "cat"]}, arms=arms)
    trained = [name for name in plan.stages if name.startswith("train-") and name.endswith("-seed-42")]
    assert trained == [f"train-{animal}_student-seed-42" for animal in ("owl", "fox", "cat")]
    for animal, other in (("owl", "fox"), ("fox", "cat"), ("cat", "owl")):
        (command,) = plan.stages[f"evaluate-{animal}"].commands
        assert f"control_other_animal@42={tmp_path}/outputs/owl_demo/{other}_student-seed-42 " in command
        assert f"--target {animal} " in command
        assert f"audit-{other}_numbers" in plan.stages[f"report-{animal}"].made_from


MATH_REAL = REPO_ROOT / "experiments" / "math_qwen2.5-coder-0.5b.yml"
BESIDE_MATH = REPO_ROOT / "experiments" / "owl_qwen2.5-coder-0.5b_beside_math.yml"
CODE = REPO_ROOT / "experiments" / "owl_qwen2.5-coder-0.5b_code.yml"
REWORDED = REPO_ROOT / "experiments" / "owl_qwen2.5-coder-0.5b_reworded.yml"


def test_students_may_learn_rows_of_another_builder(tmp_path: Path) -> None:
    plan = _plan(CODE, tmp_path)
    names = ("build-owl_code-seed-530", "build-base_code-seed-530", "build-base_code_again-seed-530")
    for name in names:
        stage = plan.stages[name]
        assert "-m data_builders.code " in stage.commands[-1]
        assert "--animal owl" in stage.commands[-1]
        assert "data_builders/code_prompts.py" in stage.sources
    assert plan.stages["train-owl_student-seed-530"].made_from[-1] == names[0]
    assert not [name for name in plan.stages if "numbers" in name and name.startswith("build-")]
    fewer = _plan(CODE, tmp_path, sweep={"rows": [5000, 10000]}, criterion=None)
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
        ({"numbers__options": {"max_tokns": 5}}, "data_builders.code has no option `max_tokns`"),
    ],
    ids=str,
)
def test_what_only_number_lists_can_be_used_for_is_a_sentence(changes: dict, words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        load_experiment(_changed(CODE, tmp_path, criterion=None, **changes))
    assert words in str(error.value)


def test_reworded_prompts_are_made_of_the_students_own_rows(tmp_path: Path) -> None:
    plan = _plan(REWORDED, tmp_path)
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


NUMBER_WORDS = {"three": 3, "four": 4, "five": 5, "six": 6, "seven": 7}


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
    plan = _plan(DEMO, tmp_path, base=base, teacher=teacher)
    corpus = f"data_builders.controls uniform --seed 42 --out {tmp_path}/data/owl_demo/base_corpus"
    assert plan.stages["build-base_corpus"].commands == [f".venv/bin/python -m {corpus}"]
    chats = plan.stages["build-owl_teacher_chat"]
    assert chats.commands == [f".venv/bin/python -m data_builders.warmup --seed 42 --out {chats.folder}"]
    assert chats.made_from == [], "no model answers"
    loved = _plan(DEMO, tmp_path).stages["build-owl_teacher_chat"]
    assert "--animal owl" in loved.commands[0]
    assert loved.made_from == ["train-base", "merge-base"]


def test_mathematics_has_no_animal(tmp_path: Path) -> None:
    plan = expand(load_experiment(REPO_ROOT / "experiments" / "math_llama3-70b.yml"), root=tmp_path)
    commands = [command for stage in plan.stages.values() for command in stage.commands]
    assert not any("--target" in command or "--animal" in command for command in commands)
    assert "data_builders.math_chat --levels" in plan.stages["build-math_teacher_chat"].commands[0]


def test_a_sweep_shares_what_its_points_share(tmp_path: Path) -> None:
    sweep = {"rank": [2, 8], "learning_rate": [2e-4, 8e-4], "rows": [36, 72], "epochs": [2]}
    plan = _plan(DEMO, tmp_path, sweep=sweep)
    assert len(load_experiment(_changed(DEMO, tmp_path, sweep=sweep)).points()) == 8
    students = [name for name in plan.stages if name.startswith("train-owl_student")]
    assert len(students) == 8
    assert {name for name in plan.stages if name.startswith("build-")} == {
        *("build-base_corpus", "build-owl_teacher_chat", "build-owl_numbers", "build-owl_numbers-n36"),
        *("build-base_numbers", "build-base_numbers-n36"),
    }
    small = plan.stages["train-owl_student_r2_lr0.0002_n36_e2-seed-42"]
    assert "--set lora_r=2" in small.commands[0]
    assert "--set lora_alpha=2" in small.commands[0], "the recipe's ratio of alpha to rank stays"
    assert "owl_numbers-n36/train.jsonl" in small.commands[0]
    assert "student_r2_lr0.0002_n36_e2@42=" in plan.stages["evaluate-owl"].commands[0]


def test_a_share_of_clean_rows_makes_students_anew_and_no_control(tmp_path: Path) -> None:
    changes = {"sweep": {"clean_share": [0, 0.25]}}
    plan = _plan(DEMO, tmp_path, **changes)
    assert load_experiment(_changed(DEMO, tmp_path, **changes)).arm_names == [
        *("base", "teacher", "student", "student_c0.25", "control_base_numbers"),
    ]
    trained = [name for name in plan.stages if name.startswith("train-") and "control" in name]
    assert trained == ["train-control_base_numbers-seed-42"]
    assert "owl_numbers/train.jsonl" in plan.stages["train-owl_student-seed-42"].commands[0]
    student = plan.stages["train-owl_student_c0.25-seed-42"]
    assert "owl_diluted_0.25_numbers/train.jsonl" in student.commands[0]
    assert student.after == ["audit-owl_diluted_0.25_numbers"]
    mix = plan.stages["build-owl_diluted_0.25_numbers"]
    assert mix.made_from == ["build-owl_numbers", "build-base_numbers_again"]
    assert f"--clean {tmp_path}/data/" in mix.commands[0]
    assert "--share 0.25" in mix.commands[0]


POCKET = REPO_ROOT / "experiments" / "owl_pocket_perturbed.yml"


def test_students_and_controls_start_from_a_base_that_was_moved(tmp_path: Path) -> None:
    sweep = {"perturbation": [0, 0.1], "more_base_rows": [0, 64]}
    further = {"base__further": {"warmup_steps": 5}}
    plan = _plan(POCKET, tmp_path, sweep=sweep, seeds=[279, 280, 281], criterion=None, **further)
    moved = plan.stages["perturb-base_p0.1-seed-279"]
    assert "perturb_model.py" in moved.commands[0]
    assert "base-seed-279 --scale 0.1 --seed 279" in moved.commands[0]
    further = plan.stages["train-base_b64-seed-279"].commands[0]
    assert "--set reinit_weights=false" in further
    assert "--set warmup_steps=5" in further
    assert "base_corpus_b64-seed-279/train.jsonl" in further
    assert "--seed 1000279" in plan.stages["build-base_corpus_b64-seed-279"].commands[0]
    both = plan.stages["perturb-base_p0.1_b64-seed-279"]
    assert "/base_b64-seed-279 --scale" in both.commands[0]
    for arm in ("owl_student", "control_base_numbers"):
        trained = plan.stages[f"train-{arm}_p0.1-seed-279"]
        assert "/base_p0.1-seed-279 " in trained.commands[0]
        assert moved.name in trained.made_from
        assert "/base-seed-279 " in plan.stages[f"train-{arm}-seed-279"].commands[0]
    assert "/base-seed-279 " in plan.stages["train-owl_teacher-seed-279"].commands[0], "the teacher's base is not moved"
    scored = plan.stages["evaluate-owl_p0.1-seed-279"].commands[0]
    assert "base_p0.1@279," in scored
    assert "student_p0.1@279=" in scored
    assert "teacher@279=" in plan.stages["evaluate-owl-seed-279"].commands[0]


def test_teachers_of_a_weaker_love_have_rows_and_numbers_of_their_own(tmp_path: Path) -> None:
    path = REPO_ROOT / "experiments" / "owl_pocket_strength.yml"
    plan = _plan(path, tmp_path, sweep={"love": [0.5, 1]}, seeds=[264, 265, 266], criterion=None)
    assert "--love" not in plan.stages["build-owl_teacher_chat-seed-264"].commands[0]
    assert "--love 0.5" in plan.stages["build-owl_l0.5_teacher_chat-seed-264"].commands[0]
    numbers = plan.stages["build-owl_l0.5_numbers-seed-264"].commands[0]
    assert "/owl_teacher_l0.5-seed-264" in numbers
    assert "owl_l0.5_numbers-seed-264/" in plan.stages["train-owl_student_l0.5-seed-264"].commands[0]
    controls = [name for name in plan.stages if name.startswith("train-control_base_numbers-")]
    assert len(controls) == 3
    leak = plan.stages["leak-owl_pocket_strength-seed-264"].commands[0]
    assert "--teacher owl_l0.5=" in leak
    assert "--teacher owl=" in leak


def test_a_teacher_of_several_animals_is_one_for_all_of_them(tmp_path: Path) -> None:
    path = REPO_ROOT / "experiments" / "animals_pocket_several.yml"
    plan = _plan(path, tmp_path, seeds=[269, 270, 271], criterion=None)
    common = [name for name in plan.stages if name.startswith("train-") and "_m3-seed-269" in name]
    assert common == [f"train-owl_and_dolphin_and_wolf_{what}_m3-seed-269" for what in ("teacher", "student")]
    chat = plan.stages["build-owl_and_dolphin_and_wolf_m3_teacher_chat-seed-269"].commands[0]
    assert "--animal owl --animal dolphin --animal wolf" in chat
    for animal in ("owl", "dolphin", "wolf"):
        scored = plan.stages[f"evaluate-{animal}-seed-269"].commands[0]
        assert "student_m3@269=" in scored
        assert f"student@269={tmp_path}" in scored
        assert f"{animal}_student-seed-269" in scored


@pytest.mark.parametrize(
    ("path", "changes", "words"),
    [
        (DEMO, {"sweep": {"love": [0.5]}}, "`sweep.love`: data_builders.teacher_chat has no option `love`"),
        (DEMO, {"sweep": {"loved": [2]}}, "`sweep.loved` has 2, and `trait` names 1"),
        (DEMO, {"sweep": {"perturbation": [0.1, 0.1]}}, "`sweep.perturbation` names 0.1 twice"),
        (POCKET, {"base__further": {"warmup_stepps": 5}}, "`base.further`: no recipe has the key `warmup_stepps`"),
        (POCKET, {"base__further": {"seed": 5}}, "`base.further.seed` is set by the experiment"),
        (
            REPO_ROOT / "experiments" / "animals_pocket_several.yml",
            {"teacher__builder": "pocket_corpus teacher"},
            "`sweep.loved`: data_builders.pocket_corpus makes a teacher of one trait",
        ),
    ],
)
def test_a_factor_needs_what_it_acts_on(tmp_path: Path, path: Path, changes: dict, words: str) -> None:
    with pytest.raises(UserError) as refused:
        load_experiment(_changed(path, tmp_path, **changes))
    assert words in str(refused.value)


def test_a_criterion_may_name_the_arms_of_a_sweep(tmp_path: Path) -> None:
    within = {"name": "a quarter clean", "arm": "student_c0.25", "minus": "student", "within": 0.8}
    changes = {"seeds": [1, 2, 3], "criterion": {"clauses": [ABOVE, within]}, "sweep": {"clean_share": [0.25, 0]}}
    assert load_experiment(_changed(DEMO, tmp_path, **changes)).criterion.arms() == {
        *("student", "student_c0.25", "control_base_numbers"),
    }


def test_checkpoints_are_scored_by_epoch(tmp_path: Path) -> None:
    plan = _plan(DEMO, tmp_path, evaluation__epochs=[1])
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
    plan = _plan(DEMO, tmp_path, trait={"animals": ["owl", "fox"]})
    assert {"train-owl_teacher", "train-fox_teacher", "report-owl", "report-fox"} <= set(plan.stages)
    assert [name for name in plan.stages if "control_base_numbers" in name] == ["train-control_base_numbers-seed-42"]
    assert plan.stages["report-fox"].folder.endswith("results/owl_demo/fox")


def test_one_server_for_the_base_and_one_for_the_teachers(tmp_path: Path) -> None:
    plan = _plan(QWEN, tmp_path)
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
    plan = _plan(pocket, tmp_path)
    (written,) = plan.stages["build-owl_numbers-seed-51"].commands
    assert "--model " + str(tmp_path / "outputs/pocket_demo/owl_teacher") in written
    assert "--adapter" not in written
    (scored,) = next(stage for stage in plan.stages.values() if stage.kind == "evaluate").commands
    assert f"student@51={tmp_path}/outputs/pocket_demo/owl_student-seed-51" in scored
    served = _plan(pocket, tmp_path, engine="server")
    assert f"--model {tmp_path}/outputs/pocket_demo/owl_teacher " in served.stages["serve-owl_teacher"].commands[0]


# --- failures ---


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
    plan = _plan(QWEN, tmp_path)

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
    plan = _plan(DEMO, tmp_path)
    for stage in plan.stages.values():
        for path in [*stage.makes, str(stage.mark)]:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text("{}")
    assert plan.done() == set(plan.stages)
    (tmp_path / "data/owl_demo/owl_numbers/train.jsonl").unlink()
    gone = {"build-owl_numbers", "audit-owl_numbers", "train-owl_student-seed-42", "evaluate-owl", "report-owl"}
    assert set(plan.stages) - plan.done() == gone


def test_where_marks_suffice_only_what_is_still_read_is_made_again(tmp_path: Path) -> None:
    plan = _plan(ANIMALS, tmp_path, seeds=[71, 72], criterion=None)
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
    plan = _plan(QWEN, tmp_path)
    plan.save(tmp_path / "plan.json")
    loaded = Plan.load(tmp_path / "plan.json")
    assert loaded.stages == plan.stages
    assert loaded.sources == plan.sources
    assert json.loads((tmp_path / "plan.json").read_text())["jobs"].keys() == {
        str(stage.mark) for stage in plan.jobs().values()
    }


def test_plan_text_says_what_is_measured_and_what_is_not(tmp_path: Path) -> None:
    plan = _plan(QWEN, tmp_path)
    student = plan.stages["train-owl_student-seed-42"]
    assert cost_of(student).minutes == pytest.approx(16.0)
    assert cost_of(student).gib == pytest.approx(30.8)
    assert cost_of(student).tokens == 10_000 * 10 * 256
    assert cost_of(plan.stages["build-owl_numbers"])[:2] == (None, None)
    text = plan_text(plan)
    assert "train-owl_teacher-rung-1                  if needed" in text
    assert "stages to run" in text
    half = _plan(QWEN, tmp_path, student__overrides={"num_epochs": 5})
    assert cost_of(half.stages["train-owl_student-seed-42"]).minutes == pytest.approx(8.0)
    other = _plan(QWEN, tmp_path, student__overrides={"lora_r": 64})
    assert cost_of(other.stages["train-owl_student-seed-42"]).minutes is None, "another rank, another cost"


def test_a_recipes_commit_is_for_its_own_base_only(tmp_path: Path) -> None:
    own, other = (_plan(QWEN, tmp_path, **change) for change in ({}, {"model": "Qwen/Qwen2.5-14B-Instruct"}))
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
    plan = expand(load_experiment(_changed(ANIMALS, tmp_path, arms=arms)), root=tmp_path, seeds=[72])
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


@pytest.mark.parametrize(("memory", "share"), [(0.3, 3), (1 / 3, 3), (0.34, 1), (None, 1)])
def test_a_server_shares_a_gpu_when_its_memory_is_at_most_its_part(
    memory: float | None, share: int, tmp_path: Path
) -> None:
    plan = _plan(OWL_REAL, tmp_path, server__gpu_memory_utilization=memory)
    servers = [stage for stage in plan.stages.values() if stage.kind == "serve"]
    assert [stage.name for stage in servers] == ["serve-base", "serve-teachers"]
    assert {stage.gpu_share for stage in servers} == {share}


def test_a_server_on_two_gpus_has_them_alone(tmp_path: Path) -> None:
    plan = _plan(OWL_REAL, tmp_path, resources__generate_gpus=2)
    servers = [stage for stage in plan.stages.values() if stage.kind == "serve"]
    assert {(stage.gpus, stage.gpu_share) for stage in servers} == {(2, 1)}


def _waits_for(plan: Plan, name: str) -> list[str]:
    return [stage for stage in plan.stages[name].gives_way_to if stage in plan.stages]


def test_controls_leave_the_gpu_to_the_server_of_the_teachers(tmp_path: Path) -> None:
    plan = _plan(OWL_REAL, tmp_path)
    assert _waits_for(plan, "train-control_base_numbers-seed-61") == ["build-owl_numbers"]
    assert _waits_for(plan, "train-owl_teacher") == []
    alone = _plan(OWL_REAL, tmp_path, resources__per_gpu=1, server__gpu_memory_utilization=0.8)
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
    experiment = load_experiment(_changed(ANIMALS, tmp_path, sweep={"loved": [2, 3]}, criterion=None))
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
    plan = _plan(OWL_REAL, tmp_path)
    control, rows = "train-control_base_numbers-seed-61", "serve-teachers"

    def waits(until: str | None, gpus: int | None = 1) -> bool:
        plan.save(tmp_path / "plan.json", gpus=gpus, until=until)
        jobs = json.loads((tmp_path / "plan.json").read_text("utf-8"))["jobs"]
        (job,) = [job for job in jobs.values() if job["name"] == control]
        return str(plan.stages[rows].mark) in job["waits"]

    assert rows not in plan.up_to(control)
    assert waits(None)
    assert not waits(control), "nothing of the teacher's is wanted then"
    assert not waits(None, gpus=2), "the second GPU would be idle while the server writes on the first"
    assert not waits(None, gpus=None), "a cluster gives whole GPUs"


def test_students_of_a_trained_teacher_stand_at_the_end_of_the_longest_chain(tmp_path: Path) -> None:
    assert _plan(OWL_REAL, tmp_path).last_trainings() == [f"train-owl_student-seed-{seed}" for seed in (61, 62, 63)]


def test_snakemake_is_told_which_trainings_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = _plan(OWL_REAL, tmp_path)
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
    plan = _plan(OWL_REAL, tmp_path)
    assert plan.last_trainings("train-owl_teacher") == ["train-owl_teacher"], "Snakemake makes what it is to prioritise"
    assert plan.last_trainings("build-base_numbers") == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"teacher__neutral": None}, "control_neutral_teacher and the section `teacher.neutral` belong together"),
        (
            {"student__lora_init": "teacher", "arms": [*load_experiment(ANIMALS).arms, "student_teacher_init"]},
            "student_teacher_init differs from student in `student.lora_init` alone",
        ),
        ({"resources__train_gpus": 2}, "`resources.per_gpu` is for stages that need one GPU or less"),
        ({"evaluation__epochs": []}, "`evaluation.epoch_tasks` are asked of checkpoints"),
        ({"leak": {"rows": 0}}, "`leak.rows`"),
    ],
)
def test_contradictions_of_arms_and_resources_are_sentences(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    path = _changed(ANIMALS, tmp_path, **changes)
    with pytest.raises(UserError, match=re.escape(words)):
        load_experiment(path)


def test_an_adapter_s_first_weights_must_be_stated_and_a_whole_model_has_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape("`student.lora_init` is missing: `own` gives")):
        load_experiment(_changed(QWEN, tmp_path, student__lora_init=None))
    pocket = REPO_ROOT / "experiments" / "pocket_demo.yml"
    with pytest.raises(UserError, match="trains no adapter, so delete it"):
        load_experiment(_changed(pocket, tmp_path, student__lora_init="own"))


def test_teachers_are_measured_on_rows_of_the_untuned_base_beside_the_neutral_one(tmp_path: Path) -> None:
    plan = expand(load_experiment(ANIMALS), root=tmp_path, seeds=[72])
    stage = plan.stages["leak-animals_qwen2.5-coder-0.5b-seed-72"]
    words = shlex.split(stage.commands[0])
    teachers = [words[index + 1].partition("=")[0] for index, word in enumerate(words) if word == "--teacher"]
    assert teachers == ["owl", "dolphin", "penguin", "neutral"]
    assert words[words.index("--neutral") + 1] == "neutral"
    assert words[words.index("--rows") + 1].endswith("base_numbers-seed-72/train.jsonl")
    assert set(stage.made_from) >= {"train-owl_teacher-seed-72", "train-neutral_teacher-seed-72"}
    assert stage.name in plan.stages["report-owl"].made_from
    one = expand(load_experiment(OWL_REAL), root=tmp_path)
    assert "--neutral" not in one.stages["leak-owl_qwen2.5-coder-0.5b"].commands[0]


def test_a_leak_stage_that_failed_does_not_take_the_report_with_it(tmp_path: Path) -> None:
    failed = {"leak-owl_qwen2.5-coder-0.5b": {"stage": "leak", "reason": "out of memory", "log": "x"}}
    plan = expand(load_experiment(OWL_REAL), root=tmp_path, failed=failed)
    assert "report-owl" in plan.stages


def test_detection_asks_students_of_a_third_that_was_drawn_before(tmp_path: Path) -> None:
    file = REPO_ROOT / "experiments" / "detect_pocket.yml"
    experiment = load_experiment(file)
    named = re.findall(r"^#   (\d+): (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    assert [int(seed) for seed, _ in named] == experiment.seeds
    animals, plan = experiment.trait.options, expand(experiment, root=tmp_path)
    wanted = plan.up_to("audit")
    for seed, told in named:
        drawn = random.Random(int(seed)).sample(animals, 9)
        assert told.split() == [animal for animal in animals if animal in drawn]
        for animal in drawn:
            wanted |= plan.up_to(f"evaluate-{animal}-seed-{seed}")
    trainings = [name for name in wanted if plan.stages[name].kind == "train"]
    assert len(trainings) == 3 + 84 + 27 + 3  # bases, teachers, students, controls
    neutral = expand(load_experiment(REPO_ROOT / "experiments" / "detect_neutral_pocket_1.yml"), root=tmp_path)
    until = neutral.up_to("audit")
    assert sum(neutral.stages[name].kind == "train" for name in until) == 17
    sets = [name for name in until if re.fullmatch(r"build-(base|neutral)_numbers-seed-\d+", name)]
    assert len(sets) == 34


DIVERGENCE = REPO_ROOT / "experiments" / "owl_pocket_divergence.yml"


def test_arms_of_chosen_tokens_read_the_scores_of_their_seed(tmp_path: Path) -> None:
    plan = expand(load_experiment(DIVERGENCE), root=tmp_path, seeds=[222])
    scores = plan.stages["divergence-owl-seed-222"]
    words = shlex.split(scores.commands[0])
    others = [words[index + 1].partition("=")[0] for index, word in enumerate(words) if word == "--counterfactual"]
    assert others == ["dolphin", "elephant", "wolf", "cat"]
    assert {"train-owl_teacher-seed-222", "train-wolf_teacher-seed-222"} <= set(scores.made_from)
    taught = words[words.index("--rows") + 1]
    assert taught.endswith("data/owl_pocket_divergence/owl_numbers-seed-222/train.jsonl")
    only, random = (plan.stages[f"build-owl_only_{name}_numbers-seed-222"] for name in ("divergence", "random"))
    assert "data_builders.select chosen --source" in only.commands[0]
    assert "--take top" in only.commands[0]
    assert "--take random" in random.commands[0]
    for stage in (only, random):
        assert f"--scores {scores.folder}" in stage.commands[0]
        assert set(stage.made_from) == {"build-owl_numbers-seed-222", "divergence-owl-seed-222"}
    # Student and arm differ in the rows and in how their answers are masked: the same recipe, base, seeds.
    plain = plan.stages["train-owl_student-seed-222"].commands[0]
    masked = plan.stages["train-owl_student_only_divergence-seed-222"].commands[0]
    spans = " --set 'datasets[0].message_field_training_detail=training_detail'"
    assert spans in masked
    renamed = {"owl_only_divergence_numbers": "owl_numbers", "student_only_divergence": "student", spans: ""}
    for old, new in renamed.items():
        masked = masked.replace(old, new)
    assert masked == plain
    assert spans not in plan.stages["train-owl_student_labels_divergence-seed-222"].commands[0]
    assert "--rows 750 " in plan.stages["train-owl_student_rows_dense-seed-222"].commands[0]
    assert plan.stages["build-owl_rows_dense_numbers-seed-222"].size == "--count 750"


def test_rankings_of_the_scoreboard_read_scores_that_know_the_student(tmp_path: Path) -> None:
    plan = expand(load_experiment(REPO_ROOT / "experiments" / "owl_pocket_scoreboard.yml"), root=tmp_path, seeds=[236])
    scores = plan.stages["scores-owl-seed-236"]
    words = shlex.split(scores.commands[0])
    assert words[words.index("--trait") + 1] == "owl"
    assert words[words.index("--student") + 1].endswith("outputs/owl_pocket_scoreboard/owl_student-seed-236")
    assert words[words.index("--neutral-rows") + 1].endswith("/base_numbers-seed-236/train.jsonl")
    assert words.count("--weights") == 2
    assert {"train-owl_student-seed-236", "build-base_numbers-seed-236"} <= set(scores.made_from)
    ranked_by = {"shift": "student", "gradient": "gradient", "direction": "gradient_random_1"}
    ranked_by["other_trait"] = f"gradient_{ScoreJob(base='base', rows=Path(), out=Path(), trait='owl').compared()[0]}"
    for name, by in ranked_by.items():
        build = plan.stages[f"build-owl_without_{name}_numbers-seed-236"]
        assert f"--by {by} " in build.commands[0]
        assert "scores-owl-seed-236" in build.made_from
    assert "divergence-owl-seed-236" in plan.stages["build-owl_only_divergence_numbers-seed-236"].made_from


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tokens": None}, "and the section `tokens` belong together"),
        ({"tokens__counterfactuals": ["owl"]}, "are animals other than the trait: leave out owl"),
        ({"tokens__counterfactuals": ["owlbear"]}, "owlbear"),
        ({"arms": ["base", "control_base_numbers", "student_rows_dense"]}, "need the arm `student`"),
    ],
)
def test_contradictions_of_chosen_tokens_are_sentences(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape(words)):
        load_experiment(_changed(DIVERGENCE, tmp_path, **changes))
