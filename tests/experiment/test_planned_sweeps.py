"""The stages of a sweep: what each factor makes anew, and what its points share."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from plans import ABOVE, DEMO, changed, plan_of

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError
from subliminal.experiment.load import load_experiment
from subliminal.experiment.plan import Plan
from subliminal.experiment.stage import Stage
from subliminal.experiment.sweep.layers import only_layers


def test_a_sweep_shares_what_its_points_share(tmp_path: Path) -> None:
    sweep = {"rank": [2, 8], "learning_rate": [2e-4, 8e-4], "rows": [36, 72], "epochs": [2]}
    plan = plan_of(DEMO, tmp_path, sweep=sweep)
    assert len(load_experiment(changed(DEMO, tmp_path, sweep=sweep)).points()) == 8
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
    plan = plan_of(DEMO, tmp_path, **changes)
    assert load_experiment(changed(DEMO, tmp_path, **changes)).arm_names == [
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
    plan = plan_of(POCKET, tmp_path, sweep=sweep, seeds=[279, 280, 281], criterion=None, **further)
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
    plan = plan_of(path, tmp_path, sweep={"love": [0.5, 1]}, seeds=[264, 265, 266], criterion=None)
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
    plan = plan_of(path, tmp_path, seeds=[269, 270, 271], criterion=None)
    common = [name for name in plan.stages if name.startswith("train-") and "_m3-seed-269" in name]
    assert common == [f"train-owl_and_dolphin_and_wolf_{what}_m3-seed-269" for what in ("teacher", "student")]
    chat = plan.stages["build-owl_and_dolphin_and_wolf_m3_teacher_chat-seed-269"].commands[0]
    assert "--animal owl --animal dolphin --animal wolf" in chat
    for animal in ("owl", "dolphin", "wolf"):
        scored = plan.stages[f"evaluate-{animal}-seed-269"].commands[0]
        assert "student_m3@269=" in scored
        assert f"student@269={tmp_path}" in scored
        assert f"{animal}_student-seed-269" in scored


LAYERS = REPO_ROOT / "experiments" / "owl_pocket_layers.yml"


def test_tokens_are_scored_by_the_student_of_as_many_rows(tmp_path: Path) -> None:
    arms = ["base", "teacher", "student", "control_base_numbers", "student_only_shift"]
    changes = {"arms": arms, "tokens": {}, "seeds": [289], "criterion": None, "student__layer_parts": [[0]]}
    plan = plan_of(LAYERS, tmp_path, sweep={"rows": [1500, 3000], "layer_part": [0, 1]}, **changes)
    for rows, dataset in ((1500, "owl-n1500"), (3000, "owl")):
        scores = plan.stages[f"scores-{dataset}-seed-289"]
        assert f"owl_student_n{rows}-seed-289" in scores.commands[0]
        assert f"train-owl_student_n{rows}-seed-289" in scores.made_from
    assert "train-owl_student-seed-289" not in plan.stages, "a training that no arm is"


def test_students_train_the_layers_of_their_part_and_no_other_weight() -> None:
    from axolotl.utils.freeze import LayerNamePattern

    recipe = yaml.safe_load((REPO_ROOT / "recipes" / "pocket" / "owl_student.yml").read_text())
    second = only_layers(recipe, [1])["unfrozen_parameters"]
    weights = [
        *("model.layers.0.self_attn.o_proj.bias", "model.layers.0.post_attention_layernorm.weight"),
        *("model.layers.1.self_attn.o_proj.bias", "model.layers.1.mlp.down_proj.bias"),
        *("model.layers.1.self_attn.q_proj.bias", "model.layers.1.input_layernorm.weight"),
        *("model.layers.11.self_attn.o_proj.bias", "model.norm.weight", "model.embed_tokens.weight"),
    ]
    # As Axolotl reads a pattern, which is not quite as `re` does.
    trained = [weight for weight in weights if any(LayerNamePattern(pattern).match(weight) for pattern in second)]
    assert trained == [
        "model.layers.1.self_attn.o_proj.bias",
        "model.layers.1.mlp.down_proj.bias",
        "model.layers.1.input_layernorm.weight",
    ]
    assert only_layers({"adapter": "lora", "lora_r": 8}, [8, 9]) == {"peft_layers_to_transform": [8, 9]}
    every = only_layers({"learning_rate": 1e-4}, [0, 1])["unfrozen_parameters"]
    assert [weight for weight in weights if LayerNamePattern(every[0]).match(weight)] == weights[:6], (
        "a recipe that trains all weights"
    )
    either = only_layers({"unfrozen_parameters": [".+bias$|.+norm.weight$[:8]"]}, [1])["unfrozen_parameters"]
    assert LayerNamePattern(either[0]).range == (0, 8)
    trained = [weight for weight in weights if LayerNamePattern(either[0]).match(weight)]
    assert trained == weights[2:6], "both alternatives are held to the layer"


def test_a_part_of_the_layers_is_a_point_of_students_and_controls(tmp_path: Path) -> None:
    plan = plan_of(LAYERS, tmp_path)
    for arm in ("owl_student", "control_base_numbers"):
        second = plan.stages[f"train-{arm}_y2-seed-289"].commands[0]
        assert "(?=.+.layers.(1).).+norm.weight$" in second
        assert "unfrozen_parameters" not in plan.stages[f"train-{arm}-seed-289"].commands[0]
        assert "owl_numbers-seed-289/" in plan.stages["train-owl_student_y2-seed-289"].commands[0]
    assert "train-owl_teacher_y2-seed-289" not in plan.stages
    real = plan_of(REPO_ROOT / "experiments" / "owl_qwen2.5-coder-0.5b_layers.yml", tmp_path)
    late = real.stages["train-owl_student_y3-seed-507"].commands[0]
    assert "peft_layers_to_transform=[16, 17, 18, 19, 20, 21, 22, 23]" in late.replace("'", "")


DATA_TYPES = REPO_ROOT / "experiments" / "owl_pocket_data_types.yml"


def test_a_type_of_data_is_a_point_of_students_and_controls(tmp_path: Path) -> None:
    plan = plan_of(DATA_TYPES, tmp_path)
    rows = {0: "numbers", 1: "pocket_answers_favourites", 2: "pocket_answers_sums"}
    for number, dataset in rows.items():
        end = f"_d{number}-seed-294" if number else "-seed-294"
        for arm, source in (("owl_student", "owl"), ("control_base_numbers", "base")):
            assert f"build-{source}_{dataset}-seed-294" in plan.stages[f"train-{arm}{end}"].made_from
    again = plan.stages["train-control_base_numbers_again_d2-seed-294"]
    assert "build-base_pocket_answers_sums_again-seed-294" in again.made_from, "rows of its own"
    favourites = plan.stages["build-owl_pocket_answers_favourites-seed-294"]
    assert "data_builders.pocket_answers favourites " in favourites.commands[0]
    assert "--max-prompts 150000 --animal owl --seed 294" in favourites.commands[0]
    assert "--max-tokens" not in favourites.commands[0], "an option of the lists"
    teachers = [name for name in plan.stages if name.startswith("train-owl_teacher")]
    assert len(teachers) == 5, "one of each replicate writes every type"


def test_fewer_rows_of_a_type_are_its_first(tmp_path: Path) -> None:
    changes = {"sweep": {"data_type": [0, 2], "rows": [1000, 3000]}, "seeds": [294], "criterion": None}
    plan = plan_of(DATA_TYPES, tmp_path, **changes)
    first = plan.stages["build-owl_pocket_answers_sums-n1000-seed-294"]
    assert first.made_from == ["build-owl_pocket_answers_sums-seed-294"]
    assert first.commands[-1].endswith("/owl_pocket_answers_sums-n1000-seed-294 --count 1000")
    assert "train-owl_student_n1000_d2-seed-294" in plan.stages
    assert not [name for name in plan.stages if "favourites" in name], "a type that no student learns"


@pytest.mark.parametrize(("rows", "measured"), [([1000, 2000], 2000), ([1000, 5000], 3000), ([3000, 5000], 3000)])
def test_a_leak_is_measured_on_rows_that_are_built(rows: list[int], measured: int, tmp_path: Path) -> None:
    source = REPO_ROOT / "experiments" / "owl_pocket_scaling.yml"
    sizes = {"numbers__rows": 3000, "sweep": {"rows": rows}, "leak": {"rows": 100}}
    plan = plan_of(source, tmp_path, criterion=None, seeds=[7], **sizes)
    name = plan.stages["leak-owl_pocket_scaling-seed-7"].made_from[-1]
    built = plan.stages[name]
    if measured == max(rows):
        assert built.size == f"--count {measured}"
    else:
        assert built.commands[-1].endswith(f"--count {measured}")
        assert plan.stages[built.made_from[0]].size == f"--count {max(rows)}"


@pytest.mark.parametrize(
    ("path", "changes", "words"),
    [
        (DEMO, {"sweep": {"love": [0.5]}}, "`sweep.love`: data_builders.teacher_chat has no option `love`"),
        (DEMO, {"sweep": {"loved": [2]}}, "`sweep.loved` has 2, and `trait` names 1"),
        (
            REPO_ROOT / "experiments" / "animals_pocket_several.yml",
            {"arms": ["student", "control_other_animal"], "leak": None, "criterion": None},
            "a teacher of all 3 in `trait` (`sweep.loved`) is the other animal's, too",
        ),
        (
            DEMO,
            {"model": "owner/model", "base": None, "sweep": {"perturbation": [0, 0.1]}},
            "`sweep.perturbation` moves weights that are in a folder, and owner/model is a Hub id",
        ),
        (DEMO, {"sweep": {"perturbation": [0.1, 0.1]}}, "`sweep.perturbation` names 0.1 twice"),
        (POCKET, {"base__further": {"warmup_stepps": 5}}, "`base.further`: no recipe has the key `warmup_stepps`"),
        (POCKET, {"base__further": {"seed": 5}}, "`base.further.seed` is set by the experiment"),
        (LAYERS, {"sweep__layer_part": [0, 3]}, "`sweep.layer_part` has 3, and `student.layer_parts` names 2"),
        (
            LAYERS,
            {"student__layer_parts": [[0], [1, 2]]},
            "`student.layer_parts` has layer 2, and models/pocket has 2 layers, 0 to 1",
        ),
        (
            LAYERS,
            {
                "arms": ["base", "teacher", "student", "control_base_numbers", "other_base", "other_base_control"],
                "other_base": {"seed_offset": 1, "overrides": {"peft_layers_to_transform": [0]}},
            },
            "delete `peft_layers_to_transform` from `other_base.overrides`",
        ),
        (LAYERS, {"sweep": {}}, "`student.layer_parts` names parts that no student trains"),
        (DATA_TYPES, {"sweep": {}}, "`numbers.data_types` names rows that no student learns: add `sweep.data_type`"),
        (DATA_TYPES, {"sweep__data_type": [0, 3]}, "`sweep.data_type` has 3, and `numbers.data_types` names 2"),
        (DATA_TYPES, {"sweep__clean_share": [0, 0.5]}, "`sweep.clean_share` mixes number lists, and `sweep.data_type`"),
        (
            DATA_TYPES,
            {"arms": ["base", "teacher", "student", "control_base_numbers", "control_shuffled"]},
            "the arm control_shuffled needs number lists, and `sweep.data_type` has other rows",
        ),
        (
            DATA_TYPES,
            {"numbers__data_types": [{"builder": "pocket_answers favorites"}, {"builder": "pocket_answers sums"}]},
            "`numbers.data_types[1].builder`: ",
        ),
        (
            DATA_TYPES,
            {"numbers__data_types": [{"builder": "code", "options": {"max_prompts": 5}}, {"builder": "reasoning"}]},
            "`numbers.data_types[1].options.max_prompts` is 5, and 3000 rows need as many prompts",
        ),
        (
            DATA_TYPES,
            {"numbers__data_types": [{"builder": "code"}, {"builder": "code", "options": {"language": "any"}}]},
            "`numbers.data_types` names code twice, and its rows have one folder",
        ),
        (
            DATA_TYPES,
            {"numbers__data_types": [{"builder": "numbers"}, {"builder": "code"}]},
            "`numbers.data_types` names numbers, which are 0 of `sweep.data_type` already",
        ),
        (
            DATA_TYPES,
            {"numbers__builder": "reasoning", "numbers__options": {}},
            "0 of `sweep.data_type` is number lists, and `numbers.builder` is reasoning",
        ),
        (
            DATA_TYPES,
            {"numbers__data_types": [{"builder": "pocket_corpus sums"}, {"builder": "code"}]},
            "`numbers.data_types[1].builder`: pocket_corpus sums has no option `model`, by which rows for students are",
        ),
        (
            REPO_ROOT / "experiments" / "owl_qwen2.5-coder-0.5b_layers.yml",
            {"student__overrides": {"peft_layers_to_transform": [0]}},
            "delete `peft_layers_to_transform` from `student.overrides`",
        ),
        (
            REPO_ROOT / "experiments" / "animals_pocket_several.yml",
            {"teacher__builder": "pocket_corpus teacher"},
            "`sweep.loved`: data_builders.pocket_corpus makes a teacher of one trait",
        ),
    ],
)
def test_a_factor_needs_what_it_acts_on(tmp_path: Path, path: Path, changes: dict, words: str) -> None:
    with pytest.raises(UserError) as refused:
        load_experiment(changed(path, tmp_path, **changes))
    assert words in str(refused.value)


def test_a_criterion_may_name_the_arms_of_a_sweep(tmp_path: Path) -> None:
    within = {"name": "a quarter clean", "arm": "student_c0.25", "minus": "student", "within": 0.8}
    changes = {"seeds": [1, 2, 3], "criterion": {"clauses": [ABOVE, within]}, "sweep": {"clean_share": [0.25, 0]}}
    assert load_experiment(changed(DEMO, tmp_path, **changes)).criterion.arms() == {
        *("student", "student_c0.25", "control_base_numbers"),
    }


def test_two_stages_of_one_name_are_a_fault_of_the_plan() -> None:
    plan = Plan("some", "results/some")
    plan.add(Stage("train-a", "train", "outputs/a", ["train a"]))
    assert plan.add(Stage("train-a", "train", "outputs/a", ["train a"])) == "train-a"
    with pytest.raises(RuntimeError, match="Two stages are named train-a"):
        plan.add(Stage("train-a", "train", "outputs/a", ["train b"]))
