"""How cost grows: the page is what the command makes, and the sums are those of work over rates."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.growth import (
    HALF,
    RAN,
    RAN_MINUTES,
    RAN_ON,
    RATES,
    SEVEN,
    Size,
    chain_hours,
    gpu_hours,
    growth_page,
    hours_on,
)
from subliminal import REPO_ROOT

ONE = Size(animals=1, seeds=1, students=1)


def test_the_page_is_what_the_command_makes():
    assert (REPO_ROOT / "docs/cost_growth.md").read_text() == growth_page()


def test_a_students_training_is_its_rows_over_the_rate():
    hours = gpu_hours(ONE, SEVEN)
    # two controls, the neutral teacher's student and the owl's: 100,000 rows each at 104 a second, and 34 s around each
    assert hours["students' training"] == pytest.approx(4 * (100_000 / 104 + 34) / 3600)
    assert hours["teachers' training"] == pytest.approx(2 * (50_000 / 62 + 34) / 3600)
    assert hours["number rows"] == pytest.approx(4 * 10_000 / 0.9 / 210 / 3600)


def test_trainings_that_share_a_gpu_cost_a_part_of_it_and_take_as_long() -> None:
    hours = gpu_hours(ONE, HALF)
    # 200 rows a second each, three at once, and a minute around each
    assert hours["students' training"] == pytest.approx(4 * (100_000 / 200 + 60) / 3 / 3600)
    # chats 45.2 s and a server's start, a teacher 397.5 s, numbers 24.9 s and a start, a student 560 s, evaluation
    # 121.0 s and a start
    assert chain_hours(ONE, HALF) == pytest.approx((155.2 + 397.5 + 134.9 + 560 + 231.0) / 3600, rel=1e-3)


def test_the_arithmetic_is_not_above_the_run_from_which_its_rates_are() -> None:
    assert (RAN.teachers, RAN.trained_on_numbers) == (8, 12), "as in results/published/2026-11-28-h200-animals"
    assert RAN_MINUTES * 0.7 < 60 * hours_on(RAN_ON, RAN, HALF) <= RAN_MINUTES


@pytest.mark.parametrize("rates", RATES, ids=lambda rates: rates.model)
def test_seeds_multiply_and_gpus_divide_down_to_the_longest_chain(rates):
    one, four = (sum(gpu_hours(replace(ONE, seeds=seeds), rates).values()) for seeds in (1, 4))
    assert 3.9 * one < four <= 4 * one  # one start of an evaluation's server may serve more than one seed
    assert hours_on(2, replace(ONE, seeds=4), rates) == pytest.approx(four / 2)
    assert hours_on(1_000, ONE, rates) == chain_hours(ONE, rates)
