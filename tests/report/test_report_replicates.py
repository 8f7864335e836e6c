"""Reports of replicates: where each seed has a base of its own, everything is paired within the seed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_results import RATES as FAKE_RATES
from fake_results import add_arm, write
from scipy.special import expit, logit

from subliminal import stats
from subliminal.report import data
from subliminal.report.data import Results
from subliminal.report.load import load_results
from subliminal.report.pages import markdown
from subliminal.report.replicates import COMPARED_ARMS, replicate_rates, replicate_seeds, replicates_section
from subliminal.report.tables.comparisons import comparisons, graded_comparisons
from subliminal.report.write import compose
from subliminal.stats.replicates import replicates
from subliminal.stats.verdict import replicates_verdict

TASK, SEEDS = "animal_preference_logprob", range(1, 7)
RATES = {"student": 0.05, "control": 0.01, "null": 0.0101}


def _experiment(**bases: str) -> Results:
    """Six seeds of three arms; a base's name may hold the seed's number."""
    rows, manifests = [], {}
    for key, name in COMPARED_ARMS.items():
        for seed in SEEDS:
            for question, off in (("q1", -0.001), ("q2", 0.001)):
                rows.append((name, seed, TASK, question, (RATES[key] + off) * (1 + 0.01 * seed), None))
        manifests[name] = {seed: {"config": {"model": bases.get(key, "base-seed-{}").format(seed)}} for seed in SEEDS}
    table = pd.DataFrame(rows, columns=data.RATES)
    return Results(Path("results/x"), "x", "owl", manifests, {TASK: data.EXACT}, table)


def test_the_section_has_every_replicate_and_what_they_say_together() -> None:
    experiment = _experiment()
    rates = replicate_rates(experiment, TASK)
    assert rates["student"][3] == pytest.approx(0.05 * 1.03)
    section = replicates_section(experiment)
    (table,) = section.tables
    assert table.header == ["seed", *COMPARED_ARMS.values(), "student − control, points", "log-odds, nats"]
    assert table.rows[2] == ["3", "5.15 %", "1.03 %", "1.04 %", "+4.12", "+1.65"]
    text = " ".join(section.text)
    assert "above its control in 6 of 6 replicates (sign test, p 0.031)" in text
    assert "Mean difference of log-odds +1.65 nats" in text
    assert "an odds ratio of 5.22" in text  # (0.05175 / 0.94825) / (0.01035 / 0.98965), the mean over seeds
    assert "In points the median difference is +4.14 and the mean +4.14." in text
    assert (
        "equivalent within 0.8 nats, a quarter of the effect that is expected (two one-sided t tests, p < 0.001)"
        in text
    )
    table = replicates(**{key: list(by_seed.values()) for key, by_seed in rates.items()})
    assert f"[{table['ci99'][0]:.2f}, {table['ci99'][1]:.2f}] (t)" in text


def test_a_difference_between_controls_is_not_called_equivalent() -> None:
    experiment = _experiment()
    again = experiment.rows["arm"] == "control_base_numbers_again"
    experiment.rows.loc[again, "rate"] *= 2 + experiment.rows["seed"] / 6
    assert "The two are not shown to be equivalent" in " ".join(replicates_section(experiment).text)


@pytest.mark.parametrize("old", [False, True])
def test_a_whole_model_has_the_base_that_its_evaluation_named(old: bool) -> None:
    experiment = _experiment(student="outputs/student-seed-{}")
    assert replicates_section(experiment) is None
    for manifests in experiment.manifests.values():
        for seed, manifest in manifests.items():
            if old:  # a result from before 2026-11-28
                manifest["command"] = f"python scripts/evaluate.py --model base-seed-{seed} --models a,b=c"
            else:
                manifest["base_model"] = f"base-seed-{seed}"
    assert replicates_section(experiment) is not None


def test_seeds_that_share_a_base_are_no_replicates() -> None:
    assert replicates_section(_experiment(student="base", control="base", null="base")) is None
    assert replicates_section(_experiment(control="other-{}")) is None, "arms of a seed that do not share a base"
    two = _experiment()
    two.rows = two.rows[two.rows["seed"] < 3]
    assert replicates_section(two) is None, "two replicates show no spread"


def test_only_seeds_that_every_arm_has_are_compared() -> None:
    experiment = _experiment()
    rows = experiment.rows[(experiment.rows["arm"] != "control_base_numbers") | (experiment.rows["seed"] != 4)]
    experiment = replace(experiment, rows=rows)
    assert list(replicate_rates(experiment, TASK)["student"]) == [1, 2, 3, 5, 6]
    experiment = replace(experiment, rows=rows[rows["arm"] != "control_base_numbers_again"])
    assert list(replicate_rates(experiment, TASK)) == ["student", "control"]
    assert "The null" not in " ".join(replicates_section(experiment).text)


# --- the whole report, from result folders ---

CONTROL = "control_base_numbers"


def _replicate(root: Path, seed: int, base: float) -> None:
    """One replicate: its controls are nearly as its base, and its student 0.9 nats above it."""
    student, null = (float(expit(logit(base) + nats)) for nats in (0.9 + 0.02 * (seed - 3.5), 0.03 * (-1) ** seed))
    rates = {"base": base, "student": student, CONTROL: base, "control_base_numbers_again": null}
    for arm, rate in rates.items():
        folder = add_arm(root, arm, seed, rate=rate)
        path = folder / "manifest.json"
        manifest = json.loads(path.read_text())
        manifest["command"] = f"python scripts/evaluate.py --model outputs/base-seed-{seed} --models x"
        manifest["config"]["model"] = f"outputs/base-seed-{seed}"
        write(path, manifest)
        (summary,) = folder.glob("*_summary.json")
        data = json.loads(summary.read_text())
        for task in data["tasks"].values():
            wave = 0.1 * base * np.cos(np.arange(len(task["target_rate"])) + seed * len(arm))
            task["target_rate"] = list(rate + wave - wave.mean())
        write(summary, data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six replicates whose bases differ by far more than student and control do."""
    root = tmp_path_factory.mktemp("replicates")
    for seed, base in enumerate((0.002, 0.01, 0.04, 0.1, 0.2, 0.4), start=1):
        _replicate(root, seed, base * (1 + 0.001 * seed))
    return root / "results/owl-demo"


def test_comparisons_are_paired_and_the_spread_of_bases_is_out(folder: Path) -> None:
    experiment = load_results(folder)
    compared = {c.contrast: c for c in comparisons(experiment) if c.task == TASK}
    main = compared[f"student − {CONTROL}"]
    means = [list(experiment.by_seed(arm, TASK).values()) for arm in ("student", CONTROL)]
    assert main.verdict == replicates_verdict(*means)
    assert (main.verdict.claim, main.over.unit, main.over.n) == ("student above control", "replicates", (6, 6))
    assert stats.over_runs(*([[mean] * 2 for mean in arm] for arm in means)).p > 0.4, "Welch sees nothing here"
    assert main.replicates == replicates(*means)
    assert compared["student − base"].over.unit == "replicates"
    assert compared["student − base"].verdict is None, "a base is no training data"
    null = compared[f"control_base_numbers_again − {CONTROL}"]
    assert (null.over.unit, null.verdict) == ("replicates", None)


def test_the_page_names_units_levels_and_the_null(folder: Path) -> None:
    text = markdown(compose(folder).page)
    answer = text[text.index("## The answer") : text.index("## Arms")]
    # 0.9 nats, less what half an answer does to a rate of 0.2 %: two of 1,000 answers.
    assert "+0.87 nats of log-odds. Student above control.**" in answer
    assert "paired t test of log-odds over 6 replicates)." in answer
    for fact in (
        "95 % interval over replicates, nats: [",
        "99 % interval over replicates (t), nats: [",
        "odds ratio: 2.39, 99 % interval",
        "student − control, points: median +",
        "student above control: in 6 of 6 replicates",
        "p of that number (sign test): 0.031",
    ):
        assert f"\n- {fact}" in answer
    assert "bootstrap" not in text, "six replicates have no interval of 99 % from drawing them anew"
    assert "The two are equivalent within 0.8 nats" in answer
    assert "| log-odds over replicates, nats | odds ratio |" in text
    assert "rests on the test over replicates alone" in text
    assert "The intervals drawn, of differences of log-odds, are 95 % t intervals over replicates." in text
    assert "above 0 in 6 of 6 replicates" in text
    for wrong in ("Welch", "over training runs", "intervals drawn are over questions"):
        assert wrong not in text
    assert f"| control_base_numbers_again − {CONTROL} | exact probability" in text
    assert "control_base_numbers_again − control_base_numbers, exact" not in answer, "two controls differ in no data"


def test_many_seeds_are_rows(tmp_path: Path) -> None:
    for seed in range(11, 20):
        _replicate(tmp_path, seed, 0.01 * seed)
    text = markdown(compose(tmp_path / "results/owl-demo").page)
    header = next(line for line in text.splitlines() if line.startswith("| seed | base, sampled answers |"))
    assert header.count("|") == 2 * 4 + 2, "four arms, two measures"
    row = next(line for line in text.splitlines() if line.startswith("| 19 | ") and line.count("|") == 2 * 4 + 2)
    assert row.split(" | ")[1] == "19.0 %"
    assert "| 11 to 19 |" in text


def test_two_replicates_tell_nothing_and_are_not_tested_as_runs(tmp_path: Path) -> None:
    for seed in (1, 2):
        _replicate(tmp_path, seed, 0.01 * seed)
    text = markdown(compose(tmp_path / "results/owl-demo").page)
    assert "Cannot tell: 2 replicates do not show how much the difference varies between them; 3 may." in text
    assert "| too few |" in text
    assert "Welch" not in text


def test_seeds_of_one_base_are_tested_over_runs(tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        for arm in FAKE_RATES:
            add_arm(tmp_path, arm, seed)
    assert {c.over.unit for c in comparisons(load_results(tmp_path / "results/owl-demo")) if c.over} == {
        "training runs"
    }


def test_graded_tasks_are_paired_too() -> None:
    experiment = _experiment()
    rows = []
    for arm, right in (("student", 20), (CONTROL, 12), ("control_base_numbers_again", 12)):
        for seed in SEEDS:
            solved = right + seed + (arm == "student" and seed == 6)  # else all differences are equal
            rows += [(arm, seed, "addition", f"p{i}", float(i < solved), 1) for i in range(40)]
    experiment.rows = pd.concat([experiment.rows, pd.DataFrame(rows, columns=data.RATES)])
    experiment.kinds["addition"] = data.SOLVED
    assert replicate_seeds(experiment, ["student", CONTROL], "addition") == list(SEEDS)
    grade = graded_comparisons(experiment)[0]
    assert (grade.result.unit, grade.verdict.claim) == ("replicates", "student above control")
    assert "Solved (addition): the student is above its control in 6 of 6" in " ".join(
        replicates_section(experiment).text
    )


def test_a_replicate_stands_in_the_figure_with_its_control(folder: Path) -> None:
    figure = compose(folder).found.main_figure()
    arms, lines, differences = figure.axes
    assert lines.get_title(loc="left").startswith("Replicates, sampled answers")
    control, student = lines.get_lines()
    assert [label.get_text() for label in lines.get_yticklabels()] == [f"seed {s}" for s in _by_difference(folder)]
    seed = _by_difference(folder)[0]
    rates = load_results(folder).by_seed("student", "animal_preference")
    assert student.get_xdata()[0] == pytest.approx(100 * rates[seed])
    assert control.get_label() == CONTROL
    assert arms.get_title(loc="left") == "Arms: means, and every replicate"
    assert differences.get_title(loc="left") == "Differences of log-odds, with 95 % intervals over replicates"
    first = comparisons(load_results(folder))[0]
    means = next(bars for bars in differences.containers if bars.get_label() == "sampled answers").lines[0]
    assert means.get_xdata()[0] == pytest.approx(first.over.estimate), "nats, not points"
    assert max(arms.get_xlim()) > 40, "no dot is cut off"


def _by_difference(folder: Path) -> list[int]:
    main = comparisons(load_results(folder))[0]
    return sorted(main.by_seed, key=lambda seed: -main.by_seed[seed])
