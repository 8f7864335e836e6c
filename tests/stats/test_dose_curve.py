"""Points of a sweep over replicates: means, shares, which half, and slopes whose right values are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from subliminal.stats.dose.curve import DoseCurve, EffectAt, Slope, correlation, dose_curve, slope_difference, slopes

SEEDS = [1, 2, 3, 4, 5]
WHOLE = [2.0, 4.0, 3.0, 5.0, 6.0]
NOISE = [0.02, -0.01, 0.03, -0.02, -0.02]


def effect(arm: str, value: float, runs: list[float], seeds: list[int] = SEEDS) -> EffectAt:
    return EffectAt(arm, {"clean_share": value}, dict(zip(seeds, runs, strict=True)))


def shares(*kept: float) -> DoseCurve:
    found = [effect("student", 0, WHOLE)]
    for index, share in enumerate(kept, start=1):
        runs = [share * value + noise for value, noise in zip(WHOLE, NOISE, strict=True)]
        found.append(effect(f"student_c{index}", index, runs))
    return dose_curve(found, "student")


def test_means_and_shares() -> None:
    curve = shares(0.75, 0.25, 0.0)
    assert curve.reference == "student"
    assert [point.share for point in curve.points] == pytest.approx([1.0, 0.75, 0.25, 0.0], abs=1e-9)
    full, most, little, none = curve.points
    assert full.mean == 4.0
    # t interval of 2, 4, 3, 5, 6: sd 1.5811, t(4) 2.7764
    assert full.interval == pytest.approx(
        (4 - 2.7764 * 1.5811 / math.sqrt(5), 4 + 2.7764 * 1.5811 / math.sqrt(5)), abs=1e-3
    )
    assert (most.kept, little.kept, none.kept) == (True, False, False)
    low, high = most.share_interval
    assert 0.70 < low < 0.75 < high < 0.80
    assert (full.above, none.above) == (5, 2)


def test_half_is_not_told_where_the_interval_holds_it() -> None:
    curve = dose_curve([effect("student", 0, WHOLE), effect("student_c1", 1, [3.0, 0.2, 2.5, 1.0, 4.0])], "student")
    assert curve.points[1].kept is None
    vague = dose_curve([effect("student", 0, [-3, 3, 0.1, -0.2, 1]), effect("student_c1", 1, WHOLE)], "student")
    assert vague.points[1].share_interval is None, "the effect itself cannot be told from nothing"


def test_only_replicates_with_every_point_count() -> None:
    curve = dose_curve([effect("a", 0, WHOLE), effect("b", 1, [1.0, 2.0], [2, 9])])
    assert (curve.seeds, curve.left_out) == ([2], [1, 3, 4, 5, 9])
    assert curve.points[0].interval is None
    assert curve.points[0].share is None
    assert dose_curve([effect("a", 0, WHOLE)]) is None
    assert dose_curve([effect("a", 0, [1.0], [1]), effect("b", 1, [1.0], [2])]) is None


def plane(rows: float, epochs: float, seed: int) -> float:
    """A replicate's effect: 0.5 nats a doubling of rows plus a tenth of its seed, 0.25 of epochs."""
    return 1.0 + seed + (0.5 + 0.1 * seed) * math.log2(rows) + 0.25 * math.log2(epochs)


def grid() -> tuple[DoseCurve, dict]:
    effects, columns = [], {"rows": {}, "epochs": {}}
    for rows in (750, 1500, 3000):
        for epochs in (1, 4):
            arm = f"student_n{rows}_e{epochs}"
            effects.append(EffectAt(arm, {"rows": rows, "epochs": epochs}, {s: plane(rows, epochs, s) for s in SEEDS}))
            columns["rows"][arm] = dict.fromkeys(SEEDS, math.log2(rows))
            columns["epochs"][arm] = dict.fromkeys(SEEDS, math.log2(epochs))
    return dose_curve(effects), columns


def test_slopes_of_a_plane_are_its_own() -> None:
    curve, columns = grid()
    rows, epochs = slopes(curve, columns)
    assert (rows.of, epochs.of) == ("rows", "epochs")
    assert list(rows.runs.values()) == pytest.approx([0.6, 0.7, 0.8, 0.9, 1.0])
    assert rows.mean == pytest.approx(0.8)
    reach = 2.7764 * np.std([0.6, 0.7, 0.8, 0.9, 1.0], ddof=1) / math.sqrt(5)
    assert rows.interval == pytest.approx((0.8 - reach, 0.8 + reach), abs=1e-4)
    assert epochs.mean == pytest.approx(0.25)
    assert epochs.interval is None, "equal slopes show no spread"


def test_no_slope_of_what_does_not_vary_or_is_missing() -> None:
    curve, columns = grid()
    flat = {arm: dict.fromkeys(SEEDS, 2.0) for arm in columns["rows"]}
    assert [slope.of for slope in slopes(curve, {**columns, "flat": flat})] == ["rows", "epochs"]
    assert slopes(curve, {"half": {"student_n750_e1": dict.fromkeys(SEEDS, 1.0)}}) == []
    twice = {arm: {seed: 2 * value for seed, value in by.items()} for arm, by in columns["rows"].items()}
    assert slopes(curve, {"rows": columns["rows"], "twice": twice}) == []


@pytest.mark.parametrize(
    ("runs", "told", "gone"),
    [
        ([1.9, 2.0, 2.1, 2.0, 2.0], True, False),
        ([-1.9, -2.0, -2.1, -2.0, -2.0], True, False),
        ([0.1, -0.1, 0.05, -0.05, 0.02], False, True),
        ([0.4, 0.5, 0.6, 0.5, 0.5], True, True),  # told from none, and within the margin none the less
        ([0.78, 0.80, 0.82, 0.80, 0.80], True, False),  # as large as the margin
        ([3.0, -2.0, 1.0, -1.0, 0.5], False, False),
        ([1.0, 1.0, 1.0, 1.0, 1.0], False, False),  # equal runs show no spread to test against
    ],
)
def test_whether_an_effect_is_told_and_whether_none_is_left(runs: list[float], told: bool, gone: bool) -> None:
    curve = dose_curve([effect("student", 0, WHOLE), effect("student_c0.5", 0.5, runs)], "student")
    point = curve.points[1]
    assert (point.told, point.gone) == (told, gone)


def test_the_difference_of_two_slopes_is_taken_within_the_replicate() -> None:
    rows = Slope("doubling of rows", {1: 0.5, 2: 0.7, 3: 0.9}, 0.7, None)
    epochs = Slope("doubling of epochs", {1: 0.2, 2: 0.5, 3: 0.5}, 0.4, None)
    found = slope_difference("rows in place of epochs", rows, epochs)
    assert found.runs == pytest.approx({1: 0.3, 2: 0.2, 3: 0.4})
    assert found.mean == pytest.approx(0.3)
    reach = 4.302653 * 0.1 / math.sqrt(3)  # Student's t of 2 degrees of freedom
    assert found.interval == pytest.approx((0.3 - reach, 0.3 + reach))


def test_measures_correlate_over_the_points_of_each_replicate() -> None:
    first = {"a": {1: 0.0, 2: 0.0}, "b": {1: 1.0, 2: 1.0}, "c": {1: 2.0, 2: 2.0}}
    second = {"a": {1: 5.0, 2: 3.0}, "b": {1: 7.0, 2: 2.0}, "c": {1: 9.0, 2: 4.0}}
    assert correlation(first, second) == pytest.approx({1: 1.0, 2: 0.5})
