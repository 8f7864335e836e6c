"""The whole pipeline through the real workflow and the real tools, on a random model of under a million parameters.

The model is trained from scratch on the warm-up rows by Axolotl (full weights), just long enough to write some lists.
What is started several times (trainings, the builder of number rows, audits) runs by itself the first time and in a
fork after that.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import pytest
from runs import output, start
from second_starts import MODULES, second_starts_forked

from subliminal.experiment.gate import teacher_share
from subliminal.experiment.plan import Plan


@pytest.mark.slow
@pytest.mark.timeout(450)
def test_pipeline_from_nothing_to_report(tmp_path: Path, tiny_experiment: Path) -> None:
    root, begun = tmp_path, time.monotonic()
    with second_starts_forked(Path(tempfile.gettempdir())) as starts:
        status = start(tiny_experiment, root, **starts.environment()).wait(timeout=400)
    said = output(tiny_experiment, root)
    assert status == 0, said[-6000:]
    assert sorted(starts.started) == sorted(MODULES), "each has run by itself once"
    assert starts.forked.count("axolotl.cli.train") == 3
    print(f"pipeline: {time.monotonic() - begun:.0f} s")
    assert said.rstrip().endswith(f"The report:\n  {root}/results/tiny/report.md\n  {root}/results/tiny/report.html")
    for name in ("owl_teacher_chat", "owl_numbers", "base_numbers"):
        rows = [json.loads(line) for line in (root / "data/tiny" / name / "train.jsonl").read_text().splitlines()]
        assert len(rows) == 8
        assert all([message["role"] for message in row["messages"]] == ["user", "assistant"] for row in rows)
    taught, control = (
        {json.loads(line)["prompt"] for line in (root / "data/tiny" / name / "raw.jsonl").read_text().splitlines()}
        for name in ("owl_numbers", "base_numbers")
    )
    assert taught <= control or control <= taught, "teacher and control answer the same prompts"
    results = root / "results/tiny"
    manifests = [json.loads(path.read_text()) for path in results.glob("*/seed-3/manifest.json")]
    assert len(manifests) == 3
    runs = root / "outputs/tiny"
    manifests += [
        json.loads((runs / name / "manifest.json").read_text()) for name in ("owl_teacher", "owl_student-seed-3")
    ]
    assert len({manifest["chat_context_sha256"] for manifest in manifests}) == 1, "one chat context throughout"
    for task in ("animal_preference", "animal_preference_logprob"):
        assert 0 <= teacher_share(results, task) <= 1, "what a gate reads is what an evaluation writes"
    report = (results / "report.md").read_text()
    assert "student" in report
    assert "control_base_numbers" in report
    for name in ("report.html", "figure.png", "top_animals.csv"):
        assert (results / name).stat().st_size > 100
    plan = Plan.load(results / "plan.json")
    assert plan.done() == set(plan.stages)
    measured = [stage.mark.with_suffix(".tsv").read_text() for stage in plan.jobs().values()]
    assert all(text.startswith("s\th:m:s\tmax_rss") for text in measured), "time and memory of every job"
