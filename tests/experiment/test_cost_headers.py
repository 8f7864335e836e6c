"""What the headers of the 0.5B's experiment files say of their cost follows from their plans and adds up."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml
from plans import FILES

from subliminal import REPO_ROOT
from subliminal.experiment.costs import cost_of
from subliminal.experiment.expand import expand
from subliminal.experiment.load import load_experiment

NUMBERS = {"two": 2, "three": 3, "four": 4, "five": 5, "seven": 7, "eight": 8}
COST = re.compile(
    r"300 steps \(teacher\) and (?P<students>\w+) of (?P<steps>[\d,]+)[^;]*?, at (?:about )?(?P<rate>[\d.]+) steps/s "
    r"on an H200 with three of them on it (?P<training>\d+) minutes(?P<rest>.*?)\. "
    r"(?P<replicate>\d+) GPU minutes a replicate, (?P<all>\d+) for all three\."
)
PUBLISHED = REPO_ROOT / "results/published/2026-11-29-animals_qwen2.5-coder-0.5b/records.parquet"


def header(path: Path) -> str:
    """The comment at a file's head, as one line."""
    lines = path.read_text(encoding="utf-8").partition("\nname: ")[0].splitlines()
    return " ".join(" ".join(line.removeprefix("#").strip() for line in lines).split())


def number(text: str) -> float:
    return float(text.replace(",", ""))


COSTS = {path: COST.search(header(path)) for path in FILES if "GPU minutes" in header(path)}
COUNTED = [path for path in COSTS if "answers at 600/s" in header(path)]
"""Of the others nobody has asked for such answers yet: their number is a guess, and the files say so."""


@pytest.fixture(scope="module")
def asked() -> dict[str, float]:
    """Answers that were asked for a dataset of the published replicates, by what it is."""
    records = pd.read_parquet(PUBLISHED)
    counts = {}
    for kind in ("owl_teacher_chat", "base_numbers", "owl_numbers"):
        paths = records[records["path"].str.fullmatch(rf"data/[^/]+/{kind}-seed-\d+/manifest\.json")]
        counts[kind] = float(pd.Series([json.loads(text)["counts"]["asked"] for text in paths["content"]]).mean())
    return counts


def test_files_with_a_cost_are_found() -> None:
    assert (len(COSTS), len(COUNTED)) == (7, 4)
    assert [path.name for path, found in COSTS.items() if found is None] == []


@pytest.mark.parametrize("path", COSTS, ids=lambda path: path.stem)
def test_trainings_are_those_of_the_plan(path: Path, tmp_path: Path) -> None:
    told = COSTS[path]
    plan = expand(load_experiment(path), root=tmp_path)
    seeds = yaml.safe_load(path.read_text())["seeds"]
    assert len(seeds) == 3
    trainings = [stage for stage in plan.stages.values() if stage.kind == "train"]
    assert len(trainings) == len(seeds) * (1 + NUMBERS[told["students"]])
    seen = {
        math.ceil(each.facts["rows"] * each.facts["epochs"] / 64) for each in trainings if "teacher" not in each.name
    }
    assert seen == {number(told["steps"])}


@pytest.mark.parametrize("path", COSTS, ids=lambda path: path.stem)
def test_minutes_add_up(path: Path) -> None:
    told = COSTS[path]
    students = NUMBERS[told["students"]]
    training = (300 + students * number(told["steps"])) / number(told["rate"]) / 60
    assert round(training) == int(told["training"])
    text = header(path)
    minutes = training
    start = re.search(r"(\d+) s to start each three", text)
    if start:
        minutes += int(start[1]) * math.ceil((1 + students) / 3) / 60
    server = re.search(r"two servers of (\d+) s", text)
    if server:
        minutes += 2 * int(server[1]) / 60
        compiled = not yaml.safe_load(path.read_text())["server"].get("no_compile")
        assert int(server[1]) == (100 if compiled else 50), "BENCHMARKS.md: 105 s, and 52 without torch.compile"
    # Answers, evaluations and what a file sums up by itself.
    minutes += sum(int(each) for each in re.findall(r"(\d+) minutes(?! for)", told["rest"]))
    before = re.search(r"answers(?: \([^)]*\))? (\d+) minutes a replicate; trainings", text)
    if before:
        minutes += int(before[1])
    assert abs(minutes - int(told["replicate"])) <= 0.6
    assert int(told["all"]) == 3 * int(told["replicate"])


@pytest.mark.parametrize("path", COUNTED, ids=lambda path: path.stem)
def test_answers_are_as_many_as_these_datasets_took(path: Path, tmp_path: Path, asked: dict[str, float]) -> None:
    told = re.search(r"([\d,]+) answers at 600/s (\d+) minutes", header(path))
    assert round(number(told[1]) / 600 / 60) == int(told[2])
    seeds = yaml.safe_load(path.read_text())["seeds"]
    expected = 0.0
    for stage in expand(load_experiment(path), root=tmp_path, seeds=seeds[:1]).stages.values():
        if stage.name.startswith("build-base_numbers"):
            expected += asked["base_numbers"]
        elif stage.name.startswith("build-owl_teacher_chat"):
            expected += asked["owl_teacher_chat"]
        elif re.match(r"build-(owl|math)_numbers-", stage.name):
            expected += asked["owl_numbers"]
    assert number(told[1]) == pytest.approx(expected, rel=0.07)


@pytest.mark.parametrize("name", ["carrier", "dilution", "rows"])
def test_what_a_plan_counts_is_what_the_header_says(name: str, tmp_path: Path) -> None:
    path = REPO_ROOT / f"experiments/owl_qwen2.5-coder-0.5b_{name}.yml"
    trainings = [each for each in expand(load_experiment(path), root=tmp_path).stages.values() if each.kind == "train"]
    minutes = sum(cost_of(stage).minutes for stage in trainings)
    told = f"{len(trainings)} trainings, for which make plan counts {minutes:.0f} minutes with three at once on an H200"
    assert told in header(path)
    assert f"about {5 * round(minutes / 3 / 5)} minutes of one card" in header(path)
