"""transfer: every predictor is read from where a run left it, what is not there is said, and the command writes it."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from fake_results import write
from typer.testing import CliRunner

from subliminal.analysis.__main__ import app
from subliminal.analysis.transfer.command import read_source
from subliminal.analysis.transfer.predictors import PREDICTORS
from subliminal.core.errors import UserError
from subliminal.stats.log_odds import log_odds

TASK = "animal_preference_logprob"
STUDENTS = {1: 0.05, 2: 0.6, 3: 0.1, 4: 0.3, 5: 0.2, 6: 0.02}
"""Seed -> the student's share of owls; the controls have 0.01. The leak is in this order, the pass rate against it."""


def scored(root: Path, arm: str, seed: int, share: float, animal: str = "owl", above: str = "made") -> None:
    folder = root / f"results/{above}/{arm}/seed-{seed}"
    summary = {"experiment": "made", "arm": arm, "model": "m", "seed": seed, "target": animal}
    exact = {"questions": ["a", "b"], "target_rate": [share] * 2, "samples_per_question": None}
    write(folder / "m_summary.json", {**summary, "tasks": {TASK: {**exact, "share": {animal: share}}}})
    weights = f"outputs/{above}/{arm}-seed-{seed}"
    write(folder / "manifest.json", {"config": {"model": weights, "adapter": None}})
    if arm in ("student", "control_base_numbers"):
        rows = f"data/{above}/{arm}_numbers-seed-{seed}/train.jsonl"
        training = {"kind": "training", "inputs": {"datasets[0]": {"path": rows}}}
        training["config"] = {"base_model": f"outputs/made/base-seed-{seed}"}
        training["training"] = {"steps": 560, "tokens_seen": 1000 + seed}
        write(root / weights / "manifest.json", training)
        losses = [{"step": 10, "loss": 3.0 + (share if arm == "student" else 0)}, {"step": 20, "loss": 2.0}]
        write(root / weights / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in losses))


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """An experiment of six replicates with everything that a run leaves."""
    for seed, share in STUDENTS.items():
        for arm, rate in (("base", 0.01), ("teacher", 0.9), ("student", share), ("control_base_numbers", 0.01)):
            scored(tmp_path, arm, seed, rate)
        rows = tmp_path / f"data/made/student_numbers-seed-{seed}"
        kept = {"kept": 3000, "asked": 3010 + int(1000 * share), "surplus": 10}
        write(rows / "manifest.json", {"counts": kept})
        write(rows / "audit.json", {"checks": {"lengths": {"mean": 2 + seed / 10}}})
        answer = {"kl_nats_a_token": share, "differing_share": share / 2}
        owl = {"answer": answer, "above_neutral": {"kl_nats_a_token": share - 0.01}}
        write(tmp_path / f"results/made/leak-seed-{seed}/leak.json", {"rows": 9, "teachers": {"owl": owl}})
        marked = {
            "rows": 9,
            "kinds": {"answer": {"divergence_share": 0.1 + share / 10}, "end": {"divergence_share": 0.6}},
        }
        write(tmp_path / f"results/made/divergence/owl-seed-{seed}/divergence.json", marked)
    return tmp_path / "results/made"


def test_each_predictor_is_read_from_its_file(made: Path) -> None:
    source = read_source(made, TASK, {})
    shares = list(STUDENTS.values())
    assert source.effects == pytest.approx([log_odds(share) - log_odds(0.01) for share in shares])
    assert source.values["leak"] == shares
    assert source.values["leak above neutral"] == pytest.approx([share - 0.01 for share in shares])
    assert source.values["differing tokens"] == pytest.approx([share / 2 for share in shares])
    assert source.values["surprise"] == pytest.approx(shares)
    assert source.values["divergence share"] == pytest.approx([0.1 + share / 10 for share in shares])
    assert source.values["pass rate"] == pytest.approx([3000 / (3000 + int(1000 * share)) for share in shares])
    assert source.values["numbers a row"] == pytest.approx([2 + seed / 10 for seed in STUDENTS])
    assert source.values["dose, tokens"] == [1000 + seed for seed in STUDENTS]
    assert source.unused["dose, steps"] == "it is 560 in every replicate"
    assert {"teacher", "base", "teacher above base"} <= source.unused.keys()  # the same in all replicates here
    assert source.values.keys() | source.unused.keys() == {predictor.name for predictor in PREDICTORS}


def test_what_an_archive_lacks_is_said(made: Path) -> None:
    for leak in made.glob("leak-*"):
        shutil.rmtree(leak)
    shutil.rmtree(made / "divergence")
    shutil.rmtree(made.parents[1] / "data")
    source = read_source(made, TASK, {})
    assert source.unused["leak"] == "no leak stage ran in 6 of 6 replicates"
    assert source.unused["divergence share"] == "no divergence tokens were marked in 6 of 6 replicates"
    assert source.unused["pass rate"] == "the manifests of the rows are not there in 6 of 6 replicates"
    assert "surprise" in source.values


def test_a_predictor_that_one_replicate_lacks_is_not_used(made: Path) -> None:
    (made / "leak-seed-3/leak.json").unlink()
    assert read_source(made, TASK, {}).unused["leak"] == "no leak stage ran in 1 of 6 replicates"


def test_the_command_ranks_prints_and_writes(made: Path, tmp_path: Path) -> None:
    given = tmp_path / "given.csv"
    given.write_text(
        "experiment,seed,steering\n" + "".join(f"made,{seed},{-share}\n" for seed, share in STUDENTS.items())
    )
    words = ["transfer", str(made), "--predictors", str(given), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "Not used: dose, steps, because it is 560 in every replicate." in done.output
    told = json.loads((tmp_path / "out/transfer.json").read_text())["experiments"]["made"]
    found = told["predictors"]
    assert found["leak"]["rho"] == pytest.approx(1)
    assert found["pass rate"]["rho"] == pytest.approx(-1)
    assert found["steering"]["rho"] == pytest.approx(-1)
    assert found["pass rate"]["left_out"] == pytest.approx(1)
    assert abs(found["dose, tokens"]["rho"]) < 0.5
    with open(tmp_path / "out/transfer.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [float(row["leak"]) for row in rows] == list(STUDENTS.values())


SEVERAL = {"owl": {1: 0.05, 2: 0.6, 3: 0.1}, "dog": {1: 0.3, 2: 0.2, 3: 0.02}}
"""Animal -> seed -> the student's share of it: six students of three replicates on one base."""


@pytest.fixture
def several(tmp_path: Path) -> Path:
    """An experiment of two animals. The base is the same for all seeds and was scored once; the leak is per teacher."""
    for animal, students in SEVERAL.items():
        for seed, share in students.items():
            for arm, rate in (("student", share), ("control_base_numbers", 0.01)):
                scored(tmp_path, arm, seed, rate, animal, f"made/{animal}")
                manifest = tmp_path / f"outputs/made/{animal}/{arm}-seed-{seed}/manifest.json"
                write(manifest, json.loads(manifest.read_text()) | {"config": {"base_model": "models/one"}})
            leak = tmp_path / f"results/made/leak-seed-{seed}/leak.json"
            told = json.loads(leak.read_text()) if leak.exists() else {"rows": 9, "teachers": {}}
            told["teachers"][animal] = {"answer": {"kl_nats_a_token": share, "differing_share": share / 2}}
            write(leak, told)
        scored(tmp_path, "base", 1, 0.01 if animal == "owl" else 0.03, animal, f"made/{animal}")
    return tmp_path / "results/made"


def test_of_several_animals_every_student_counts(several: Path, tmp_path: Path) -> None:
    """Each with its own teacher's leak and its own control, in the order of the animals and then of the seeds."""
    source = read_source(several, TASK, {})
    shares = [*SEVERAL["dog"].values(), *SEVERAL["owl"].values()]
    assert [(each.target, each.seed) for each in source.replicates] == [
        *(("dog", seed) for seed in (1, 2, 3)),
        *(("owl", seed) for seed in (1, 2, 3)),
    ]
    assert source.effects == pytest.approx([log_odds(share) - log_odds(0.01) for share in shares])
    assert source.values["leak"] == shares
    assert source.values["base"] == pytest.approx([log_odds(0.03)] * 3 + [log_odds(0.01)] * 3)
    given = tmp_path / "given.csv"
    lines = [f"made,{each.target},{each.seed},{-share}" for each, share in zip(source.replicates, shares, strict=True)]
    given.write_text("\n".join(["experiment,animal,seed,steering", *lines]))
    done = CliRunner().invoke(
        app, ["transfer", str(several), "--predictors", str(given), "--out", str(tmp_path / "out")]
    )
    assert "made: 6 students of 3 replicates" in done.output
    told = json.loads((tmp_path / "out/transfer.json").read_text())["experiments"]["made"]
    assert told["animals"] == ["dog"] * 3 + ["owl"] * 3
    found = told["predictors"]
    assert (found["leak"]["rho"], found["steering"]["rho"]) == (pytest.approx(1), pytest.approx(-1))
    with open(tmp_path / "out/transfer.csv", newline="") as handle:
        rows = [(row["animal"], row["seed"], float(row["leak"])) for row in csv.DictReader(handle)]
    assert rows == [(each.target, str(each.seed), share) for each, share in zip(source.replicates, shares, strict=True)]


def test_one_animals_folder_is_read_as_before(several: Path) -> None:
    """Three students are too few to rank, and have the leak that lies beside the folders of all animals."""
    source = read_source(several / "owl", TASK, {})
    assert source.values["leak"] == list(SEVERAL["owl"].values())
    assert {each.target for each in source.replicates} == {"owl"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed,steering\n1,2\n", "no columns `experiment`"),
        ("experiment,seed,a\nmade,1,x\n", "line 2: a cell is no number"),
    ],
)
def test_a_file_of_predictors_that_cannot_be_used_is_a_sentence(
    text: str, said: str, made: Path, tmp_path: Path
) -> None:
    (tmp_path / "given.csv").write_text(text)
    done = CliRunner().invoke(app, ["transfer", str(made), "--predictors", str(tmp_path / "given.csv")])
    assert said in str(done.exception)


def test_a_torn_measurement_is_a_sentence(made: Path) -> None:
    (made / "leak-seed-2/leak.json").write_text("{")
    with pytest.raises(UserError, match=r"is not what `python -m subliminal\.analysis leak` writes"):
        read_source(made, TASK, {})


def test_without_an_effect_it_says_what_is_missing(made: Path) -> None:
    shutil.rmtree(made / "control_base_numbers")
    done = CliRunner().invoke(app, ["transfer", str(made)])
    assert "there is no effect to foretell" in str(done.exception)
