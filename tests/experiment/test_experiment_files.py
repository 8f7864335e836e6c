"""What an experiment file may say, and the sentences about what it must not."""

from __future__ import annotations

import hashlib
import itertools
import re
import shlex
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from plans import ABOVE, ANIMALS, DEMO, FILES, QWEN, changed, keys_of, plan_of

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError
from subliminal.experiment.driver import run_experiment
from subliminal.experiment.expand import expand
from subliminal.experiment.load import load_experiment
from subliminal.experiment.options import flags
from subliminal.stats.criterion import read_criterion
from subliminal.training.lint import read_recipe, recipe_problems
from subliminal.training.render import Edit, render_recipe


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_experiment_of_the_repository_expands(path: Path, tmp_path: Path) -> None:
    plan = expand(load_experiment(path), root=tmp_path)
    assert any(stage.kind == "report" for stage in plan.stages.values())
    for stage in plan.stages.values():
        assert stage.key
        assert all(name in plan.stages for name in [*stage.made_from, *stage.after])
    for job in plan.jobs():
        assert job not in plan.needs(job)[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_recipe_that_an_experiment_renders_is_valid(path: Path, tmp_path: Path) -> None:
    """A training renders its recipe when its turn comes, hours after the start: an invalid one shows here."""
    plan = expand(load_experiment(path), root=tmp_path)
    rendered = set()
    for stage in plan.stages.values():
        if stage.kind != "train":
            continue
        settings = (stage.facts["recipe"], str(stage.facts["overrides"]), stage.facts["rows"])
        if settings in rendered:  # the same but for its seed
            continue
        rendered.add(settings)
        _, _, recipe, *words = shlex.split(stage.commands[0].partition(" -o ")[0])
        rows = None
        if "--rows" in words:
            rows = int(words[words.index("--rows") + 1])
        changes = [Edit.parse(value) for option, value in itertools.pairwise(words) if option == "--set"]
        text = (REPO_ROOT / recipe).read_text()
        made = tmp_path / "recipe.yml"
        made.write_text(render_recipe(text, changes, source=recipe, output="recipe.yml", rows=rows))
        assert recipe_problems(made, check_values=False) == []
    assert rendered


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
        ({"trait": {"animals": ["badger"]}}, "`trait.animals`: 'badger' is not a tracked animal"),
        ({"trait": {"animals": "owl"}}, "`trait.animals` must be a list"),
        ({"trait": {"animals": ["owl", " Owl"]}}, "`trait.animals`: owl is named twice; leave one out"),
        ({"trait": {"animal": ["owl"]}}, "there is no key `trait.animal` (did you mean `animals`?)"),
        ({"resources": {"gpus": 1}}, "there is no key `resources.gpus`; there are train_gpus, per_gpu,"),
        ({"student__overrides": {"micro_batch_size": 3}}, "No number of accumulation steps gives that with 3 x 1"),
        ({"student__overrides": {"micro_batch_size": 2}}, "Set gradient_accumulation_steps=4, or state another"),
        ({"launcher": "accelerate_configs/ddp.yml"}, "x 2 processes = 16 rows a step, but the recipe states"),
        ({"trait": {}}, "give one of `animals: [...]`, `category` with `options: [...]`, and `mathematics: true`"),
        ({"seeds": [1, 1]}, "`seeds` names 1 twice"),
        ({"evaluation__tasks": ["animal_preference"] * 2}, "`evaluation.tasks` names animal_preference twice"),
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
        load_experiment(changed(DEMO, tmp_path, **changes))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_recipe_is_not_taken_for_an_experiment() -> None:
    with pytest.raises(UserError, match=r"owl_student\.yml is a recipe, of one training, and no experiment file"):
        load_experiment(REPO_ROOT / "recipes/owl_student.yml")


def test_from_another_folder_one_sentence_names_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as error:
        load_experiment(REPO_ROOT / "experiments/owl_demo.yml")
    assert str(error.value).count("run it from the root of the repository") == 1


def test_of_very_many_problems_the_first_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no key `k19`; and 9 more\. Correct it\.$"):
        load_experiment(changed(DEMO, tmp_path, **{f"k{number}": 1 for number in range(21)}))


def test_an_absent_file_names_the_one_that_is_near_or_says_how_many_there_are() -> None:
    with pytest.raises(UserError, match=r"Did you mean experiments/owl_demo\.yml"):
        load_experiment(Path("experiments/owl_dmo.yml"))
    with pytest.raises(UserError, match=r"experiments/ has \d+ of them; experiments/README\.md says how"):
        load_experiment(Path("experiments/nothing.yml"))


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("1:30", "1:30 is a number in base 60 to YAML (write it as one number, or in quotes) at line 1, column 6"),
        ("1:30.5", "1:30.5 is a number in base 60"),
        (
            "[010, 8]",
            "010 has a leading zero, by which YAML counts in eights (write it without, or in quotes) at line",
        ),
        ("[08]", "08 has a leading zero"),
        ("{-007: a}", "-007 has a leading zero"),
    ],
)
def test_a_number_that_yaml_reads_otherwise_is_refused(written: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.yml"
    path.write_text(f"key: {written}\n")
    for read in (load_experiment, read_criterion):
        with pytest.raises(UserError, match=re.escape(said)):
            read(path)


def test_other_numbers_and_texts_are_read_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "plain.yml"
    path.write_text("key: [0, -1, 0.5, 1_000, '010', \"1:30\", 2026-01-01, a:30, 0x1F]\n")
    assert read_recipe(path)[0]["key"] == [0, -1, 0.5, 1000, "010", "1:30", date(2026, 1, 1), "a:30", 31]


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
    pinned = plan_of(DEMO, tmp_path, model=model, model_sha256=right)
    assert keys_of(pinned) == keys_of(plan_of(DEMO, tmp_path, model=model)), "a pin changes no stage"
    with pytest.raises(UserError, match=f"has sha256 {right}, fetched from hub, and the experiment is for {'0' * 64}"):
        plan_of(DEMO, tmp_path, model=model, model_sha256="0" * 64)
    empty = _model_folder(tmp_path / "empty", None)
    with pytest.raises(UserError, match=r"model\.safetensors is not there, and the experiment names its sha256"):
        plan_of(DEMO, tmp_path, model=empty, model_sha256=right)


def test_weights_of_another_base_are_compared_too(tmp_path: Path) -> None:
    other = {"model": _model_folder(tmp_path / "m"), "model_sha256": "0" * 64, "recipe": "recipes/owl_student.yml"}
    with pytest.raises(UserError, match="and the experiment is for 0000"):
        plan_of(DEMO, tmp_path, arms=["other_base"], other_base=other)


def test_a_pinned_model_that_is_not_there_can_be_planned_and_not_run(tmp_path: Path) -> None:
    path = changed(DEMO, tmp_path, model=str(tmp_path / "absent"), model_sha256="0" * 64)
    experiment = load_experiment(path)
    assert expand(experiment, root=tmp_path).stages
    with pytest.raises(UserError, match=r"There is no folder .*absent.*scripts/fetch_model\.py absent"):
        run_experiment(experiment, root=tmp_path, cores=1, gpus=None, words=[])


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
    path = changed(ANIMALS, tmp_path, **changes)
    with pytest.raises(UserError, match=re.escape(words)):
        load_experiment(path)


def test_an_adapter_s_first_weights_must_be_stated_and_a_whole_model_has_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape("`student.lora_init` is missing: `own` gives")):
        load_experiment(changed(QWEN, tmp_path, student__lora_init=None))
    pocket = REPO_ROOT / "experiments" / "pocket_demo.yml"
    with pytest.raises(UserError, match="trains no adapter, so delete it"):
        load_experiment(changed(pocket, tmp_path, student__lora_init="own"))
