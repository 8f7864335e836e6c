"""The Modal app without an account: import, arguments, and the command that it would run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml
from scripts_of import script

from subliminal import REPO_ROOT
from subliminal.experiment.__main__ import app as run_app


@pytest.fixture(scope="module")
def app_module():
    pytest.importorskip("modal", reason="modal comes with axolotl in .venv: make setup")
    return script("modal_app", "cloud")


def test_modal_itself_reads_the_app_and_its_argument(tmp_path, app_module):
    modal = [str(Path(sys.executable).parent / "modal"), "run", "cloud/modal_app.py", "--help"]
    environment = {**os.environ, "HOME": str(tmp_path)}  # no account
    done = subprocess.run(modal, cwd=REPO_ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--experiment TEXT" in done.stdout
    assert "--until TEXT" in done.stdout


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


@pytest.mark.parametrize("until", ["", "train", "audit train-owl_teacher"])
def test_execute_runs_the_experiment_and_keeps_what_a_failure_left(app_module, monkeypatch, tmp_path, until):
    monkeypatch.setattr(app_module, "WORKDIR", tmp_path)
    monkeypatch.setattr(app_module, "VOLUMES", {"/data": Volume()})
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$@" > words\nexit $(cat status)\n')
    python.chmod(0o755)
    execute, before = app_module.execute.get_raw_f(), Volume.commits
    (tmp_path / "status").write_text("0")
    execute("experiments/owl_demo.yml", until)
    words = ["-m", "subliminal.experiment", "run", "experiments/owl_demo.yml"]
    for stage in until.split():
        words += ["--until", stage]
    assert (tmp_path / "words").read_text().split() == words
    command = typer.main.get_command(run_app)
    command.make_context("subliminal.experiment", words[2:])  # unknown options end here
    (tmp_path / "status").write_text("3")
    with pytest.raises(RuntimeError, match="status 3 from"):
        execute("experiments/owl_demo.yml", until)
    assert Volume.commits == before + 2


def test_main_sends_the_experiment(app_module, monkeypatch):
    sent = []

    class Function:
        remote = staticmethod(lambda *arguments: sent.append(arguments))

    monkeypatch.setattr(app_module, "execute", Function)
    main = app_module.main.info.raw_f
    main()
    main(until="train")
    assert sent == [("experiments/owl_qwen2.5-7b.yml", ""), ("experiments/owl_qwen2.5-7b.yml", "train")]
    with pytest.raises(SystemExit, match=r"there is no experiments/none\.yml"):
        main(experiment="experiments/none.yml")


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
