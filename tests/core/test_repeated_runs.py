"""One training counts as one run, whatever its folders are called and however many seeds they claim."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_results import add_arm, write

from subliminal.core.repeated_runs import repeated_runs, weights_of
from subliminal.publish.verify_report import verify
from subliminal.report.load import load_results
from subliminal.report.tables.comparisons import comparisons
from subliminal.report.write import write_report
from subliminal.stats.log_odds import read_table

ONE = "1" * 64


def give_weights(folder: Path, sha256: str) -> None:
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    content["inputs"]["adapter/adapter_model.safetensors"] = {"path": "x", "sha256": sha256}
    write(path, content)


def has_p_over_runs(folder: Path) -> bool:
    """Whether any comparison of arms has a p-value over training runs."""
    return any(each.over and each.over.p is not None for each in comparisons(load_results(folder)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Students of three seeds and controls of three, all of the students with one training's weights."""
    for seed in (1, 2, 10):
        give_weights(add_arm(tmp_path, "student", seed), ONE)
        give_weights(add_arm(tmp_path, "control", seed), f"{seed:064}")
    add_arm(tmp_path, "base")
    return tmp_path / "results" / "owl-demo"


def test_a_report_counts_one_training_once(folder: Path) -> None:
    assert {path.name: first.name for path, first in repeated_runs(folder).items()} == {
        "seed-2": "seed-1", "seed-10": "seed-1",
    }  # fmt: skip
    experiment = load_results(folder)
    assert list(experiment.rates("student", "animal_preference").index) == [1]
    assert list(experiment.rates("control", "animal_preference").index) == [1, 2, 10]
    assert "student/seed-10 has the weights of student/seed-1" in " ".join(experiment.missing)
    assert not has_p_over_runs(folder), "one run has no p"
    write_report(folder)
    assert "the two are one training and count as one run" in (folder / "report.md").read_text()


def test_seeds_of_other_weights_are_still_tested(folder: Path) -> None:
    for seed in (2, 10):
        give_weights(folder / "student" / f"seed-{seed}", f"{seed:064}")
    assert repeated_runs(folder) == {}
    assert has_p_over_runs(folder)


def test_a_criterion_counts_one_training_once(folder: Path) -> None:
    table = read_table(folder, "animal_preference")
    assert {row.seed for row in table if row.arm == "student"} == {1}
    assert {row.seed for row in table if row.arm == "control"} == {1, 2, 10}


def test_verify_names_the_repeats(folder: Path) -> None:
    for path in folder.glob("*/seed-*/manifest.json"):
        content = json.loads(path.read_text())
        arm, seed = path.parts[-3], int(path.parts[-2].removeprefix("seed-"))
        content["config"] |= {"experiment": "owl-demo", "arm": arm, "seed": seed, "target": "owl", "tasks": []}
        write(path, {**content, "outputs": {"smollm2-135m_summary.json": ONE}})
    problems = verify(folder).problems
    assert sum("are one training and count as one run" in problem for problem in problems) == 2


@pytest.mark.parametrize(
    ("manifest", "weights"),
    [
        ({"config": {"adapter": "a"}, "inputs": {"adapter/adapter_model.safetensors": {"sha256": ONE}}}, ONE),
        ({"config": {"model": "m"}, "inputs": {"model/model.safetensors": {"sha256": ONE}}}, ONE),
        ({"config": {"adapter": "a", "model": "m"}, "inputs": {"model/model.safetensors": {"sha256": ONE}}}, "a"),
        ({"config": {"model": "m"}, "inputs": {"model/model.safetensors.index.json": {"sha256": ONE}}}, "m"),
        ({"config": {}}, None),
        ({}, None),
    ],
)
def test_what_tells_weights_apart(manifest: dict, weights: str | None) -> None:
    found = weights_of(manifest)
    assert found == weights or found == f"sha256 {weights}"


def test_shards_tell_weights_apart_and_their_index_does_not() -> None:
    def sharded(second: str) -> dict:
        names = {"model/model.safetensors.index.json": ONE, "model/model-1.safetensors": ONE}
        names |= {"model/model-2.safetensors": second}
        return {"config": {"model": "m"}, "inputs": {name: {"sha256": value} for name, value in names.items()}}

    assert weights_of(sharded("2" * 64)) == weights_of(sharded("2" * 64)) != weights_of(sharded("3" * 64))
