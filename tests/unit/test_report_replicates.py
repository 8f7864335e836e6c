"""The report's section on replicates: only where each seed has a base of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from subliminal.report_data import Arm, Experiment, Measure
from subliminal.report_replicates import ARMS, replicate_rates, replicates_section
from subliminal.stats_replicates import replicates

TASK, SEEDS = "animal_preference_logprob", range(1, 7)
RATES = {"student": 0.05, "control": 0.01, "null": 0.0101}


def _experiment(**bases: str) -> Experiment:
    """Six seeds of three arms; a base's name may hold the seed's number."""
    found = Experiment(Path("results/x"), "x", "owl", {}, {TASK: ["q1", "q2"]})
    for key, name in ARMS.items():
        rates = {seed: np.array([RATES[key] - 0.001, RATES[key] + 0.001]) * (1 + 0.01 * seed) for seed in SEEDS}
        manifests = {seed: {"config": {"model": bases.get(key, "base-seed-{}").format(seed)}} for seed in SEEDS}
        found.arms[name] = Arm(name, {TASK: Measure(rates, None, {})}, {}, manifests)
    return found


def test_the_section_has_every_replicate_and_what_they_say_together() -> None:
    experiment = _experiment()
    rates = replicate_rates(experiment, TASK)
    assert rates["student"][3] == pytest.approx(0.05 * 1.03)
    section = replicates_section(experiment)
    (table,) = section.tables
    assert table.header == ["seed", *ARMS.values(), "student − control, points"]
    assert table.rows[2] == ["3", "5.15 %", "1.03 %", "1.04 %", "+4.12"]
    text = " ".join(section.text)
    assert "above its control in 6 of 6 replicates (sign test, p 0.031)" in text
    assert "Mean difference +4.14 points" in text
    assert "5.00 times the control's" in text
    assert "The two are equivalent within 10 % of the effect (two one-sided t tests, p < 0.001)" in text
    table = replicates(**{key: list(by_seed.values()) for key, by_seed in rates.items()})
    assert f"{100 * table['ci99'][0]:.2f}" in text


def test_a_difference_between_controls_is_not_called_equivalent() -> None:
    experiment = _experiment()
    measure = experiment.arms["control_base_numbers_again"].measures[TASK]
    measure.rates.update({seed: rates + 0.01 for seed, rates in measure.rates.items()})
    assert "The two are not shown to be equivalent" in " ".join(replicates_section(experiment).text)


def test_seeds_that_share_a_base_are_no_replicates() -> None:
    assert replicates_section(_experiment(student="base", control="base", null="base")) is None
    assert replicates_section(_experiment(control="other-{}")) is None, "arms of a seed that do not share a base"
    two = _experiment()
    for arm in two.arms.values():
        for seed in range(3, 7):
            del arm.measures[TASK].rates[seed]
    assert replicates_section(two) is None, "two replicates show no spread"


def test_only_seeds_that_every_arm_has_are_compared() -> None:
    experiment = _experiment()
    del experiment.arms["control_base_numbers"].measures[TASK].rates[4]
    assert list(replicate_rates(experiment, TASK)["student"]) == [1, 2, 3, 5, 6]
    del experiment.arms["control_base_numbers_again"]
    assert list(replicate_rates(experiment, TASK)) == ["student", "control"]
    assert "The null" not in " ".join(replicates_section(experiment).text)
