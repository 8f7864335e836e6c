"""Running an experiment: Snakemake over its stages, once more without what failed, and the report of what there is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from subliminal import REPO_ROOT
from subliminal.core import watchdog
from subliminal.core.errors import UserError
from subliminal.core.files import read_object, write_json
from subliminal.core.gpus import visible_gpus
from subliminal.core.locks import holding
from subliminal.engine.server import log_tail
from subliminal.experiment.checks.model_folders import refuse_absent_models, refuse_unusable_models
from subliminal.experiment.criterion import refuse_late_criterion
from subliminal.experiment.display.lines import columns, send
from subliminal.experiment.display.outcome import closing
from subliminal.experiment.display.watch import Display
from subliminal.experiment.expand import expand
from subliminal.experiment.log import QUIET
from subliminal.experiment.notes import gpu_problem
from subliminal.experiment.plan import Plan
from subliminal.experiment.run import check_space, failure_path, full_disk_in_a_sentence, refuse_killed
from subliminal.experiment.schema.experiment import Experiment
from subliminal.experiment.stale import set_aside_stale

ASKS = {"-n", "--dry-run", "--dryrun", "-h", "--help", "--version"}
"""Options of Snakemake that run nothing and answer on the terminal."""

SNAKEMAKE = REPO_ROOT / ".venv-workflow" / "bin" / "snakemake"


def run_experiment(
    experiment: Experiment,
    *,
    root: Path,
    cores: int,
    gpus: int | None,
    words: list[str],
    seeds: Sequence[int] | None = None,
    until: Sequence[str] = (),
    verbose: bool = False,
    marks_suffice: bool = False,
) -> int:
    """Run every stage that is not done, and the report.

    A stage that fails stops what needs it and nothing else. When all the rest is done, the stages are planned once more
    without it, so that the finished arms are scored and reported; the report names what is missing and why.

    Args:
        experiment: what to run.
        root: where ``data``, ``outputs`` and ``results`` are.
        cores: CPU cores for Snakemake to give away.
        gpus: GPUs to give away; None is as many as are visible.
        words: more options for Snakemake (``--profile workflow/profiles/slurm``).
        seeds: some of the experiment's; None is all.
        until: stages, or kinds of stages, after which the run ends; none of them runs everything.
        verbose: show all that the stages and Snakemake write, instead of a line for each stage.
        marks_suffice: stages whose weights or rows are gone are not run again while nothing that is to do reads them.

    Returns:
        0 if everything is done, 1 if something is missing.

    Raises:
        UserError: another process runs this experiment, its criterion was changed after a student was trained, the
            machine has too few GPUs, the disk is full, Snakemake itself fails, or a model is not whole, or not the one
            that the experiment names.
    """
    refuse_absent_models(experiment)
    results = root / "results" / experiment.name
    display = Display()
    # The terminal is for what the stages write, or for what Snakemake answers.
    if verbose or ASKS & set(words):
        display = None
    taken = f"runs the experiment of {results}. Wait for it, or stop it."
    with full_disk_in_a_sentence(), holding(results / ".lock", taken):
        # What failed before is tried again.
        shutil.rmtree(results / "failures", ignore_errors=True)
        # Each pass plans without what failed in those before it, so that the rest is scored and reported.
        failed: dict[str, dict[str, Any]] = {}
        started = time.time()
        # With all seeds, also where this run is of some: a student of any of them counts.
        refuse_late_criterion(expand(experiment, root=root))
        while True:
            plan = expand(experiment, root=root, failed=failed, seeds=seeds)
            plan.marks_suffice = marks_suffice
            left = plan.up_to(until) - plan.done()
            if not left:
                break
            # Reports of finished runs need no model.
            if not failed and {plan.stages[name].kind for name in left} & {"build", "serve", "train", "evaluate"}:
                refuse_unusable_models(experiment)
            status = _run_pass(plan, len(left), cores, gpus, words, display, until)
            new = {name: record for name, record in _failures(plan).items() if name not in failed}
            failed |= new
            # No stage left a record: the fault lies with the disk or with Snakemake itself.
            if status and not new:
                check_space(results)
                refuse_killed(plan, left, started, status)
                said = _snakemake_log(plan, started)
                raise UserError(f"Snakemake ended with status {status} and no stage failed. {said}")
            # All that could be had is made; what had failed before was left out of this pass.
            if not status:
                break
    return _conclude(plan, failed, until)


def _run_pass(
    plan: Plan,
    left: int,
    cores: int,
    gpus: int | None,
    words: list[str],
    display: Display | None,
    until: Sequence[str],
) -> int:
    """Run the stages that are left of a plan, whatever fails meanwhile; returns Snakemake's status."""
    to_give = _check_gpus(plan, gpus, words)
    # A cluster gives whole GPUs away; on this machine stages may share one.
    places = 1
    units = None
    if to_give is not None:
        places = plan.gpu_places()
        units = to_give * places
    write_plan(plan, places, until)
    if display is None:
        print(f"{plan.name}: {left} of {len(plan.jobs())} stages to run.", file=sys.stderr, flush=True)
    else:
        display.begin(plan, until)
    return _snakemake(plan, cores, units, words, display, until)


def write_plan(plan: Plan, gpu_places: int = 1, until: Sequence[str] = ()) -> None:
    """Write the plan for Snakemake, drop marks whose files are gone, and say beside each report what it lacks."""
    done = plan.done()
    for name, stage in plan.jobs().items():
        if name not in done:
            stage.mark.unlink(missing_ok=True)
    _level([stage.mark for stage in plan.stages.values() if stage.mark.is_file()])
    # Read by the report, which says beside its tables what it lacks and why.
    for stage in plan.stages.values():
        if stage.kind == "report":
            path = Path(stage.folder) / "missing.json"
            if stage.facts["missing"]:
                write_json(path, {"missing": stage.facts["missing"]})
            else:
                path.unlink(missing_ok=True)
            for stale in set_aside_stale(Path(stage.folder), stage.facts["planned"], stage.facts["missing"]):
                print(
                    f"set aside as {stale}: results of an arm or seed that failed since, or that the file does not ask "
                    "for. No report counts them.",
                    file=sys.stderr,
                    flush=True,
                )
    plan.save(Path(plan.results) / "plan.json", gpu_places=gpu_places, until=until)


def _level(marks: Sequence[Path]) -> None:
    """Where marks are of the future, give all of them one time that is past.

    After a clock that went back, or for marks of another machine, what is finished now would be older than what it was
    made from, and Snakemake would take it for unfinished.
    """
    now = time.time()
    times = [mark.stat().st_mtime for mark in marks]
    if max(times, default=now) <= now:
        return
    oldest = min(*times, now)
    for mark in marks:
        os.utime(mark, (oldest, oldest))


def _snakemake(
    plan: Plan,
    cores: int,
    gpu_units: int | None,
    words: list[str],
    display: Display | None = None,
    until: Sequence[str] = (),
) -> int:
    """Run the jobs; returns Snakemake's status. With a display, what Snakemake says goes to a file."""
    command = [str(SNAKEMAKE), "--snakefile", "workflow/Snakefile", "--config", f"plan={plan.results}/plan.json"]
    # By time alone: whether a stage is done is said by its mark, whose name holds a hash of all that decides it.
    command += ["--cores", str(cores), "--keep-going", "--rerun-triggers", "mtime"]
    if gpu_units is not None:
        command += ["--resources", f"gpu={gpu_units}"]
    first = [str(plan.stages[name].mark) for name in plan.last_trainings(until)]
    if first:  # with all that they need; without this, controls take the GPUs and the teacher's rows wait for them
        command += ["--prioritize", *first]
    # Marks appear whole by rename, so one that a killed Snakemake knows as incomplete is complete.
    # No lock of Snakemake's: the run holds one of its own, which goes with the process however that ends.
    command += ["--nolock", "--ignore-incomplete", "--quiet", "all", *words]
    if not SNAKEMAKE.is_file():
        raise UserError("There is no Snakemake. Run `make setup-workflow`.")
    log = None
    environment = None
    if display is not None:
        log = snakemake_output(plan)
        environment = {**os.environ, QUIET: "1"}
    process = watchdog.start(command, log=log, env=environment, cwd=REPO_ROOT)
    try:
        if display is None:
            return process.wait()
        return _watched(process, display)
    finally:
        watchdog.stop(process)
        if display is not None:
            display.update()  # the last stages ended after the last look
            display.close()


def _watched(process: subprocess.Popen[bytes], display: Display) -> int:
    while True:
        try:
            return process.wait(timeout=display.interval)
        except subprocess.TimeoutExpired:
            display.update()


def snakemake_output(plan: Plan) -> Path:
    """Where Snakemake's own words go while a display has the terminal."""
    return Path(plan.results) / "snakemake.log"


def _snakemake_log(plan: Plan, since: float) -> str:
    """The end of what Snakemake wrote, as the end of an error message."""
    own = snakemake_output(plan)
    if own.is_file() and own.stat().st_mtime >= since and own.stat().st_size:
        return log_tail(own).strip()
    logs = list((REPO_ROOT / ".snakemake/log").glob("*.log"))
    newest = max(logs, key=lambda path: path.stat().st_mtime, default=None)
    # Of a pass before this one, or of another experiment, if it is older than this run.
    if newest is None or newest.stat().st_mtime < since:
        return "It wrote no log: is the environment whole? `make setup-workflow`."
    return log_tail(newest).strip()


def _check_gpus(plan: Plan, gpus: int | None, words: list[str]) -> int | None:
    """The GPUs to give away, once it is certain that the hungriest stage can have what it asks for.

    None where a cluster gives them away (``--profile`` or ``--executor`` among Snakemake's options).
    """
    if gpus is None and {"--profile", "--executor", "-e"} & set(words):
        return None
    there = gpus
    if there is None:
        there = len(visible_gpus())
    problem = gpu_problem(plan, there)
    if problem:
        raise UserError(problem)
    return there


def _failures(plan: Plan) -> dict[str, dict[str, Any]]:
    """What failed in this pass: stage -> the record that it left.

    A gate fails with the reason of the rung that failed in it. A server fails its datasets: those that left a record of
    their own, or else (it did not start) all that are not done.
    """
    records = {}
    for name in plan.stages:
        path = failure_path(plan, name)
        if path.is_file():
            records[name] = read_object(path)
    for name, stage in plan.jobs().items():
        parts = [part.name for part in plan.members(name)]
        failed = [part for part in parts if part in records]
        if stage.kind == "gate" and failed:
            records[name] = records[failed[0]]
        if stage.kind == "serve" and name in records:
            own = records.pop(name)
            if not failed:
                unfinished = set(parts) - plan.done()
                records |= dict.fromkeys(unfinished, own)
    return records


def _conclude(plan: Plan, failed: dict[str, dict[str, Any]], until: Sequence[str]) -> int:
    """Say what is missing, and print the reports' paths last; returns the status."""
    if until and not failed:
        ends = ", ".join(until)
        print(f"{plan.name} is done up to {ends}. Without --until the same command goes on.", file=sys.stderr)
        return 0
    by_stage = {record["stage"]: record for record in failed.values()}  # a gate has its rung's record, too
    for record in by_stage.values():
        print(f"error: {record['stage']} failed: {record['reason']} (log: {record['log']})", file=sys.stderr)
    reports = [stage for stage in plan.stages.values() if stage.kind == "report"]
    if failed:
        missing = [f"{item['arm']} (seed {item['seed']})" for item in plan.missing] or list(failed)
        print(f"error: not finished: {', '.join(missing)}. The same command tries again.", file=sys.stderr)
    elif not reports:
        raise UserError(f"{plan.name} has nothing to report.")
    for line in closing(plan, columns(sys.stdout)):
        send(f"{line}\n", sys.stdout)
    if reports:
        heading = "The reports:" if len(reports) > 1 else "The report:"
        print(f"\n{heading}")
    for stage in reports:
        print(f"  {stage.folder}/report.md")
        print(f"  {stage.folder}/report.html")
    for stage in plan.stages.values():
        if stage.kind == "overview":
            print(f"  {stage.makes[0]}")
    if failed:
        return 1
    return 0


def cores_here() -> int:
    """The CPU cores that this process may use."""
    # By affinity and not by count: a container or Slurm may give a process some of the machine's cores.
    return len(os.sched_getaffinity(0))
