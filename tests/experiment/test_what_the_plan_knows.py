"""Mistakes in an experiment file that can be known before anything runs: each is named with the nearest right word."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError
from subliminal.experiment.driver import run_experiment
from subliminal.experiment.load import load_experiment
from subliminal.experiment.options import (
    OPTIONS_SET_BY_EXPERIMENT,
    module_of,
    option_of,
    option_problems,
    parameters,
    value_problem,
)

DEMO = REPO_ROOT / "experiments" / "owl_demo.yml"


def load(folder: Path, source: Path = DEMO, **changes: Any) -> Any:
    """Read a copy of an experiment file with other values; a dotted key reaches into a section."""
    content = yaml.safe_load(source.read_text())
    for dotted, value in changes.items():
        *parents, key = dotted.split("__")
        section = content
        for parent in parents:
            section = section.setdefault(parent, {})
        section[key] = value
    path = folder / source.name
    path.write_text(yaml.safe_dump(content))
    return load_experiment(path)


def problem(folder: Path, source: Path = DEMO, **changes: Any) -> str:
    with pytest.raises(UserError) as error:
        load(folder, source, **changes)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("section", ["base", "teacher", "student"])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", 7),
        ("base_model", "models/pocket"),
        ("datasets", [{"path": "x.jsonl"}]),
        ("output_dir", "outputs/x"),
        ("lora_init_seed", 1),
        ("pretraining_dataset", "x.jsonl"),
    ],
)
def test_overrides_leave_what_the_experiment_sets_alone(section: str, key: str, value: Any, tmp_path: Path) -> None:
    said = problem(tmp_path, **{f"{section}__overrides": {key: value}})
    assert f"`{section}.overrides.{key}` is set by the experiment: " in said


def test_the_ladder_and_the_other_base_leave_it_alone_too(tmp_path: Path) -> None:
    gate = {"at_least": 0.5, "ladder": [{"overrides": {"seed": 7}}]}
    assert "`teacher.gate.ladder[0].overrides.seed` is set by the experiment" in problem(tmp_path, teacher__gate=gate)
    pocket = REPO_ROOT / "experiments" / "owl_pocket_replicates.yml"
    other = {"seed_offset": 9, "overrides": {"seed": 7}}
    said = problem(tmp_path, pocket, arms=["base", "other_base"], other_base=other, criterion=None)
    assert "`other_base.overrides.seed` is set by the experiment" in said


CASES = [
    ({"evaluation__tasks": ["animal_preferense"]}, "no task 'animal_preferense'. Did you mean animal_preference"),
    ({"evaluation__tasks": ["gsm8kk"]}, "no task 'gsm8kk'. Did you mean gsm8k"),
    (
        {"evaluation__epochs": [1], "evaluation__epoch_tasks": ["animal_storry"]},
        "`evaluation.epoch_tasks`: There is no",
    ),
    ({"audit": {"allow": ["digits"]}}, "`audit.allow`: --allow 'digits' is unknown. Choose from: bytes, pass_rate"),
    (
        {"audit": {"allow": ["pass_rates"]}},
        "`audit.allow`: --allow 'pass_rates' is unknown (did you mean `pass_rate`?)",
    ),
    ({"audit": {"ngram": 2}}, "`audit.ngram`: 2 is not in the range x>=5"),
    ({"numbers__options": {"max_tokens": "many"}}, "`numbers.options.max_tokens`: 'many' is not a valid integer"),
    ({"numbers__options": {"max_tokens": 0}}, "`numbers.options.max_tokens`: 0 is not in the range x>=1"),
    ({"numbers__options": {"max_tokens": 2.5}}, "`numbers.options.max_tokens`: '2.5' is not a valid integer"),
    ({"numbers__options": {"max_tokens": [5, 6]}}, "`numbers.options.max_tokens`: it takes one value, not [5, 6]"),
    ({"numbers__options": {"max_tokens": True}}, "`numbers.options.max_tokens`: it takes a"),
    ({"numbers__options": {"temperature": math.nan}}, "`numbers.options.temperature`: it takes a number, not nan"),
    ({"numbers__options": {"top_p": 1.5}}, "`numbers.options.top_p`: 1.5 is not in the range 0.0<=x<=1.0"),
    ({"numbers__options": {"max_prompts": 3}}, "`numbers.options.max_prompts` is 3, and "),
    ({"teacher__options": {"mix": "questoins=1"}}, "`teacher.options.mix`: --mix 'questoins=1'"),
    ({"teacher__options": {"instructions": "OpenHermes"}}, "`teacher.options.instructions`: 'OpenHermes' is neither a"),
    ({"audit": {"against": ["gsm8k"]}}, "`audit.against`: 'gsm8k' is neither a file that exists nor a Hub dataset"),
    ({"server": {"max_modle_len": 512}}, "no option `max_modle_len` that an experiment may set (did you mean `max_m"),
    ({"teacher__options": {"name_only": "perhaps"}}, "`teacher.options.name_only`: it is a switch"),
    ({"evaluation__options": {"samples": -3}}, "`evaluation.options.samples`: -3 is not in the range x>=1"),
    ({"evaluation__options": {"dtype": "float23"}}, "--dtype 'float23' is unknown (did you mean `float32`?)"),
    ({"server": {"gpu_memory_utilization": 90}}, "`server.gpu_memory_utilization`: 90.0 is not in the range"),
    ({"seeds": [-1]}, "`seeds.0` must be 0 or more, not -1"),
    ({"seeds": [1.5]}, "`seeds.0` must be a whole number, not 1.5"),
    ({"seeds": "one"}, "`seeds` must be a list, as [1, 2] or [a, b], not 'one'"),
    ({"seeds": []}, "`seeds` must have 1 or more in it, not []"),
    ({"seeds": [True]}, "`seeds`: true is a switch"),
    ({"numbers__rows": True}, "`numbers.rows`: true is a switch"),
    ({"trait": {"animals": [False]}}, "false is a switch, as yes, no, on and off are, and this key takes none; a word"),
    ({"name": 2026}, "`name` must be text, not 2026: put it in quotes"),
    ({"model": date(2026, 11, 30)}, "`model` must be text, not 2026-11-30: put it in quotes"),
    ({"arms": ["base", "student", "base"]}, "`arms` names base twice"),
    ({"numbers__rows": math.nan}, "`numbers.rows` must be a finite number, not nan"),
    ({"sweep": {"learning_rate": [math.inf]}}, "`sweep.learning_rate.0` must be a finite number, not inf"),
    ({"trait": None}, "`trait` must be keys with values, not nothing"),
    ({"engine": "gpu"}, "`engine`: there is no 'gpu'; there are local, server"),
    ({"seeds_vary": "number"}, "`seeds_vary`: there is no 'number' (did you mean `numbers`?)"),
    ({"arms": ["base", "control_base_number"]}, "no 'control_base_number' (did you mean `control_base_numbers`?)"),
    ({"name": "my experiment"}, "`name`: 'my experiment' is no name of a folder: letters, digits"),
    ({"teacher__builder": "os.system"}, "`teacher.builder`: 'os.system' is no builder: a module of data_builders/"),
    ({"model_sha256": "abc"}, "`model_sha256`: 'abc' is no sha256"),
    ({"launcher": "accelerate_configs/cpuu.yml"}, "does not exist (did you mean `accelerate_configs/cpu.yml`?)"),
    ({"student__recipe": "recipes/owl_studnt.yml"}, "does not exist (did you mean `recipes/owl_student.yml`?)"),
    ({"student__recipe": "recipes/pocket"}, "recipes/pocket is a folder: name a file in it"),
    ({"student__overrides": {"learning_rate": math.inf}}, "`learning_rate`: it must be a finite number, not inf"),
    ({"student__overrides": {"adam_epsilon": -math.inf}}, "`adam_epsilon`: it must be a finite number, not -inf"),
    ({"student__overrides": {"learning_rate": "fast"}}, "`learning_rate`: it must be a valid number"),
    ({"student__overrides": {"num_epochs": -1}}, "`num_epochs`: it must be greater than 0, not -1"),
    ({"student__overrides": {"adapter": "lorra"}}, "`adapter`: there is no 'lorra' (did you mean `lora`?)"),
    ({"student__overrides": {"optimizer": "adamw_torhc"}}, "no 'adamw_torhc' (did you mean `adamw_torch`?)"),
    ({"student__overrides": {"plugins": 5}}, "`student.overrides`: `plugins` is 5, not a list"),
    ({"teacher__overrides": {"sequence_len": [1]}}, "`teacher.overrides` with "),
    ({"evaluation__epochs": [99]}, "`evaluation.epochs` has 99, and `student` ("),
    ({"evaluation__epochs": [1, 1]}, "`evaluation.epochs` names 1 twice"),
    ({"evaluation__epochs": [1], "evaluation__epoch_arms": ["base"]}, "base is none of the `arms` that learn numbers"),
    ({"evaluation__epochs": [1], "evaluation__epoch_arms": ["control_shuffled"]}, "control_shuffled is none of"),
    ({"sweep": {"rank": [2, 2]}}, "`sweep.rank` names 2 twice"),
    ({"sweep": {"learning_rate": [0.00010000001, 0.0001]}}, "`sweep.learning_rate` names 0.0001 twice"),
]


def test_a_model_that_is_not_there_is_named_before_anything_is_made(tmp_path: Path) -> None:
    experiment = load(tmp_path, REPO_ROOT / "experiments" / "pocket_demo.yml", model="models/pockt")
    with pytest.raises(UserError, match="no folder models/pockt, the model of pocket_demo"):
        run_experiment(experiment, root=tmp_path, cores=1, gpus=None, words=[])
    assert not (tmp_path / "data").exists()
    experiment = load(tmp_path, REPO_ROOT / "experiments" / "pocket_demo.yml", model="outputs/other/base")
    with pytest.raises(UserError, match="Correct the name, or run the experiment or the training first that makes it"):
        run_experiment(experiment, root=tmp_path, cores=1, gpus=None, words=[])


@pytest.mark.parametrize(("files", "lacking"), [((), "config.json and no tokenizer"), (("config.json",), "tokenizer")])
def test_a_model_that_is_not_whole_is_named_before_anything_is_made(
    files: tuple[str, ...], lacking: str, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in files:
        (folder / name).write_text("{}")
    # Its base is trained from scratch: weights are not among what is missing.
    experiment = load(tmp_path, REPO_ROOT / "experiments" / "pocket_demo.yml", model=str(folder))
    with pytest.raises(UserError, match=f"model folder {folder} has no {lacking} "):
        run_experiment(experiment, root=tmp_path, cores=1, gpus=None, words=[])
    assert not (tmp_path / "data").exists()


def test_a_task_is_suggested_once(tmp_path: Path) -> None:
    said = problem(tmp_path, evaluation__tasks=["animal_preference_logprobs"])
    assert said.count(" animal_preference_logprob ") == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty. Write its keys, or name another file."),
        ("- a", "is not a mapping of keys to values"),
        ("name: a\nmodel: b\nname: c\n", 'the key "name" is there twice at line 3, column 1'),
        ("a: 1\nb:\n\tc: 2\n", "YAML: there is a tab at line 3, column 1, where only spaces may stand: put spaces in"),
        ("a:\n  b: 1\n  \tc: 2\n", "YAML: there is a tab at line 3, column 3, where only"),
        ("a: >\n\ttext\n", "YAML: there is a tab at line 2, column 1, where only"),
        ("a:\n- @x\n", "YAML: no value can begin with @ at line 2, column 3: put the value in quotes"),
        ("a: [1\nb: 2\n", "did not find expected ',' or ']' at line 2, column 2"),
        (
            "x: &x {a: 1}\ny:\n  <<: *x\n",
            "keys are written out, and not taken over by `<<` at line 3, column 3",
        ),
        ("a: !own 1\n", "must stand in quotes; it would be of the kind '!own' at line 1, column 4"),
        ("trait: !!python/object/apply:os.system [ls]\n", "python/object/apply:os.system' at line 1, column 8"),
    ],
)
def test_a_file_that_is_no_experiment(content: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "x.yml"
    path.write_text(content)
    with pytest.raises(UserError) as error:
        load_experiment(path)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("experiments/owl_pockt.yml", "Did you mean experiments/owl_pocket.yml or "),
        ("owl_pocket.yaml", "Did you mean experiments/owl_pocket.yml or "),
        (str(REPO_ROOT / "experiments"), "That is a folder: name a file in it."),
        ("experiments/zzz.yml", "experiments/README.md says how one is written."),
    ],
)
def test_an_experiment_file_that_is_not_there(path: str, said: str) -> None:
    with pytest.raises(UserError) as error:
        load_experiment(Path(path))
    assert said in str(error.value)


@pytest.mark.parametrize(("changes", "words"), CASES, ids=str)
def test_a_mistake_that_can_be_known_is_named(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    assert words in problem(tmp_path, **changes)


BUILDERS = [
    path.stem for path in sorted((REPO_ROOT / "data_builders").glob("*.py")) if "def verdict_for" in path.read_text()
]
COMMANDS = [*map(module_of, BUILDERS), "data_builders.audit", "scripts/serve.py", "scripts/evaluate.py"]
ANY_TEXT = {
    ("data_builders.audit", "tokenizer"): "a folder that a stage may still have to make, or a Hub id",
    ("data_builders.import_rows", "file"): "a file's name on the Hub",
    ("data_builders.import_rows", "licence"): "a licence may have any name",
    ("data_builders.select", "by"): "a score in a file that a stage makes",
    ("scripts/evaluate.py", "allow_context"): "a hash, compared with the one that there is",
}
"""Options that take any text -> why."""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_that_an_experiment_may_set_is_checked(command: str) -> None:
    """Its name, its type, its range, and the words that it takes."""
    for name in sorted(parameters(command) - OPTIONS_SET_BY_EXPERIMENT):
        kind = option_of(command, name).type
        assert list(option_problems("here", command, {f"{name}s": 1})), f"{name}s is no option"
        assert value_problem(command, name, {"a": "mapping"}), f"{name} takes a mapping"
        takes_any = (command, name) in ANY_TEXT or isinstance(kind, click.Path)
        assert bool(value_problem(command, name, "no such thing: 7?")) != takes_any, name
        if isinstance(kind, click.types.IntParamType | click.types.FloatParamType):
            assert value_problem(command, name, -1), f"{name} has no range"


def test_a_sweep_needs_keys_that_the_recipe_has(tmp_path: Path) -> None:
    pocket = REPO_ROOT / "experiments" / "owl_pocket.yml"
    said = problem(tmp_path, pocket, sweep={"rank": [8, 16]}, criterion=None)
    assert "`sweep.rank`: recipes/pocket/owl_student.yml has no `adapter`" in said
    assert "With it can be swept: learning_rate, epochs, rows" in said
    assert load(tmp_path, pocket, sweep={"learning_rate": [1e-4, 2e-4]}, criterion=None)


def test_epochs_whose_checkpoints_are_not_kept_are_named(tmp_path: Path) -> None:
    overrides = {"num_epochs": 10, "save_strategy": "epoch", "save_steps": None, "save_total_limit": 2}
    said = problem(tmp_path, student__overrides=overrides, evaluation__epochs=[3])
    assert "keeps the last 2 of 10 checkpoints: set `save_total_limit` to 10 in `student.overrides`" in said
    said = problem(tmp_path, student__overrides={**overrides, "save_strategy": "no"}, evaluation__epochs=[3])
    assert "set it to epoch in `student.overrides`" in said
    assert load(tmp_path, student__overrides={**overrides, "save_total_limit": 10}, evaluation__epochs=[3])


def test_a_recipe_with_a_wrong_value_is_named_by_its_file(tmp_path: Path) -> None:
    recipe = tmp_path / "student.yml"
    source = REPO_ROOT / yaml.safe_load(DEMO.read_text())["student"]["recipe"]
    recipe.write_text(source.read_text().replace("adapter: lora", "adapter: lorra"))
    assert f"{recipe}: `adapter`: there is no 'lorra'" in problem(tmp_path, student__recipe=str(recipe))
    recipe.write_text("datasets: 5\n")
    assert f"{recipe}: `datasets` is 5, not a list of mappings" in problem(tmp_path, student__recipe=str(recipe))
