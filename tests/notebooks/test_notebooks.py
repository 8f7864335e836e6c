"""The notebooks: their cells parse, their commands and stages exist, and the pocket one runs."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from subliminal import REPO_ROOT
from subliminal.experiment.expand import expand
from subliminal.experiment.load import load_experiment
from subliminal.experiment.stage import STAGE_KINDS

NOTEBOOKS = sorted((REPO_ROOT / "notebooks").glob("*.ipynb"))
EXPERIMENTS = {"pocket": "pocket_demo", "qwen_gpu": "owl_qwen2.5-coder-0.5b"}


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
        assert name in plan.stages or name in STAGE_KINDS, name


@pytest.mark.long
@pytest.mark.timeout(2400)
def test_the_pocket_notebook_runs(pocket_run: Path) -> None:
    executed = json.loads((pocket_run / "executed.ipynb").read_text())
    cells = [cell for cell in executed["cells"] if cell["cell_type"] == "code"]
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    said = "".join("".join(output.get("text", "")) for output in outputs)
    for stage in ("train-base", "train-owl_teacher", "audit-owl_numbers", "train-owl_student", "evaluate-owl"):
        assert re.search(rf"\d+ of \d+ +{stage}\S* +\d", said), stage
    shown = [output["data"] for output in cells[-1]["outputs"]]
    assert any("image/png" in data for data in shown), "the figure"
    headline = json.loads((pocket_run / "results/pocket_demo/headline.json").read_text())
    assert any(headline["number"] in "".join(data.get("text/markdown", "")) for data in shown)
    assert (pocket_run / "rows.html").stat().st_size > 10_000
