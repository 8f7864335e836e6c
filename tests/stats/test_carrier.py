"""What carries the trait: parts that add up, planted answers, intervals that cover, and what cannot be said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from fake_results import write
from typer.testing import CliRunner

from subliminal.analysis.__main__ import app
from subliminal.experiment.arms import BY_NAME
from subliminal.report.analyses.carrier import carrier_section
from subliminal.report.load import load_results
from subliminal.stats.carrier.parts import BESIDE, FOOT, LADDER, carrier
from subliminal.stats.carrier.words import cells, sentences
from subliminal.stats.log_odds import Row, read_table
from subliminal.stats.shares import ratio_interval

ARMS = [*(arm for arm, _ in LADDER), FOOT[0], *(arm for arm, _ in BESIDE)]
PLANTED = dict(zip(ARMS, (4.0, 3.5, 3.5, 1.5, -0.5, 0.5, -0.5), strict=True))
"""Log-odds above the base: order carries 0.5, company 0, frequencies 2, layout 2 nats; the whole is 4.5."""


def table(seeds: int, *, arms: dict[str, float] = PLANTED, noise: float = 0.0, animal: str = "owl") -> list[Row]:
    rng, rows = np.random.default_rng(7), []
    for seed in range(1, seeds + 1):
        base = rng.normal(-4, 1)  # of the replicate, in every arm of it
        for arm, effect in arms.items():
            odds = base + effect + rng.normal(0, noise)
            rows.append(Row(seed, animal, arm, animal, 1 / (1 + np.exp(-odds)), odds))
            rows.append(Row(seed, animal, arm, "dog", 0.1, -2.2))
    return rows


def without(arm: str) -> dict[str, float]:
    return {name: effect for name, effect in PLANTED.items() if name != arm}


def test_each_property_gets_what_was_planted_and_the_parts_add_up() -> None:
    found = carrier(table(8, noise=0.01))
    assert [round(part.mean, 1) for part in found.parts] == [0.5, 0.0, 2.0, 2.0]
    assert sum(part.mean for part in found.parts) == pytest.approx(found.whole.mean, abs=1e-12)
    assert found.whole.mean == pytest.approx(4.5, abs=0.02)
    assert [part.share for part in found.parts] == pytest.approx([0.5 / 4.5, 0, 2 / 4.5, 2 / 4.5], abs=0.01)
    assert [round(part.mean, 1) for part in found.beside] == [1.0, 0.0]
    # The replicates' bases lie nats apart; within a replicate that cancels.
    assert all(high - low < 0.05 for low, high in (part.interval for part in found.parts))


def test_arms_in_the_wrong_place_give_another_answer() -> None:
    """The known answer depends on which arm is which: frequencies and layout change places with their arms."""
    swapped = dict(PLANTED)
    swapped["control_shuffled_rows"], swapped["control_random_numbers"] = 1.5, 3.5
    assert [round(part.mean, 1) for part in carrier(table(8, arms=swapped)).parts] == [0.5, 2.0, -2.0, 4.0]


def test_without_an_arm_its_property_is_counted_with_the_one_before() -> None:
    found = carrier(table(5, arms=without("control_shuffled_rows"), noise=0.01))
    assert found.parts[1].name == "which numbers share a row and the frequencies of the numbers"
    assert [round(part.mean, 1) for part in found.parts] == [0.5, 2.0, 2.0]


@pytest.mark.parametrize("arm", ["student", "control_base_numbers"])
def test_without_student_or_control_nothing_is_said(arm: str) -> None:
    assert carrier(table(5, arms=without(arm))) is None


def test_student_and_control_alone_split_into_nothing() -> None:
    assert carrier(table(5, arms={"student": 4.0, "control_base_numbers": 0.0})) is None


def test_a_seed_that_lacks_an_arm_is_left_out_and_named() -> None:
    rows = [row for row in table(5) if (row.seed, row.arm) != (3, "control_shuffled")]
    found = carrier(rows)
    assert (found.seeds, found.left_out) == ([1, 2, 4, 5], [3])
    assert "seed 3" in sentences(found, "exact probability")[-1]


def test_one_run_has_no_interval_and_says_nothing_of_the_parts() -> None:
    found = carrier(table(1))
    assert found.whole.interval is None
    assert all(part.share_interval is None for part in found.parts)
    assert "nothing is said of the parts" in sentences(found, "exact probability")[0]


def test_animals_are_averaged_within_a_run() -> None:
    """Two animals of one seed are one run: they share a base."""
    dolphin = {arm: effect + (arm == "student") for arm, effect in PLANTED.items()}
    found = carrier(table(6) + table(6, arms=dolphin, animal="dolphin"))
    assert found.animals == ["dolphin", "owl"]
    assert len(found.whole.runs) == 6
    assert found.whole.mean == pytest.approx(5.0)


def test_without_an_effect_there_are_no_shares() -> None:
    flat = dict.fromkeys(PLANTED, 0.0)
    found = carrier(table(10, arms=flat, noise=0.5))
    assert all(part.share_interval is None for part in found.parts)
    said = sentences(found, "exact probability")[0]
    assert said.count("cannot be told from nothing") == len(found.parts)


def test_the_interval_of_a_share_covers_the_true_share() -> None:
    """95 % of 2,000 experiments of ten runs, within four standard errors of the count."""
    rng, covered, drawn = np.random.default_rng(3), 0, 2000
    for _ in range(drawn):
        common = rng.normal(4, 1, 10)
        part = 0.6 * common + rng.normal(0, 0.7, 10)
        low, high = ratio_interval(part, common + rng.normal(0, 0.3, 10))
        covered += low <= 0.6 <= high
    assert abs(covered / drawn - 0.95) < 4 * np.sqrt(0.95 * 0.05 / drawn)


def test_the_whole_is_all_of_itself() -> None:
    whole = np.array([3.1, 4.2, 5.0, 2.2])
    assert ratio_interval(whole, whole) == pytest.approx((1, 1), abs=1e-6)
    assert ratio_interval(0.3 * whole, whole) == pytest.approx((0.3, 0.3), abs=1e-6)


def test_every_arm_named_here_is_an_arm_of_experiments() -> None:
    assert set(ARMS) | set(FOOT) <= BY_NAME.keys()
    # What each rung destroys is what the arm's builder does.
    rows = [BY_NAME[arm].rows for arm, _ in LADDER]
    assert rows == ["teacher", "shuffled", "shuffled-rows", "random"]


def results(root: Path, arms: dict[str, float] = PLANTED, broken: str = "") -> Path:
    """An experiment's folder with these log-odds of owls, one base a seed; one arm may name no animal for the rest."""
    for row in table(4, arms=arms, noise=0.05):
        if row.asked != "owl":
            continue
        folder = root / "results/made" / row.arm / f"seed-{row.seed}"
        exact = {"questions": ["a", "b"], "target_rate": [row.share] * 2, "samples_per_question": None}
        summary = {"experiment": "made", "arm": row.arm, "model": "m", "seed": row.seed, "target": "owl"}
        nameless = 0.6 if row.arm == broken else 0.0
        share = {"owl": row.share, "rest": nameless, "dog": 1 - row.share - nameless}
        task = {**exact, "share": share}
        write(folder / "m_summary.json", {**summary, "tasks": {"animal_preference_logprob": task}})
        write(folder / "manifest.json", {"config": {"model": f"{row.arm}-{row.seed}"}})
    return root / "results/made"


def test_the_command_prints_and_writes_what_the_section_says(tmp_path: Path) -> None:
    folder = results(tmp_path)
    done = CliRunner().invoke(app, ["carrier", str(folder), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    section = carrier_section(load_results(folder))
    assert section.text[0] in done.output
    found = carrier(read_table(folder, "animal_preference_logprob"))
    assert section.tables[0].rows == cells(found)
    written = json.loads((tmp_path / "out/carrier.json").read_text())
    assert written["whole"]["mean"] == pytest.approx(found.whole.mean)
    lines = (tmp_path / "out/carrier.csv").read_text().splitlines()
    assert len(lines) == 1 + 4 * len(section.tables[0].rows)


def test_a_broken_arm_is_named_in_the_section(tmp_path: Path) -> None:
    whole = carrier_section(load_results(results(tmp_path / "whole")))
    assert not any("Broken" in text for text in whole.text)
    # Low odds of owls: 0.6 is then left for no animal.
    wreck = {arm: effect - 3 for arm, effect in PLANTED.items()}
    section = carrier_section(load_results(results(tmp_path / "wreck", wreck, broken="control_shuffled")))
    assert section.text[-1].startswith("Broken, see Damage: control_shuffled (seed 1, 2, 3, 4).")


def test_an_experiment_without_such_arms_has_no_section_and_a_sentence(tmp_path: Path) -> None:
    folder = results(tmp_path, {"student": 4.0, "control_base_numbers": 0.0})
    assert carrier_section(load_results(folder)) is None
    done = CliRunner().invoke(app, ["carrier", str(folder)])
    assert done.exit_code != 0
    assert "Add such an arm" in str(done.exception)
