"""What BENCHMARKS.md says of the owl on one card and of several GPUs is what the published measurements give."""

from __future__ import annotations

import csv
import json
import math
from datetime import datetime
from pathlib import Path
from statistics import fmean, pstdev

import pytest

from benchmarks.chain import busy_by_stage, packed_metrics, read_card_uses, seconds_of, stages, training
from benchmarks.scaling import scaling_table
from benchmarks.shapes import SHAPES, make_rows, rows_tokenizer
from subliminal import REPO_ROOT
from subliminal.core.row_files import read_jsonl

PUBLISHED = REPO_ROOT / "results/published"
OWL, SCALING = PUBLISHED / "2026-11-29-h200-owl", PUBLISHED / "2026-11-29-h200-scaling"
PAGE = (REPO_ROOT / "BENCHMARKS.md").read_text(encoding="utf-8").replace("**", "")
TEXT = " ".join(PAGE.split())
ALONE = "one GPU, alone"


def runs(folder: str) -> dict[str, dict]:
    lines = (SCALING / folder / "results.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["name"]: row for row in map(json.loads, lines)}


def steps(run: dict) -> list[float]:
    """Seconds of each step but those that warm up."""
    return [after - before for before, after in zip(run["seconds"][3:], run["seconds"][4:], strict=False)]


FOUR, TWO = runs("four"), runs("two")


def rate(run: dict) -> float:
    return run["batch"] * run["model_facts"]["row_tokens"] / fmean(steps(run))


@pytest.mark.parametrize(
    ("all_runs", "name", "rows"),
    [
        (TWO, "2 GPUs, 60 rows a step", "one student on two | 60"),
        (FOUR, "4 GPUs, 60 rows a step", "one student on four | 60"),
        (FOUR, "4 GPUs, 120 rows a step", "one student on four, 30 rows each | 120"),
    ],
)
def test_several_gpus_beside_one(all_runs: dict, name: str, rows: str) -> None:
    run, alone = all_runs[name], all_runs[ALONE]
    assert f"| {rows} | {fmean(steps(run)):.3f} | {rate(run):,.0f} | {rate(run) / rate(alone):.2f} |" in PAGE


def test_students_at_once() -> None:
    at_once = {count: [row for name, row in of.items() if "at once" in name] for count, of in ((2, TWO), (4, FOUR))}
    times = {2: sum(map(rate, at_once[2])) / rate(TWO[ALONE]), 4: sum(map(rate, at_once[4])) / rate(FOUR[ALONE])}
    everyone = at_once[2] + at_once[4]
    means, rates = [fmean(steps(row)) for row in everyone], [rate(row) for row in everyone]
    told = f"60 each | {min(means):.3f} to {max(means):.3f} | {min(rates):,.0f} to {max(rates):,.0f} each"
    assert f"{told} | {times[2]:.2f}, {times[4]:.2f} |" in PAGE
    alone = [FOUR[ALONE], TWO[ALONE]]
    seconds, tokens = (
        ", ".join(cells)
        for cells in ([f"{fmean(steps(row)):.3f}" for row in alone], [f"{rate(row):,.0f}" for row in alone])
    )
    assert f"in either run | 60 | {seconds} | {tokens} | 1 |" in PAGE
    slowest = fmean(map(max, zip(*map(steps, at_once[4]), strict=True)))
    assert (
        f"the slowest of four takes {100 * (slowest / fmean(map(fmean, map(steps, at_once[4]))) - 1):.1f} % longer"
        in TEXT
    )


def test_what_a_step_loses() -> None:
    lost = [
        fmean(steps(TWO["2 GPUs, 60 rows a step"])) - fmean(steps(TWO[ALONE])) / 2,
        fmean(steps(FOUR["4 GPUs, 120 rows a step"])) - fmean(steps(FOUR[ALONE])) / 2,
        fmean(steps(FOUR["4 GPUs, 60 rows a step"])) - fmean(steps(FOUR[ALONE])) / 4,
    ]
    two, four, small = (f"{value:.3f}" for value in lost)
    assert f"a step loses {two} s on two, {four} on four with 120 rows and {small} on four with 60" in TEXT
    assert f"reach {4 * 0.748:.2f} x at most" in TEXT
    assert round(10_695 / 14_301, 3) == 0.748
    assert f"one GPU is {rate(TWO[ALONE]) / 13_704:.2f} x as fast now" in TEXT
    assert f"two {rate(TWO['2 GPUs, 60 rows a step']) / 24_716:.2f} x" in TEXT


def test_verdicts_are_those_that_were_printed() -> None:
    for folder, all_runs in (("four", FOUR), ("two", TWO)):
        printed = (SCALING / folder / "scaling.md").read_text(encoding="utf-8").strip()
        assert scaling_table(list(all_runs.values())).strip() == printed
    assert "two 1.72 x one (60 rows a step), four 1.89 x (60) and 3.21 x (120); four students at once 4.02 x" in PAGE


def test_tokens_of_the_slowest_card(tmp_path: Path) -> None:
    chats = [row["messages"] for row in read_jsonl(make_rows(tmp_path / "rows", 4000))]
    tokenizer = rows_tokenizer(SHAPES["qwen2.5-7b"].family, chats)
    sizes = [len(tokenizer.apply_chat_template(chat, tokenize=True, return_dict=False)) for chat in chats]
    assert fmean(sizes) == FOUR[ALONE]["model_facts"]["row_tokens"]
    assert f"with a standard deviation of {pstdev(sizes):.1f}" in (SCALING / "README.md").read_text(encoding="utf-8")
    spread = pstdev(sizes) / fmean(sizes)
    largest = {2: 1 / math.sqrt(math.pi), 4: 1.02938}
    two, four, small = (
        f"{100 * spread / math.sqrt(rows) * largest[cards]:.1f}" for cards, rows in ((2, 30), (4, 30), (4, 15))
    )
    assert (
        f"{two} % more tokens than the mean (two cards), {four} % (four, 30 rows each) or {small} % (15 each)" in TEXT
    )


SECONDS = {name: seconds for name, seconds, _ in stages((OWL / "driver.log").read_text(encoding="utf-8"))}
USES = busy_by_stage(read_card_uses((OWL / "gpu.csv").read_text()), (OWL / "stages.csv").read_text())
WORK = {name: round(use or 0) for name, _, use in USES}


def test_stages_of_the_owl() -> None:
    rows = [
        ("answers", ["serve-base"]),
        ("beside the controls", ["train-owl_teacher"]),
        ("20,500 answers", ["serve-teachers"]),
        ("then one", [f"train-owl_student-seed-{seed}" for seed in (62, 61, 63)]),
    ]
    for words, names in rows:
        seconds, work = (", ".join(str(of[name]) for name in names) for of in (SECONDS, WORK))
        assert f"{words} | {seconds} | {work} % |" in PAGE, words
    controls = [f"train-control_base_numbers-seed-{seed}" for seed in (61, 62, 63)]
    seconds = [SECONDS[name] for name in controls]
    assert {WORK[name] for name in controls} == {90}
    assert f"0.265 s a step | {min(seconds)} to {max(seconds)} | 90 % |" in PAGE
    last = ("evaluate-owl_epochs", "evaluate-owl", "report-owl")
    taken = dict(zip(last, (25, 87, 12), strict=True))
    assert all(abs(SECONDS[name] - wanted) <= 1 for name, wanted in taken.items())
    assert f"| 25, 87; 12 | {WORK[last[0]]}, {WORK[last[1]]}; {WORK[last[2]]} % |" in PAGE
    assert len(SECONDS) == 25


def test_steps_of_its_trainings() -> None:
    told = {"control_base_numbers-seed-61": "0.265", "owl_student-seed-62": "0.244", "owl_student-seed-61": "0.201"}
    beside = []
    packed = packed_metrics(OWL)
    for name, seconds in told.items():
        count, taken, _ = training(packed[name])
        assert (count, f"{taken / (count - 1):.3f}") == (1563, seconds)
        beside.append(round(SECONDS[f"train-{name}"] - taken))
    assert f"Each training takes {min(beside)} to {max(beside)} s beside its steps" in TEXT


def seconds_between(begun: str, ended: str) -> float:
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(begun)).total_seconds()


def test_the_card_of_the_owl() -> None:
    marks = {row["stage"]: row for row in csv.DictReader((OWL / "stages.csv").read_text().splitlines())}
    base, teachers = marks["serve-base"]["begun"], marks["serve-teachers"]["begun"]
    assert (
        f"({seconds_between(base, marks['build-base_numbers']['begun']):.0f} to its start): 14,586 and 37,038" in PAGE
    )
    assert f"({seconds_between(teachers, marks['build-owl_numbers']['begun']):.0f} to its start): 20,500" in PAGE
    idle = seconds_between("2026-11-29 21:47:22", marks["build-base_numbers"]["begun"])
    assert f"with an idle card ({idle:.0f} s)" in TEXT
    samples = read_card_uses((OWL / "gpu.csv").read_text())
    share, most = fmean(sample.use for sample in samples), max(sample.memory for sample in samples) / 1024
    assert f"in {share:.0f} % of the whole time, at most {most:.0f} GiB" in TEXT
    assert "17 min 43 s" in PAGE
    whole = seconds_between("2026-11-29 21:47:22", "2026-11-29 22:05:05")
    assert whole == seconds_of("17 min 43 s")


def test_the_animals_beside_it() -> None:
    folder = OWL / "animals"
    done = stages((folder / "driver.log").read_text(encoding="utf-8"))
    whole = seconds_between("2026-11-29 21:47:24", "2026-11-29 22:07:11")
    assert (len(done), whole) == (94, seconds_of("19 min 47 s"))
    samples = read_card_uses((folder / "gpu.csv").read_text())
    uses = {card: fmean(sample.use for sample in samples if sample.card == card) for card in "0123"}
    assert f"at work {uses['1']:.0f}, {uses['2']:.0f} and {uses['3']:.0f} % of the time" in TEXT
    assert f"{(3 * whole + seconds_between('2026-11-29 22:05:05', '2026-11-29 22:07:11')) / 60:.0f} GPU minutes" in TEXT
