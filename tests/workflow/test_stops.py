"""Stopped in every kind of stage and started again: the report of an undisturbed run, and nothing done twice.

Three experiments share a root and run at once, with everything real but vLLM, for which a stand-in answers. First they
run undisturbed; then some of what they made is deleted, and each is stopped in every stage that has to make it again.
"""

from __future__ import annotations

import re
import shutil
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import fake_vllm
import pytest
from runs import output, start

from subliminal.experiment.plan import Plan
from subliminal.experiment.stage import STAGE_KINDS

STARTS = re.compile(r"^\[([\w.-]+)\] ", re.MULTILINE)


class Stop(NamedTuple):
    """A signal to the experiment while it is in a stage: as soon as ``sign`` matches something below its root."""

    stage: str
    signal: signal.Signals
    sign: str


STOPS = {
    "gated": (
        Stop("merge-base", signal.SIGKILL, "results/gated/logs/merge-base.log"),
        Stop("build-owl_teacher_chat", signal.SIGINT, "data/gated/owl_teacher_chat/raw.jsonl"),
        Stop("audit-owl_teacher_chat", signal.SIGTERM, "results/gated/logs/audit-owl_teacher_chat.log"),
        Stop("train-owl_teacher-rung-1", signal.SIGKILL, "outputs/gated/owl_teacher-rung-1/checkpoint-*"),
        Stop("score-owl_teacher-rung-1", signal.SIGINT, "results/gated/logs/score-owl_teacher-rung-1.log"),
        Stop("evaluate-owl", signal.SIGTERM, "results/gated/*/.*seed-3*"),
        Stop("report-owl", signal.SIGKILL, "results/gated/report.md"),  # it is written, and not yet verified
    ),
    "served": (
        Stop("build-owl_teacher_chat", signal.SIGKILL, "data/served/owl_teacher_chat/raw.jsonl"),
        Stop("build-owl_numbers", signal.SIGTERM, "data/served/owl_numbers/raw.jsonl"),
        Stop("train-owl_student-seed-3", signal.SIGTERM, "outputs/served/owl_student-seed-3/checkpoint-*"),
        Stop("epochs-owl_student-seed-3", signal.SIGINT, "results/served/logs/epochs-owl_student-seed-3.log"),
        Stop("evaluate-owl", signal.SIGKILL, "results/served/*/.*seed-3*"),
    ),
    "judged": (
        Stop("criterion-judged", signal.SIGKILL, "results/judged/logs/criterion-judged.log"),
        Stop("leak-judged", signal.SIGKILL, "results/judged/leak/scores.jsonl"),
        Stop("overview-judged", signal.SIGKILL, "results/judged/logs/overview-judged.log"),
    ),
}
DELETED = {
    "gated": (
        *("outputs/gated/base/merged", "data/gated/owl_teacher_chat", "outputs/gated/owl_teacher-rung-1"),
        "results/gated",
    ),
    "served": (
        *("data/served/owl_teacher_chat", "data/served/owl_numbers", "outputs/served/owl_student-seed-3"),
        "results/served",
    ),
    "judged": (
        *("outputs/judged/owl_student-seed-3", "outputs/judged/dolphin_student-seed-3"),
        *("outputs/judged/control_base_numbers-seed-3", "results/judged"),  # no criterion is recorded after students
    ),
}
STOPPED_ELSEWHERE = {"divergence", "perturb", "scores"}
"""Kinds of stages that none of the three experiments has: tests/analysis and tests/models stop their commands."""


@pytest.mark.workflow
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_run_that_is_stopped_in_every_stage_ends_in_the_same_report(
    tmp_path: Path,
    gated_experiment: Path,
    served_experiment: Path,
    judged_experiment: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SUBLIMINAL_SERVE_PYTHON", str(fake_vllm.install(tmp_path)))
    files = (gated_experiment, served_experiment, judged_experiment)
    with ThreadPoolExecutor(len(files)) as together:
        runs = [together.submit(_stopped_in_every_stage, file, tmp_path) for file in files]
    assert set().union(*(run.result() for run in runs)) == set(STAGE_KINDS) - STOPPED_ELSEWHERE


def _stopped_in_every_stage(file: Path, root: Path) -> set[str]:
    """Run, delete, stop, compare; returns the kinds of stages and jobs that were stopped."""
    name, begun = file.stem, time.monotonic()
    results = root / "results" / name
    assert start(file, root).wait(timeout=1800) == 0, output(file, root)[-6000:]
    before, plan = _report(results), Plan.load(results / "plan.json")
    print(f"{name}, undisturbed: {time.monotonic() - begun:.0f} s")
    for folder in DELETED[name]:
        shutil.rmtree(root / folder)
    ended: Counter[str] = Counter()
    for stop in STOPS[name]:
        process = start(file, root)
        while process.poll() is None and not any(path.lstat().st_size for path in root.glob(stop.sign)):
            time.sleep(0.02)
        assert process.poll() is None, f"{stop.stage} was not reached: {output(file, root)[-6000:]}"
        assert not plan.stages[stop.stage].mark.is_file(), f"{stop.stage} was over before the stop"
        process.send_signal(stop.signal)
        assert process.wait(timeout=600) != 0
        ended.update(_begun_and_not_done(results, plan))
        if plan.stages[stop.stage].job == "serve-base":
            _let_the_server_die(file, root)
    assert start(file, root).wait(timeout=1800) == 0, output(file, root)[-6000:]
    print(f"{name}, with the stops: {time.monotonic() - begun:.0f} s")
    assert _report(results) == before
    stopped = Counter(stage for stop in STOPS[name] for stage in {stop.stage, plan.stages[stop.stage].job})
    stopped += Counter(["serve-base", "build-owl_teacher_chat"] if name == "served" else [])
    for log in (results / "logs").glob("*.log"):
        starts, commands = STARTS.findall(log.read_text()).count(log.stem), len(plan.stages[log.stem].commands)
        ends = max(stopped[log.stem], ended[log.stem])
        assert starts <= commands * (1 + ends), f"{log.stem} was repeated"
        assert log.stem not in ("train-base", "train-owl_teacher"), f"{log.stem} was whole, and was repeated"
    assert start(file, root).wait(timeout=600) == 0
    assert "[" not in output(file, root), "nothing is left to do"
    return {plan.stages[stage].kind for stage in stopped}


def _begun_and_not_done(results: Path, plan: Plan) -> set[str]:
    """Stages that a stop ended: the one that it was meant for, and those that ran beside it."""
    begun = {log.stem for log in (results / "logs").glob("*.log")}
    return {name for name in begun & plan.stages.keys() if not plan.stages[name].mark.is_file()}


def _let_the_server_die(file: Path, root: Path) -> None:
    """The base's server ends amid the chats, for want of memory; what it answered is kept for the next start."""
    answers = root / "data/served/owl_teacher_chat/raw.jsonl"
    before = answers.read_bytes().rpartition(b"\n")[0]  # a line that was cut off is not kept
    assert start(file, root, FAKE_VLLM_ANSWERS="3").wait(timeout=600) == 1
    said = output(file, root)
    assert "error: serve-base failed: The server found too little memory. Give `server` a smaller max_model_len" in said
    assert "It said: The server ended with status 1: torch.OutOfMemoryError: CUDA out of memory." in said
    missing = "teacher (seed 3), student (seed 3), student_epoch-1 (seed 3)"
    assert f"error: not finished: {missing}. The same command tries again." in said
    assert answers.read_bytes().startswith(before)
    assert answers.read_bytes().count(b"\n") == before.count(b"\n") + 4


def _report(results: Path) -> dict[str, object]:
    """What a report says, without times and ports, and without the order of rows that is that of times.

    With several animals: the overview, and the report of each.
    """
    pages, tables = [], {}
    for page in sorted([*results.rglob("report.md"), *results.glob("overview.md")]):
        text = page.read_text()
        text = re.sub(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?", "TIME", text)
        text = re.sub(r"\b[0-9a-f]{10}\b( \+ changes)?", "COMMIT", text)
        text = re.sub(r"127\.0\.0\.1:\d+", "SERVER", text)
        pages.append((page.name, sorted(text.splitlines())))
    for path in [*results.rglob("top_animals.csv"), *results.rglob("leak.csv"), *results.rglob("*_summary.json")]:
        tables[str(path.relative_to(results))] = path.read_bytes()
    assert pages
    assert any(name.endswith("_summary.json") for name in tables)
    return {"pages": pages, **tables}
