"""The Modal app without an account: import, phases, arguments, and the commands that it would run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml
from scripts_of import script

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError
from subliminal.experiment.cloud_phases import PHASES, steps_of
from subliminal.training.header import header_lines

COMMANDS = [step.command for step in steps_of()]
NESTED = [words[words.index("--run") + 1] for words in map(shlex.split, COMMANDS) if "--run" in words]


def test_phases_in_the_order_in_which_they_need_each_other():
    assert list(PHASES) == ["train_teacher", "generate", "train_student", "evaluate"]
    assert steps_of() == steps_of("") == [step for phase in PHASES for step in steps_of(phase)]
    with pytest.raises(UserError, match=r"There is no phase 'train'\. Choose one of: train_teacher"):
        steps_of("train")


def test_what_a_phase_reads_an_earlier_one_makes():
    made: set[str] = set()
    for step in steps_of():
        for path in re.findall(r"(?<![\w/])outputs/\w+", step.command):
            assert f"{path}/manifest.json" in made, f"{step.command} needs {path}"
        for recipe in re.findall(r"recipes/\w+\.yml", step.command):
            content = yaml.safe_load((REPO_ROOT / recipe).read_text())
            assert str(Path(content["datasets"][0]["path"]).parent / "manifest.json") in made
            assert step.makes == f"{content['output_dir']}/manifest.json"
        made.add(step.makes or "")


@pytest.mark.parametrize("command", [*COMMANDS, *NESTED], ids=lambda command: command.split("--")[0][:60])
def test_every_command_exists_and_takes_its_options(command: str):
    words = shlex.split(command)
    if words[0] == "accelerate":
        assert words[:2] == ["accelerate", "launch"]
        assert (REPO_ROOT / words[words.index("--config_file") + 1]).is_file()
        assert (REPO_ROOT / words[-1]).is_file()
        return
    if words[1] == "-m":
        app, arguments = __import__(words[2], fromlist=["app"]).app, words[3:]
    else:
        app, arguments = script(Path(words[1]).stem).app, words[2:]
    typer.main.get_command(app).make_context(words[1], arguments)  # unknown options and wrong values end here


def test_commands_are_those_of_the_readme_and_of_the_recipes():
    readme = " ".join((REPO_ROOT / "README.md").read_text().replace("\\\n", " ").split()).split()
    for command in NESTED:
        for word in command.replace(" --resume", "").split():
            assert any(word == each.strip('"') for each in readme), f"{word} of {command}"
    for command in COMMANDS:
        if command.startswith("accelerate"):
            recipe = (REPO_ROOT / command.split()[-1]).read_text()
            assert header_lines(recipe)["Run"] == command


@pytest.fixture(scope="module")
def app_module():
    pytest.importorskip("modal", reason="modal comes with axolotl in .venv: make setup")
    return script("modal_app", "cloud")


def test_modal_itself_reads_the_app_and_its_argument(tmp_path, app_module):
    modal = [str(Path(sys.executable).parent / "modal"), "run", "cloud/modal_app.py", "--help"]
    environment = {**os.environ, "HOME": str(tmp_path)}  # no account
    done = subprocess.run(modal, cwd=REPO_ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--phase TEXT" in done.stdout


def test_app_has_one_function_and_one_entrypoint(app_module):
    assert list(app_module.app.registered_functions) == ["execute"]
    assert list(app_module.app.registered_entrypoints) == ["main"]
    assert {str(path) for path in app_module.VOLUMES} == {
        *("/subliminal/data", "/subliminal/outputs", "/subliminal/results", "/root/.cache/huggingface")
    }


def test_uploaded_folder_holds_no_data_environment_or_secret(app_module):
    from modal import FilePatternMatcher

    ignored = FilePatternMatcher(*app_module.NOT_COPIED)
    for path in (
        ".venv/bin/python",
        ".venv-serve/x",
        "data/a/train.jsonl",
        "outputs/x",
        "results/y",
        ".env",
        "wandb/r",
    ):
        assert ignored(Path(path)), path
    for path in ("src/subliminal/engine/server.py", "data_builders/numbers.py", "recipes/owl_student.yml", ".git/HEAD"):
        assert not ignored(Path(path)), path


class Volume:
    commits = 0

    def commit(self) -> None:
        Volume.commits += 1


def test_execute_skips_what_is_done_and_stops_at_a_failure(app_module, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(app_module, "WORKDIR", tmp_path)
    monkeypatch.setattr(app_module, "VOLUMES", {"/data": Volume()})
    execute = app_module.execute.get_raw_f()
    (tmp_path / "done").touch()
    execute([("touch second-run", "done"), ("touch made", "made")])
    assert not (tmp_path / "second-run").exists()
    assert (tmp_path / "made").exists()
    assert Volume.commits == 1
    assert "done already: done" in capsys.readouterr().out
    with pytest.raises(RuntimeError, match="status 3 from: exit 3"):
        execute([("exit 3", None), ("touch later", None)])
    assert not (tmp_path / "later").exists()
    assert Volume.commits == 2, "what a failed command made is kept"


def test_main_sends_the_steps_of_a_phase(app_module, monkeypatch, capsys):
    sent = []

    class Function:
        remote = staticmethod(sent.append)

    monkeypatch.setattr(app_module, "execute", Function)
    main = app_module.main.info.raw_f
    main(phase="generate")
    assert sent == [[tuple(step) for step in steps_of("generate")]]
    main()
    assert sent[-1] == [tuple(step) for step in steps_of()]
    with pytest.raises(SystemExit, match="error: There is no phase 'generat'"):
        main(phase="generat")


def test_axolotl_cloud_file():
    """What axolotl.cli.cloud.modal_ of 0.19 reads; it has no schema, so a misspelt key would be ignored."""
    cloud = yaml.safe_load((REPO_ROOT / "cloud" / "modal.yml").read_text())
    read_by_axolotl = {
        *("provider", "docker_tag", "gpu", "gpu_count", "memory", "memory_preprocess", "timeout", "timeout_preprocess"),
        *("volumes", "secrets", "env", "dockerfile_commands", "branch", "spawn"),
    }
    assert set(cloud) <= read_by_axolotl
    assert cloud["gpu"] == "h100"
    assert all(re.fullmatch(r"[A-Z_]+", name) for name in cloud["secrets"]), "names only, never values"
    locked = re.search(r"^axolotl==(\S+)", (REPO_ROOT / "requirements" / "train.txt").read_text(), re.MULTILINE)[1]
    assert cloud["docker_tag"] == locked
    recipe = yaml.safe_load((REPO_ROOT / "recipes" / "owl_teacher.yml").read_text())
    mounts = [volume["mount"] for volume in cloud["volumes"]]
    for path in (recipe["output_dir"], recipe["datasets"][0]["path"]):
        assert any(f"/workspace/mounts/{path}".startswith(mount) for mount in mounts), path
