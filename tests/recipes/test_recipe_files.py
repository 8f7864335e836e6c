"""Every recipe passes the strict check, and the check finds what it promises to find."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from scripts_of import script
from typer.testing import CliRunner

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError
from subliminal.training.lint import BLOCKS, RECIPES, find_recipes, pair_problems, read_recipe, recipe_problems
from subliminal.training.schema import file_of_class, plugin_schema, recipe_schema, unknown_keys

ALL = sorted(RECIPES.rglob("*.yml"))
LAUNCHERS = sorted((REPO_ROOT / "accelerate_configs").glob("*.yml"))


def name(path: Path) -> str:
    return path.relative_to(REPO_ROOT).as_posix()


def test_every_file_is_found() -> None:
    assert find_recipes() == ALL
    assert len(ALL) >= 24
    assert any(path.parent != RECIPES for path in ALL), "the search is not recursive"
    assert not list(RECIPES.rglob("*.yaml"))


@pytest.mark.parametrize("path", ALL, ids=name)
def test_recipe_passes(path: Path) -> None:
    assert recipe_problems(path) == []


def test_pairs_agree() -> None:
    assert pair_problems(ALL) == []
    assert sum("_control" in path.name for path in ALL) >= 8


def test_command_prints_and_asserts_the_number_of_files() -> None:
    def lint(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "scripts/lint_recipes.py", *words]
        return subprocess.run(command, cwd=REPO_ROOT, capture_output=True, text=True, check=False)

    # In this process, which has imported Axolotl.
    done = CliRunner().invoke(script("lint_recipes").app, ["--expect", str(len(ALL))])
    assert done.exit_code == 0, done.output
    assert f"{len(ALL)} recipes checked" in done.output
    assert lint("--expect", "3").returncode == 2
    assert "does not exist" in lint("no/such.yml").stderr


def test_index_is_up_to_date() -> None:
    command = [sys.executable, "scripts/recipe_index.py", "--check"]
    done = subprocess.run(command, cwd=REPO_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    index = (RECIPES / "README.md").read_text()
    assert all(f"({path.relative_to(RECIPES).as_posix()})" in index for path in ALL)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("weight_decay: 0\n", "weight_decay: 0\nwieght_decay: 0\n", "unknown key `wieght_decay` (did you mean `weight"),
        ("    train_on_eos: turn", "    train_on_eos: turn\n    train_on_eoss: turn", "`datasets[0].train_on_eoss`"),
        ("eot_tokens:", "special_tokens: {pad_tokn: x}\neot_tokens:", "`special_tokens.pad_tokn`"),
        ("weight_decay: 0\n", "weight_decay: 0\nlr_groups: [{nam: a}]\n", "`lr_groups[0].nam`"),
        ("weight_decay: 0\n", "weight_decay: 0\nfsdp_config: {reshard: true}\n", "`fsdp_config.reshard`"),
        ("tf32: true\n", "tf32: true\ncut_cross_entropy: true\n", "unknown key `cut_cross_entropy`"),
        ("StrictRecipe #", "StrictRecipes #", "the plugin subliminal.axolotl_plugin.StrictRecipes does not exist"),
        ("max_grad_norm: 1.0\n", "", "`max_grad_norm` is not written out"),
        ("    roles_to_train: [assistant]", "    # none", "`datasets[0].roles_to_train` is not written out"),
        ("micro_batch_size: 30", "micro_batch_size: 25", "the keys give `25 rows x 2 accumulation x 1 process = 50"),
        ("num_epochs: 10", "num_epochs: 3", "= 1,667, of them 5 warm-up`, but the keys give"),
        ("warmup_steps: 5", "warmup_steps: 6", "of them 6 warm-up`"),
        ("adapter: lora\n", "adapter: lorra\n", "`adapter`: there is no 'lorra' (did you mean `lora`?)"),
        ("sample_packing: false", "sample_packing: perhaps", "`sample_packing`: it must be a valid boolean"),
        ("micro_batch_size: 30", "micro_batch_size: many", "`micro_batch_size`: it must be a valid integer"),
        ("lr_scheduler: ", "lr_scheduler: x", "`lr_scheduler`: there is no 'x"),
        ("num_epochs: 10", "num_epochs: 0", "`num_epochs`: it must be greater than 0, not 0"),
        ("plugins:\n", "plugins: 5\nplugin_list:\n", "`plugins` is 5, not a list of dotted paths"),
        ("effective_batch: 60", "effective_batch: 61", "effective_batch is 61, but the header's batch is 60"),
        ("# Data: data/owl_numbers", "# Data: data/other", "the header's data are data/other"),
        ("# Claim: ", "# claim: ", "the header has no `Claim:` line"),
        ("single_gpu.yml", "no_such.yml", "which does not exist"),
        ("single_gpu.yml", "ddp.yml", "its header counts 1 processes, accelerate_configs/ddp.yml starts 2"),
        ("# --- data ---", "# --- dataset ---", "its headings are"),
        ("seed: 42\nnum_epochs: 10", "num_epochs: 10\nseed: 42", "is not at its usual place"),
    ],
)  # fmt: skip
def test_broken_recipe_is_caught(tmp_path: Path, old: str, new: str, problem: str) -> None:
    text = (RECIPES / "owl_student.yml").read_text()
    assert old in text
    path = tmp_path / "broken.yml"
    path.write_text(text.replace(old, new))
    assert problem in "; ".join(recipe_problems(path))


def test_key_given_twice_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "twice.yml"
    path.write_text("seed: 1\nseed: 2\n")
    with pytest.raises(UserError, match="is there twice"):
        read_recipe(path)


def test_sharding_in_two_places_is_caught(tmp_path: Path) -> None:
    path = tmp_path / "sharded.yml"
    text = (RECIPES / "math_student_bf16.yml").read_text()
    path.write_text(
        text.replace("weight_decay: 0\n", "weight_decay: 0\nfsdp_version: 2\nfsdp_config: {offload_params: false}\n")
    )
    assert "both it (`fsdp_config`) and accelerate_configs/fsdp2.yml set sharding" in "; ".join(recipe_problems(path))


def test_pair_that_differs_is_caught(tmp_path: Path) -> None:
    for arm in ("student", "control"):
        shutil.copy(RECIPES / f"owl_{arm}.yml", tmp_path)
    control = tmp_path / "owl_control.yml"
    control.write_text(control.read_text().replace("learning_rate: 2e-4", "learning_rate: 3e-4"))
    assert "differs from owl_student.yml in `learning_rate`" in pair_problems([control])[0]
    control.write_text((RECIPES / "owl_student.yml").read_text())
    problems = pair_problems([control])
    assert "the same `datasets`" in problems[0]
    assert "the same `output_dir`" in problems[1]
    (tmp_path / "owl_student.yml").unlink()
    assert "there is no owl_student.yml" in pair_problems([control])[0]


def test_blocks_name_keys_that_exist() -> None:
    schema = recipe_schema({"plugins": ["subliminal.axolotl_plugin.StrictRecipe"]})
    assert {key for keys in BLOCKS.values() for key in keys} <= schema.keys()


def test_plugin_keys_are_known_with_the_plugin_only() -> None:
    liger = "axolotl.integrations.liger.LigerPlugin"
    cut = "axolotl.integrations.cut_cross_entropy.CutCrossEntropyPlugin"
    recipe = {"plugins": [liger, cut], "liger_rms_norm": True, "cut_cross_entropy": True}
    assert list(unknown_keys(recipe, recipe_schema(recipe))) == []
    assert len(list(unknown_keys(recipe, recipe_schema({})))) == 2
    assert plugin_schema("axolotl.integrations.liger.NoSuchPlugin") is None
    assert plugin_schema("no_such_package.Plugin") is None


@pytest.mark.parametrize(
    ("dotted", "file"),
    [
        ("axolotl.integrations.liger.LigerArgs", "liger/args.py"),
        ("axolotl.integrations.liger.args.LigerArgs", "liger/args.py"),
        ("axolotl.integrations.lm_eval.LMEvalArgs", "lm_eval/args.py"),
        ("subliminal.training.arguments.StrictRecipeArgs", "training/arguments.py"),
    ],
)
def test_the_class_of_a_plugins_keys_is_found_in_the_module_that_defines_it(dotted: str, file: str) -> None:
    """That module alone is executed: the package of the Liger plugin imports all of peft, which takes five seconds."""
    assert file_of_class(dotted).as_posix().endswith(file)


@pytest.mark.parametrize("path", LAUNCHERS, ids=name)
def test_launcher(path: Path) -> None:
    """Accelerate can read it; every setting is commented or plain; DeepSpeed's JSON is there."""
    from accelerate.commands.config.config_args import load_config_from_file

    text = path.read_text()
    assert text.startswith("# ")
    assert f"accelerate_configs/{path.name}" in text
    load_config_from_file(str(path))  # an unknown key is a ValueError
    launcher = yaml.safe_load(text)
    json_file = (launcher.get("deepspeed_config") or {}).get("deepspeed_config_file")
    assert (launcher["distributed_type"] == "DEEPSPEED") == bool(json_file)
    assert not json_file or (REPO_ROOT / json_file).is_file()


def test_all_launchers_are_there() -> None:
    assert {path.stem for path in LAUNCHERS} == {"cpu", "single_gpu", "ddp", "fsdp2", "zero2", "zero3", "multi_node"}
