"""Running one stage: resume or start over, log, and mark it when it is whole.

Snakemake decides when a stage runs; this decides how. A stage that was begun with the same inputs goes on, any other is
made anew; a stage that is whole is not run again. The command's output goes to
``results/<experiment>/logs/<stage>.log`` and, unless the variable ``SUBLIMINAL_QUIET`` is set, to the terminal as it
is, progress bars included; a failure leaves ``failures/<stage>.json`` with its reason.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from subliminal.core import watchdog
from subliminal.core.errors import UserError
from subliminal.core.failures import explain, last_words
from subliminal.core.files import read_object, write_json
from subliminal.core.gpus import gpu_slots
from subliminal.core.locks import waiting_for
from subliminal.core.manifest import sha256_of, utc_now
from subliminal.experiment.log import QUIET, Tee
from subliminal.experiment.plan import Plan
from subliminal.experiment.stage import Stage, digest, is_whole
from subliminal.training import VALUES_CHECKED

MEMBERS_AT_ONCE = 4
"""Stages of a server's job that ask it at the same time."""

RECORD_BYTES = 2**16
"""Bytes that the records of failures take at most."""
NO_TELEMETRY = {"AXOLOTL_DO_NOT_TRACK": "1", "DO_NOT_TRACK": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
"""For every command, unless the environment says otherwise."""


class StageFailed(UserError):
    """A stage's command failed. The message is the reason."""


def run_stage(plan: Plan, name: str) -> None:
    """Bring one stage to its end, unless it is there already.

    Raises:
        UserError: a file that the plan was made from has changed since, or the disk is full.
        StageFailed: a command ended with another status than 0; the reason is recorded.
    """
    stage = plan.stages[name]
    failure = failure_path(plan, name)
    # Of an earlier try; the driver takes whatever lies there for a failure of this one.
    failure.unlink(missing_ok=True)
    log = log_path(plan, name)
    before = 0
    try:
        # A second process that wants the same stage waits, and finds it finished then.
        with waiting_for(Path(stage.folder) / f".{stage.name}.lock") as held:
            # Attempts write one behind the other: what is shown of a failure begins here.
            if log.is_file():
                before = log.stat().st_size
            # The mark alone does not tell whether what it was made from has been made again with other bytes since.
            if is_whole(stage) and _begun(stage).get("begun_with") == _identity(plan, stage):
                return
            _check_sources(plan, stage)
            _run(plan, stage, held)
    except (UserError, OSError) as error:
        failed = full_disk(error) or error
        record = {"stage": name, "reason": explain(str(failed)), "log": str(log), "log_from": before, "when": utc_now()}
        with contextlib.suppress(OSError):  # a disk that is full takes no record; the driver looks for that
            write_json(failure, record)
        raise failed from None


def full_disk(error: Exception) -> UserError | None:
    """The sentence for an error that a full disk raised; None for another."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f" {error.filename} could not be written." if error.filename else ""
        return UserError(f"The disk is full.{where} Free some space; the same command then goes on.")
    return None


@contextlib.contextmanager
def full_disk_in_a_sentence() -> Iterator[None]:
    """Turn the error of a full disk into its sentence."""
    try:
        yield
    except OSError as error:
        raise full_disk(error) or error from None


def check_space(folder: Path) -> None:
    """Say so if the disk is so full that a stage could not even record why it failed."""
    free = shutil.disk_usage(folder).free
    if free < RECORD_BYTES:
        raise UserError(
            f"The disk of {folder} is full ({free:,} bytes are free). Free some space; the same command then goes on."
        )


def refuse_killed(plan: Plan, left: Collection[str], started: float, status: int) -> None:
    """Say what was killed, where a run ended and nothing of it could say why.

    Args:
        plan: all stages.
        left: those that were to run.
        started: seconds since the epoch; what was begun before is not of this run.
        status: Snakemake's.

    Raises:
        UserError: Snakemake itself was killed, or a stage that is neither finished nor failed.
    """
    cut = []
    for name in sorted(left):
        stage = plan.jobs()[name]
        record = record_path(stage)
        if record.is_file() and record.stat().st_mtime >= started and not is_whole(stage):
            cut.append(name)
    # A shell says 128 more than the signal's number, and subprocess the negative number.
    if not cut and 0 <= status <= 128:
        return
    what = ", ".join(cut) or "Snakemake"
    raise UserError(
        f"{what} was ended from outside: by somebody, or by the system for its memory. Run the same command again: it "
        "goes on, and finished stages stay."
    )


def run_members(plan: Plan, job: str) -> None:
    """Run all stages of a job, some at a time, each whether or not the others fail.

    One builder alone leaves a server idle: it waits for the last answers of a round before it knows how many it needs.

    Raises:
        StageFailed: names those that failed.
    """

    def run(stage: Stage) -> str | None:
        """The stage's name if it failed."""
        try:
            run_stage(plan, stage.name)
        except UserError as error:
            print(f"error: {stage.name}: {error}", file=sys.stderr, flush=True)
            return stage.name
        return None

    # Threads are enough: each of them waits for a process.
    with ThreadPoolExecutor(MEMBERS_AT_ONCE) as pool:
        failed = [name for name in pool.map(run, plan.members(job)) if name is not None]
    if failed:
        raise StageFailed(f"{', '.join(failed)} failed; see above.")


def _run(plan: Plan, stage: Stage, held: int) -> None:
    """Run the commands of a stage, then leave its mark with what it made."""
    begun = _begun(stage)
    now = {"begun_with": _identity(plan, stage), "key": stage.key}
    same = not begun or begun["begun_with"] == now["begun_with"]
    if same and begun and begun["key"] != stage.key:  # other rows are to be kept of the same answers
        for path in stage.makes:
            if path.endswith("train.jsonl"):
                Path(path).unlink(missing_ok=True)
    # Marks of older keys speak of files that are about to be replaced.
    for old in Path(stage.folder).glob(f".{stage.name}-{'[0-9a-f]' * 16}.done"):
        old.unlink()
    write_json(record_path(stage), now)
    # Its members may all have been brought to their end by a run that was stopped before its own mark.
    served = stage.kind == "serve" and all(is_whole(member) for member in plan.members(stage.name))
    ended = bool(same and begun and stage.proof and Path(stage.proof).is_file())
    # The proof is written last, so what is missing beside it was deleted since, such as weights: there is no going on.
    deleted = ended and bool(_not_made(stage))
    if not served and (deleted or not ended):
        _run_commands(plan, stage, held, resume=same and not deleted)
    missing = _not_made(stage)
    if missing:
        raise StageFailed(f"The command ended well but did not make {', '.join(missing)}.")
    # Last of all: a mark says that everything above is there and whole.
    write_json(stage.mark, {"stage": stage.name, "commands": stage.commands, "made": _made(stage)})


def _not_made(stage: Stage) -> list[str]:
    """What a stage should make and is not there."""
    return [path for path in stage.makes if not Path(path).exists()]


def _run_commands(plan: Plan, stage: Stage, held: int, *, resume: bool) -> None:
    log = log_path(plan, stage.name)
    log.parent.mkdir(parents=True, exist_ok=True)
    *first, last = stage.commands
    end = stage.resume if resume else stage.restart
    commands = [*first, " ".join(filter(None, (last, stage.size, end)))]
    gpus = stage.gpus
    if stage.job != stage.name:  # a stage within another's job has that job's GPUs
        gpus = 0
    environment = _environment(stage, gpus)
    with gpu_slots(gpus, share=stage.gpu_share) as slots, Tee(log) as tee:
        for command in commands:
            said = f"[{stage.name}] {command}"
            # Into the log, which tells so which command wrote what follows.
            tee.say(said)
            # By a shell: commands of a plan have variables and `&&` in them.
            words = ["sh", "-c", command]
            process = watchdog.start(
                words, log=tee.output, env={**environment, **slots.environment}, held=[held, *slots.locks]
            )
            try:
                status = process.wait()
            finally:
                watchdog.stop(process)
            if status:
                raise StageFailed(last_words(_lines_after(said, tee), status))


def _lines_after(said: str, tee: Tee) -> list[str]:
    """The last lines of a log, from the command on that it names."""
    # Before its lines are read: the pipe may still hold the last of them.
    tee.close()
    lines = list(tee.last)
    if said in lines:  # else the command said so much that only its end is kept
        lines = lines[lines.index(said) + 1 :]
    return lines


def _environment(stage: Stage, gpus: int) -> dict[str, str]:
    """What a stage's commands get of this process's environment, which goes before what is set here."""
    defaults = dict(NO_TELEMETRY)
    if stage.threads and not gpus:
        # The cores that Snakemake counts for it. torch and Accelerate would take every core, and stages that run at
        # the same time would wait for each other at each step.
        defaults["OMP_NUM_THREADS"] = str(stage.threads)
    # Its recipe was checked when the experiment was planned, and to check it again takes seconds.
    if stage.kind == "train":
        defaults[VALUES_CHECKED] = "1"
    # A stage within this one's command writes to this one's log, too.
    here = {name: value for name, value in os.environ.items() if name != QUIET}
    return {**defaults, **here}


def record_path(stage: Stage) -> Path:
    """What a stage was last begun with; written anew whenever it begins."""
    return Path(stage.folder) / f".{stage.name}.begun"


def _begun(stage: Stage) -> dict[str, str]:
    """What the stage in this folder was last begun with; empty if nothing was."""
    record = record_path(stage)
    if not record.is_file():
        return {}
    return read_object(record, "Delete that file.")


def _identity(plan: Plan, stage: Stage) -> str:
    """What a begun stage must share with a new attempt for its work to count: inputs, and the bytes made before it."""
    made = []
    for name in stage.made_from:
        mark = plan.stages[name].mark
        made.append(read_object(mark, "Delete that file.")["made"] if mark.is_file() else None)
    return digest([stage.begin_key, made])


def _made(stage: Stage) -> dict[str, str]:
    """The sha256 of what other stages read of this one: rows and weights; times and paths stay out."""
    kinds = ("train.jsonl", ".safetensors", "gate.json")
    return {path: sha256_of(path) for path in stage.makes if path.endswith(kinds)}


def _check_sources(plan: Plan, stage: Stage) -> None:
    for path in [*stage.sources, *stage.judges]:
        if not Path(path).is_file() or sha256_of(path) != plan.sources[path]:
            raise UserError(
                f"{path} has changed since this run was planned, so {stage.name} was not started. "
                "Run the same command again: it plans anew, and what is finished stays."
            )


def log_path(plan: Plan, name: str) -> Path:
    """Where the output of a stage goes."""
    return Path(plan.results) / "logs" / f"{name}.log"


def failure_path(plan: Plan, name: str) -> Path:
    """Where a stage that failed leaves its reason."""
    return Path(plan.results) / "failures" / f"{name}.json"
