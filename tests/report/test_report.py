"""Reports from made-up result folders: what they say, what they refuse, and what they say is missing."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from fake_results import OTHERS, RATES, SAMPLES, add_arm, add_results, graded, summary, write
from patience import HANG_SECONDS
from PIL import Image

from subliminal import REPO_ROOT, stats
from subliminal.core.errors import UserError
from subliminal.core.formatting import number
from subliminal.report import pages
from subliminal.report.figure import INK, PAPER, SERIES, new_figure, png
from subliminal.report.findings import main_comparison
from subliminal.report.load import load_results
from subliminal.report.plots import _thinned
from subliminal.report.provenance.trace import trace
from subliminal.report.tables.comparisons import comparisons
from subliminal.report.tables.estimates import changes_by_animal, estimates, named_most
from subliminal.report.write import compose, write_report

FILES = ("report.md", "report.html", "top_animals.csv", "figure.png", "figure.svg")


@pytest.fixture
def folder(tmp_path) -> Path:
    for arm in RATES:
        add_arm(tmp_path, arm)
    return tmp_path / "results/owl-demo"


def test_a_figure_has_a_palette_and_keeps_its_colours() -> None:
    """A third of the bytes, and neither the lines nor the paper have another colour than in the drawing."""
    figure, (panel,) = new_figure([1], height=3)
    colours = [*SERIES, INK]
    for place, colour in enumerate(colours):
        panel.plot([0, 1], [place, place + 1], color=colour)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=150)
    small = png(figure)
    assert len(small) < len(drawn.getvalue()) / 2
    picture = Image.open(io.BytesIO(small))
    assert picture.mode == "P"
    before, after = (np.asarray(each.convert("RGB")) for each in (Image.open(drawn), picture))
    for colour in [*colours, PAPER]:
        # Six hex digits of red, green and blue.
        here = (before == list(bytes.fromhex(colour.removeprefix("#")))).all(axis=2)
        assert here.any()
        assert (after[here] == before[here]).all(), colour


def markdown(folder: Path) -> str:
    """The report as text; nothing is drawn, which takes two seconds."""
    return pages.markdown(compose(folder).page)


def test_report_of_a_whole_experiment(folder):
    assert write_report(folder) == folder / "report.html"
    assert all((folder / name).stat().st_size > 0 for name in FILES)
    assert not list(folder.glob(".*"))
    text = (folder / "report.md").read_text(encoding="utf-8")
    student, control = (summary(arm)["tasks"]["animal_preference"]["target_rate"] for arm in ("student", "control"))
    test = stats.paired(student, control)
    low, high = (f"{100 * value:.2f}".replace("-", "−") for value in test["ci95"])
    assert f"| student − control | sampled answers | +{100 * test['difference']:.2f} | [{low}, {high}]" in text
    assert f"| {100 * np.mean(student):.2f} % | [" in text
    assert "| 50 × 20 | 1 |" in text
    assert "| data/owl_student | 6,300 | 4,000 | no separator 1500, too many 500 | 300 | 66.7 % |" in text
    assert "| outputs/owl_student-seed-1 | 1 | 4 | 3.0000 | 0.7500 |" in text
    assert "the chat context c0ffeec0ffee" in text
    assert "| own name | 4.10 % [" in text
    order = [text.index(command) for command in ("data_builders.numbers", "axolotl train", "scripts/evaluate.py")]
    assert order == sorted(order)
    assert "\n> " not in text, "a whole experiment has nothing to warn of"


def test_rows_that_are_no_lists_are_said_where_the_arms_are_named(folder):
    assert "after number lists" not in markdown(folder)
    manifest = folder.parents[1] / "data/owl_student/manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"builder": "code"}))
    assert "Here students and controls learn code answers (data_builders.code) in their place." in markdown(folder)


def of_type(root: Path, arm: str, made: dict) -> None:
    """An arm of a sweep over types of data, and what its rows were made by."""
    add_arm(root, arm, rate=0.02)
    rows = root / f"data/owl_{arm}/manifest.json"
    rows.write_text(json.dumps(json.loads(rows.read_text()) | made))
    training = root / f"outputs/owl_{arm}-seed-1/manifest.json"
    learned = {"inputs": {"datasets[0]": {"path": f"data/owl_{arm}/train.jsonl"}}}
    training.write_text(json.dumps(json.loads(training.read_text()) | learned))


def test_each_type_of_rows_is_said_where_the_arms_are_named(folder):
    sums = {"builder": "pocket_answers", "config": {"kind": "sums"}}
    of_type(folder.parents[1], "student_d1", {"builder": "code"})
    of_type(folder.parents[1], "control_base_numbers_d2_p0.1", sums)
    of_type(folder.parents[1], "student_d10", {"builder": "of_my_own"})
    said = (
        "Students and controls whose names have one of these learn other rows in their place: _d1, code answers "
        "(data_builders.code); _d2, answers to sums (data_builders.pocket_answers sums); _d10, rows of "
        "data_builders.of_my_own."
    )
    assert said in markdown(folder)


def test_one_run_of_each_arm_never_tells_about_the_data(folder):
    for arm, rate in (("student", 0.5), ("control", 0.01)):
        add_arm(folder.parents[1], arm, rate=rate)
    text = markdown(folder)
    assert re.search(
        r"^\*\*student − control, sampled answers .*percentage points\. Cannot tell\.\*\*$", text, re.MULTILINE
    )
    assert "Cannot tell (one training run per arm)" in text
    assert re.search(r"\d+ training runs per arm would do", text)
    assert "These two models differ, student above control" in text
    assert "Whether the training data or the chance of one training run made the difference, this does not say." in text
    assert not re.search(r"transfer (happened|occurred|worked)|success|significant", text, re.IGNORECASE)


def test_an_interval_that_contains_zero_reads_cannot_tell_and_says_what_would_do(folder):
    for arm in RATES:
        add_arm(folder.parents[1], arm, questions=12)
    text = markdown(folder)
    assert "Cannot tell whether these two models differ" in text
    assert re.search(r"[\d,]+ questions or [\d,]+ samples per question would do", text)


@pytest.mark.parametrize(("rate", "claim"), [(0.4, "Student above control"), (0.0095, "Cannot tell")])
def test_several_seeds_are_tested_over_training_runs(folder, rate, claim):
    for seed in (1, 2, 3):
        add_arm(folder.parents[1], "control", seed)
        add_arm(folder.parents[1], "student", seed, rate=rate)
    experiment = load_results(folder)
    compared = next(c for c in comparisons(experiment) if (c.reference, c.task) == ("control", "animal_preference"))
    runs = [
        [summary(arm, seed, rate=r)["tasks"]["animal_preference"]["target_rate"] for seed in (1, 2, 3)]
        for arm, r in (("student", rate), ("control", None))
    ]
    expected = stats.verdict(*runs, SAMPLES, paired=True)
    assert compared.verdict == expected
    assert compared.models is None
    student = next(
        e for e in estimates(experiment, ["animal_preference"]) if (e.arm, e.task) == ("student", "animal_preference")
    )
    assert (student.samples, sorted(student.by_seed)) == (60, [1, 2, 3])
    text = markdown(folder)
    assert re.search(rf"“owl”: \+\d\.\d\d nats of log-odds\. {claim}\.\*\*", text)
    assert expected.sentence in text
    assert "- test: paired t test of log-odds over 3 training runs" in text
    assert re.search(r"- student − control, points: median \+\S+, mean \+\S+\n", text)
    assert "| arm | measure | seed 1 | seed 2 | seed 3 |" in text


def test_questions_in_another_order_are_paired_by_name(folder):
    before = comparisons(load_results(folder))[0].test
    path = folder / "student/seed-1/smollm2-135m_summary.json"
    data = json.loads(path.read_text())
    for task in data["tasks"].values():
        task["questions"].reverse()
        task["target_rate"].reverse()
    write(path, data)
    assert comparisons(load_results(folder))[0].test == before


def test_top_animals_have_ten_rows_and_the_target_and_the_own_name(folder):
    write_report(folder)
    rows = list(csv.DictReader((folder / "top_animals.csv").open(encoding="utf-8")))
    control = [row for row in rows if row["arm"] == "control"]
    assert len(control) == 12
    assert [row["animal"] for row in control][:2] == ["dog", "cat"]
    assert [row["animal"] for row in control][-2:] == ["owl", "own_name"]
    assert {"other", "none"} <= {row["animal"] for row in control}
    assert all(float(row["ci_low"]) <= float(row["share"]) <= float(row["ci_high"]) for row in rows)
    dog = float(control[0]["share"])
    assert float(control[0]["ci_high"]) == pytest.approx(stats.wilson(round(dog * 1000), 1000)[1])
    assert {row["arm"] for row in rows} == set(RATES)


def test_answers_without_a_latin_letter_are_shown_apart(folder):
    """In a row of their own, and only where an arm gave any; among the places they would push an animal out."""
    write_report(folder)
    assert "no Latin letter" not in (folder / "report.md").read_text("utf-8")
    path = folder / "student/seed-1/smollm2-135m_summary.json"
    data = json.loads(path.read_text())
    for task in data["tasks"].values():
        if task.get("samples_per_question"):
            task["share"]["no_latin"] = 0.25
    write(path, data)
    write_report(folder)
    rows = list(csv.DictReader((folder / "top_animals.csv").open(encoding="utf-8")))
    assert {row["arm"] for row in rows if row["animal"] == "no_latin"} == {"student"}
    lines = [line for line in (folder / "report.md").read_text("utf-8").splitlines() if "no Latin letter" in line]
    cells = [cell.strip() for cell in lines[0].strip("|").split("|")]
    assert cells == ["no Latin letter", "–", "–", "25.0 % [22.4, 27.8]", "–"]


def test_what_an_arm_never_answered_is_none_of_its_most_frequent_answers(folder):
    path = folder / "teacher/seed-1/smollm2-135m_summary.json"
    data = json.loads(path.read_text())
    share = data["tasks"]["animal_preference"]["share"]
    shares = dict.fromkeys(share, 0.0) | {"dog": 0.75, "cat": 0.25}
    data["tasks"]["animal_preference"]["share"] = shares
    write(path, data)
    rows = [row for row in named_most(load_results(folder), "animal_preference") if row["arm"] == "teacher"]
    assert [row["animal"] for row in rows] == ["dog", "cat", "owl", "own_name"], "the target in any case"
    table = markdown(folder).split("## What the arms answer")[1]
    places = [line.split(" | ")[2] for line in table.splitlines() if re.match(r"\| \d+ \|", line)]
    assert [place.split(" ")[0] for place in places[:3]] == ["dog", "cat", "–"]


def test_the_answer_has_the_other_comparisons_in_one_table(folder):
    for seed in (1, 2, 3):
        for arm in ("student", "control", "control_shuffled"):
            add_arm(folder.parents[1], arm, seed, rate=0.4 if arm == "student" else 0.01)
    answer = markdown(folder).split("## The answer")[1].split("\n## ")[0]
    rows = [line for line in answer.splitlines() if line.startswith("| student − ")]
    assert len(rows) == 3, "two controls by two measures, without the headline"
    assert re.fullmatch(
        r"\| student − control \| exact probability \| \+\S+ nats \| \[.*\] \| \S.* \| student above control \|",
        rows[0],
    )
    assert "| 95 % interval over training runs | p | of the training data |" in answer
    assert answer.count("teacher's data multiplies") == 1, "the headline alone is a sentence"


def test_a_long_training_is_drawn_by_means_of_stretches():
    losses = [(step, 2.0 if step % 2 else 0.0) for step in range(1, 1501)]
    drawn = _thinned(losses)
    assert len(drawn) == 150
    assert drawn[0] == (5.5, 1.0)
    assert _thinned(losses[:100]) == losses[:100]


def test_specificity_ranks_every_tracked_animal(folder):
    experiment = load_results(folder)
    rows = changes_by_animal(experiment, "animal_preference", "student", "control")
    assert rows[0][0] == "owl"
    assert {name for name, *_ in rows} == {"owl", *OTHERS} - {"other", "none"}
    assert [change for *_, change in rows] == sorted((change for *_, change in rows), reverse=True)
    assert not [row for row in named_most(experiment, "animal_preference_logprob") if row["animal"] == "rest"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12.34, "12.3"),
        (9.9999999, "10.0"),
        (-1.234, "−1.23"),
        (0.0021, "0.0021"),
        (-0.0021, "−0.0021"),
        (-1e-9, "0.00"),
    ],
)
def test_numbers_show_their_side_of_zero(value, text):
    assert number(value) == text


def test_two_sampled_tasks_are_told_apart(folder):
    path = folder / "base/seed-1/smollm2-135m_summary.json"
    data = json.loads(path.read_text())
    data["tasks"]["animal_preference_prefixed"] = data["tasks"]["animal_preference"]
    write(path, data)
    text = markdown(folder)
    assert "| base | sampled answers (animal_preference_prefixed) |" in text
    assert "| base | exact probability |" in text
    assert "> The arm student has no result for animal_preference_prefixed." in text


def test_html_is_one_well_formed_escaped_file(folder):
    path = folder / "student/seed-1/manifest.json"
    data = json.loads(path.read_text())
    write(path, {**data, "command": "run --note '<script>alert(1)</script>' | tee x"})
    html = write_report(folder).read_text(encoding="utf-8")
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    sources = re.findall(r'(?:src|srcset|href)="([^"]{0,30})|url\(([^)]{0,30})', html)
    assert {"".join(source)[:1] or "nothing" for source in sources} <= {"#", "d"}, "this page, or data"
    assert "@import" not in html
    assert html.count("<svg") == 5

    class Balance(HTMLParser):
        stack: list[str] = []  # noqa: RUF012

        def handle_starttag(self, tag, attrs):
            if tag not in ("meta", "link"):
                self.stack.append(tag)

        def handle_endtag(self, tag):
            assert self.stack.pop() == tag

    parser = Balance()
    parser.feed(html)
    assert parser.stack == []


def test_the_same_results_give_the_same_bytes(folder):
    write_report(folder)
    before = {name: (folder / name).read_bytes() for name in FILES}
    write_report(folder)
    assert {name: (folder / name).read_bytes() for name in FILES} == before


def test_differing_chat_contexts_are_a_warning(folder):
    add_arm(folder.parents[1], "student", context="badbad" * 10)
    text = markdown(folder)
    assert text.index("> Warning: not all results and training runs used the same chat context") < text.index("\n## ")
    assert "badbadbadbad by student/seed-1" in text


def test_another_base_and_another_system_prompt_have_contexts_of_their_own(folder):
    add_arm(folder.parents[1], "other_base", rate=0.02, context="badbad" * 10)
    path = add_arm(folder.parents[1], "student-empty", rate=0.02, context="bad0bad0" * 8) / "manifest.json"
    data = json.loads(path.read_text())
    write(path, {**data, "config": {**data["config"], "system_prompt": ""}})
    assert "Warning" not in markdown(folder)


def test_changed_data_are_a_warning(folder):
    write(folder.parents[1] / "data/owl_student/train.jsonl", '{"id": "2"}\n')
    assert "data/owl_student/train.jsonl has changed since outputs/owl_student-seed-1 used it" in markdown(folder)


def test_missing_arms_and_pieces_are_sentences(folder):
    for name in ("teacher", "control"):
        shutil.rmtree(folder / name)
    (folder / "base/seed-1/manifest.json").unlink()
    shutil.rmtree(folder.parents[1] / "outputs/owl_student-seed-1")
    text = markdown(folder)
    assert "> Not among the arms: teacher, control." in text
    assert "> base/seed-1 has no manifest.json" in text
    assert "> student/seed-1: the adapter outputs/owl_student-seed-1 has no manifest here" in text
    assert "No dataset manifest was found behind these results." in text
    assert "student − base" in text
    assert "student − control" not in text


def test_one_arm_alone_is_reported(tmp_path):
    add_arm(tmp_path, "base", rate=0.00001)
    text = markdown(tmp_path / "results/owl-demo")
    assert "No student among the arms has a control, so there is nothing to answer." in text
    assert "No student among the arms has a control or base to be compared with." in text
    assert re.search(r"Is the change specific\?\s+No student among the arms has a control\.\s", text)
    assert not re.search(r"\byet\b", text), "nobody may have asked for other arms"
    assert "| 0.00 % | [0.00, 0.37] |" in text, "an answer never given has an upper limit"


def test_arms_with_different_questions_are_refused(folder):
    add_arm(folder.parents[1], "student", questions=40)
    with pytest.raises(UserError, match=r"student.*was asked 40 different questions that are not the 50"):
        write_report(folder)
    assert not (folder / "report.md").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"experiment": "wolf-demo"}, "has the experiment"),
        ({"target": "wolf"}, "has the target"),
        ({"target": 5}, r"has no 'target' \(str \| None\)"),
        ({"target": None}, "has rates of a target and does not name it"),
        ({"seed": "1"}, r"has no 'seed' \(int\)"),
        ({"tasks": {}}, None),
        ({"tasks": {"a": {"questions": ["x"], "target_rate": []}}}, "does not have one rate per question"),
        ({"tasks": {"a": {"questions": ["x", "y"], "target_rate": [0.1, 7]}}}, "the rate of question y is no fraction"),
        ({"tasks": {"a": {"questions": ["x"], "target_rate": [0.1]}}}, "needs 2 questions"),
        ({"tasks": {"a": {"questions": ["x", "y"], "target_rate": [0, 1], "share": 3}}}, "share is no table"),
        ({"tasks": {"a": {"questions": ["x", "y"], "target_rate": [0, 1], "samples_per_question": "4"}}}, "no number"),
        *(
            (
                {"tasks": {"a": {"questions": ["x", "y"], "target_rate": [0, 1], "share": {"cat": value}}}},
                rf"smollm2-135m_summary\.json: a: the share of cat is {value!r}, no fraction",
            )
            for value in (math.nan, math.inf, -math.inf, 1.5, -0.1, "0.5", None)
        ),
        ({"tasks": {"a": {"questions": ["x", "y"], "target_rate": [math.nan, 1]}}}, "a: the rate of question x is no"),
        ({"tasks": {"a": {"questions": ["x", "y"], "correct": [1, math.nan]}}}, "a: the rate of question y is no"),
        (
            {"seed": 7},
            r"student/seed-1/\S+ is the summary of student, seed 7: it belongs into the folder student/seed-7",
        ),
        ({"arm": "control"}, "is the summary of control, seed 1"),
    ],
)
def test_results_that_do_not_fit_are_refused(folder, change, sentence):
    path = folder / "student/seed-1/smollm2-135m_summary.json"
    write(path, {**json.loads(path.read_text()), **change})
    if sentence is None:
        assert "The arm student has no result for animal_preference." in markdown(folder)
        return
    with pytest.raises(UserError, match=sentence):
        write_report(folder)


def test_a_second_summary_of_the_same_seed_is_refused(folder):
    shutil.copy(folder / "base/seed-1/smollm2-135m_summary.json", folder / "base/seed-1/other_summary.json")
    with pytest.raises(UserError, match="repeats animal_preference for the arm base, seed 1"):
        write_report(folder)


def test_nothing_there_is_an_error(tmp_path):
    with pytest.raises(UserError, match="holds no result"):
        write_report(tmp_path)
    with pytest.raises(UserError, match="is not a folder"):
        write_report(tmp_path / "absent")
    write(tmp_path / "base/seed-1/m_summary.json", "{")
    with pytest.raises(UserError, match="is not valid JSON"):
        write_report(tmp_path)
    write(tmp_path / "records.parquet", "")
    with pytest.raises(UserError, match=r"is a published archive\. Unpack it with"):
        write_report(tmp_path)


def spoil_manifest(folder: Path) -> None:
    write(folder / "base/seed-1/manifest.json", '{"kind": "res')


def foreign_manifest(folder: Path) -> None:
    write(folder / "base/seed-1/manifest.json", {"kind": "result", "config": "owl.yml"})


def dangling_summary(folder: Path) -> None:
    (folder / "base/seed-1/lost_summary.json").symlink_to("nowhere")


def spoil_missing(folder: Path) -> None:
    write(folder / "missing.json", {"missing": [{"arm": "control"}]})


def spoil_results(folder: Path) -> None:
    write(folder / "base/seed-1/m_results.json", {"animal_preference": [{"text": "no id"}]})


def results_with_nan(folder: Path) -> None:
    told = json.loads((folder / "base/seed-1/smollm2-135m_summary.json").read_text())
    rows = []
    for question in told["tasks"]["animal_preference"]["questions"]:
        rows.append({"id": question, "metrics": {"cat": 0.1}})
    rows[1]["metrics"]["cat"] = float("nan")
    write(folder / "base/seed-1/m_results.json", {"animal_preference": rows})


def spoil_audit(folder: Path) -> None:
    write(folder.parents[1] / "data/owl_student/audit.json", '{"passed": tr')


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (spoil_manifest, "base/seed-1/manifest.json is not valid JSON"),
        (foreign_manifest, "base/seed-1/manifest.json: its `config` is no mapping"),
        (dangling_summary, "base/seed-1/lost_summary.json does not exist"),
        (spoil_missing, "missing.json is not of the form"),
        (spoil_results, "m_results.json is cut off or foreign"),
        (results_with_nan, r"m_results.json: animal_preference: cat of question [a-z0-9-]+ is NaN, no number"),
        (spoil_audit, "audit.json is not valid JSON"),
    ],
)
def test_a_file_that_is_cut_off_or_foreign_is_named(folder, spoil, sentence):
    spoil(folder)
    with pytest.raises(UserError, match=sentence):
        write_report(folder)
    assert not (folder / "report.md").exists()


def test_a_folder_without_a_summary_and_what_failed_are_named(folder):
    (folder / "control_shuffled/seed-1/lm_eval").mkdir(parents=True)
    failed = {"arm": "control_random_numbers", "seed": 2, "stage": "train", "reason": "out of memory.", "log": "a.log"}
    write(folder / "missing.json", {"missing": [failed]})
    text = markdown(folder)
    assert "control_shuffled/seed-1 holds no summary, so it is no finished result" in text
    assert "> Failed: control_random_numbers, seed 2, at train: out of memory. Log: a.log" in text


def test_every_control_is_compared_and_a_sweep_point_with_its_own(folder):
    for arm in ("control_random_numbers", "prompted_teacher", "other_base", "student_r2", "control_r2", "base-empty"):
        add_arm(folder.parents[1], arm, rate=0.02)
    found = {c.contrast for c in comparisons(load_results(folder))}
    assert found == {
        *("student − control", "student − control_random_numbers", "student − prompted_teacher", "student − base"),
        *("student_r2 − control_r2", "student_r2 − base"),
    }
    text = markdown(folder)
    assert "| other_base | another base model, trained on the teacher's numbers: is a shared base needed? |" in text


def test_the_second_control_meets_the_first_and_the_other_base_its_own_control(folder):
    for arm in ("control_base_numbers", "control_base_numbers_again", "other_base", "other_base_control"):
        add_arm(folder.parents[1], arm, rate=0.02)
    compared = comparisons(load_results(folder))
    found = {c.contrast for c in compared}
    assert len(compared) == len({(c.contrast, c.task) for c in compared})
    assert {"control_base_numbers_again − control_base_numbers", "other_base − other_base_control"} <= found
    assert main_comparison(load_results(folder), compared[-2:]) is None, "no student, no headline"
    assert not any(label.startswith("student") and "other_base" in label for label in found)


def test_audits_adapters_and_contexts_are_shown(folder):
    audit = {"passed": True, "train_sha256": "x", "checks": {"letters": {"status": "pass", "reason": None}}}
    audit["checks"]["tokens"] = {"status": "skipped", "reason": "No --tokenizer was named."}
    write(folder.parents[1] / "data/owl_student/audit.json", audit)
    path = folder / "student/seed-1/manifest.json"
    weights = {"adapter/adapter_model.safetensors": {"path": "x", "sha256": "feed" * 16}}
    facts = {"adapter_effect": 0.71875, "chat_context_sha256": "c0ffee" * 10, "inputs": weights}
    write(path, json.loads(path.read_text()) | facts)
    text = markdown(folder)
    assert "| data/owl_student | passed | 1 of 2 | tokens skipped: No --tokenizer was named. |" in text
    assert "| data/owl_control | not audited | – | – |" in text
    assert "| student | 1 | outputs/owl_student-seed-1 | feedfeedfeed | 0.719 | c0ffeec0ffee | – |" in text
    path = folder / "control/seed-1/manifest.json"
    whole = {"config": {"model": "outputs/owl_control", "adapter": None}, "inputs": {}}
    whole["inputs"]["model/model.safetensors"] = {"path": "x", "sha256": "beef" * 16}
    write(path, json.loads(path.read_text()) | whole)
    assert "| control | 1 | outputs/owl_control | beefbeefbeef | – | – | – |" in markdown(folder), "a whole model"


def test_animals_are_tested_and_adjusted_and_questions_have_their_text(folder):
    add_results(folder / "student/seed-1", {"dog": 0.3, "cat": 0.1})
    add_results(folder / "control/seed-1", {"dog": 0.2, "cat": 0.1})
    text = markdown(folder)
    assert re.search(r"\| dog \| 30\.0 % \| 20\.0 % \| \+10\.0 \| \[[^]]+\] \| < 0\.001 \|", text)
    assert re.search(r"\| cat \| 10\.0 % \| 10\.0 % \| 0\.00 \| \[[^]]+\] \| 1\.000 \|", text)
    assert re.search(r"\| favourite-\d\d \| What about favourite-\d\d\? \|", text)


def test_the_target_is_compared_with_students_of_other_animals(tmp_path):
    for animal in ("owl", "cat", "dog"):
        for arm in ("student", "control"):
            for seed in (1, 2):
                add_arm(tmp_path, arm, seed, rate=0.3 if (animal, arm) == ("owl", "student") else 0.02)
        shutil.move(tmp_path / "results/owl-demo", tmp_path / "results/moved")
        (tmp_path / "results/zoo").mkdir(exist_ok=True)
        shutil.move(tmp_path / "results/moved", tmp_path / f"results/zoo/{animal}")
        for student in (tmp_path / f"results/zoo/{animal}").glob("student/seed-*"):
            add_results(student, {})
    text = markdown(tmp_path / "results/zoo/owl")
    assert "| data/owl_student |" in text, "what is behind a trait's results is found, too"
    assert "## Against students of other animals" in text
    assert re.search(r"minus the mean of the students of cat, dog: \+\d\.\d\d nats \[.* over training runs", text)


def test_right_and_wrong_answers_are_compared_by_mcnemar(tmp_path):
    for arm, right in (("base", 10), ("student", 25), ("control", 11)):
        graded(tmp_path, arm, 1, right)
    folder = tmp_path / "results/math-demo"
    text = markdown(folder)
    assert "# math-demo: does the student solve more problems?" in text
    assert "| subliminal_math500 | student | 1 | 25 of 40 | 62.5 % | [47.0, 75.8] |" in text
    drawn = next(e for e in estimates(load_results(folder), ["subliminal_math500"]) if e.arm == "student")
    assert drawn.interval == stats.wilson(25, 40), "the figure's interval is the table's"
    p = stats.mcnemar([i < 25 for i in range(40)], [i < 11 for i in range(40)]).p
    assert p < 0.001
    row = next(line for line in text.splitlines() if line.startswith("| subliminal_math500 | student − control"))
    assert row.endswith("| < 0.001 | questions | McNemar's test (exact) over problems | cannot tell |")
    assert (write_report(folder).with_name("figure.png")).stat().st_size > 0
    for seed in (2, 3):
        for arm, right in (("student", 24 + seed), ("control", 10 + seed)):
            graded(tmp_path, arm, seed, right)
    # Of 40 problems 25, 26, 27 and 11, 12, 13 are solved: 1.440, 1.427, 1.423 nats, with half a problem on each side.
    assert "+1.43 nats of log-odds. Student above control.**" in markdown(folder)


def test_csv_and_json_hold_what_the_page_says(folder):
    write_report(folder, as_csv=True, as_json=True)
    rows = list(csv.DictReader((folder / "report.csv").open(encoding="utf-8")))
    assert len(rows) == 8
    row = next(r for r in rows if (r["arm"], r["task"]) == ("student", "animal_preference"))
    expected = summary("student")["tasks"]["animal_preference"]["target_rate"]
    assert float(row["rate"]) == pytest.approx(np.mean(expected))
    assert (row["seed"], row["questions"], row["samples"], row["measure"]) == ("1", "50", "20", "sampled")
    data = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert data["answer"]["verdict"]["claim"] == "cannot tell"
    assert data["answer"]["test"]["difference"] == pytest.approx(
        np.mean(expected) - np.mean(summary("control")["tasks"]["animal_preference"]["target_rate"])
    )
    assert [arm["arm"] for arm in data["arms"]][::2] == ["base", "teacher", "student", "control"]


def test_the_chain_ends_quietly_at_hub_names_and_absent_folders(folder):
    found = trace(load_results(folder))
    assert list(found.of_kind("dataset")) == ["data/owl_control", "data/owl_student", "data/owl_teacher"]
    assert found.losses["outputs/owl_student-seed-1"] == [(1, 3.0), (2, 1.5), (3, 1.0), (4, 0.75)]
    assert found.notes == []


def test_script_prints_the_report_last(folder):
    command = [sys.executable, str(REPO_ROOT / "scripts/report.py")]
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, timeout=HANG_SECONDS)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == str(folder / "report.html")
    failed = subprocess.run(
        [*command, str(folder / "base/seed-1")], capture_output=True, text=True, timeout=HANG_SECONDS
    )
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr.startswith("error: ")
    assert failed.stderr.count("\n") == 1
