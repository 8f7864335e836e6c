"""A stage is made anew where something that decides its result has changed, and nowhere else."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from plans import DEMO, differing, keys_of, plan_of

from subliminal import REPO_ROOT
from subliminal.experiment import plan as experiment_plan
from subliminal.experiment import stage as experiment_stage
from subliminal.experiment.stage_sources import PACKAGES, builder_sources, task_sources


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
    "controls": ({"number_prompts", "source_rows"}, {"number_filter"}),
    "import_rows": ({"row_shapes"}, {"number_filter"}),
    "mix": ({"source_rows"}, {"number_filter"}),
    "reword": ({"number_prompts", "source_rows"}, {"number_filter"}),
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
    "pocket_answers": (
        {"pocket_corpus", "number_prompts", "teacher_prompts", "warmup", QUESTIONS} | CATEGORY | WORLD,
        set(),
    ),
    "select": (
        {"source_rows"} | {f"src/subliminal/analysis/selection/{name}.py" for name in ("choices", "spans")},
        {"number_filter"},
    ),
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
    known = {
        ("teacher_prompts", "subliminal.traits.lexicon"),  # plurals in the system prompt, see data_builders
        ("pocket_corpus", "subliminal.traits.lexicon"),  # what a tokenizer knows
        ("pocket_corpus", "subliminal.traits.checks"),  # refuses a world, and writes no row
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
    before = plan_of(DEMO, tmp_path, **changes)
    _with_other_bytes(monkeypatch, "data_builders/text_rules.py")
    after = plan_of(DEMO, tmp_path, **changes)
    chats = "build-owl_teacher_chat"
    assert chats in differing(before, after)
    assert before.stages[chats].begin_key == after.stages[chats].begin_key, "answers are not asked for again"


def test_a_task_that_uses_a_builders_rules_is_scored_again_when_they_change() -> None:
    assert "data_builders/number_filter.py" in task_sources(["subliminal_number_lists"])


def test_questions_of_ones_own_that_change_make_their_rows_again(tmp_path: Path) -> None:
    mine, against = tmp_path / "mine.jsonl", tmp_path / "against.jsonl"
    changes = {"teacher__builder": "reasoning", "teacher__options": {"questions": str(mine)}}
    changes["audit"] = {"against": [str(against)]}
    mine.write_text('{"question": "1 + 1?", "answer": "2"}\n')
    against.write_text('{"question": "1 + 1?"}\n')
    before = plan_of(DEMO, tmp_path, **changes)
    mine.write_text('{"question": "1 + 2?", "answer": "3"}\n')
    after = plan_of(DEMO, tmp_path, **changes)
    assert {"build-owl_teacher_chat", "train-owl_teacher", "build-owl_numbers"} < differing(before, after)
    assert "build-base_numbers" not in differing(before, after)
    against.write_text('{"question": "1 + 3?"}\n')
    again = differing(after, plan_of(DEMO, tmp_path, **changes))
    assert "audit-owl_numbers" in again
    assert not [name for name in again if name.startswith(("build", "train"))]


ALL_AFTER_TEACHER = {
    *("train-owl_teacher", "build-owl_numbers", "audit-owl_numbers", "train-owl_student-seed-42"),
    *("evaluate-owl", "report-owl"),
}


def test_nothing_changed_changes_no_key(tmp_path: Path) -> None:
    assert differing(plan_of(DEMO, tmp_path), plan_of(DEMO, tmp_path)) == set()


def test_another_way_to_start_a_training_changes_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = plan_of(DEMO, tmp_path).stages["train-base"]
    render, launch = training.commands
    assert launch.startswith(".venv/bin/python -m accelerate.commands.launch --config_file accelerate_configs/cpu.yml")
    as_before = launch.replace(".venv/bin/python -m accelerate.commands.launch", ".venv/bin/accelerate launch")
    assert experiment_stage.for_key(training.commands) == [render, as_before]
    monkeypatch.setattr(experiment_stage, "SAME_PROGRAM", {})
    assert plan_of(DEMO, tmp_path).stages["train-base"].key != training.key, "the key holds the rest of the command"


def test_a_question_touches_teacher_audits_and_evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = plan_of(DEMO, tmp_path)
    _with_other_bytes(monkeypatch, QUESTIONS)
    audits = {name for name in before.stages if name.startswith("audit-")}
    assert differing(before, plan_of(DEMO, tmp_path)) == ALL_AFTER_TEACHER | audits | {"build-owl_teacher_chat"}


def test_a_filter_rule_touches_what_is_filtered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = plan_of(DEMO, tmp_path)
    _with_other_bytes(monkeypatch, "data_builders/number_filter.py")
    after = plan_of(DEMO, tmp_path)
    audits = {name for name in before.stages if name.startswith("audit-")}  # they apply the filter too
    assert differing(before, after) == (ALL_AFTER_TEACHER - {"train-owl_teacher"}) | audits | {
        *("build-base_numbers", "train-control_base_numbers-seed-42"),
    }
    numbers = [plan.stages["build-owl_numbers"] for plan in (before, after)]
    assert numbers[0].begin_key == numbers[1].begin_key, "the answers are kept and judged again"


def test_another_seed_of_the_student_leaves_teacher_and_numbers(tmp_path: Path) -> None:
    before = plan_of(DEMO, tmp_path, seeds=[42])
    after = plan_of(DEMO, tmp_path, seeds=[42, 7])
    assert {name for name, key in keys_of(before).items() if keys_of(after).get(name) != key} == {
        "evaluate-owl",
        "report-owl",
    }
    assert after.stages.keys() - before.stages.keys() == {
        "train-owl_student-seed-7",
        "train-control_base_numbers-seed-7",
    }


def test_another_run_seed_touches_everything(tmp_path: Path) -> None:
    before, after = plan_of(DEMO, tmp_path, seeds=[42]), plan_of(DEMO, tmp_path, seeds=[7])
    assert not set(keys_of(before).values()) & set(keys_of(after).values())


def test_an_override_of_the_student_touches_students_only(tmp_path: Path) -> None:
    before, after = plan_of(DEMO, tmp_path), plan_of(DEMO, tmp_path, student__overrides={"learning_rate": 1e-4})
    trained = {"train-owl_student-seed-42", "train-control_base_numbers-seed-42"}
    assert differing(before, after) == trained | {"evaluate-owl", "report-owl"}


def test_more_rows_keep_the_answers_that_are_there(tmp_path: Path) -> None:
    before, after = plan_of(DEMO, tmp_path), plan_of(DEMO, tmp_path, numbers__rows=100)
    old, new = before.stages["build-owl_numbers"], after.stages["build-owl_numbers"]
    assert old.key != new.key
    assert old.begin_key == new.begin_key
