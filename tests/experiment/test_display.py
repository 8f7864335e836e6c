"""The lines that a run shows: pure functions, and the words that come from the files of stages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from subliminal.experiment.display.lines import (
    LOG_LINES,
    WorkLeft,
    duration,
    failure_lines,
    send,
    stage_lines,
    status_line,
    time_left,
)
from subliminal.experiment.display.outcome import HEADLINE, answer_lines, chart, closing, figure
from subliminal.experiment.plan import Plan
from subliminal.experiment.stage import Stage

ARMS = "says owl: base 0.42 %, teacher 95.4 %, student 21.9 %, control_base_numbers 0.27 %"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.4, "0 s"),
        (41, "41 s"),
        (59.7, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.6, "1 h 00 min"),
        (4320, "1 h 12 min"),
    ],
)
def test_duration(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_a_stage_is_a_line() -> None:
    (line,) = stage_lines(7, 32, "train-owl_student-seed-51", 41.2, "loss 0.61", 80)
    assert line == " 7 of 32  train-owl_student-seed-51                   41 s  loss 0.61"
    (bare,) = stage_lines(7, 32, "merge-base", None, "", 80)
    assert bare == " 7 of 32  merge-base"


@pytest.mark.parametrize("width", [80, 120])
def test_a_long_figure_goes_on_below_and_loses_nothing(width: int) -> None:
    lines = stage_lines(31, 32, "evaluate-owl", 72, ARMS, width)
    assert len(lines) > 1
    assert max(map(len, lines)) <= width
    assert " ".join(" ".join(lines).split()) == f"31 of 32 evaluate-owl 1 min 12 s {ARMS}"
    assert len(stage_lines(31, 32, "evaluate-owl", 72, ARMS, None)) == 1


def test_time_left() -> None:
    assert time_left([], 1) == "nothing left"
    assert time_left([WorkLeft(None)], 1) == "time left not known yet"
    assert time_left([WorkLeft(100.0), WorkLeft(100.0, 40.0)], 1) == "about 3 min left"
    assert time_left([WorkLeft(100.0), WorkLeft(100.0, 40.0)], 2) == "about 2 min left"
    assert time_left([WorkLeft(30.0, 500.0)], 1) == "about a minute left", "one over its time owes nothing"
    assert time_left([WorkLeft(7200.0), WorkLeft(None)], 1) == "more than 2 h 00 min left"


def test_the_line_with_the_time_left_fits() -> None:
    running = [("train-control_base_numbers-seed-51", 34.0), ("build-base_numbers-seed-52", 9.0)]
    whole = status_line(14, 32, "about 4 min left", running, None)
    expected = "train-control_base_numbers-seed-51 (34 s), build-base_numbers-seed-52 (9 s)"
    assert whole == f"14 of 32 done, about 4 min left; running: {expected}"
    cut = status_line(14, 32, "about 4 min left", running, 80)
    assert len(cut) == 79
    assert cut[:-1] == whole[:78]
    assert status_line(0, 32, "x", [], 80).endswith("running: none yet")


def test_a_failure_says_why_with_the_end_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "train-x.log"
    (line,) = failure_lines("train-x", "It has changed.", log, None)
    assert line == "FAILED  train-x: It has changed."
    log.write_text("".join(f"line {number}\n\n" for number in range(30)) + "\x1b[31merror: no rows\x1b[0m\n")
    first, *last, path = failure_lines("train-x", "no rows", log, 12)
    assert first == "FAILED  train-x after 12 s: no rows"
    assert len(last) == LOG_LINES
    assert last[-2:] == ["  | line 29", "  | error: no rows"]
    assert path == f"  The whole log: {log}"


def test_the_launcher_says_nothing_of_a_failure(tmp_path: Path) -> None:
    log = tmp_path / "train-x.log"
    launcher = (
        "Traceback (most recent call last):\n"
        '  File "launch.py", line 993, in simple_launcher\n'
        "    raise subprocess.CalledProcessError(returncode=process.returncode, cmd=cmd)\n"
        "subprocess.CalledProcessError: Command '['python', '-m', 'axolotl.cli.train']' exited with 2.\n"
    )
    own = 'Traceback (most recent call last):\n  File "train.py", line 1, in train\nRuntimeError: no such kernel\n'
    log.write_text(f"reading rows\n{own}{launcher}")
    _, *last, _ = failure_lines("train-x", "no such kernel", log, 12)
    assert [line.removeprefix("  | ") for line in last] == ["reading rows", *own.splitlines()]


def test_a_terminal_without_the_letters_is_no_reason_to_stop(tmp_path: Path) -> None:
    path = tmp_path / "ascii"
    with open(path, "w", encoding="ascii") as stream:
        send("a – b\n", stream)
    assert path.read_text() == "a ? b\n"


# --- what came of a stage ---


def _stage(kind: str, folder: Path, makes: list[str] | None = None) -> Stage:
    return Stage(f"{kind}-x", kind, str(folder), ["true"], makes or [])


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def test_figures_are_those_of_the_stages_own_files(tmp_path: Path) -> None:
    _write(tmp_path / "manifest.json", {"counts": {"kept": 3000, "surplus": 7, "rejected": {"a": 2800, "b": 51}}})
    assert figure(_stage("build", tmp_path)) == "3,000 kept of 5,851"
    _write(tmp_path / "manifest.json", {"training": {"final_loss_mean_of_last_10": 0.6149}})
    assert figure(_stage("train", tmp_path)) == "loss 0.61"
    _write(tmp_path / "manifest.json", {"distance": {"relative": 0.10043}})
    assert figure(_stage("perturb", tmp_path)) == "relative distance 0.1"
    _write(tmp_path / "gate.json", {"at_least": 0.4, "tried": [{"share": 0.1}, {"share": 0.953}]})
    assert figure(_stage("gate", tmp_path)) == "shows the trait in 95.3 %, gate 40.0 %"
    audit = tmp_path / "audit.json"
    for statuses, said in (
        (["pass", "pass", "skipped", "expected"], "2 passed"),
        (["pass", "allowed"], "1 passed, 1 not passed but allowed"),
        (["fail", "pass"], "1 passed, 1 FAILED"),
    ):
        _write(audit, {"checks": {str(i): {"status": status} for i, status in enumerate(statuses)}})
        assert figure(_stage("audit", tmp_path, [str(audit)])) == said


def test_an_evaluation_tells_each_arm_over_its_seeds(tmp_path: Path) -> None:
    makes = []
    for arm, seed, rates in (("teacher", 1, [0.9, 1.0]), ("student", 1, [0.1, 0.1]), ("student", 2, [0.3, 0.3])):
        folder = tmp_path / arm / f"seed-{seed}"
        tasks = {"animal_preference_logprob": {"target_rate": [0.0]}, "animal_preference": {"target_rate": rates}}
        _write(folder / "m_summary.json", {"arm": arm, "target": "owl", "tasks": tasks})
        makes.append(str(folder / "manifest.json"))
    stage = _stage("evaluate", tmp_path, makes)
    assert figure(stage) == "says owl: teacher 95.0 %, student 20.0 %"
    graded = {"arm": "student", "target": None, "tasks": {"sums": {"correct": [1, 0, 0, 1]}}}
    _write(tmp_path / "student/seed-1/m_summary.json", graded)
    assert figure(_stage("evaluate", tmp_path, makes[1:2])) == "solves: student 50.0 %"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"counts": {"kept": "many"}}', '{"training": null}'])
@pytest.mark.parametrize("kind", ["build", "audit", "train", "perturb", "gate", "score", "evaluate", "report", "merge"])
def test_what_cannot_be_read_gives_no_words(tmp_path: Path, kind: str, content: str) -> None:
    seed = tmp_path / "a/seed-1"
    seed.mkdir(parents=True)
    for path in ("manifest.json", "audit.json", "gate.json", HEADLINE, "a/seed-1/x_summary.json"):
        (tmp_path / path).write_text(content)
    makes = [str(tmp_path / "audit.json"), str(seed / "manifest.json")]
    assert figure(_stage(kind, tmp_path, makes)) == ""
    assert figure(_stage(kind, tmp_path / "nowhere", [])) == ""


# --- the end of a run ---

ANSWER = {
    "target": "owl",
    "label": "student − control_base_numbers, sampled answers of “owl”",
    "number": "+21.6 percentage points",
    "sentence": "Training on the teacher's numbers raised owl. " * 3,
    "measure": "share of owl in sampled answers",
    "bars": [{"arm": "base", "share": 0.0}, {"arm": "teacher", "share": 0.954}, {"arm": "student", "share": 0.0041}],
}


@pytest.mark.parametrize("width", [80, 120])
def test_the_answer_and_its_chart_fit(width: int) -> None:
    lines = answer_lines(ANSWER, width)
    assert max(map(len, lines)) <= width
    assert "+21.6 percentage points" in " ".join(lines)
    base, teacher, student = lines[-3:]
    assert base == "  base    0.00 %", "nothing is no bar"
    assert teacher.endswith("█ 95.4 %")
    assert teacher.count("█") == min(60, width - 7 - 6 - 4)
    assert student == "  student █ 0.41 %"


def test_shares_of_nothing_are_a_chart() -> None:
    assert chart("all", {"a": 0.0}, 80) == ["All:", "  a 0.00 %"]


def _reported(root: Path, targets: list[str]) -> Plan:
    plan = Plan("x", str(root / "results/x"))
    for target in targets:
        folder = root / target
        stage = Stage(f"report-{target}", "report", str(folder), ["true"], [])
        plan.add(stage)
        _write(folder / HEADLINE, {**ANSWER, "target": target})
        stage.mark.touch()
    return plan


def test_of_many_reports_each_has_a_sentence(tmp_path: Path) -> None:
    lines = closing(_reported(tmp_path, ["owl", "cat"]), 80)
    said = " ".join(lines)
    assert said.count("Training on the teacher's numbers raised owl.") == 6
    assert " owl: Training" in said
    assert " cat: Training" in said
    assert "█" not in said
    many = closing(_reported(tmp_path, [f"animal-{number}" for number in range(12)]), 80)
    assert "... and 2 more, each in its report." in many


def test_a_report_that_is_not_done_is_not_told(tmp_path: Path) -> None:
    plan = _reported(tmp_path, ["owl"])
    plan.stages["report-owl"].mark.unlink()
    assert closing(plan, 80) == []


def test_what_next_is_for_results_that_make_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "What next:" not in closing(_reported(tmp_path, ["owl"]), 80)
    plan = _reported(Path("."), ["owl"])
    narrow, wide = closing(plan, 60), closing(plan, 80)
    assert "  make verify NAME=x                        score its raw answers again" in wide
    assert narrow[narrow.index("  make verify NAME=x") + 1] == "      score its raw answers again"
