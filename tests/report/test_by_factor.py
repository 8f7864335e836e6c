"""The section by factor on made-up results of every kind of sweep: who is compared with whom, and what is said."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest
from fake_results import write

from subliminal.report.blocks import Section
from subliminal.report.by_factor.found import by_factor
from subliminal.report.by_factor.section import by_factor_csv, by_factor_section
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
        "The student is above its control in log-odds of owl, over 5 replicates, by share of the rows that the untuned "
        "base wrote: at 0 +4.00 nats [3.02, 4.98];" in said
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


def test_each_type_of_rows_has_a_control_of_its_own_and_a_small_effect_is_one(tmp_path: Path) -> None:
    folder = tmp_path / "results/x"
    for seed in SEEDS:
        # Above its control by 3, 0.4 and 0 nats.
        arms = {"student": 3.0, "student_d1": 1.4, "student_d2": -0.5}
        for end, above in {"": 0.0, "_d1": 1.0, "_d2": -0.5}.items():
            arms[f"control_base_numbers{end}"] = above - (seed - 3) / 50
        for arm, above in arms.items():
            model(folder, arm, seed, CONTROL + above)
    section = section_of(folder)
    assert section.title == "By factor: type of the rows that students learn (0: number lists)"
    assert [row[1] for row in section.tables[0].rows] == [
        *("student − control_base_numbers", "student_d1 − control_base_numbers_d1"),
        "student_d2 − control_base_numbers_d2",
    ]
    assert "at 1 +0.40 nats [0.36, 0.44], 13 % of the full effect" in section.text[0]
    assert "There is an effect, and it is below 0.8 nats, at 1." in section.text[0]
    assert "There is no effect, within 0.8 nats, at 2." in section.text[0]


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
    assert "A doubling of number rows in place of one of epochs brings +0.30 nats." in section.text[0], "as many steps"
    assert section.figures[0].draw().count('<g id="legend_1">') == 1, "a series for each number of epochs"
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


STRENGTH_AND_LEAK = ((0.3, 3.0, 0.2), (0.5, 4.0, 0.7), (0.8, 6.0, 0.4), (1, 7.0, 0.9))
"""Of four teachers: share of favourites, nats above the base, leak in nats a token."""


def leaking(folder: Path, of_teacher: tuple[tuple[float, float, float], ...] = STRENGTH_AND_LEAK) -> Path:
    """Students that gain 0.2 nats for a nat of their teacher and 3 for a nat of leak; strength and leak go apart."""
    for seed in SEEDS:
        leaks = {}
        for love, above, leak in of_teacher:
            end = "" if love == 1 else f"_l{love:g}"
            model(folder, f"teacher{end}", seed, CONTROL + above)
            model(folder, f"student{end}", seed, CONTROL + (0.2 + 0.01 * seed) * above + (3 + 0.1 * seed) * leak)
            leaks[f"owl{end}"] = {"answer": {"kl_nats_a_token": leak, "standard_error_over_rows": 0.1,
                                             "differing_share": 0.2}}  # fmt: skip
        model(folder, "control_base_numbers", seed, CONTROL)
        model(folder, "base", seed, CONTROL)
        write(folder / f"leak-seed-{seed}/leak.json", json.dumps({"rows": 5, "teachers": leaks}))
    return folder


def test_strength_and_leak_in_one_fit_are_told_apart(tmp_path: Path) -> None:
    section = section_of(leaking(tmp_path / "results/x"))
    both = (
        "With both in one fit, a nat of the teacher above its base brings +0.23 nats [0.21, 0.25] and a nat a token of "
        "leak brings +3.30 nats [3.10, 3.50]."
    )
    assert both in section.text[0]
    alone = section.text[0].split("With both")[0]
    assert "A nat of the teacher above its base brings" in alone
    assert "brings +0.23" not in alone, "alone it brings what goes with it, too"
    assert any("they correlate by 0.65 to 0.65" in said for said in section.text), "1.1 / sqrt(10 x 0.29)"


def test_teachers_that_are_equally_strong_leave_leak_by_itself(tmp_path: Path) -> None:
    saturated = tuple((love, 7.0, leak) for love, _, leak in STRENGTH_AND_LEAK)
    section = section_of(leaking(tmp_path / "results/x", saturated))
    assert "A nat a token of leak brings +3.30 nats [3.10, 3.50]." in section.text[0]
    assert "A nat of the teacher" not in section.text[0]
    assert "in one fit" not in section.text[0]
    assert not any("correlate" in said for said in section.text), "one of the two does not vary"


def test_teachers_that_differ_have_a_figure_of_their_own(tmp_path: Path) -> None:
    section = section_of(leaking(tmp_path / "results/x"))
    assert [figure.file for figure in section.figures] == ["by_factor.svg", "by_teacher.svg"]
    assert section.brief.figures == section.figures
    assert "With both in one fit" in section.figures[1].words
    assert section.figures[1].draw().count('<g id="axes_') == 2
    found = by_factor(tmp_path / "results/x", [load_results(tmp_path / "results/x")])
    rows = list(csv.DictReader(by_factor_csv(found).splitlines()))
    assert float(rows[0]["teacher_nats"]) == pytest.approx(3.0)
    assert float(rows[0]["leak_nats_a_token"]) == 0.2


def test_where_no_effect_is_left_and_where_that_cannot_be_told(tmp_path: Path) -> None:
    folder = tmp_path / "results/x"
    for seed in SEEDS:
        gains = {"": 3 + seed / 10, "_p0.1": 2 + seed / 10, "_p0.2": seed - 2.5, "_p0.4": (seed - 3) / 10}
        for end, gain in gains.items():
            model(folder, f"student{end}", seed, CONTROL + gain)
            model(folder, f"control_base_numbers{end}", seed, CONTROL)
    said = section_of(folder).text[0]
    assert "There is no effect, within 0.8 nats, at 0.4." in said
    assert "Whether there is an effect cannot be told at 0.2." in said


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (0.6, "At 2 each keeps more than an equal split would leave it (50 %); some is lost against a teacher of one."),
        (0.2, "At 2 each keeps less than an equal split would leave it (50 %): they interfere; some is lost against"),
        (1.3, "At 2 each keeps more than an equal split would leave it (50 %); it is more than from a teacher of one."),
    ],
)
def test_traits_of_one_teacher_are_held_against_an_equal_split(tmp_path: Path, kept: float, words: str) -> None:
    folder = tmp_path / "results/x"
    for seed in SEEDS:
        gain = 3 + seed / 10
        for arm, above in (("student", gain), ("student_m2", kept * gain), ("control_base_numbers", 0.0)):
            model(folder, arm, seed, CONTROL + above)
    assert words in section_of(folder).text[0]


def test_a_wide_interval_tells_neither_a_split_nor_a_loss(tmp_path: Path) -> None:
    folder = tmp_path / "results/x"
    for seed in SEEDS:
        for arm, above in (("student", 3.0 + seed / 10), ("student_m2", seed - 0.8), ("control_base_numbers", 0.0)):
            model(folder, arm, seed, CONTROL + above)
    said = section_of(folder).text[0]
    assert "At 2 whether each keeps more or less than an equal split would leave it (50 %) cannot be told;" in said
    assert "; whether some is lost against a teacher of one cannot be told." in said


def test_several_animals_are_averaged_within_the_replicate(tmp_path: Path) -> None:
    folder = tmp_path / "results/x"
    for animal, more in (("owl", 0.0), ("wolf", 1.0)):
        for seed in SEEDS:
            gain = 3 + more + seed / 10
            for arm, above in (("student", gain), ("student_m2", gain / 2), ("control_base_numbers", 0.0)):
                model(folder / animal, arm, seed, CONTROL + above, animal)
    section = section_of(folder)
    assert (
        "in log-odds of owl and wolf, over 5 replicates, by traits that one teacher has: at 1 +3.80 nats"
        in section.text[0]
    )
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
