"""Shards of one experiment, put together: what is published of them is what one run would have given."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from test_published import REPLICATES, experiment_file, finish
from test_verify import put

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError
from subliminal.experiment.plan import Plan
from subliminal.publish.archive import read_records, write_records
from subliminal.publish.entries import lay_out
from subliminal.publish.experiment_manifest import write_experiment_manifest
from subliminal.publish.join import join
from subliminal.publish.pack import publish_experiment
from subliminal.publish.run_facts import provenance_of, unrecorded
from subliminal.report.write import write_report

NAME = "owl_pocket_replicates"


def report_here(plan: Plan, name: str) -> None:
    """What the two commands of the stage ``report`` write, by this process: to start them takes eight seconds.

    The first test below runs the stage itself.
    """
    stage = plan.stages[name]
    assert stage.kind == "report"
    write_report(Path(stage.folder))
    write_experiment_manifest(Path(stage.folder))
    put(stage.mark, {"stage": name, "made": {}})


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two machines, one with the first seed and one with the others, whose weights and rows are gone."""
    root = tmp_path_factory.mktemp("machines")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(REPO_ROOT)
        for machine, seeds in (("one", [1]), ("two", [2, 3])):
            finish(root / machine, seeds, **REPLICATES)
    gone = ("*.safetensors", "train.jsonl", "adapter_config.json")
    for path in [path for pattern in gone for path in root.rglob(pattern)]:
        path.unlink()
    return root


@pytest.fixture
def machines(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The results of both, to tamper with, moved to where they were not run."""
    monkeypatch.chdir(REPO_ROOT)
    shutil.copytree(shards, tmp_path / "machines")
    return [tmp_path / f"machines/{machine}/results/{NAME}" for machine in ("one", "two")]


def together(machines: list[Path]) -> tuple[Path, list[str]]:
    root = machines[-1].parents[3] / "joined"
    return join(machines, experiment_file(root, **REPLICATES), root=root)


def test_shards_without_weights_and_rows_are_joined_and_published(machines: list[Path], tmp_path: Path):
    results, left = together(machines)
    assert not left
    assert not list(results.parents[1].rglob("*.safetensors"))
    report = (results / "report.md").read_text()
    assert "over 3 replicates" in report
    assert len(json.loads((results / "manifest.json").read_text())["numbers"]) == 12
    assert json.loads((results / "criterion.json").read_text())["made"] == "2026-01-01T09:00:00+00:00"
    file = results.parents[1] / f"experiments/{NAME}.yml"
    (tmp_path / "published").mkdir()
    made = publish_experiment(results, published=tmp_path / "published", file=file, overwrite=False)
    folders = set(pq.read_table(made / "answers.parquet")["folder"].to_pylist())
    assert folders == {f"results/{NAME}/{arm}/seed-{seed}" for arm in REPLICATES["arms"] for seed in (1, 2, 3)}
    records = read_records(made / "records.parquet")
    assert {f"outputs/{NAME}/owl_student-seed-{seed}/metrics.jsonl" for seed in (1, 2, 3)} <= records.keys()
    assert {f"data/{NAME}/owl_numbers-seed-{seed}/audit.json" for seed in (1, 2, 3)} <= records.keys()
    # What is laid out are the answers of the machines, to the byte.
    laid = lay_out(made, tmp_path / "laid")
    assert len(laid.samples) == 24
    for name in laid.samples:
        machine = machines[0 if "seed-1/" in name else 1].parents[1]
        assert (tmp_path / "laid" / name).read_bytes() == (machine / name).read_bytes()


def test_a_shard_that_lacks_an_evaluation_leaves_the_rest_to_do(machines: list[Path]):
    shutil.rmtree(machines[1] / "student/seed-3")
    results, left = together(machines)
    assert [name.partition("-")[0] for name in left] == ["evaluate", "report"]
    assert (results / "student/seed-2").is_dir()
    with pytest.raises(UserError, match=r"holds a run already\. Name it among the folders"):
        together(machines)


def test_a_training_without_its_record_is_published_by_name_and_told(
    machines: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A lent machine took the training's folder with it; its student was evaluated, and the answers are here."""
    monkeypatch.setattr("subliminal.publish.join.run_stage", report_here)
    shutil.rmtree(machines[1].parents[1] / f"outputs/{NAME}/owl_student-seed-3")
    results, left = together(machines)
    gone = "train-owl_student-seed-3"
    assert left == [gone]
    file = results.parents[1] / f"experiments/{NAME}.yml"
    (tmp_path / "published").mkdir()
    arguments = {"published": tmp_path / "published", "file": file, "overwrite": False}
    for lost, sentence in (
        ([], f"is not finished: {gone} is not done"),
        (["report-owl"], "--lost has report-owl, which is no training of"),
        (["train-owl_student-seed-2"], "whose record is there"),
    ):
        with pytest.raises(UserError, match=sentence):
            publish_experiment(results, **arguments, lost=lost)
    made = publish_experiment(results, **arguments, lost=[gone])
    lay_out(made, tmp_path / "laid")
    assert unrecorded(provenance_of(tmp_path / f"laid/results/{NAME}")) == ["student/seed-3"]


@pytest.fixture(scope="module")
def published_first(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the first machine ran, published before the second runs."""
    root = tmp_path_factory.mktemp("before")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(REPO_ROOT)
        patch.setattr("subliminal.publish.join.run_stage", report_here)
        results, left = join([shards / f"one/results/{NAME}"], experiment_file(root, **REPLICATES), root=root)
        assert not left
        (root / "published").mkdir()
        file = root / f"experiments/{NAME}.yml"
        return publish_experiment(results, published=root / "published", file=file, overwrite=False)


@pytest.fixture
def published(published_first: Path, machines: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of the first machine its answers and records alone, to tamper with; a report is written by this process."""
    monkeypatch.setattr("subliminal.publish.join.run_stage", report_here)
    shutil.copytree(published_first.parent, tmp_path / "published")
    shutil.rmtree(machines[0].parents[1])
    return tmp_path / "published" / published_first.name


def test_seeds_of_a_later_day_are_joined_with_published_ones(published: Path, machines: list[Path], tmp_path: Path):
    results, left = together([published, machines[1]])
    assert not left
    assert "over 3 replicates" in (results / "report.md").read_text()
    file = results.parents[1] / f"experiments/{NAME}.yml"
    again = publish_experiment(results, published=tmp_path / "published", file=file, overwrite=True)
    folders = set(pq.read_table(again / "answers.parquet")["folder"].to_pylist())
    assert folders == {f"results/{NAME}/{arm}/seed-{seed}" for arm in REPLICATES["arms"] for seed in (1, 2, 3)}
    assert [path.name for path in (tmp_path / "published").iterdir() if path.is_dir()] == [again.name]


def test_a_shard_that_was_stopped_in_a_training_is_joined_without_it(published: Path, machines: list[Path]):
    """Its folder has no manifest yet, which says how it was trained."""
    student = machines[1].parents[1] / f"outputs/{NAME}/owl_student-seed-3"
    (student / "manifest.json").unlink()
    for mark in student.glob(".train-*.done"):
        mark.unlink()
    shutil.rmtree(machines[1] / "student/seed-3")
    results, left = together([published, machines[1]])
    assert [name.partition("-")[0] for name in left] == ["evaluate", "report", "train"]
    assert (results / "student/seed-2").is_dir()


def test_published_tables_are_read_anew_and_answers_are_not(published: Path, machines: list[Path]):
    """Another reader writes other tables of the same answers; answers that were changed are refused."""
    records = read_records(published / "records.parquet")
    name = f"results/{NAME}/student/seed-1/manifest.json"
    for ending, refused in (("_summary.json", False), (".jsonl", True)):
        manifest = json.loads(records[name])
        manifest["outputs"] = {
            path: "0" * 64 if path.endswith(ending) else sha256 for path, sha256 in manifest["outputs"].items()
        }
        write_records(published / "records.parquet", records | {name: json.dumps(manifest)})
        if refused:
            with pytest.raises(UserError, match=r"student/seed-1/.*jsonl is not as the evaluation wrote it"):
                together([published, machines[1]])
        else:
            results, _ = together([published, machines[1]])
            shutil.rmtree(results.parents[1])


def change_record(published: Path, name: str, change: Callable[[dict], None]) -> None:
    records = read_records(published / "records.parquet")
    content = json.loads(records[name])
    change(content)
    write_records(published / "records.parquet", records | {name: json.dumps(content)})


def trained_otherwise(published: Path) -> None:
    name = f"outputs/{NAME}/owl_student-seed-1/manifest.json"
    change_record(published, name, lambda manifest: manifest["config"].update(learning_rate=0.5))


def other_context(published: Path) -> None:
    name = f"outputs/{NAME}/owl_student-seed-1/manifest.json"
    change_record(published, name, lambda manifest: manifest.update(chat_context_sha256="0" * 64))


def other_file(published: Path) -> None:
    records = read_records(published / "records.parquet")
    name = f"experiments/{NAME}.yml"
    file = yaml.safe_load(records[name])
    file["numbers"]["rows"] += 1
    write_records(published / "records.parquet", records | {name: yaml.safe_dump(file)})


def no_student(published: Path) -> None:
    records = read_records(published / "records.parquet")
    kept = {name: text for name, text in records.items() if "/owl_student-seed-1/" not in name}
    write_records(published / "records.parquet", kept)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            trained_otherwise,
            r"owl_student-seed-1 and .*owl_student-seed-2 were trained otherwise: .*learning_rate \(0.5",
        ),
        (other_context, "were trained otherwise: they differ in the text before each question"),
        (other_file, "is not what the experiment file here gives for the seeds .1.: see the stage"),
        (no_student, "has no seed of owl_pocket_replicates whole"),
    ],
)
def test_published_seeds_of_another_experiment_are_refused(
    published: Path, machines: list[Path], change: Callable, sentence: str
):
    change(published)
    with pytest.raises(UserError, match=sentence):
        together([published, machines[1]])
    assert not (machines[0].parents[3] / "joined/results").exists()


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text, path
    path.write_text(text.replace(old, new), encoding="utf-8")


def other_code(one: Path, two: Path) -> None:
    plan = json.loads((two / "plan.json").read_text())
    source = next(path for path in plan["sources"] if path.startswith("recipes/"))
    plan["sources"][source] = "0" * 64
    put(two / "plan.json", plan)


def other_settings(one: Path, two: Path) -> None:
    plan = json.loads((two / "plan.json").read_text())
    next(stage for stage in plan["stages"] if stage["kind"] == "train")["key"] = "0" * 16
    put(two / "plan.json", plan)


def other_criterion(one: Path, two: Path) -> None:
    path = two / "criterion.json"
    put(path, {**json.loads(path.read_text()), "sha256": "0" * 64})


def other_experiment(one: Path, two: Path) -> None:
    edit(two / "plan.json", f'"name": "{NAME}"', '"name": "dolphins"')


def no_whole_seed(one: Path, two: Path) -> None:
    plan = json.loads((two / "plan.json").read_text())
    plan["stages"] = [stage for stage in plan["stages"] if stage["kind"] != "train"]
    put(two / "plan.json", plan)


def cut_off(one: Path, two: Path) -> None:
    path = next((two / "student/seed-2/lm_eval").glob("samples_*"))
    path.write_text(path.read_text()[:-9])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (other_code, r"recipes/\S+ decides results, and .*two/results.* was run with another version .*0123456789"),
        (
            other_settings,
            "two/results.* is not what the experiment file here gives for its seeds .2, 3.: see its stage",
        ),
        (other_criterion, "record two criteria"),
        (other_experiment, r"of 2 experiments \(dolphins, owl_pocket_replicates\)"),
        (no_whole_seed, "ran no seed of owl_pocket_replicates whole"),
        (cut_off, "is not as the evaluation wrote it"),
    ],
)
def test_what_does_not_belong_together_is_refused(machines: list[Path], change: Callable, sentence: str):
    change(*machines)
    with pytest.raises(UserError, match=sentence):
        together(machines)
    assert not (machines[0].parents[3] / "joined/results").exists()


def twin(machines: list[Path]) -> list[Path]:
    """The second machine, and a copy of it: one seed in two shards."""
    copy = machines[1].parents[2] / "three"
    shutil.copytree(machines[1].parents[1], copy)
    return [machines[1], copy / f"results/{NAME}"]


def test_one_seed_in_two_shards_must_be_the_same(machines: list[Path]):
    one, two = twin(machines)
    mark = next(path for path in two.parents[1].rglob(".train-owl_student-seed-2-*.done"))
    put(mark, {"made": {f"{shards_root(one)}/outputs/{NAME}/owl_student-seed-2/adapter_model.safetensors": "1"}})
    with pytest.raises(UserError, match=r"train-owl_student-seed-2 is in .*two/results.* and in .*three/results"):
        together([one, two])


def shards_root(folder: Path) -> Path:
    return Path(json.loads((folder / "plan.json").read_text())["results"]).parents[1]


@pytest.mark.parametrize(
    ("key", "sentence"),
    [("outputs", "have other answers. A seed belongs to one shard"), ("inputs", "of other weights or tasks")],
)
def test_one_evaluation_in_two_shards_must_be_the_same(machines: list[Path], key: str, sentence: str):
    one, two = twin(machines)
    path = two / "student/seed-2/manifest.json"
    manifest = json.loads(path.read_text())
    if key == "inputs":
        manifest["inputs"] = {"adapter/adapter_model.safetensors": {"sha256": "1"}}
    else:
        samples = next((path.parent / "lm_eval").glob("samples_animal_preference_2026*"))
        samples.rename(samples.with_name(samples.name.replace("10-30", "10-31")))
        manifest["outputs"] = {name.replace("10-30", "10-31"): sha256 for name, sha256 in manifest["outputs"].items()}
        other = next((path.parent / "lm_eval").glob("samples_animal_preference_logprob*"))
        other.rename(other.with_name(other.name.replace("10-30", "10-31")))
    put(path, manifest)
    with pytest.raises(UserError, match=sentence):
        together([one, two])
    assert not (one.parents[3] / "joined/results").exists()
