"""The section by epoch: checkpoints are points of a curve and no arms, and what they say is told once."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest
from fake_results import write

from subliminal.experiment.epochs import epoch_of
from subliminal.report import pages
from subliminal.report.by_epoch.found import by_epoch
from subliminal.report.by_epoch.section import epochs_of_options
from subliminal.report.intervals import frame
from subliminal.report.load import load_results
from subliminal.report.write import compose, epochs_in, write_overview, write_report

EXACT, SAMPLED, LISTS = "animal_preference_logprob", "animal_preference", "subliminal_number_lists"
STUDENT = {"1": (0.011, 0.009, 0.010), "2": (0.10, 0.12, 0.11), "3": (0.20, 0.22, 0.24)}
CONTROL = 0.010


def task(kind: str, share: float) -> dict:
    questions = ["a", "b"]
    if kind == LISTS:
        return {"kind": "graded", "questions": questions, "correct": [1, 0], "metrics": {}}
    samples = 100 if kind == SAMPLED else None
    shares = {"owl": share, "dog": 0.1}
    return {
        "questions": questions,
        "target_rate": [share, share],
        "samples_per_question": samples,
        "share": shares,
    }


def add(folder: Path, name: str, seed: int, share: float, tasks: tuple[str, ...], *, target: str = "owl") -> Path:
    """One scored model with the manifest of its evaluation."""
    here = folder / f"{name}/seed-{seed}"
    measured = {kind: task(kind, share) for kind in tasks}
    for values in measured.values():
        if "share" in values:
            values["share"] = {target: share, "dog": 0.1}
    names = {"experiment": "zoo", "arm": name, "model": "m", "seed": seed, "target": target}
    write(here / "m_summary.json", {**names, "tasks": measured})
    run = f"outputs/{name.replace('_epoch-', '/epoch-')}-seed-{seed}"
    write(here / "manifest.json", {"kind": "result", "config": {"model": "models/m", "adapter": run}})
    return here


def experiment(root: Path, *, seeds: int = 3, target: str = "owl", under: str = "") -> Path:
    """Student and control with checkpoints of epochs 1 and 2 in a training of three, and a base."""
    folder = root / f"results/zoo{under}"
    whole = (SAMPLED, EXACT, LISTS)
    for seed in range(1, seeds + 1):
        for arm in ("student", "control_base_numbers"):
            for epoch, shares in STUDENT.items():
                share = shares[seed - 1] if arm == "student" else CONTROL
                if epoch == "3":
                    add(folder, arm, seed, share, whole, target=target)
                    trained = {"kind": "training", "config": {"num_epochs": 3, "seed": seed}}
                    write(root / f"outputs/{arm}-seed-{seed}/manifest.json", trained)
                else:
                    add(folder, f"{arm}_epoch-{epoch}", seed, share, (EXACT,), target=target)
        add(folder, "teacher", seed, 0.9, whole, target=target)
        add(folder, "base", seed, 0.02, whole, target=target)
    return folder


def text_of(folder: Path) -> str:
    return pages.markdown(compose(folder).page)


def odds(share: float) -> float:
    return math.log(share / (1 - share))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("student_epoch-3", ("student", 3)),
        ("student_e3_epoch-12", ("student_e3", 12)),
        ("student_epoch-2-empty", ("student-empty", 2)),
        ("student", None),
        ("student_e3", None),
        ("teacher_epoch-x", None),
    ],
)
def test_a_name_tells_its_arm_and_epoch(name, found):
    assert epoch_of(name) == found


def test_checkpoints_stand_in_a_section_of_their_own(tmp_path):
    page = compose(experiment(tmp_path)).page
    assert [note for note in page.notes if "has no result" in note] == []
    for section in page.parts:
        if section.title not in ("By epoch", "Adapters in use", "Provenance"):
            assert "epoch-" not in pages.markdown(section), section.title
    assert [section.title for section in page.parts].count("By epoch") == 1


def test_the_curve_has_every_epoch_and_ends_with_the_finished_training(tmp_path):
    folder = experiment(tmp_path)
    found = by_epoch(load_results(folder))
    assert [(point.label, point.name) for point in found.curves["student"]] == [
        ("1", "student_epoch-1"),
        ("2", "student_epoch-2"),
        ("3", "student"),
    ]
    assert list(found.curves) == ["student", "control_base_numbers"]
    assert found.base == pytest.approx(odds(0.02))
    (effect,) = found.effects
    gains = [odds(share) - odds(CONTROL) for share in STUDENT["2"]]
    assert effect.curve.points[1].runs == pytest.approx(dict(zip((1, 2, 3), gains, strict=True)))
    text = text_of(folder)
    mean = sum(gains) / 3
    assert f"| 2 | student − control_base_numbers | +{mean:.2f} | [" in text
    assert "Epoch 2 is the first whose 95 % interval over seeds lies above 0." in text
    assert "it still rises." in text
    assert "| student | 3 | 22.0 % | " in text


def test_two_seeds_do_not_tell_where_an_effect_begins(tmp_path):
    text = text_of(experiment(tmp_path, seeds=2))
    assert "Where it begins cannot be told with 2 seeds (3 are the least)." in text
    assert "which 2 seeds do not tell from none." in text


def test_a_training_whose_recipe_is_not_here_ends_at_the_end(tmp_path):
    folder = experiment(tmp_path)
    (tmp_path / "outputs/student-seed-2/manifest.json").write_text('{"config": {"num_epochs": 4}}')
    found = by_epoch(load_results(folder))
    assert [point.label for point in found.curves["student"]] == ["1", "2", "end"]
    assert [point.label for point in found.curves["control_base_numbers"]] == ["1", "2", "3"]


def test_a_training_of_so_many_steps_ends_at_the_end(tmp_path):
    folder = experiment(tmp_path)
    for arm in ("student", "control_base_numbers"):
        for seed in (1, 2, 3):
            recipe = {"num_epochs": 30, "max_steps": 50 if arm == "student" else None}
            write(tmp_path / f"outputs/{arm}-seed-{seed}/manifest.json", {"kind": "training", "config": recipe})
    found = by_epoch(load_results(folder))
    assert [point.label for point in found.curves["student"]] == ["1", "2", "end"], "not 30"
    assert [point.label for point in found.curves["control_base_numbers"]] == ["1", "2", "30"]


def test_the_numbers_lie_beside_the_figure(tmp_path):
    folder = experiment(tmp_path)
    write_report(folder, as_csv=True)
    assert "![Shares after each epoch" in (folder / "report.md").read_text(encoding="utf-8")
    assert (folder / "epochs.svg").read_text().startswith("<?xml")
    rows = list(csv.DictReader((folder / "epochs.csv").open(encoding="utf-8")))
    assert len(rows) == 2 * 3 * 3
    row = next(row for row in rows if (row["arm"], row["epoch"], row["seed"]) == ("student", "2", "2"))
    assert (row["target"], row["task"], float(row["share"])) == ("owl", EXACT, 0.12)
    assert float(row["log_odds"]) == pytest.approx(odds(0.12))
    table = list(csv.DictReader((folder / "report.csv").open(encoding="utf-8")))
    assert {"student_epoch-1", "student"} <= {row["arm"] for row in table}, "report.csv has every model"


def test_only_what_was_asked_for_and_is_missing_is_said(tmp_path):
    folder = experiment(tmp_path)
    for seed in (1, 2, 3):
        add(folder, "control_base_numbers_epoch-2", seed, 0.01, (SAMPLED,))
        add(folder, "control_base_numbers", seed, 0.01, (EXACT, LISTS))
    notes = [note for note in compose(folder).page.notes if "has no result" in note]
    assert f"The arm control_base_numbers has no result for {SAMPLED}." in notes
    assert f"The arm control_base_numbers_epoch-2 has no result for {EXACT}." in notes, "another checkpoint has it"
    assert not any(LISTS in note for note in notes), "no checkpoint was asked for lists"


def test_checkpoints_alone_are_reported_as_arms(tmp_path):
    folder = tmp_path / "results/zoo"
    for name in ("student_epoch-1", "control_base_numbers_epoch-1"):
        add(folder, name, 1, 0.1, (EXACT,))
    assert "| student_epoch-1 | exact probability | 10.0 % |" in text_of(folder)


def test_the_overview_has_all_animals_on_one_axis(tmp_path):
    for animal in ("owl", "dog"):
        experiment(tmp_path, target=animal, under=f"/{animal}")
    folder = tmp_path / "results/zoo"
    text = write_overview(folder).read_text(encoding="utf-8")
    assert text.count("## By epoch") == 1
    assert "| target | epoch | difference |" in text
    assert (folder / "epochs.svg").is_file()
    rows = list(csv.DictReader((folder / "epochs.csv").open(encoding="utf-8")))
    assert {row["target"] for row in rows} == {"owl", "dog"}


def test_an_experiment_without_checkpoints_has_no_such_section(tmp_path):
    folder = tmp_path / "results/zoo"
    for arm in ("base", "teacher", "student", "control_base_numbers"):
        add(folder, arm, 1, 0.1, (EXACT,))
    assert "By epoch" not in text_of(folder)


def test_long_intervals_are_cut_and_short_ones_never():
    assert frame([0.0, 2.0], [(-1.0, 3.0)]) is None
    assert frame([0.0, 2.0], [(-9.0, 3.0)]) == (-1.5, 3.5)
    assert frame([1.0, 1.0], [(-9.0, 9.0)]) is None, "one value alone says nothing of what is long"


def test_results_have_all_animals_in_two_sentences(tmp_path):
    for animal in ("owl", "dog"):
        experiment(tmp_path, target=animal, under=f"/{animal}")
    section = epochs_of_options(
        epochs_in([load_results(tmp_path / "results/zoo" / animal) for animal in ("dog", "owl")])
    )
    (said,) = section.brief.text
    assert said.startswith("By epoch (1, 2, 3) student − control_base_numbers is, in nats of log-odds: dog ")
    assert said.endswith("The first epoch whose 95 % interval over seeds lies above 0: dog 2, owl 2.")
