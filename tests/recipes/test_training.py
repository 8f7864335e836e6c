"""Axolotl runs of a real recipe with a tiny model: what is written, resume after SIGKILL, two processes, refusals."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from conftest import Runner, ended
from patience import HANG_SECONDS

from subliminal import REPO_ROOT
from subliminal.core.manifest import sha256_of
from subliminal.engine.chat import chat_context_sha256

pytestmark = pytest.mark.slow
STEPS = 80  # 160 rows x 2 epochs / 4


def metrics(output: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def finished(runner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("runs") / "undisturbed"
    status, text = ended(runner.fork(output))
    assert status == 0, text[-3000:]
    assert str(output) in text.splitlines()[-1], "the output path is not the last line"
    assert "1 of 161 rows are dropped" in text
    return output


def test_the_launcher_hands_on_the_recipe_and_what_overrides_it(runner, tmp_path: Path) -> None:
    """In the place of Axolotl is a line: the whole pipeline starts it by the same launcher (``tests/workflow``)."""
    package = tmp_path / "axolotl/cli"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    (package / "train.py").write_text("import json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    status, text = runner.run(tmp_path / "output", PYTHONPATH=str(tmp_path))
    assert status == 0, text[-3000:]
    assert json.loads(text.splitlines()[-1]) == runner.command(tmp_path / "output", {})[1:]


def test_manifest_and_metrics(finished: Path, tiny_model: Path, tiny_data: Path) -> None:
    from safetensors.torch import load_file
    from transformers import AutoTokenizer

    manifest = json.loads((finished / "manifest.json").read_text())
    rows = metrics(finished)
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    assert {"epoch", "loss", "learning_rate", "grad_norm", "tokens_seen", "tokens_trained", "seconds"} <= rows[0].keys()
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert manifest["kind"] == "training"
    recipe = yaml.safe_load((REPO_ROOT / Runner.recipe).read_text())
    assert manifest["config"]["learning_rate"] == recipe["learning_rate"]
    assert manifest["config"]["effective_batch"] == 4
    assert manifest["inputs"]["datasets[0]"]["sha256"] == sha256_of(tiny_data)
    assert manifest["inputs"]["recipe"]["path"].endswith("owl_student.yml")
    assert manifest["counts"] == {"rows": 161, "rows_dropped": 1, "rows_trained_on": 160}
    assert manifest["chat_context_sha256"] == chat_context_sha256(AutoTokenizer.from_pretrained(tiny_model))
    assert manifest["training"]["steps"] == STEPS
    assert manifest["training"]["final_loss"] == rows[-1]["loss"]
    adapter = load_file(finished / "adapter_model.safetensors")
    assert manifest["parameters"]["trainable"] == sum(tensor.numel() for tensor in adapter.values())


def test_tokens_trained_are_the_answers_and_their_end_token(finished: Path) -> None:
    answer = len("000, 000") + 1  # bytes, and the end token
    assert metrics(finished)[0]["tokens_trained"] == 4 * answer


def test_killed_and_resumed_equals_undisturbed(runner, finished: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    output = tmp_path / "killed"
    process = runner.fork(output)
    deadline = time.monotonic() + HANG_SECONDS
    while not (output / "metrics.jsonl").is_file() or len(metrics_so_far(output)) < 25:
        assert process.poll() is None, process.communicate()[0][-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (output / "manifest.json").exists(), "the run ended before it could be killed"
    before = metrics_so_far(output)
    assert [row["loss"] for row in before] == [row["loss"] for row in metrics(finished)[: len(before)]], "same seed"

    torn = output / "checkpoint-999"  # killed while a checkpoint and a row were written
    torn.mkdir()
    (torn / "adapter_model.safetensors").write_bytes(b"half")
    with open(output / "metrics.jsonl", "a") as handle:
        handle.write('{"step": 26, "lo')

    status, text = ended(runner.fork(output))
    assert status == 0, text[-3000:]
    assert "checkpoint-999 is incomplete" in text
    assert re.search(rf"Going on from checkpoint-[246]0 of {STEPS} steps", text)
    rows = metrics(output)
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1)), "a step is missing or there twice"
    for name in ("loss", "learning_rate", "tokens_seen"):
        assert [row[name] for row in rows] == [row[name] for row in metrics(finished)]
    assert [row["seconds"] for row in rows] == sorted(row["seconds"] for row in rows)
    mine, theirs = (load_file(folder / "adapter_model.safetensors") for folder in (output, finished))
    assert mine.keys() == theirs.keys()
    assert all(mine[key].equal(theirs[key]) for key in mine)


def metrics_so_far(output: Path) -> list[dict[str, float]]:
    lines = (output / "metrics.jsonl").read_text().split("\n")[:-1]  # the last one may be half-written
    return [json.loads(line) for line in lines]


def test_two_processes_take_the_same_steps(runner, finished: Path, tmp_path: Path) -> None:
    output = tmp_path / "two"
    torchrun = ["--nproc_per_node", "2", "--master_port", "29613"]
    status, text = ended(runner.fork(output, torchrun=torchrun, gradient_accumulation_steps="1", num_epochs="1"))
    assert status == 0, text[-3000:]
    assert json.loads((output / "manifest.json").read_text())["processes"] == 2
    # Linear decay over one epoch instead of two, so only the warm-up steps are comparable.
    ours, alone = metrics(output)[:5], metrics(finished)[:5]
    assert len(metrics(output)) == STEPS // 2
    assert [row["loss"] for row in ours] == pytest.approx([row["loss"] for row in alone], abs=1e-4)


@pytest.mark.parametrize(
    ("lost", "fp16", "logs"),
    [
        ("gradient", False, {"loss": 2.0, "grad_norm": float("nan")}),
        ("loss", False, {"loss": float("nan"), "grad_norm": float("nan")}),
        ("loss", True, {"loss": float("inf"), "grad_norm": 1.0}),
    ],
)
def test_what_is_no_number_ends_the_run(
    lost: str, fp16: bool, logs: dict[str, float], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from subliminal.training.callbacks import MetricsCallback

    callback = MetricsCallback(tmp_path / "metrics.jsonl")
    args = SimpleNamespace(fp16=fp16, output_dir="outputs/x")
    state = SimpleNamespace(is_world_process_zero=True, global_step=7, epoch=0.5)
    callback.on_log(args, state, None, {"loss": 2.0, "grad_norm": 1.5})
    with pytest.raises(SystemExit):
        callback.on_log(args, state, None, logs)
    assert f"Step 7: the {lost} is no number" in capsys.readouterr().err
    assert [row["loss"] for row in metrics(tmp_path)] == [2.0]


def test_refusal_is_a_sentence_and_leaves_nothing(runner, tmp_path: Path) -> None:
    output = tmp_path / "never"
    status, text = ended(runner.fork(output, learning_rte="1e-4"))
    assert status != 0
    assert "did you mean `learning_rate`?" in text
    assert not output.exists()
