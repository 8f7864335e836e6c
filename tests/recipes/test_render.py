"""A rendered recipe is complete, keeps its comments, says where it comes from, and passes the strict check."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from scripts_of import script
from typer.testing import CliRunner

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError
from subliminal.training import VALUES_CHECKED
from subliminal.training.header import header_lines
from subliminal.training.lint import RECIPES, recipe_problems
from subliminal.training.render import Edit, render_recipe

ALL = sorted(RECIPES.rglob("*.yml"))


def rendered(path: Path, *settings: str) -> str:
    return render_recipe(
        path.read_text(), [Edit.parse(text) for text in settings], source="SOURCE", output="out/new.yml"
    )


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_round_trip_of_every_recipe(path: Path, tmp_path: Path) -> None:
    text = rendered(
        path, "seed=7", "output_dir=outputs/new", "datasets[0].path=data/other/train.jsonl", "warmup_steps=9"
    )
    new = tmp_path / "new.yml"
    new.write_text(text)
    assert recipe_problems(new) == []
    before, after = yaml.safe_load(path.read_text()), yaml.safe_load(text)
    assert after["datasets"][0].pop("path") == "data/other/train.jsonl"
    before["datasets"][0].pop("path")
    assert after == before | {"seed": 7, "output_dir": "outputs/new", "warmup_steps": 9}
    assert text.count("#") >= path.read_text().count("#"), "a comment was lost"
    header = header_lines(text)
    assert header["Origin"].startswith("SOURCE --set seed=7")
    assert header["Run"].endswith("-m axolotl.cli.train out/new.yml")
    assert header["Expect"] == "not measured yet"


@pytest.mark.parametrize(
    ("setting", "where", "value"),
    [
        ("lora_r=2", ["lora_r"], 2),
        ("learning_rate=8e-4", ["learning_rate"], 8e-4),
        ("hub_model_id=me/owl", ["hub_model_id"], "me/owl"),
        ("bf16=false", ["bf16"], False),
        ("lora_target_modules=[q_proj, v_proj]", ["lora_target_modules"], ["q_proj", "v_proj"]),
        ("peft_layers_to_transform=[0, 7]", ["peft_layers_to_transform"], [0, 7]),
        ("datasets[0].revision=abc123", ["datasets", 0, "revision"], "abc123"),
        ("datasets[0].roles_to_train[0]=user", ["datasets", 0, "roles_to_train", 0], "user"),
        ("plugins=[a.B, c.D]", ["plugins"], ["a.B", "c.D"]),
        ('eot_tokens=["</s>"]', ["eot_tokens"], ["</s>"]),
        ("use_wandb=true", ["use_wandb"], True),
    ],
)
def test_one_value_changes_and_nothing_else(setting: str, where: list[str | int], value: object) -> None:
    path = RECIPES / "owl_student.yml"
    before, after = yaml.safe_load(path.read_text()), yaml.safe_load(rendered(path, setting))
    found, old = after, before
    for step in where[:-1]:
        found, old = found[step], old[step]
    assert found[where[-1]] == value
    old[where[-1]] = value
    assert after == before


@pytest.mark.parametrize("setting", ["seed", "=7", "a b=1", "datasets[0]path=x", "datasets[3].path=x", "no.such=1"])
def test_bad_setting_is_a_sentence(setting: str) -> None:
    with pytest.raises(UserError, match="--set"):
        rendered(RECIPES / "owl_student.yml", setting)


def test_batch_arithmetic_is_done_again() -> None:
    settings = ("micro_batch_size=4", "gradient_accumulation_steps=5", "effective_batch=20", "num_epochs=1")
    header = header_lines(rendered(RECIPES / "owl_student.yml", *settings))
    assert header["Batch"] == "4 rows x 5 accumulation x 1 process = 20 rows a step"
    assert header["Steps"] == "10,000 rows x 1 epoch / 20 = 500, of them 5 warm-up"


@pytest.mark.parametrize(
    ("epochs", "line"),
    [("4.0", "4 epochs / 60 = 667"), ("1.0", "1 epoch / 60 = 167"), ("2.5", "2.5 epochs / 60 = 417")],
)
def test_epochs_may_be_written_as_a_decimal_number(epochs: str, line: str) -> None:
    """A sweep over epochs sets 1.0, and Axolotl takes two and a half."""
    header = header_lines(rendered(RECIPES / "owl_student.yml", f"num_epochs={epochs}"))
    assert header["Steps"] == f"10,000 rows x {line}, of them 5 warm-up"


def command(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "scripts/render_recipe.py", *words]
    variables = {**os.environ, **environment}
    return subprocess.run(line, cwd=REPO_ROOT, env=variables, capture_output=True, text=True, check=False)


def test_rows_of_the_data_can_be_stated() -> None:
    text = (RECIPES / "owl_student.yml").read_text()
    changes = [Edit.parse("datasets[0].path=data/other/train.jsonl")]
    header = header_lines(render_recipe(text, changes, source="SOURCE", output="out/new.yml", rows=600))
    assert header["Data"] == "data/other, 600 rows"
    assert header["Steps"].startswith("600 rows x 10 epochs / 60 = 100,")


def test_command(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "seed-7.yml"
    done = command("recipes/owl_student.yml", "--set", "seed=7", "-o", str(out))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(out)
    assert yaml.safe_load(out.read_text())["seed"] == 7

    def refusal(setting: str, file: Path) -> UserError:
        """Of the command in this process, which has imported Axolotl."""
        words = [str(RECIPES / "owl_student.yml"), "--set", setting, "-o", str(file)]
        return CliRunner().invoke(script("render_recipe").app, words).exception

    assert "exists" in str(refusal("seed=8", out))
    assert yaml.safe_load(out.read_text())["seed"] == 7
    wrong = refusal("sed=8", tmp_path / "x.yml")
    assert isinstance(wrong, UserError)
    assert "did you mean `seed`?" in str(wrong)
    assert not list(tmp_path.glob("*x*"))


def test_values_that_the_plan_checked_cost_no_import_of_axolotl(tmp_path: Path) -> None:
    source, out = "recipes/owl_student.yml", tmp_path / "checked.yml"
    told = {VALUES_CHECKED: "1", "PYTHONPROFILEIMPORTTIME": "1"}
    checked = command(source, "--set", "seed=7", "-o", str(out), **told)
    assert checked.returncode == 0, checked.stderr[-2000:]
    assert "subliminal.training.render" in checked.stderr
    assert not {"torch", "axolotl.utils.schemas"} & {
        line.rpartition("|")[2].strip() for line in checked.stderr.splitlines()
    }
    assert yaml.safe_load(out.read_text()) == {**yaml.safe_load((REPO_ROOT / source).read_text()), "seed": 7}
    unknown = command(source, "--set", "sed=8", "-o", str(tmp_path / "x.yml"), **told)
    assert unknown.returncode == 2
    assert "did you mean `seed`?" in unknown.stderr
