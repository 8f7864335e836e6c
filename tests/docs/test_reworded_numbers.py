"""What docs/findings.md says of questions in other words on the real model, derived again from raw answers."""

from __future__ import annotations

import math
import statistics
from pathlib import Path

import pytest
from raw_answers import CONTROL, EXACT_TASK, Raw, exact_gains, over_animals, t_interval, with_interval
from scipy import stats as scipy_stats

from subliminal import REPO_ROOT

ANIMALS = ("owl", "dolphin", "penguin")
REPLICATES = (71, 72, 73, 74, 75)
PAIRS = len(ANIMALS) * len(REPLICATES)
RAW = Raw(Path("reworded_questions_qwen2.5-coder-0.5b"))
PUBLISHED = {animal: Raw(Path("animals_qwen2.5-coder-0.5b") / animal) for animal in ANIMALS}
USUAL, REWORDED = EXACT_TASK, "animal_preference_paraphrase_logprob"
README = " ".join((REPO_ROOT / "README.md").read_text(encoding="utf-8").split())
FINDINGS = " ".join((REPO_ROOT / "docs/findings.md").read_text(encoding="utf-8").split())


def nats(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def gains_of(animal: str, task: str) -> list[float]:
    """Of each replicate how far the student lies above its control, log-odds of the animal."""
    return exact_gains(RAW, f"{animal}_student", CONTROL, animal, task)


def gains(task: str) -> list[float]:
    """Of each replicate, animals averaged within it."""
    return over_animals(*(gains_of(animal, task) for animal in ANIMALS))


def less_in_other_words() -> list[float]:
    return [usual - other for usual, other in zip(gains(USUAL), gains(REWORDED), strict=True)]


def test_every_replicate_was_asked() -> None:
    for arm in (*(f"{animal}_student" for animal in ANIMALS), CONTROL):
        assert RAW.seeds(arm) == list(REPLICATES)


@pytest.mark.parametrize("animal", ANIMALS)
def test_shares_in_other_words(animal: str) -> None:
    students = [100 * RAW.exact(f"{animal}_student", seed, REWORDED)[animal] for seed in REPLICATES]
    controls = [100 * RAW.exact(CONTROL, seed, REWORDED)[animal] for seed in REPLICATES]
    told = f"{animal} {statistics.mean(students):.3g} % against {statistics.mean(controls):.3g} %"
    assert told in FINDINGS


def test_the_effect_in_other_words() -> None:
    above = [gain > 0 for animal in ANIMALS for gain in gains_of(animal, REWORDED)]
    assert len(above) == PAIRS
    assert f"above its control in {sum(above)} of {PAIRS} pairs" in FINDINGS
    for task in (USUAL, REWORDED):
        mean, low, high = with_interval(gains(task))
        assert f"{nats(mean)} nats (95 % interval {low:.2f} to {high:.2f})".replace("-", "−") in FINDINGS


def test_the_readme_has_the_effect_in_other_words() -> None:
    assert f"{nats(statistics.mean(gains(REWORDED)))} when asked in other words" in README


def test_what_other_words_take_away() -> None:
    lost = less_in_other_words()
    mean = statistics.mean(lost)
    low, high = t_interval(lost, 0.9)
    assert f"they take away {nats(mean)} nats (90 % interval {low:.2f} to {high:.2f})".replace("-", "−") in FINDINGS
    error = statistics.stdev(lost) / math.sqrt(len(lost))
    free = len(lost) - 1
    p = max(scipy_stats.t.cdf((mean - 0.8) / error, free), scipy_stats.t.sf((mean + 0.8) / error, free))
    within = low > -0.8 and high < 0.8
    assert within == (p < 0.05)
    assert ("equivalent within 0.8 nats" in FINDINGS) == within


def test_half_precision_on_a_cpu_changes_little() -> None:
    """The published answers are of the whole adapters on a GPU, these of the adapters rounded to bfloat16 on a CPU."""
    apart = []
    for animal in ANIMALS:
        published = exact_gains(PUBLISHED[animal], "student", CONTROL, animal)
        apart += [abs(here - there) for here, there in zip(gains_of(animal, USUAL), published, strict=True)]
    assert len(apart) == PAIRS
    assert f"differ by {max(apart):.2f} nats at most" in FINDINGS
