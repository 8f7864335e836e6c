"""How stages are run, stopped, failed and shared: real Snakemake, real processes, shell commands in place of models."""

from __future__ import annotations

import contextlib
import errno
import io
import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from patience import HANG_SECONDS
from shell_plan import __file__ as SHELL_PLAN
from shell_plan import shell_plan

from subliminal import REPO_ROOT
from subliminal.core import gpus as gpu_slot
from subliminal.core.errors import UserError, file_problem
from subliminal.core.failures import explain, last_words
from subliminal.core.locks import holding
from subliminal.experiment import driver
from subliminal.experiment.display.watch import Display
from subliminal.experiment.expand import expand
from subliminal.experiment.gate import run_gate
from subliminal.experiment.load import load_experiment
from subliminal.experiment.log import QUIET
from subliminal.experiment.plan import Plan
from subliminal.experiment.run import StageFailed, failure_path, log_path, run_stage
from subliminal.experiment.schema import sections
from subliminal.experiment.schema.experiment import Experiment
from subliminal.experiment.stage import Stage


def _start(
    root: Path, name: str = "shell", commands: dict[str, str] | None = None, gpus: int = 0, **environment: str
) -> Any:
    """``python -m subliminal.experiment run`` on a plan of shell commands, as a process."""
    return subprocess.Popen(
        [sys.executable, SHELL_PLAN, str(root), name, json.dumps(commands or {}), str(gpus)],
        cwd=REPO_ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _ran(root: Path, name: str = "shell") -> list[str]:
    path = root / f"ran-{name}"
    return path.read_text().split() if path.exists() else []


def _wait_for(path: Path, seconds: float = HANG_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.05)


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _wait_until_gone(pid: int, seconds: float = HANG_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while _is_running(pid):
        assert time.monotonic() < deadline, "the stage's command outlives the experiment"
        time.sleep(0.1)


# --- a failed stage, and going on ---


def test_weights_that_are_deleted_are_made_again_though_their_record_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "outputs/shell/teacher"
    plan = shell_plan(tmp_path, commands={"train-teacher": f"echo > {folder}/manifest.json"})
    stage = plan.stages["train-teacher"]
    stage.proof = f"{folder}/manifest.json"
    run_stage(plan, stage.name)
    # A finished training refuses to go on.
    stage.resume = "; exit 1"
    stage.mark.unlink()
    run_stage(plan, stage.name)
    assert _ran(tmp_path) == [stage.name], "it was whole"
    (folder / "made").unlink()
    run_stage(plan, stage.name)
    assert _ran(tmp_path) == [stage.name] * 2


def test_a_failed_arm_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    commands = {"train-student-1": "sh -c 'echo step 1; echo error: No space left on device >&2; exit 3'"}

    def plan(experiment: Any, root: Path, failed: Any = None, seeds: Any = None) -> Plan:
        return shell_plan(root, failed=failed, commands=commands)

    monkeypatch.setattr(driver, "expand", plan)
    run = SimpleNamespace(root=tmp_path, cores=2, gpus=None, words=[])
    assert driver.run_experiment(SimpleNamespace(name="shell", pinned_models={}, model_folders=[]), **vars(run)) == 1
    once = ["audit-chat", "build-chat", "evaluate-all", "report-all", "train-student-2", "train-teacher"]
    assert sorted(_ran(tmp_path)) == once
    report = tmp_path / "outputs/shell/all"
    (missing,) = json.loads((report / "missing.json").read_text())["missing"]
    assert (missing["arm"], missing["seed"], missing["stage"]) == ("student", 1, "train-student-1")
    assert missing["reason"].startswith("The disk is full. Free some space; the same command then goes on.")
    assert Path(missing["log"]).read_text().splitlines()[1] == "step 1"
    errors = capfd.readouterr().err
    assert "error: train-student-1 failed: The disk is full." in errors
    assert "error: not finished: student (seed 1). The same command tries again." in errors

    commands.clear()  # there is space now
    assert driver.run_experiment(SimpleNamespace(name="shell", pinned_models={}, model_folders=[]), **vars(run)) == 0
    assert sorted(_ran(tmp_path)[6:]) == ["evaluate-all", "report-all", "train-student-1"]
    assert not (report / "missing.json").exists()

    assert driver.run_experiment(SimpleNamespace(name="shell", pinned_models={}, model_folders=[]), **vars(run)) == 0
    assert len(_ran(tmp_path)) == 9, "nothing is left to do"

    # A clock that went back: what is finished was finished in the future.
    stages = plan(None, tmp_path).stages
    ahead = time.time() + 90
    os.utime(stages["evaluate-all"].mark, (ahead, ahead))
    stages["report-all"].mark.unlink()
    assert driver.run_experiment(SimpleNamespace(name="shell", pinned_models={}, model_folders=[]), **vars(run)) == 0
    assert _ran(tmp_path)[9:] == ["report-all"]
    assert stages["report-all"].mark.is_file()


def test_a_stage_that_is_killed_is_named_and_the_same_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The command's parent is its watchdog, and the watchdog's is the stage: it can say nothing after SIGKILL.
    parent = "ps -o ppid= -p"
    commands = {"train-teacher": f"kill -9 $({parent} $({parent} $$)) && sleep 3600"}

    def plan(experiment: Any, root: Path, failed: Any = None, seeds: Any = None) -> Plan:
        return shell_plan(root, failed=failed, commands=commands)

    monkeypatch.setattr(driver, "expand", plan)
    experiment = SimpleNamespace(name="shell", pinned_models={}, model_folders=[])
    run = {"root": tmp_path, "cores": 2, "gpus": None, "words": []}
    with pytest.raises(UserError, match=r"^train-teacher was ended from outside: .* Run the same command again"):
        driver.run_experiment(experiment, **run)
    commands.clear()
    assert driver.run_experiment(experiment, **run) == 0
    assert _ran(tmp_path).count("build-chat") == 1


def test_until_a_stage_runs_what_it_needs_and_the_rest_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(driver, "expand", lambda experiment, root, failed=None, seeds=None: shell_plan(root))
    experiment = SimpleNamespace(name="shell", pinned_models={}, model_folders=[])
    run = {"root": tmp_path, "cores": 2, "gpus": None, "words": []}
    assert driver.run_experiment(experiment, **run, until=["train-teacher"]) == 0
    assert sorted(_ran(tmp_path)) == ["build-chat", "train-teacher"]
    assert "shell is done up to train-teacher. Without --until the same command goes on." in capfd.readouterr().err
    assert driver.run_experiment(experiment, **run, until=["train-student-1", "audit-chat"]) == 0
    assert sorted(_ran(tmp_path)[2:]) == ["audit-chat", "train-student-1"]
    assert "shell is done up to train-student-1, audit-chat. Without --until" in capfd.readouterr().err
    assert driver.run_experiment(experiment, **run, until=["train"]) == 0
    assert _ran(tmp_path)[4:] == ["train-student-2"]
    with pytest.raises(UserError, match=r"shell has no stage 'trian' and none of that kind\. Its kinds: build, audit"):
        driver.run_experiment(experiment, **run, until=["train", "trian"])
    assert driver.run_experiment(experiment, **run) == 0
    assert sorted(_ran(tmp_path)[5:]) == ["evaluate-all", "report-all"]


def test_a_stop_leaves_nothing_running_and_goes_on(tmp_path: Path) -> None:
    stops = {"train-teacher": signal.SIGINT, "train-student-2": signal.SIGTERM, "evaluate-all": signal.SIGKILL}
    slow = "(test -e {0}/go-{1} || (echo $$ > {0}/pid-{1} && exec sleep 3600))"
    commands = {stage: slow.format(tmp_path, stage) for stage in stops}
    for stage, number in stops.items():
        process = _start(tmp_path, commands=commands)
        _wait_for(tmp_path / f"pid-{stage}")
        time.sleep(0.2)
        pid = int((tmp_path / f"pid-{stage}").read_text())
        process.send_signal(number)
        output, _ = process.communicate(timeout=HANG_SECONDS)
        assert process.returncode != 0, output
        if number == signal.SIGINT:
            assert output.rstrip().endswith("Stopped. The same command goes on from here.")
        _wait_until_gone(pid)
        (tmp_path / f"go-{stage}").touch()
    last = _start(tmp_path, commands=commands)
    output, _ = last.communicate(timeout=HANG_SECONDS)
    assert last.returncode == 0, output
    assert sorted(_ran(tmp_path)) == sorted(set(_ran(tmp_path))), "a finished stage is not repeated"
    assert len(_ran(tmp_path)) == 7


def test_a_killed_watchdog_takes_snakemake_and_its_stages_along(tmp_path: Path) -> None:
    slow = f"test -e {tmp_path}/go || (echo $$ > {tmp_path}/pid && exec sleep 3600)"
    process = _start(tmp_path, commands={"train-teacher": slow})
    _wait_for(tmp_path / "pid")
    of_the_run = ["ps", "-o", "pid=", "--ppid", str(process.pid)]
    (guard,) = subprocess.run(of_the_run, capture_output=True, text=True, check=True).stdout.split()
    os.kill(int(guard), signal.SIGKILL)
    output, _ = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 1
    assert "train-teacher was ended from outside" in " ".join(output.split())
    _wait_until_gone(int((tmp_path / "pid").read_text()))
    (tmp_path / "go").touch()
    last = _start(tmp_path)
    output, _ = last.communicate(timeout=HANG_SECONDS)
    assert last.returncode == 0, output
    assert len(set(_ran(tmp_path))) == 7


def test_a_stopped_ladder_goes_on_at_its_rung(tmp_path: Path) -> None:
    plan = _gated(tmp_path, [0.3, 0.8])
    slow = plan.stages["score-1"]
    slow.commands = [f"(test -e {tmp_path}/go || (touch {tmp_path}/there && exec sleep 3600)) && {slow.commands[0]}"]
    plan.save(tmp_path / "plan.json")
    command = [sys.executable, "-m", "subliminal.experiment", "gate", str(tmp_path / "plan.json"), "gate-owl_teacher"]
    process = subprocess.Popen(command, cwd=REPO_ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _wait_for(tmp_path / "there")
    process.kill()
    process.wait()
    (tmp_path / "go").touch()
    run_gate(plan, "gate-owl_teacher")
    assert (tmp_path / "scored").read_text().split() == ["0", "1"]


# --- two at once ---


def test_two_experiments_at_once_share_no_gpu_and_no_folder(tmp_path: Path) -> None:
    note = "echo $CUDA_VISIBLE_DEVICES in >> {0}; sleep 0.7; echo $CUDA_VISIBLE_DEVICES out >> {0}".format(
        tmp_path / "gpus"
    )
    commands = {f"train-{subject}": note for subject in ("teacher", "student-1", "student-2")}
    environment = {"CUDA_VISIBLE_DEVICES": "4,7", "SUBLIMINAL_GPU_LOCKS": str(tmp_path / "locks")}
    both = [_start(tmp_path, name, commands, 1, **environment) for name in ("a", "b")]
    outputs = [process.communicate(timeout=HANG_SECONDS)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert len(_ran(tmp_path, "a")) == len(_ran(tmp_path, "b")) == 7
    held: set[str] = set()
    for line in (tmp_path / "gpus").read_text().splitlines():
        gpu, what = line.split()
        assert gpu in ("4", "7")
        assert (gpu in held) == (what == "out"), "a GPU is given to one stage at a time"
        held ^= {gpu}


def test_gpus_that_are_not_there_are_a_sentence(tmp_path: Path) -> None:
    plan = shell_plan(tmp_path, gpus=2)
    with pytest.raises(UserError, match="asks for 2 GPUs in one stage, and this machine has 1"):
        driver._check_gpus(plan, 1, [])
    assert driver._check_gpus(plan, 2, []) == 2
    assert driver._check_gpus(plan, None, ["--profile", "workflow/profiles/slurm"]) is None


def test_the_same_experiment_twice_is_refused(tmp_path: Path) -> None:
    experiment = SimpleNamespace(name="twice", pinned_models={}, model_folders=[])
    lock = holding(tmp_path / "results/twice/.lock", taken="the first is refused")
    with lock, pytest.raises(UserError, match=rf"Another process \(id {os.getpid()}\) runs the experiment"):
        driver.run_experiment(experiment, root=tmp_path, cores=1, gpus=None, words=[])


def test_slurm_jobs_that_see_their_gpu_as_number_0_do_not_wait_for_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_slot.tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("SUBLIMINAL_GPU_LOCKS", raising=False)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with gpu_slot.gpu_slots(1, ("0",)):
        monkeypatch.setenv("SLURM_JOB_ID", "8")
        with gpu_slot.gpu_slots(1, ("0",)) as other:
            assert other.environment == {"CUDA_VISIBLE_DEVICES": "0"}


def test_gpu_slots_wait_and_are_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUBLIMINAL_GPU_LOCKS", str(tmp_path))
    monkeypatch.setattr(gpu_slot, "WAIT", 0.05)
    got: list[str] = []
    with gpu_slot.gpu_slots(1, ("0", "1")) as first:
        assert first.environment == {"CUDA_VISIBLE_DEVICES": "0"}
        with gpu_slot.gpu_slots(1, ("0", "1")) as second:
            assert second.environment == {"CUDA_VISIBLE_DEVICES": "1"}

        def want_both() -> None:
            with gpu_slot.gpu_slots(2, ("0", "1")) as both:
                got.append(both.environment["CUDA_VISIBLE_DEVICES"])

        waiting = threading.Thread(target=want_both)
        waiting.start()
        time.sleep(0.3)
        assert not got
    waiting.join(timeout=HANG_SECONDS)
    assert got == ["0,1"]
    with gpu_slot.gpu_slots(3, ()) as none:
        assert none.environment == {}
    with pytest.raises(UserError, match="3 GPUs are asked for, and 2 are visible"), gpu_slot.gpu_slots(3, ("0", "1")):
        pass


def test_commands_that_share_a_gpu_fill_the_emptiest_first_and_keep_out_who_wants_it_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUBLIMINAL_GPU_LOCKS", str(tmp_path))
    monkeypatch.setattr(gpu_slot, "WAIT", 0.05)
    got: list[str] = []
    with contextlib.ExitStack() as running:
        places = [running.enter_context(gpu_slot.gpu_slots(1, ("0", "1"), share=2)) for _ in range(4)]
        assert [place.environment["CUDA_VISIBLE_DEVICES"] for place in places] == ["0", "1", "0", "1"]

        def want(share: int) -> None:
            with gpu_slot.gpu_slots(1, ("0", "1"), share=share) as slots:
                got.append(f"{share}: {slots.environment['CUDA_VISIBLE_DEVICES']}")

        waiting = [threading.Thread(target=want, args=(share,)) for share in (1, 2)]
        for thread in waiting:
            thread.start()
        time.sleep(0.3)
        assert not got, "every place is taken, and no GPU is free"
    for thread in waiting:
        thread.join(timeout=HANG_SECONDS)
    assert len(got) == 2


def test_snakemake_counts_in_places_of_a_gpu(tmp_path: Path) -> None:
    plan = Plan("tiny", str(tmp_path))
    plan.add(Stage("train-a", "train", str(tmp_path), ["true"], gpus=1, gpu_share=3))
    plan.add(Stage("serve-b", "serve", str(tmp_path), ["true"], gpus=1))
    assert plan.gpu_places() == 3
    for places, units in ((3, {"train-a": 1, "serve-b": 3}), (1, {"train-a": 1, "serve-b": 1})):
        plan.save(tmp_path / "plan.json", gpu_places=places)
        jobs = json.loads((tmp_path / "plan.json").read_text())["jobs"].values()
        assert {job["name"]: job["gpu_units"] for job in jobs} == units


# --- resume, start over, judge again ---


def _build(root: Path, *, size: str = "--count 4", words: str = "one", judges: tuple[str, ...] = ()) -> Plan:
    folder = root / "data"
    plan = Plan("tiny", str(root / "results"))
    stage = Stage("build-x", "build", str(folder), [f"sh {root}/build.sh {words}"], [f"{folder}/train.jsonl"])
    stage.size, stage.resume, stage.restart, stage.judges = size, "--resume", "--overwrite", list(judges)
    plan.add(stage)
    return plan


def test_a_begun_stage_goes_on_and_another_starts_over(tmp_path: Path) -> None:
    script, asked, fail = tmp_path / "build.sh", tmp_path / "asked", tmp_path / "fail"
    script.write_text(f'echo "$@" >> {asked}; test -e {fail} && exit 1; echo rows > {tmp_path}/data/train.jsonl')

    def run(**changes: Any) -> str:
        run_stage(_build(tmp_path, **changes), "build-x")
        return asked.read_text().splitlines()[-1]

    fail.touch()
    with pytest.raises(StageFailed):
        run()
    fail.unlink()
    assert run() == "one --count 4 --resume", "the same stage goes on"
    assert run() == "one --count 4 --resume"
    assert len(asked.read_text().splitlines()) == 2, "a whole stage is not run again"
    assert run(size="--count 9") == "one --count 9 --resume", "more rows go on from those that are there"
    assert run(words="two") == "two --count 4 --overwrite", "other settings start over"
    assert len(list((tmp_path / "data").glob(".build-*.done"))) == 1, "the old mark is gone"
    rule = tmp_path / "filter.py"
    rule.write_text("a")
    run(judges=(str(rule),))
    rule.write_text("b")
    assert run(judges=(str(rule),)).endswith("--resume"), "another filter rule judges the same answers again"


@pytest.mark.parametrize(
    ("told", "takes", "found"),
    [
        (None, {"threads": 3}, "3"),
        (None, {}, "all"),
        (None, {"threads": 3, "gpus": 1}, "all"),
        ("7", {"threads": 3}, "7"),
    ],
)
def test_a_stage_computes_with_the_cores_that_are_counted_for_it(
    told: str | None, takes: dict[str, int], found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    if told:
        monkeypatch.setenv("OMP_NUM_THREADS", told)
    plan = Plan("tiny", str(tmp_path / "results"))
    command = f"echo ${{OMP_NUM_THREADS:-all}} > {tmp_path}/threads"
    plan.add(Stage("evaluate-x", "evaluate", str(tmp_path), [command], **takes))
    run_stage(plan, "evaluate-x")
    assert (tmp_path / "threads").read_text().strip() == found


def test_two_stages_in_one_folder_leave_each_other_alone(tmp_path: Path) -> None:
    plan = Plan("tiny", str(tmp_path / "results"))
    for name in ("evaluate-owl", "evaluate-owl_other_base"):
        plan.add(Stage(name, "evaluate", str(tmp_path), [f"echo {name} >> {tmp_path}/ran"]))
    for name in [*plan.stages, *plan.stages]:
        run_stage(plan, name)
    assert (tmp_path / "ran").read_text().split() == list(plan.stages)
    assert plan.done() == set(plan.stages)


def test_other_bytes_upstream_start_a_stage_over(tmp_path: Path) -> None:
    def plan(text: str) -> Plan:
        made = Plan("tiny", str(tmp_path / "results"))
        rows, model = tmp_path / "data/train.jsonl", tmp_path / "run/model.safetensors"
        build = Stage("build-x", "build", str(tmp_path / "data"), [f"echo {text} > {rows}; true"], [str(rows)])
        made.add(build)
        build.key = "same"  # as after a deleted folder: the same stage, on a GPU other bytes
        train = Stage(
            "train-x", "train", str(tmp_path / "run"), [f"echo x >> {model}; true"], [str(model)], ["build-x"]
        )
        train.restart = "--overwrite"
        made.add(train)
        run_stage(made, "build-x")
        run_stage(made, "train-x")
        return made

    plan("one")
    plan("one")
    model = tmp_path / "run/model.safetensors"
    assert model.read_text().split() == ["x"]
    (tmp_path / "data/train.jsonl").unlink()
    plan("two")
    assert model.read_text().split() == ["x", "x"]
    assert "--overwrite" in (tmp_path / "results/logs/train-x.log").read_text()


def test_a_file_that_changes_during_a_run_is_noticed(tmp_path: Path) -> None:
    rule = tmp_path / "filter.py"
    rule.write_text("a")
    plan = _build(tmp_path, judges=(str(rule),))
    rule.write_text("b")
    with pytest.raises(UserError, match="has changed since this run was planned"):
        run_stage(plan, "build-x")
    assert "has changed" in json.loads(failure_path(plan, "build-x").read_text())["reason"]


def test_a_command_that_makes_nothing_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "build.sh").write_text("true")
    with pytest.raises(StageFailed, match="did not make"):
        run_stage(_build(tmp_path), "build-x")


def test_the_log_has_no_moves_of_progress_bars(tmp_path: Path) -> None:
    (tmp_path / "build.sh").write_text(
        f"printf '10%%\\r50%%\\r100%%\\ntrouble\\n'; echo rows > {tmp_path}/data/train.jsonl"
    )
    plan = _build(tmp_path)
    run_stage(plan, "build-x")
    lines = log_path(plan, "build-x").read_text().splitlines()
    assert lines[1:] == ["100%", "trouble"]


def test_what_a_command_writes_is_on_the_terminal_and_in_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(QUIET, raising=False)
    (tmp_path / "build.sh").write_text(f"echo rows >&2; printf '1%%\\r2%%'; echo rows > {tmp_path}/data/train.jsonl")
    plan = _build(tmp_path)
    run_stage(plan, "build-x")
    assert capfd.readouterr().err.endswith("rows\n1%\r2%"), "as it is written"
    assert log_path(plan, "build-x").read_text().splitlines()[1:] == ["rows", "2%"]


OOM = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.03 GiB. GPU 0 has a total capacity of 23.64 GiB "
    "of which 1.44 GiB is free. Including non-PyTorch memory, this process has 22.20 GiB memory in use."
)
LAUNCHER = "subprocess.CalledProcessError: Command '['python', '-m', 'axolotl.cli.train']' "
NOT_LOADED = (
    "OSError: Can't load the configuration of 'Qwen/Qwen2.5-7B-Instruct'. If you were trying to load it from ..."
)
REFUSED = (
    "'[Errno 111] Connection refused' thrown while requesting HEAD http://127.0.0.1:9/Qwen/resolve/main/config.json"
)
NO_KERNEL = "Failed to load gemm_4bit_forward: it is not in the local cache and Hugging Face Hub is in offline mode."


@pytest.mark.parametrize(
    ("log", "meaning", "words"),
    [
        (
            [OOM, f"{LAUNCHER}returned non-zero exit status 1."],
            "The GPU or the machine ran out of memory. Halve micro_batch_size",
            f"{OOM} (status 1)",
        ),
        ([f"[rank1]: {OOM}", "RuntimeError: a later one"], "The GPU or the machine ran out of memory.", OOM),
        (["CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"], "The GPU or the machine", ""),
        (
            [f"{LAUNCHER}died with <Signals.SIGKILL: 9>."],
            "The system killed the process, most likely for its memory.",
            "SIGKILL",
        ),
        (["OSError: [Errno 28] No space left on device: 'x'"], "The disk is full. Free some space;", "'x' (status 1)"),
        (
            ["error: The disk is full while writing x. Free some space, then ..."],
            "The disk is full while writing x.",
            "",
        ),
        (
            [f"error: {file_problem(OSError(errno.ENOSPC, 'full', 'x'))}"],
            "The disk is full while writing x. Free some space, then run the same command again,",
            "kept. (`make experiment` has no --resume and needs none: the same command goes on.)",
        ),
        ([REFUSED, NOT_LOADED], "The Hub does not answer. Connect", f"{NOT_LOADED} ({REFUSED}) (status 1)"),
        (["error: The model x cannot be loaded: it", REFUSED], "The Hub does not answer.", f"it ({REFUSED})"),
        (["RuntimeError: Cannot send a request, as the client has been closed."], "The Hub does not answer.", ""),
        (["ConnectionError: Couldn't reach 'cais/mmlu' on the Hub (LocalEntryNotFoundError)"], "The Hub does not", ""),
        (
            ["OfflineModeIsEnabled: Cannot reach https://huggingface.co/x: offline mode is enabled."],
            "What is needed is not here, and HF_HUB_OFFLINE is set.",
            "",
        ),
        (
            ["error: The server at http://x/v1 has been in trouble for 300 s (Connection refused)."],
            "The server is gone;",
            "in trouble for 300 s",
        ),
        ([NO_KERNEL, "error: the teacher is shy"], "the teacher is shy", "the teacher is shy"),
        ([REFUSED, "ValueError: no such key"], "ValueError: no such key (status 1)", ""),
    ],
)
def test_known_failures_are_explained(log: list[str], meaning: str, words: str) -> None:
    told = explain(last_words(log, 1))
    assert told.startswith(meaning)
    assert words in told


def test_a_failure_is_told_in_the_words_of_its_cause() -> None:
    launcher = f"{LAUNCHER}returned non-zero exit status 1."
    for written, words in (
        (["[2026] INFO", "error: the batch is wrong", launcher], "the batch is wrong"),
        (["\x1b[31mRuntimeError: no such key\x1b[0m", "[2026] done", launcher], "RuntimeError: no such key (status 1)"),
        (["CUDA out of memory", "RuntimeError: later"], "CUDA out of memory (status 1)"),
        (
            [
                "pydantic_core.ValidationError: 1 validation error for X",
                "  Value error, a and b mismatch. [type=v, in]",
            ],
            "pydantic_core.ValidationError: 1 validation error for X: Value error, a and b mismatch. (status 1)",
        ),
        (["only this", ""], "only this (status 1)"),
        ([], "it wrote nothing (status 1)"),
    ):
        assert last_words(written, 1) == words


@pytest.mark.parametrize(
    ("command", "meaning", "status"),
    [
        ("kill -9 $PPID; sleep 60", "The system killed the process, most likely for its memory.", 137),  # the watchdog
        ("kill -9 $$", "The system killed the process, most likely for its memory.", 137),
        ("kill -15 $$", "The process was ended from outside (SIGTERM): by somebody, or by", 143),
    ],
)
def test_a_kill_from_outside_is_told_as_one(command: str, meaning: str, status: int, tmp_path: Path) -> None:
    plan = Plan("tiny", str(tmp_path / "results"))
    plan.add(Stage("build-x", "build", str(tmp_path), [command]))
    with pytest.raises(StageFailed):
        run_stage(plan, "build-x")
    reason = json.loads(failure_path(plan, "build-x").read_text())["reason"]
    assert reason.startswith(meaning)
    assert reason.endswith(f"; the same command then goes on. It wrote nothing (status {status})")


def test_only_the_last_attempt_and_command_say_why(tmp_path: Path) -> None:
    plan = Plan("tiny", str(tmp_path / "results"))
    failing = Stage("build-x", "build", str(tmp_path), ["echo error: of the first command", "echo this is why; exit 3"])
    plan.add(failing)
    for _ in range(2):
        with pytest.raises(StageFailed, match=r"^this is why \(status 3\)$"):
            run_stage(plan, "build-x")


def test_what_is_shown_of_a_failure_begins_at_its_own_attempt(tmp_path: Path) -> None:
    results, source = tmp_path / "results", tmp_path / "words.txt"
    source.touch()
    # The first attempt makes nothing and goes well otherwise; the second is killed before it writes a word.
    command = f"test -e {tmp_path}/second && kill -9 $$; touch {tmp_path}/second; echo kept 200 of 486"
    stage = Stage("build-x", "build", str(tmp_path), [command], [str(tmp_path / "made")], sources=[str(source)])
    plan = Plan("tiny", str(results))
    plan.add(stage)
    display = Display(io.StringIO())
    display.begin(plan)
    for _ in range(2):
        with pytest.raises(StageFailed):
            run_stage(plan, "build-x")
    display.update()
    said = display.stream.getvalue()
    assert "FAILED  build-x" in said
    assert f"  | [build-x] {command}\n  The whole log: {results}/logs/build-x.log\n" in said
    assert "\n  | kept 200 of 486" not in said
    # An attempt that began no command shows none of its forerunners' words.
    source.write_text("changed")
    with pytest.raises(UserError, match="has changed since this run was planned"):
        run_stage(plan, "build-x")
    display = Display(io.StringIO())
    display.begin(plan)
    display.update()
    assert "has changed since this run was planned" in display.stream.getvalue()
    assert "  | " not in display.stream.getvalue()


# --- the gate ---


def _gated(root: Path, shares: list[float]) -> Plan:
    plan, rungs = Plan("g", str(root / "results")), []
    for number, share in enumerate(shares):
        adapter = root / f"teacher-{number}"
        adapter.mkdir(parents=True, exist_ok=True)
        folder = root / f"rung-{number}"
        summary = json.dumps({"tasks": {"animal_preference": {"target_rate": [share, share]}}})
        command = f"mkdir -p {folder}/teacher/seed-1 && echo '{summary}' > {folder}/teacher/seed-1/x_summary.json"
        score = Stage(f"score-{number}", "score", str(folder), [f"{command} && echo {number} >> {root}/scored"])
        score.job = "gate-owl_teacher"
        rungs.append({"weights": str(adapter), "score": plan.add(score)})
    facts = {"passed": str(root / "passed"), "at_least": 0.7, "task": "animal_preference", "rungs": rungs}
    plan.add(Stage("gate-owl_teacher", "gate", str(root / "gate"), ["true"], facts=facts))
    return plan


def test_the_ladder_is_climbed_until_a_teacher_passes(tmp_path: Path) -> None:
    plan = _gated(tmp_path, [0.3, 0.8, 0.9])
    run_gate(plan, "gate-owl_teacher")
    assert (tmp_path / "passed").resolve() == tmp_path / "teacher-1"
    record = json.loads((tmp_path / "gate/gate.json").read_text())
    assert record["passed"]
    assert [each["share"] for each in record["tried"]] == [0.3, 0.8]
    run_gate(plan, "gate-owl_teacher")
    assert (tmp_path / "scored").read_text().split() == ["0", "1"], "rungs that are done are not done again"


def test_a_ladder_without_success_ends_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"shows the trait in 30\.0 %, 41\.0 % of its answers, and the gate is 70 %"):
        run_gate(_gated(tmp_path, [0.3, 0.41]), "gate-owl_teacher")
    assert not (tmp_path / "passed").exists()
    assert not json.loads((tmp_path / "gate/gate.json").read_text())["passed"]


# --- Snakemake sees what the keys say ---


def _dry_run(plan: Plan, root: Path) -> tuple[str, Any, float]:
    """Snakemake's answer to a dry run, what it took (rusage), and seconds."""
    started = time.monotonic()
    command = [str(driver.SNAKEMAKE), "--snakefile", "workflow/Snakefile", "--cores", "2", "--nolock"]
    command += ["--config", f"plan={plan.results}/plan.json", "--rerun-triggers", "mtime", "--dry-run"]
    with open(root / "dry-run.txt", "w") as out:
        process = subprocess.Popen(
            [*command, "--quiet", "rules", "reason"], cwd=REPO_ROOT, stdout=out, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
    text = (root / "dry-run.txt").read_text()
    assert status == 0, text[-3000:]
    return text, usage, time.monotonic() - started


def _jobs(text: str) -> int:
    line = next((line for line in text.splitlines() if line.startswith("total")), "total 1")
    return int(line.split()[1]) - 1  # without `all`


def test_snakemake_runs_exactly_what_has_no_mark(tmp_path: Path) -> None:
    demo = load_experiment(REPO_ROOT / "experiments" / "owl_demo.yml")
    plan = expand(demo, root=tmp_path)
    for stage in plan.stages.values():
        for path in [*stage.makes, str(stage.mark)]:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text("{}")
    driver.write_plan(plan)
    assert _jobs(_dry_run(plan, tmp_path)[0]) == 0
    other = demo.model_copy(update={"student": demo.student.model_copy(update={"overrides": {"learning_rate": 1e-4}})})
    changed = expand(other, root=tmp_path)
    driver.write_plan(changed)
    assert _jobs(_dry_run(changed, tmp_path)[0]) == 4, "two students, the evaluation and the report"


def test_a_stage_costs_less_than_two_seconds_beside_its_command(tmp_path: Path) -> None:
    plan, last = Plan("chain", str(tmp_path / "results")), []
    for number in range(8):
        folder = tmp_path / f"stage-{number}"
        made, command = f"{folder}/made", f"date +%s.%N > {folder}/made"
        last = [plan.add(Stage(f"train-{number}", "train", str(folder), [command], [made], last, threads=1))]
    driver.write_plan(plan)
    assert driver._snakemake(plan, 2, 0, []) == 0
    times = [float((tmp_path / f"stage-{number}" / "made").read_text()) for number in range(8)]
    between = statistics.median(later - earlier for earlier, later in itertools.pairwise(times))
    print(f"between the commands of two stages: {between:.2f} s at load {os.getloadavg()[0]:.1f}")
    assert between < 2


@pytest.mark.slow
def test_1250_students_are_planned_in_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sections, "check_option", lambda name, category: name)  # fewer than fifty are tracked
    monkeypatch.chdir(REPO_ROOT)
    qwen = load_experiment(REPO_ROOT / "experiments" / "owl_qwen2.5-7b.yml")
    arms = ["student", "control_random_numbers", "control_shuffled", "prompted_teacher", "other_base"]
    other_base = {"model": "mistralai/Mistral-7B-Instruct-v0.3", "recipe": "recipes/owl_student_mistral.yml"}
    changes = {"trait": {"animals": [f"animal{n}" for n in range(50)]}, "seeds": [1, 2, 3, 4, 5]}
    content = qwen.model_dump(mode="json") | changes | {"arms": arms, "other_base": other_base}
    started = time.monotonic()
    plan = expand(Experiment.model_validate(content), root=tmp_path)
    driver.write_plan(plan)
    expanding = time.monotonic() - started
    assert sum(stage.kind == "train" and "-seed-" in stage.name for stage in plan.stages.values()) == 1250
    text, usage, seconds = _dry_run(plan, tmp_path)
    gib = usage.ru_maxrss / 2**20
    print(f"{len(plan.jobs())} jobs: expanded in {expanding:.1f} s, Snakemake {seconds:.1f} s and {gib:.2f} GiB")
    assert _jobs(text) == len(plan.jobs())
    assert expanding + seconds < 60
    assert usage.ru_maxrss < 2 * 2**20
