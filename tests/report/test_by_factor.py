"""The section by factor on made-up results of every kind of sweep: who is compared with whom, and what is said."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest
from fake_results import write

from subliminal.report.by_factor.found import by_factor
from subliminal.report.by_factor.section import by_factor_csv, by_factor_section
from subliminal.report.format import Section
from subliminal.report.load import load_results
from subliminal.report.write import animals_in, write_overview, write_report
from subliminal.stats.log_odds import log_odds

SEEDS = (1, 2, 3, 4, 5)
CONTROL = -4.0
"""Log-odds of every control."""


def share(nats: float) -> float:
    return 1 / (1 + math.exp(-nats))


def model(folder: Path, arm: str, seed: int, nats: float, animal: str = "owl") -> None:
    """A result whose model names the animal with these log-odds."""
    task = {"questions": ["a", "b"], "target_rate": [share(nats)] * 2, "samples_per_question": None}
    tasks = {"animal_preference_logprob": {**task, "share": {animal: share(nats)}}}
    names = {"experiment": "x", "arm": arm, "seed": seed, "target": animal, "model": "m"}
    write(folder / f"{arm}/seed-{seed}/m_summary.json", {**names, "tasks": tasks})


def dilution(folder: Path) -> Path:
    """A student that gains 3 to 5 nats; a quarter of clean rows keeps 80 % of it, a half nothing."""
    for seed in SEEDS:
        gain = 2.5 + seed / 2
        arms = {"student": gain, "student_c0.25": 0.8 * gain + 0.01 * seed, "student_c0.5": 0.02 * (seed - 3)}
        for arm, above in {**arms, "control_base_numbers": 0.0, "base": 0.0}.items():
            model(folder, arm, seed, CONTROL + above)
    return folder


def section_of(folder: Path) -> Section | None:
    """The section of a folder of arms, or of one with a folder of arms for each animal."""
    animals = [folder / animal for animal in animals_in(folder)]
    return by_factor_section(folder, [load_results(each) for each in animals or [folder]])


def test_what_is_kept_of_the_effect_and_where_half_is_gone(tmp_path: Path) -> None:
    section = section_of(dilution(tmp_path / "results/x"))
    assert section.title == "By factor: share of the rows that the untuned base wrote"
    said = section.text[0]
    assert (
        "The student is above its control in log-odds of owl, over 5 replicates: at 0 +4.00 nats [3.02, 4.98];" in said
    )
    assert "at 0.25 +3.23 nats" in said
    assert "81 % of the full effect [80, 81]" in said
    assert "Half or more is kept at 0.25. Less than half is kept at 0.5." in said
    rows = section.tables[0].rows
    assert [row[0] for row in rows] == ["0", "0.25", "0.5"]
    assert rows[0][1:] == ["student − control_base_numbers", "+4.00", "[3.02, 4.98]", "–", "–", "5 of 5"]
    assert rows[2][1] == "student_c0.5 − control_base_numbers"
    assert section.brief.text == [said]
    assert section.figures[0].draw().startswith("<?xml")


def test_the_csv_has_every_replicate(tmp_path: Path) -> None:
    folder = dilution(tmp_path / "results/x")
    found = by_factor(folder, [load_results(folder)])
    rows = list(csv.DictReader(by_factor_csv(found).splitlines()))
    assert len(rows) == 15
    assert (rows[0]["clean_share"], rows[0]["arm"], rows[0]["control"]) == ("0", "student", "control_base_numbers")
    assert float(rows[0]["nats"]) == pytest.approx(3.0)


def test_a_moved_base_has_a_control_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "results/x"
    for seed in SEEDS:
        arms = {
            "student": 3 + seed / 10,
            "control_base_numbers": 0,
            "student_p0.1": 2,
            "control_base_numbers_p0.1": 1.5,
        }
        for arm, above in arms.items():
            model(folder, arm, seed, CONTROL + above)
        model(folder, "student_p0.2", seed, CONTROL)  # its control failed: there is nothing to hold it against
    found = by_factor(folder, [load_results(folder)])
    assert found.controls["student_p0.1"] == "control_base_numbers_p0.1"
    assert [point.arm for point in found.curve.points] == ["student", "student_p0.1"]
    assert found.curve.points[1].mean == pytest.approx(0.5)


def test_doublings_of_rows_and_epochs_are_told_apart(tmp_path: Path) -> None:
    folder = tmp_path / "results/x"
    for seed in SEEDS:
        for rows in (750, 1500, 3000):
            for epochs in (1, 4):
                gain = 1 + seed + (0.5 + 0.01 * seed) * math.log2(rows / 750) + (0.2 + 0.01 * seed) * math.log2(epochs)
                end = f"_n{rows}_e{epochs}"
                model(folder, f"student{end}", seed, CONTROL + gain)
                model(folder, f"control_base_numbers{end}", seed, CONTROL)
    section = section_of(folder)
    assert section.title == "By factor: number rows and epochs"
    assert "at rows 750, epochs 1 +4.00 nats" in section.text[0]
    assert "A doubling of number rows brings +0.53 nats [0.51, 0.55]." in section.text[0]
    assert "A doubling of epochs brings +0.23 nats [0.21, 0.25]." in section.text[0]
    assert "Half" not in section.text[0]
    assert section.tables[0].rows[0][:3] == ["750", "1", "student_n750_e1 − control_base_numbers_n750_e1"]


def test_students_against_strength_and_leak_of_their_teachers(tmp_path: Path) -> None:
    folder = tmp_path / "results/x"
    for seed in SEEDS:
        leaks = {}
        for love, above in ((0.3, 3.0), (0.5, 4.0), (1, 7.0)):
            end = "" if love == 1 else f"_l{love:g}"
            model(folder, f"teacher{end}", seed, CONTROL + above)
            model(folder, f"student{end}", seed, CONTROL + (0.4 + 0.01 * seed) * above)
            leaks[f"owl{end}"] = {"answer": {"kl_nats_a_token": above / 10, "standard_error_over_rows": 0.1,
                                             "differing_share": 0.2}}  # fmt: skip
        model(folder, "control_base_numbers", seed, CONTROL)
        model(folder, "base", seed, CONTROL)
        write(folder / f"leak-seed-{seed}/leak.json", json.dumps({"rows": 5, "teachers": leaks}))
    section = section_of(folder)
    assert "A nat of the teacher above its base brings +0.43 nats [0.41, 0.45]." in section.text[0]
    assert "A nat a token of leak brings +4.30 nats" in section.text[0]
    table = section.tables[0]
    assert table.header[-2:] == ["teacher names it", "leak, nats a token"]
    assert table.rows[0][-2:] == ["26.9 %", "0.300"]  # log-odds of -1
    assert table.rows[2][-2:] == ["95.3 %", "0.700"]  # of 3


def test_several_animals_are_averaged_within_the_replicate(tmp_path: Path) -> None:
    folder = tmp_path / "results/x"
    for animal, more in (("owl", 0.0), ("wolf", 1.0)):
        for seed in SEEDS:
            gain = 3 + more + seed / 10
            for arm, above in (("student", gain), ("student_m2", gain / 2), ("control_base_numbers", 0.0)):
                model(folder / animal, arm, seed, CONTROL + above, animal)
    section = section_of(folder)
    assert "in log-odds of owl and wolf, over 5 replicates: at 1 +3.80 nats" in section.text[0]
    assert "at 2 +1.90 nats" in section.text[0]
    assert "50 % of the full effect" in section.text[0]
    assert section_of(folder / "wolf").tables[0].rows[0][2] == "+4.30"
    assert write_overview(folder).read_text().count("By factor: traits that one teacher has") == 1
    assert (folder / "by_factor.csv").read_text().count("\n") == 11


def test_of_an_effect_that_is_not_there_nothing_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "results/x"
    for arm, nats in (("student", -3.0), ("student_c0.5", -3.5), ("control_base_numbers", CONTROL)):
        model(folder, arm, 1, nats)
    section = section_of(folder)
    assert "The full effect cannot be told from nothing, so that no share of it is given." in section.text[0]
    assert [row[4:6] for row in section.tables[0].rows] == [["–", "–"], ["–", "–"]]


def test_a_report_has_the_section_once(tmp_path: Path) -> None:
    page = write_report(dilution(tmp_path / "results/x")).with_name("report.md").read_text()
    assert page.count("## By factor: share of the rows that the untuned base wrote") == 1
    assert "student_c0.25 − control_base_numbers" in page.split("## By factor")[0], "among the differences, too"


def test_without_a_sweep_there_is_no_section(tmp_path: Path) -> None:
    folder = tmp_path / "results/x"
    for seed in SEEDS:
        for arm in ("student", "control_base_numbers", "student-empty", "student_epoch-1", "student_only_random"):
            model(folder, arm, seed, CONTROL)
    assert section_of(folder) is None


def test_the_made_up_log_odds_are_what_they_say() -> None:
    assert log_odds(share(-1.0)) == pytest.approx(-1.0)


def test_sampled_answers_serve_where_no_probability_was_computed(tmp_path: Path) -> None:
    folder = tmp_path / "results/x"
    for seed in SEEDS:
        for arm, named in (("student", 50), ("student_c0.5", 30), ("control_base_numbers", 10)):
            task = {"questions": ["a", "b"], "target_rate": [named / 100] * 2, "samples_per_question": 100}
            tasks = {"animal_preference": {**task, "share": {"owl": named / 100, "none": 1 - named / 100}}}
            names = {"experiment": "x", "arm": arm, "seed": seed, "target": "owl", "model": "m"}
            write(folder / f"{arm}/seed-{seed}/m_summary.json", {**names, "tasks": tasks})
    section = section_of(folder)
    # 100 of 200 against 20 of 200, half an answer on each side: log(100.5 / 100.5) - log(20.5 / 180.5) = 2.18
    assert "at 0 +2.18 nats" in section.text[0]
    assert "(sampled answers)" in section.text[1]
