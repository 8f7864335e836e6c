"""Students by animals, and every animal's rise: worked out by hand, and against other code."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
import statsmodels.api as sm

from subliminal.stats.log_odds import Row
from subliminal.stats.matrix import gamma_of, permutation_test, students_by_animals
from subliminal.stats.rises import rises

ANIMALS = ["owl", "dolphin", "penguin"]


def table(lift: np.ndarray, animals: Sequence[str] = ANIMALS) -> list[Row]:
    """Log-odds with these lifts, shape (replicates, students, animals); each replicate has a level of its own."""
    rows = []
    for (seed, i, j), value in np.ndenumerate(lift):
        level = -4 + seed - 0.3 * j
        for arm, nats in (("student", level + value), ("control_base_numbers", level)):
            rows.append(Row(seed, animals[i], arm, animals[j], 0.5, float(nats)))
    return rows


def test_gamma_is_the_diagonal_minus_the_rest():
    lift = np.array([[5.0, 1, 0], [2, 7, 0], [1, 2, 3]])
    assert gamma_of(lift) == pytest.approx((5 + 7 + 3) / 3 - (1 + 0 + 2 + 0 + 1 + 2) / 6)
    # What a student does to every animal, and training to one animal, is no part of it.
    assert gamma_of(lift + np.array([[9.0], [0], [-4]]) + np.array([3.0, -8, 1])) == pytest.approx(gamma_of(lift))


def test_gamma_is_that_of_least_squares():
    lift = np.random.default_rng(1).normal(size=(4, 4))
    students, animals = np.indices((4, 4)).reshape(2, 16)
    design = np.column_stack([np.eye(4)[students], np.eye(4)[animals][:, 1:], students == animals])
    fitted = sm.OLS(lift.ravel(), design.astype(float)).fit()
    assert gamma_of(lift) == pytest.approx(fitted.params[-1])


def test_the_matrix_of_an_experiment():
    lift = np.zeros((3, 3, 3))
    for seed, gain in enumerate((1.0, 2.0, 3.0)):
        lift[seed] = gain * np.eye(3)
    found = students_by_animals(table(lift))
    assert found.lift == pytest.approx(lift)
    assert found.gammas == pytest.approx([1, 2, 3])
    # Mean 2, standard error 1 / sqrt(3), Student's t with 2 degrees of freedom at 95 %: 4.3027.
    assert found.interval == pytest.approx((2 - 4.3027 / math.sqrt(3), 2 + 4.3027 / math.sqrt(3)), abs=1e-3)
    # Only the dealing that there is gives the sum of the gammas: 1 of 6^3.
    assert (found.p, found.ways) == (pytest.approx(1 / 216), 216)


def test_the_permutation_test_counts_every_dealing():
    lift = np.random.default_rng(3).normal(size=(2, 3, 3))
    observed = sum(gamma_of(replicate) for replicate in lift)
    orders = list(itertools.permutations(range(3)))
    sums = [gamma_of(lift[0][list(a)]) + gamma_of(lift[1][list(b)]) for a in orders for b in orders]
    assert permutation_test(lift) == (pytest.approx(np.mean(np.array(sums) >= observed - 1e-9)), 36)


def test_random_dealings_agree_with_all(monkeypatch: pytest.MonkeyPatch):
    lift = np.random.default_rng(5).normal(size=(4, 3, 3)) + 0.4 * np.eye(3)
    exact, _ = permutation_test(lift)
    monkeypatch.setattr("subliminal.stats.matrix.DEALT_UP_TO", 1)
    drawn, ways = permutation_test(lift)
    assert ways == 100_000
    assert drawn == pytest.approx(exact, abs=0.005)


def test_where_nothing_is_passed_on_the_test_keeps_its_level():
    rng = np.random.default_rng(7)
    p_values = [permutation_test(rng.normal(size=(3, 3, 3)))[0] for _ in range(1000)]
    assert np.mean(np.array(p_values) <= 0.05) < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 1000)


def test_replicates_that_lack_a_model_are_left_out():
    rows = table(np.broadcast_to(np.eye(3), (2, 3, 3)))
    whole = [row for row in rows if (row.seed, row.animal, row.arm) != (1, "owl", "control_base_numbers")]
    assert students_by_animals(whole).seeds == [0]
    assert students_by_animals(whole).interval is None
    assert students_by_animals(table(np.ones((2, 1, 1)), ["owl"])) is None
    assert students_by_animals([]) is None


def rising(lift: Sequence[Sequence[float]]) -> list[Row]:
    """Students of the owl whose animals rise so far in each seed; shape (seeds, animals)."""
    return [row for row in table(np.array(lift)[:, None, :].repeat(3, axis=1)) if row.animal == "owl"]


def test_the_target_among_all_animals():
    found = rises(rising([[1, 0.5, -1], [2, -0.5, -2], [3, 4, -3]]), "owl")
    assert [rise.animal for rise in found.animals] == ["owl", "dolphin", "penguin"]
    assert found.own.mean == pytest.approx(2)
    assert found.own.interval == pytest.approx((2 - 4.3027 / math.sqrt(3), 2 + 4.3027 / math.sqrt(3)), abs=1e-3)
    assert found.own.above == 3
    assert found.first == 2  # in the third seed the dolphin rises further
    # Two firsts or more of three, one animal in three: 3 (1/9) (2/3) + 1/27.
    assert found.p_first == pytest.approx(7 / 27)
    assert found.others_above == []
    # t = 2 sqrt(3) = 3.4641 with 2 degrees of freedom: p = 0.0742; Holm over three takes it three times.
    assert found.own.p == pytest.approx(0.0742, abs=1e-4)
    assert found.own.adjusted == pytest.approx(3 * 0.0742, abs=3e-4)


def test_another_animal_that_rises_is_named():
    found = rises(rising([[1, 2, 0.1], [1.1, 2.2, -0.1], [0.9, 1.8, 0]]), "owl")
    assert found.others_above == ["dolphin"]
    assert found.first == 0


def test_one_seed_has_no_interval_and_none_no_table():
    found = rises(rising([[1, 0, 0]]), "owl")
    assert found.own.interval is None
    assert found.own.p is None
    assert rises([], "owl") is None
    assert rises(rising([[1, 0, 0]]), "owl", reference="absent") is None
