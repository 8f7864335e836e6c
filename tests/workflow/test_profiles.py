"""The cluster profiles as files, and the Kubernetes one through a stand-in for kubectl that runs each Job here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from scripts_of import script
from shell_plan import shell_plan

from subliminal import REPO_ROOT
from subliminal.experiment import driver
from subliminal.experiment.driver import write_plan
from subliminal.experiment.stage import STAGE_KINDS

PROFILES = REPO_ROOT / "workflow" / "profiles"
JOB = script("job", "workflow/profiles/kubernetes")
WANTED = {"image": "python:3.11", "claim": "subliminal", "mount": "/subliminal", "cpu": 8, "memory_mb": 64_000}


@pytest.mark.parametrize("name", ["slurm", "kubernetes"])
def test_profile_names_kinds_that_the_workflow_has(name: str):
    profile = yaml.safe_load((PROFILES / name / "config.yaml").read_text())
    assert set(profile["set-resources"]) | set(profile["set-threads"]) <= set(STAGE_KINDS)
    assert "retries" not in profile, "a stage that failed is tried again by starting the experiment again"


def test_job_asks_for_what_the_stage_needs():
    job = JOB.manifest("/subliminal/.snakemake/tmp.x/snakejob.train.3.sh", gpu=2, **WANTED)
    assert job["metadata"]["generateName"] == "subliminal-snakejob-train-3-sh-"
    assert job["spec"]["backoffLimit"] == 0
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    limits = {"cpu": "8", "memory": "64000M", "nvidia.com/gpu": "2"}
    assert container["resources"] == {"limits": limits, "requests": limits}
    assert container["command"] == ["/bin/sh", "/subliminal/.snakemake/tmp.x/snakejob.train.3.sh"]
    assert {"name": "checkout", "mountPath": "/subliminal"} in container["volumeMounts"]
    assert pod["volumes"][0]["persistentVolumeClaim"] == {"claimName": "subliminal"}
    assert container["envFrom"] == [{"secretRef": {"name": "subliminal", "optional": True}}]
    without = JOB.manifest("job.sh", gpu=0, **WANTED)["spec"]["template"]["spec"]["containers"][0]
    assert "nvidia.com/gpu" not in without["resources"]["limits"]


@pytest.mark.parametrize(
    ("conditions", "state"),
    [
        ([], "running"),
        ([{"type": "Suspended", "status": "True"}], "running"),
        ([{"type": "Complete", "status": "True"}], "success"),
        ([{"type": "SuccessCriteriaMet", "status": "True"}, {"type": "Complete", "status": "True"}], "success"),
        ([{"type": "Failed", "status": "True"}], "failed"),
        ([{"type": "Failed", "status": "False"}], "running"),
    ],
)
def test_state_of_a_job(conditions: list, state: str):
    assert JOB.state({"status": {"conditions": conditions}}) == state
    assert JOB.state({}) == "running"


def test_kubectl_that_fails_is_tried_three_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fake = tmp_path / "kubectl"
    fake.write_text(f"#!/bin/sh\necho x >> {tmp_path}/tries\necho no route to the server >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with pytest.raises(SystemExit, match="error: kubectl get job failed: no route to the server"):
        JOB.kubectl("get", "job", "some-name")
    assert (tmp_path / "tries").read_text() == "x\n" * 3


@pytest.mark.parametrize(
    ("squeue", "sacct", "state"),
    [
        ("echo RUNNING", "exit 1", "running"),
        ("echo COMPLETED", "exit 1", "success"),
        ("echo OUT_OF_MEMORY", "exit 1", "failed"),
        ("echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1", "exit 1", "running"),
        ("echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1", "echo COMPLETED", "success"),
        ("true", "echo 'CANCELLED by 0'", "failed"),
        ("true", "echo 'Slurm accounting storage is disabled' >&2; exit 1", "failed"),
    ],
)
def test_state_of_a_slurm_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, squeue: str, sacct: str, state: str):
    for name, body in (("squeue", squeue), ("sacct", sacct)):
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    assert script("job", "workflow/profiles/slurm").state("4711;one") == state


def test_a_slurm_job_leaves_its_status_and_slurm_is_asked_once_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / ".snakemake").mkdir()
    jobscript, given = tmp_path / "snakejob.train.3.sh", tmp_path / "given.sh"
    jobscript.write_text("#!/bin/sh\n# properties\n(exit 3) && exit 0 || exit 1\n")
    for name, body in (
        ("sbatch", f'echo "$@" > {tmp_path}/options; cat > {given}; echo "4711;one"'),
        ("squeue", f"echo x >> {tmp_path}/asked; echo TIMEOUT"),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    job = script("job", "workflow/profiles/slurm")
    assert job.submit(["--partition=gpu", "--gpus=1"], str(jobscript)) == "4711;one"
    assert (tmp_path / "options").read_text().split() == ["--parsable", "--partition=gpu", "--gpus=1"]
    assert [job.state("4711;one") for _ in range(3)] == ["running"] * 3
    assert not (tmp_path / "asked").exists()
    record = tmp_path / ".snakemake/slurm-4711.job"
    os.utime(record, (0, 0))
    assert [job.state("4711;one"), job.state("4711;one")] == ["failed", "running"], "asked once, and not for a minute"
    subprocess.run(["sh", str(given)])
    assert job.state("4711;one") == "failed", "its status is 1"
    jobscript.write_text("#!/bin/sh\nexit 0\n")
    job.submit([], str(jobscript))
    subprocess.run(["sh", str(given)])
    assert job.state("4711;one") == "success"
    assert not record.exists()


def test_sbatch_that_refuses_a_job_ends_with_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    (tmp_path / "sbatch").write_text("#!/bin/sh\necho 'sbatch: error: invalid partition specified: gpu' >&2; exit 1\n")
    (tmp_path / "sbatch").chmod(0o755)
    (tmp_path / "job.sh").write_text("#!/bin/sh\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(SystemExit, match="1"):
        script("job", "workflow/profiles/slurm").submit([], str(tmp_path / "job.sh"))
    assert "invalid partition" in capfd.readouterr().err


@pytest.mark.slow
def test_experiment_runs_as_kubernetes_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    kube = tmp_path / "kube"
    kube.mkdir()
    (tmp_path / "bin").mkdir()
    shutil.copy(REPO_ROOT / "tests" / "fixtures" / "kubectl", tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("KUBE", str(kube))
    plan = shell_plan(tmp_path, commands={"train-student-2": "exit 3"}, gpus=1)
    write_plan(plan)
    words = ["--profile", str(PROFILES / "kubernetes"), "--latency-wait", "3", "--seconds-between-status-checks", "1"]
    status = driver._snakemake(plan, 8, 2, words)
    output = capfd.readouterr()
    assert status == 1, "one student fails"
    ran = (tmp_path / "ran-shell").read_text().split()
    assert sorted(ran) == ["audit-chat", "build-chat", "train-student-1", "train-teacher"], output.out + output.err
    jobs = [json.loads(path.read_text()) for path in kube.glob("*.json")]
    containers = [job["spec"]["template"]["spec"]["containers"][0] for job in jobs]
    asked = sorted(each["resources"]["limits"].get("nvidia.com/gpu", "0") for each in containers)
    assert asked == ["0", "0", "1", "1", "1"]
    assert {each["resources"]["limits"]["memory"] for each in containers} == {"64000M", "8000M"}
