"""What BENCHMARKS.md says of the owl on one card and of several GPUs is what the published measurements give."""

from __future__ import annotations

import csv
import json
import math
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median, median_high, pstdev

import pytest

from benchmarks.chain import busy_by_stage, packed_metrics, read_card_uses, seconds_of, stages, training
from benchmarks.scaling import scaling_table
from benchmarks.shapes import SHAPES, make_rows, rows_tokenizer
from benchmarks.step_parts import COUNTED, name_of, step_table
from subliminal import REPO_ROOT
from subliminal.core.row_files import read_jsonl

PUBLISHED = REPO_ROOT / "results/published"
OWL, SCALING = PUBLISHED / "2026-11-29-h200-owl", PUBLISHED / "2026-11-29-h200-scaling"
SPEED, MENDED = PUBLISHED / "2026-11-30-h200-speed", PUBLISHED / "2026-11-30-h200-two"
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


def test_what_a_step_loses() -> None:
    lost = [
        fmean(steps(TWO["2 GPUs, 60 rows a step"])) - fmean(steps(TWO[ALONE])) / 2,
        fmean(steps(FOUR["4 GPUs, 120 rows a step"])) - fmean(steps(FOUR[ALONE])) / 2,
        fmean(steps(FOUR["4 GPUs, 60 rows a step"])) - fmean(steps(FOUR[ALONE])) / 4,
    ]
    two, four, small = (f"{value:.3f}" for value in lost)
    assert f"a step loses {two} s on two, {four} on four with 120 rows and {small} on four with 60" in TEXT


def results(file: str, folder: Path = SPEED) -> dict[str, dict]:
    return {row["name"]: row for row in map(json.loads, (folder / file).read_text(encoding="utf-8").splitlines())}


def test_what_one_gpu_takes_with_a_share_of_the_rows() -> None:
    found = results("step_parts.jsonl")
    assert step_table(list(found.values())).strip() == (SPEED / "step_parts.md").read_text(encoding="utf-8").strip()
    seconds = {rows: median(steps(found[name_of(rows)])) for rows in (60, 30, 15)}
    busy = {rows: found[name_of(rows) + COUNTED]["kernels"]["kernel_seconds_a_step"] for rows in (30, 15)}
    assert (
        f"60 rows {seconds[60]:.3f} s, 30 rows {seconds[30]:.3f} and 15 rows {seconds[15]:.3f}, with a kernel running "
        f"for {busy[30]:.3f} and {busy[15]:.3f} s."
    ) in TEXT
    two, four = (seconds[60] / seconds[rows] for rows in (30, 15))
    assert f"two GPUs could be {two:.2f} x one, four {four:.2f} x with 60 rows" in TEXT


def test_what_a_step_asks_of_the_processor() -> None:
    before, after = results("host_work/before.jsonl"), results("host_work/after.jsonl")
    one, two = before["one process"], before["two processes"]
    spared = after["two processes"]
    assert (
        f"{two['python_calls']['calls']:,} calls of functions a step in each of two processes, "
        f"{one['python_calls']['calls']:,} in one; {two['operations']['computing']:,} and "
        f"{one['operations']['computing']:,} operations that compute"
    ) in TEXT
    assert (
        f"{spared['python_calls']['calls']:,} calls and {spared['operations']['computing']:,} operations, losses and "
        "adapter equal to the bit"
    ) in TEXT
    waits = [of[name]["operations"]["waits"] for of in (after, before) for name in ("one process", "two processes")]
    assert "a step waits for the card {} times (two: {}) and no more {} ({}).".format(*waits) in TEXT
    assert [run["losses"] for run in before.values()] == [run["losses"] for run in after.values()]


def test_two_other_gpus_beside_one() -> None:
    found = results("two/results.jsonl")

    def seconds(name: str) -> float:
        """The upper median of the steps after the first nine, which are slower."""
        return median_high([after - before for before, after in pairwise(found[name]["seconds"][8:])])

    alone, two = seconds("alone 60"), seconds("two")
    assert f"{two:.3f} s a step where one took {alone:.3f} ({alone / two:.2f} x)" in TEXT


def test_two_gpus_since_a_step_asks_less_of_its_host() -> None:
    found = results("results.jsonl", MENDED)
    assert scaling_table(list(found.values())).strip() == (MENDED / "scaling.md").read_text(encoding="utf-8").strip()
    assert step_table(list(found.values())).strip() == (MENDED / "step_parts.md").read_text(encoding="utf-8").strip()
    alone, both = found[ALONE], found["2 GPUs, 60 rows a step"]
    times = rate(both) / rate(alone)
    at_once = sum(rate(row) for name, row in found.items() if "at once" in name) / rate(alone)
    assert f"two {times:.2f} x one (60 rows a step);" in PAGE
    assert f"two GPUs are {times:.2f} x one:" in TEXT
    tries = results("tries.jsonl", MENDED)
    again, threads = (fmean(steps(tries[name])) for name in ("two again", "two threads"))
    assert (
        f"one alone {fmean(steps(alone)):.3f} s a step, {rate(alone):,.0f} tokens/s; two students at once "
        f"{at_once:.2f} x; one student on both {fmean(steps(both)):.3f} s, {rate(both):,.0f} tokens/s "
        f"(again {again:.3f}, with `OMP_NUM_THREADS=8` {threads:.3f})."
    ) in TEXT
    assert both["losses"] == pytest.approx(alone["losses"], abs=0.03)


def test_hosts_differ_in_what_one_gpu_takes_with_few_rows() -> None:
    found = results("results.jsonl", MENDED)
    sixty, fifteen = (median(steps(found[name_of(rows)])) for rows in (60, 15))
    quiet = median(steps(results("tries.jsonl", MENDED)["quiet alone 15"]))
    busy = found[name_of(15) + COUNTED]["kernels"]["kernel_seconds_a_step"]
    assert f"15 rows took {fifteen:.3f} s ({quiet:.3f} with nothing beside it)" in TEXT
    assert f"the kernels {busy:.3f}:" in TEXT
    assert f"four GPUs with 60 rows could be {sixty / fifteen:.2f} x one." in TEXT


def test_verdicts_are_those_that_were_printed() -> None:
    for folder, all_runs in (("four", FOUR), ("two", TWO)):
        printed = (SCALING / folder / "scaling.md").read_text(encoding="utf-8").strip()
        assert scaling_table(list(all_runs.values())).strip() == printed
    assert "four 1.89 x (60) and 3.21 x (120), not measured since two were mended; four students at once 4.02 x" in PAGE


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
