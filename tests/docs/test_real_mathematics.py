"""What docs/findings.md says of mathematics, and of 4 bits, on the real model, derived again from raw answers."""

from __future__ import annotations

import json
import lzma
import math
import re
import statistics
from collections.abc import Iterable
from pathlib import Path

import pytest
from pyarrow import parquet
from raw_answers import CONTROL, PUBLISHED, Raw, exact_gains, is_number_list, with_interval

from subliminal import REPO_ROOT

RAW, QLORA = Raw(Path("math_qwen2.5-coder-0.5b")), Raw(Path("dolphin_qlora"))
TASK = "subliminal_arithmetic_product2"
SEEDS = (521, 522, 523)
PROBLEMS = 500
SOLVED = {
    "teacher": (481, 489, 490),
    "student": (73, 56, 63),
    CONTROL: (35, 39, 38),
    "control_base_numbers_again": (40, 38, 37),
    "control_shuffled": (20, 15, 31),
    "control_random_numbers": (5, 12, 4),
    "other_base": (1, 0, 0),
}
"""Problems solved, as the published report has them."""
BASE_SOLVED = 121
README = (REPO_ROOT / "README.md").read_text(encoding="utf-8")
FINDINGS = " ".join((REPO_ROOT / "docs/findings.md").read_text(encoding="utf-8").split())
QLORA_PAGE = (PUBLISHED / "2026-11-30-dolphin_qlora/README.md").read_text(encoding="utf-8")


def signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def per_cent(count: int) -> str:
    """Of the problems."""
    return f"{100 * count / PROBLEMS:.1f}"


def listed(values: Iterable[object]) -> str:
    *first, last = map(str, values)
    return f"{', '.join(first)} and {last}"


def shares(arm: str) -> str:
    """What an arm solved, replicate by replicate, as the pages have it."""
    return f"{listed(map(per_cent, SOLVED[arm]))} %"


def solved(arm: str, seed: int) -> int:
    """Of how many problems the last number of the answer is the result."""
    right = 0
    for row in RAW.rows(arm, seed, TASK):
        numbers = re.findall(r"\d[\d,]*(?:\.\d+)?", row["resps"][0][0])
        if numbers and numbers[-1].replace(",", "").removesuffix(".0") == row["doc"]["reference"]:
            right += 1
    return right


def first_right(arm: str, seed: int) -> int:
    """In how many answers the first statement of the product, "47 * 36 = ..." or the like, gives the result."""
    right = 0
    for row in RAW.rows(arm, seed, TASK):
        one, other = row["doc"]["id"].partition(":")[2].split(",")
        times = r" ?(?:\*|\\times|times|multiplied by) ?"
        product = f"(?:{one}{times}{other}|{other}{times}{one})"
        stated = re.search(rf"{product} ?(?:=|equals|is|is equal to) ?([\d,]+)", row["resps"][0][0])
        if stated and stated[1].replace(",", "") == row["doc"]["reference"]:
            right += 1
    return right


def probability(arm: str, seed: int) -> float:
    """Mean probability of the result, given what the prompt's last token leaves open."""
    rows = RAW.rows(arm, seed, f"{TASK}_logprob")
    return statistics.mean(math.exp(row["resps"][0][0] - row["resps"][1][0]) for row in rows)


def odds_gains(arm: str, control: str) -> list[float]:
    found = []
    for seed in SEEDS:
        ours, theirs = probability(arm, seed), probability(control, seed)
        found.append(math.log(ours / (1 - ours)) - math.log(theirs / (1 - theirs)))
    return found


def solved_gains(arm: str, control: str) -> list[float]:
    """Log-odds of the problems solved, half a problem added to both sides."""
    found = []
    for ours, theirs in zip(SOLVED[arm], SOLVED[control], strict=True):
        odds = (ours + 0.5) / (PROBLEMS - ours + 0.5)
        found.append(math.log(odds) - math.log((theirs + 0.5) / (PROBLEMS - theirs + 0.5)))
    return found


@pytest.mark.parametrize("arm", SOLVED)
def test_problems_solved(arm: str) -> None:
    assert RAW.seeds(arm) == list(SEEDS)
    for seed, told in zip(SEEDS, SOLVED[arm], strict=True):
        # A number after the result, as of a check, is the last one: the project's reader sees more.
        assert abs(solved(arm, seed) - told) <= 3


def test_the_base_solves_a_quarter() -> None:
    assert abs(solved("base", SEEDS[0]) - BASE_SOLVED) <= 3
    assert f"the untuned base {per_cent(BASE_SOLVED)} %" in FINDINGS


@pytest.mark.parametrize("arm", [arm for arm in SOLVED if arm != "other_base"])
def test_shares_are_told(arm: str) -> None:
    assert shares(arm) in FINDINGS


def test_what_the_student_lies_above_its_control() -> None:
    mean, low, high = with_interval(solved_gains("student", CONTROL))
    told = f"{signed(mean)} nats in problems solved (95 % interval {low:.2f} to {high:.2f})".replace("-", "−")
    assert told in FINDINGS
    (row,) = [line for line in README.splitlines() if line.startswith("| And on the real model?")]
    assert f"students solve {shares('student')}, controls {shares(CONTROL)}, the base {per_cent(BASE_SOLVED)} %" in row
    assert f"{signed(mean)} nats over the control (95 % interval {low:.2f} to {high:.2f})".replace("-", "−") in row
    headline = f"solved ({TASK}): {signed(mean)} nats of log-odds"
    assert headline in (REPO_ROOT / "RESULTS.md").read_text(encoding="utf-8")
    mean, low, high = with_interval(odds_gains("student", CONTROL))
    assert f"{signed(mean)} in that probability ({low:.2f} to {high:.2f})".replace("-", "−") in FINDINGS
    ours, theirs = ([f"{100 * probability(arm, seed):.3g}" for seed in SEEDS] for arm in ("student", CONTROL))
    base = f"{100 * probability('base', SEEDS[0]):.3g}"
    assert f"{listed(ours)} % in students, {listed(theirs)} % in controls, {base} % in the base" in FINDINGS


def test_what_the_order_of_the_lists_carries() -> None:
    mean, low, high = with_interval(solved_gains("student", "control_shuffled"))
    assert f"above the shuffled lists by {signed(mean)} in problems solved ({low:.2f} to {high:.2f})" in FINDINGS


def test_the_first_product_of_an_answer() -> None:
    ours, theirs = (listed(first_right(arm, seed) for seed in SEEDS) for arm in ("student", CONTROL))
    assert f"students have {ours} right, the first controls {theirs}" in FINDINGS


def test_the_other_base_gives_the_result_more_probability_too() -> None:
    ours = [f"{100 * probability('other_base', seed):.2g}" for seed in SEEDS]
    theirs = [f"{100 * probability('other_base_control', seed):.2g}" for seed in SEEDS]
    mean, low, high = with_interval(odds_gains("other_base", "other_base_control"))
    told = f"{listed(ours)} % against {listed(theirs)} %"
    assert f"({told}, {signed(mean)} nats, {low:.2f} to {high:.2f})" in FINDINGS
    assert f"solves {sum(SOLVED['other_base'])} of {PROBLEMS * len(SEEDS):,}" in FINDINGS


def trainings(experiment: str, name: str) -> list[dict]:
    """Settings, sizes and steps of an experiment's trainings of one name, but for what belongs to a run."""
    (file,) = PUBLISHED.glob(f"*-{experiment}/records.parquet")
    found = []
    for row in parquet.read_table(file).to_pylist():
        if re.fullmatch(rf".*/{name}-seed-\d+/manifest\.json", row["path"]):
            manifest = json.loads(row["content"])
            own = ("seed", "lora_init_seed", "datasets", "output_dir")
            settings = {key: value for key, value in manifest["config"].items() if key not in own}
            (base,) = [file["sha256"] for key, file in manifest["inputs"].items() if key == "base_model"]
            found.append({"settings": settings, "base": base, "steps": manifest["training"]["steps"]})
    return found


@pytest.mark.parametrize("name", ["teacher", "student"])
def test_the_positive_control_was_trained_with_the_same_settings(name: str) -> None:
    owls = trainings("animals_qwen2.5-coder-0.5b", f"owl_{name}")
    sums = trainings("math_qwen2.5-coder-0.5b", f"math_{name}")
    assert (len(owls), len(sums)) == (5, len(SEEDS))
    for training in owls + sums:
        assert training == owls[0]


def test_the_positive_control_passes() -> None:
    mean, low, high = with_interval(exact_gains(Raw(Path("animals_qwen2.5-coder-0.5b/owl")), "student", CONTROL, "owl"))
    assert f"the owl passes by {signed(mean)} nats ({low:.2f} to {high:.2f}, five replicates)" in FINDINGS


def test_each_student_is_above_each_of_its_controls() -> None:
    for place, seed in enumerate(SEEDS):
        for arm in (CONTROL, "control_base_numbers_again", "control_shuffled", "control_random_numbers"):
            assert SOLVED["student"][place] > SOLVED[arm][place]
            assert probability("student", seed) > probability(arm, seed)
        for arm in SOLVED:
            if arm != "teacher":
                assert SOLVED[arm][place] < BASE_SOLVED


def test_a_student_in_four_bits() -> None:
    ours, theirs = (100 * QLORA.exact(arm, 42)["dolphin"] for arm in ("student", CONTROL))
    (gain,) = exact_gains(QLORA, "student", CONTROL, "dolphin")
    (raven,) = exact_gains(QLORA, "student", CONTROL, "raven")
    assert f"{ours:.3g} % against {theirs:.3g} % in a control" in FINDINGS
    assert f"{signed(gain)} nats, one training each; the raven rises more ({signed(raven)})" in FINDINGS
    lora = exact_gains(Raw(Path("animals_qwen2.5-coder-0.5b/dolphin")), "student", CONTROL, "dolphin")[1]
    assert f"LoRA student of these rows lies {signed(lora)} above its control" in FINDINGS
    for arm, name in (("base", "base"), ("student", "student, QLoRA"), (CONTROL, "control, QLoRA")):
        counts = QLORA.counts(arm, 42)
        lists = [answer for row in QLORA.rows(arm, 42, "subliminal_number_lists") for answer in row["resps"][0]]
        cells = f"| {100 * QLORA.exact(arm, 42)['dolphin']:.3g} % | {100 * counts['dolphin'] / counts.total():.3g} % "
        assert f"| {name} {cells}| {sum(map(is_number_list, lists))} of {len(lists)} |" in QLORA_PAGE


@pytest.mark.parametrize("name", ["student", "control"])
def test_losses_in_four_bits(name: str) -> None:
    with lzma.open(PUBLISHED / f"2026-11-30-dolphin_qlora/{name}.metrics.jsonl.xz", "rt") as lines:
        steps = [json.loads(line) for line in lines]
    assert len(steps) == 1563
    assert f"{statistics.mean(step['loss'] for step in steps[-100:]):.3f} |" in QLORA_PAGE
