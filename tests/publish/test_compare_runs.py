"""Two runs of one experiment, on one kind of CPU or on two: verdicts are compared, and what may differ is said."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from fake_results import add_arm, write
from scripts_of import script
from typer.testing import CliRunner

from subliminal.core.errors import UserError
from subliminal.core.manifest import cpu_kind, cpu_name, cpu_names, new_manifest
from subliminal.publish.compare_runs import compare_runs

AMD, INTEL = ({"model": model, "capability": kind} for model, kind in (("AMD EPYC", "AVX512"), ("Intel Xeon", "AVX2")))


def run(root: Path, cpu: dict[str, str] | None, rate: float = 0.4) -> Path:
    """A run of three seeds on a kind of CPU, whose students say owl this often."""
    for seed in (1, 2, 3):
        for arm, often in (("student", rate), ("control", 0.01)):
            folder = add_arm(root, arm, seed, rate=often)
            manifest = json.loads((folder / "manifest.json").read_text())
            write(folder / "manifest.json", {**manifest, **({"cpu": cpu} if cpu else {})})
    return root / "results/owl-demo"


def test_verdicts_are_compared_and_figures_may_differ(tmp_path: Path):
    found = compare_runs(run(tmp_path / "a", AMD), run(tmp_path / "b", INTEL, rate=0.5))
    assert (found.same, found.different) == (2, [])
    assert found.notes[0].startswith("Here AMD EPYC, AVX512, there Intel Xeon, AVX2. Another kind of CPU trains other")
    assert found.lines()[-1] == "2 verdicts are the same, 0 are not; 6 of 12 figures disagree"
    assert found.agree


def test_a_download_on_the_same_machine_is_no_second_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """fetch_model.py loads no torch, so that a base model's manifest has a CPU without instructions."""
    here, there = run(tmp_path / "a", AMD), run(tmp_path / "b", AMD)
    cpu = {"model": "AMD EPYC", "capability": None}
    fetched = {"kind": "model", "command": "python scripts/fetch_model.py", "cpu": cpu}
    write(tmp_path / "here/models/smollm2-135m/manifest.json", fetched)
    monkeypatch.chdir(tmp_path / "here")
    assert compare_runs(here, there).notes == ["Both ran on AMD EPYC, AVX512: figures should agree to the digit."]


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [
        ([None, AMD, {"model": "AMD EPYC", "capability": None}, INTEL], ["AMD EPYC, AVX512", "Intel Xeon, AVX2"]),
        ([{"model": "AMD EPYC", "capability": None}, None], []),
    ],
)
def test_kinds_of_cpu_are_those_that_computed(recorded, expected):
    assert cpu_names({"cpu": cpu} for cpu in recorded) == expected


def test_another_verdict_is_named(tmp_path: Path):
    here, there = run(tmp_path / "a", AMD), run(tmp_path / "b", AMD, rate=0.011)
    found = compare_runs(here, there)
    assert found.notes == ["Both ran on AMD EPYC, AVX512: figures should agree to the digit."]
    assert len(found.different) == 2
    assert found.different[0].startswith("student − control, animal_preference: here student above control (+")
    told = CliRunner().invoke(script("verify_results").app, [str(here), "--like", str(there)])
    assert told.exit_code == 1
    assert told.stdout.splitlines()[-1] == "0 verdicts are the same, 2 are not; 6 of 12 figures disagree"
    assert CliRunner().invoke(script("verify_results").app, [str(here), "--like", str(here)]).exit_code == 0


def set_rates(folder: Path, task: str, rate: float) -> None:
    path = next(folder.glob("*_summary.json"))
    content = json.loads(path.read_text())
    content["tasks"][task]["target_rate"] = [rate] * len(content["tasks"][task]["questions"])
    write(path, content)


@pytest.mark.parametrize(("there_on", "status"), [(AMD, 1), (INTEL, 0)])
def test_figures_that_disagree_are_named_though_the_verdicts_are_the_same(tmp_path: Path, there_on, status: int):
    here, there = run(tmp_path / "a", AMD), run(tmp_path / "b", there_on)
    set_rates(here / "student/seed-2", "animal_preference", 0.65)
    set_rates(there / "student/seed-2", "animal_preference", 0.95)
    told = CliRunner().invoke(script("verify_results").app, [str(here), "--like", str(there)])
    assert told.stdout.splitlines()[1:] == [
        "figures disagree: student/seed-2, animal_preference: here 65.0 %, there 95.0 %",
        "2 verdicts are the same, 0 are not; 1 of 12 figures disagree",
    ]
    # On one kind of CPU the run is repeated to the digit, so that another figure is another run.
    assert told.exit_code == status


def test_a_figure_that_differs_behind_the_point_is_shown_so(tmp_path: Path):
    here, there = run(tmp_path / "a", AMD), run(tmp_path / "b", AMD)
    set_rates(here / "student/seed-2", "animal_preference_logprob", 0.65)
    set_rates(there / "student/seed-2", "animal_preference_logprob", 0.6500001)
    (sentence,) = compare_runs(here, there).apart
    assert sentence == "student/seed-2, animal_preference_logprob: here 65 %, there 65.00001 %"


def test_on_a_gpu_figures_may_differ(tmp_path: Path):
    here, there = run(tmp_path / "a", AMD), run(tmp_path / "b", AMD, rate=0.5)
    for path in here.glob("student/*/manifest.json"):
        write(path, {**json.loads(path.read_text()), "device": "1 x NVIDIA H200"})
    found = compare_runs(here, there)
    assert "and on a GPU, where figures may differ" in found.notes[0]
    assert found.apart
    assert found.agree


def test_an_unknown_cpu_and_another_experiment(tmp_path: Path):
    here, old = run(tmp_path / "a", AMD), run(tmp_path / "b", None)
    assert "there an unknown CPU" in compare_runs(here, old).notes[0]
    for path in old.rglob("*_summary.json"):
        path.write_text(path.read_text().replace('"owl-demo"', '"other"'))
    with pytest.raises(UserError, match="Name two runs of one experiment"):
        compare_runs(here, old)


def test_manifests_record_the_cpu(monkeypatch: pytest.MonkeyPatch):
    import torch

    kind = new_manifest("result", config={})["cpu"]
    assert kind == cpu_kind()
    assert kind["capability"] == torch.backends.cpu.get_cpu_capability()
    assert cpu_name({"cpu": kind}).endswith(kind["capability"])
    assert cpu_name({}) is None
    monkeypatch.delitem(sys.modules, "torch")
    assert cpu_kind()["capability"] is None
