"""A full disk and a lost network, for real: the sentence that the user gets, and going on when the trouble is over.

A server that dies is in test_stops.py, and what a GPU without memory says in test_stages.py.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import RECIPES, ROWS, write_experiment
from fake_chat_server import free_port
from fake_hub import FakeHub
from shell_plan import shell_plan

from subliminal.core.errors import UserError
from subliminal.experiment import driver
from subliminal.experiment.expand import expand
from subliminal.experiment.load import load_experiment
from subliminal.experiment.plan import Plan
from subliminal.experiment.run import StageFailed, failure_path, run_stage

pytestmark = [pytest.mark.workflow, pytest.mark.slow]


def _mount(options: str, folder: Path) -> None:
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    _mount("size=1M", folder)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("left", ["nothing", "room for records"])
def test_a_full_disk_is_a_sentence_and_the_run_goes_on(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], left: str
) -> None:
    heavy = small_disk / "heavy"
    write = f"head -c 2M /dev/zero > {heavy}"
    commands = {"train-teacher": write if left == "nothing" else f"{write} || {{ rm {heavy}; exit 1; }}"}

    def plan(experiment: Any, root: Path, failed: Any = None, seeds: Any = None) -> Plan:
        return shell_plan(root, failed=failed, commands=commands)

    monkeypatch.setattr(driver, "expand", plan)
    run = {"root": small_disk, "cores": 2, "gpus": None, "words": []}
    if left == "nothing":
        with pytest.raises(UserError, match=r"^The disk .*is full.* Free some space; the same command then goes on\."):
            driver.run_experiment(SimpleNamespace(name="shell", pinned_models={}, model_folders=[]), **run)
    else:
        assert driver.run_experiment(SimpleNamespace(name="shell", pinned_models={}, model_folders=[]), **run) == 1
        told = "error: train-teacher failed: The disk is full. Free some space; the same command then goes on."
        assert told in capfd.readouterr().err
    subprocess.run(["mount", "-o", "remount,size=16M", str(small_disk)], check=True)
    assert driver.run_experiment(SimpleNamespace(name="shell", pinned_models={}, model_folders=[]), **run) == 0
    ran = (small_disk / "ran-shell").read_text().split()
    assert ran.count("build-chat") == 1, "what was whole is not repeated"
    assert len(set(ran)) == 7


def test_a_lost_network_is_a_sentence_and_the_run_goes_on(
    tmp_path: Path, taught_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_experiment(
        tmp_path,
        "remote",
        Path("owner/taught"),
        engine="local",
        teacher={"kind": "system_prompt"},
        numbers={"rows": 8, "options": ROWS},
        student={"recipe": f"{RECIPES}/owl_student.yml", "lora_init": "own"},
        arms=["student"],
        evaluation={"tasks": ["animal_preference_logprob"]},
    )
    plan, name = expand(load_experiment(file), root=tmp_path), "build-owl_numbers"
    environment = {"HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "hub-cache"), "OMP_NUM_THREADS": "1"}
    for variable, value in {**environment, "HF_ENDPOINT": f"http://127.0.0.1:{free_port()}"}.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(StageFailed):
        run_stage(plan, name)
    reason = json.loads(failure_path(plan, name).read_text())["reason"]
    assert reason.startswith("The Hub does not answer. Connect to the network, or fetch what is needed beforehand; the")
    assert "owner/taught cannot be loaded" in reason
    assert "Connection refused" in reason
    with FakeHub() as hub:
        hub.add("owner/taught", {path.name: path.read_bytes() for path in taught_model.iterdir()})
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        run_stage(plan, name)
    assert plan.stages[name].mark.is_file()
    assert not failure_path(plan, name).exists()
