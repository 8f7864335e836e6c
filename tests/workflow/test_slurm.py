"""The workflow on a real Slurm: one node, its GPUs made up, the profile as it is in the repository."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from patience import HANG_SECONDS
from scripts_of import script
from shell_plan import shell_plan
from slurm_cluster import missing, slurm_cluster

from subliminal import REPO_ROOT
from subliminal.experiment import driver
from subliminal.experiment.driver import write_plan

PROFILE = REPO_ROOT / "workflow" / "profiles" / "slurm"
pytestmark = [
    pytest.mark.workflow,
    pytest.mark.slow,
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]
SECONDS = 4


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory):
    """The cluster's folder, with its variables in this process's environment."""
    folder = tmp_path_factory.mktemp("slurm") / "cluster"
    with (
        slurm_cluster(folder, partitions=("gpu", "cpu"), cpus=2, gpus=2) as variables,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in variables.items():
            patch.setenv(name, value)
        yield folder


def stamped(path: Path) -> str:
    """A command that writes when it starts and ends, and what Slurm gave it."""
    return (
        f"{{ date +%s.%N; scontrol show job $SLURM_JOB_ID | grep -o 'TresPerJob=.*'; sleep {SECONDS}; date +%s.%N; "
        f"echo $SLURM_JOB_ID; }} > {path}"
    )


def test_two_students_train_side_by_side(cluster: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    commands = {f"train-student-{seed}": stamped(tmp_path / f"student-{seed}") for seed in (1, 2)}
    plan = shell_plan(tmp_path, commands=commands, gpus=1)
    write_plan(plan)
    words = ["--profile", str(PROFILE), "--latency-wait", "5"]
    started = time.time()
    status = driver._snakemake(plan, 8, 2, words)
    wall = time.time() - started
    output = capfd.readouterr()
    assert status == 0, output.out + output.err
    assert sorted((tmp_path / "ran-shell").read_text().split()) == sorted(plan.stages)
    spans = {}
    for seed in (1, 2):
        start, gpus, end, job = (tmp_path / f"student-{seed}").read_text().split("\n")[:4]
        assert gpus.endswith("gpu:1"), f"Slurm gave the job {gpus}"
        spans[job] = float(start), float(end)
    (start, end), (other_start, other_end) = spans.values()
    assert max(start, other_start) < min(end, other_end), "the two jobs did not run at the same time"
    overheads = []
    for job, (start, end) in spans.items():
        on_node = [float((cluster / "jobs" / f"{job}.{name}").read_text()) for name in ("start", "end")]
        overheads.append(on_node[1] - on_node[0] - (end - start))
    with capfd.disabled():
        told = ", ".join(f"{seconds:.2f}" for seconds in overheads)
        print(f"\n{len(plan.jobs())} stages in {wall:.1f} s at load {os.getloadavg()[0]:.1f}; ", end="")
        print(f"of a job beside its command, s: {told}")
    assert max(overheads) < 10, "2 is what an idle machine must keep (workflow/profiles/README.md)"


def test_failed_cancelled_and_forgotten_jobs(cluster: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    job = script("job", "workflow/profiles/slurm")
    (tmp_path / ".snakemake").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(job, "ASK", 0.5)
    options = ["--partition=cpu", "--mem=100", "--output=/dev/null"]

    def end_of(name: str, command: str) -> str:
        jobscript = tmp_path / name
        jobscript.write_text(f"#!/bin/sh\n{command}\n")
        number = job.submit(options, str(jobscript))
        if "sleep" in command:
            subprocess.run(["scancel", number], check=True)
        deadline = time.monotonic() + HANG_SECONDS
        while (state := job.state(number)) == "running" and time.monotonic() < deadline:
            time.sleep(0.2)
        return state

    assert end_of("good.sh", "true") == "success"
    assert end_of("bad.sh", "exit 3") == "failed"
    assert end_of("cancelled.sh", "exec sleep 3600") == "failed"
    assert job.state("999999") == "failed"
