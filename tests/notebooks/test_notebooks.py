"""The notebooks: their cells parse, their commands and stages exist, and the pocket one runs."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from subliminal import REPO_ROOT
from subliminal.experiment.expand import expand
from subliminal.experiment.load import load_experiment
from subliminal.experiment.plan import KINDS

NOTEBOOKS = sorted((REPO_ROOT / "notebooks").glob("*.ipynb"))
EXPERIMENTS = {"pocket": "pocket_demo", "qwen_gpu": "owl_qwen2.5-coder-0.5b"}
JUPYTER = REPO_ROOT / ".venv-notebook/bin/jupyter-execute"
WORKFLOW = REPO_ROOT / ".venv-workflow/bin/snakemake"


def code_cells(path: Path) -> list[str]:
    cells = json.loads(path.read_text())["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def test_notebooks_are_found() -> None:
    assert {path.stem for path in NOTEBOOKS} == set(EXPERIMENTS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_output_is_stored(path: Path) -> None:
    content = json.loads(path.read_text())
    assert content["nbformat"] == 4
    assert all(not cell["outputs"] for cell in content["cells"] if cell["cell_type"] == "code")
    assert len({cell["id"] for cell in content["cells"]}) == len(content["cells"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_command_exists(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPO_ROOT / "Makefile").read_text(), re.MULTILINE))
    for cell in code_cells(path):
        if not cell.startswith("%%bash"):
            ast.parse(cell)
            continue
        script = cell.partition("\n")[2]
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
        for module in re.findall(r"python -m (\S+)", script):
            assert find_spec(module), module
        for file in re.findall(r"(?:scripts|experiments|recipes)/[\w./-]+\.(?:py|yml)", script):
            assert (REPO_ROOT / file).is_file(), file
        for line in re.findall(r"\bmake ([^\n]*)", script):
            assert {word for word in line.split() if "=" not in word} <= targets, line


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_stage_exists(path: Path, monkeypatch) -> None:
    monkeypatch.chdir(REPO_ROOT)
    plan = expand(load_experiment(Path("experiments") / f"{EXPERIMENTS[path.stem]}.yml"))
    asked = re.findall(r"--until (\S+)", "\n".join(code_cells(path)))
    assert len(asked) >= 3
    for name in asked:
        assert name in plan.stages or name in KINDS, name


@pytest.mark.long
@pytest.mark.timeout(2400)
@pytest.mark.skipif(not JUPYTER.exists(), reason="No .venv-notebook here: make setup-notebook")
@pytest.mark.skipif(not WORKFLOW.exists(), reason="No .venv-workflow here: make setup-workflow")
def test_the_pocket_notebook_runs(tmp_path: Path) -> None:
    """With one of its four seeds."""
    out = tmp_path / "executed.ipynb"
    command = [str(JUPYTER), str(REPO_ROOT / "notebooks/pocket.ipynb"), f"--output={out}", "--timeout=-1"]
    environment = {**os.environ, "SEEDS": "51", "ROOT": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=REPO_ROOT / "notebooks", env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    cells = [cell for cell in json.loads(out.read_text())["cells"] if cell["cell_type"] == "code"]
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    said = "".join("".join(output.get("text", "")) for output in outputs)
    for stage in ("train-base", "train-owl_teacher", "audit-owl_numbers", "train-owl_student", "evaluate-owl"):
        assert re.search(rf"\d+ of \d+ +{stage}\S* +\d", said), stage
    shown = [output["data"] for output in cells[-1]["outputs"]]
    assert any("image/png" in data for data in shown), "the figure"
    headline = json.loads((tmp_path / "results/pocket_demo/headline.json").read_text())
    assert any(headline["number"] in "".join(data.get("text/markdown", "")) for data in shown)
    assert (tmp_path / "rows.html").stat().st_size > 10_000
