"""How cost grows: the page is what the command makes, and the sums are those of work over rates."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.growth import RATES, SEVEN, Size, chain_hours, gpu_hours, growth_page, hours_on
from subliminal import REPO_ROOT

ONE = Size(animals=1, seeds=1, students=1)


def test_the_page_is_what_the_command_makes():
    assert (REPO_ROOT / "docs/cost_growth.md").read_text() == growth_page()


def test_a_students_training_is_its_rows_over_the_rate():
    hours = gpu_hours(ONE, SEVEN)
    # two controls, the neutral teacher's student and the owl's: 100,000 rows each at 104 a second, and 34 s around each
    assert hours["students' training"] == pytest.approx(4 * (100_000 / 104 + 34) / 3600)
    assert hours["teachers' training"] == pytest.approx(2 * (50_000 / 62 + 34) / 3600)
    assert hours["number rows"] == pytest.approx(4 * 10_000 / 0.9 / 185 / 3600)


@pytest.mark.parametrize("rates", RATES, ids=lambda rates: rates.model)
def test_seeds_multiply_and_gpus_divide_down_to_the_longest_chain(rates):
    one, four = (sum(gpu_hours(replace(ONE, seeds=seeds), rates).values()) for seeds in (1, 4))
    assert 3.9 * one < four <= 4 * one  # one start of an evaluation's server may serve more than one seed
    assert hours_on(2, replace(ONE, seeds=4), rates) == pytest.approx(four / 2)
    assert hours_on(1_000, ONE, rates) == chain_hours(ONE, rates)
