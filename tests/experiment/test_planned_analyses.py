"""The stages of leaks, of chosen tokens and of detection, and the arms that read their scores."""

from __future__ import annotations

import random
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from plans import ANIMALS, OWL_REAL, changed

from subliminal import REPO_ROOT
from subliminal.analysis.score.run import ScoreJob
from subliminal.core.errors import UserError
from subliminal.experiment.expand import expand
from subliminal.experiment.load import load_experiment


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


def _words_of_the_header(file: Path) -> list[str]:
    """The words of the command in a file's header, as bash hands them over."""
    text = file.read_text(encoding="utf-8")
    lines = re.findall(r"^#   (.*)$", text, re.MULTILINE)
    command = "\n".join(lines)
    printed = subprocess.run(["bash", "-c", f"printf '%s\\n' {command}"], capture_output=True, text=True, check=True)
    return printed.stdout.splitlines()


def test_detection_asks_students_of_a_third_that_was_drawn_before(tmp_path: Path) -> None:
    file = REPO_ROOT / "experiments" / "detect_pocket.yml"
    experiment = load_experiment(file)
    program, asked = _words_of_the_header(file)[:5], _words_of_the_header(file)[5:]
    assert program == [".venv/bin/python", "-m", "subliminal.experiment", "run", "experiments/detect_pocket.yml"]
    drawn = ["--until=audit"]
    animals = experiment.trait.options
    for seed in experiment.seeds:
        sample = random.Random(seed).sample(animals, 9)
        for animal in animals:
            if animal in sample:
                drawn.append(f"--until=evaluate-{animal}-seed-{seed}")
    assert asked == drawn
    plan = expand(experiment, root=tmp_path)
    wanted = plan.up_to([word.removeprefix("--until=") for word in asked])
    trainings = [name for name in wanted if plan.stages[name].kind == "train"]
    assert len(trainings) == 3 + 84 + 27 + 3  # bases, teachers, students, controls
    neutral = expand(load_experiment(REPO_ROOT / "experiments" / "detect_neutral_pocket_1.yml"), root=tmp_path)
    until = neutral.up_to(["audit"])
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
        assert stage.size == "", "all rows, but for those whose tokens cannot be told apart in their text"
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
        ({"tokens__counterfactuals": ["owlbear"]}, "'owlbear' is not a tracked animal"),
        ({"tokens__counterfactuals": ["owlbear"]}, "turtle, shark. Correct it."),
        ({"arms": ["base", "control_base_numbers", "student_rows_dense"]}, "need the arm `student`"),
    ],
)
def test_contradictions_of_chosen_tokens_are_sentences(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape(words)):
        load_experiment(changed(DIVERGENCE, tmp_path, **changes))
