"""Snakemake's jobs as Slurm jobs: what config.yaml beside this file calls. Standard library only.

    job.py submit --partition=gpu --cpus-per-task=8 ... JOBSCRIPT
    job.py status 4711

`submit` takes sbatch's options and prints the job's id; `status` prints running, success or failed. A job leaves its
exit status in a file, which costs Slurm no question however often Snakemake asks. Slurm itself is asked once a minute,
for what leaves no file: a job that was cancelled, ran out of time or memory, or lost its node. squeue needs no
accounting: slurmctld remembers a finished job for MinJobAge seconds (300 unless set otherwise). What it has forgotten,
sacct knows where there is accounting.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

RECORDS = Path(".snakemake")
ASK = 60.0
"""Seconds between two questions to Slurm about a job."""

GOES_ON = (
    *("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING", "STAGE_OUT"),
    *("REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD"),
)


def submit(options: list[str], jobscript: str) -> str:
    """Hand a job script to sbatch, with an order to leave its exit status in ``JOBSCRIPT.end``.

    Args:
        options: of sbatch.
        jobscript: written by Snakemake, in a folder that no other run uses.

    Returns:
        What ``sbatch --parsable`` prints: ``4711``, or ``4711;cluster``.
    """
    script = f"#!/bin/sh\ntrap 'echo $? > {jobscript}.end' EXIT\n{Path(jobscript).read_text(encoding='utf-8')}"
    done = subprocess.run(["sbatch", "--parsable", *options], input=script, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(done.returncode)
    job = done.stdout.strip()
    _record(job).write_text(f"{jobscript}.end", encoding="utf-8")
    return job


def state(job: str) -> str:
    """``running``, ``success`` or ``failed``.

    Args:
        job: as :func:`submit` returns it.
    """
    record = _record(job)
    if record.is_file():
        end = Path(record.read_text(encoding="utf-8"))
        status = end.read_text(encoding="utf-8").strip() if end.is_file() else ""
        if status:
            record.unlink()
            return "success" if status == "0" else "failed"
        if time.time() - record.stat().st_mtime < ASK:
            return "running"
        os.utime(record)
    return state_in_slurm(job.partition(";")[0])


def state_in_slurm(number: str) -> str:
    """The same in the words of squeue, or else of sacct."""
    found = _ask("squeue", "--noheader", "--states=all", "--format=%T", f"--jobs={number}")
    if found is None:
        return "running"  # slurmctld does not answer: ask again later
    found = found or _ask("sacct", "--allocations", "--noheader", "--parsable2", "--format=State", f"--jobs={number}")
    if not found:
        print(
            f"Slurm has forgotten job {number}; taken as failed, so that the stage is looked at again.", file=sys.stderr
        )
        return "failed"
    word = found.split()[0].rstrip("+")
    return "success" if word == "COMPLETED" else "running" if word in GOES_ON else "failed"


def _record(job: str) -> Path:
    """Names the file in which a job leaves its status; its age says when Slurm was last asked."""
    return RECORDS / f"slurm-{job.partition(';')[0]}.job"


def _ask(*command: str) -> str | None:
    """What a command prints; "" if Slurm does not know the job, or keeps no accounts; None if it cannot be asked."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        return None
    except FileNotFoundError:
        return ""
    if done.returncode == 0:
        return done.stdout.strip()
    return "" if "Invalid job id" in done.stderr or command[0] == "sacct" else None


if __name__ == "__main__":
    action, *words = sys.argv[1:]
    print(submit(words[:-1], words[-1]) if action == "submit" else state(words[0]))
