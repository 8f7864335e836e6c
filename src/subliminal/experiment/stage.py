"""One stage of an experiment: what it makes, from what, by which commands, and the mark that says that it is done.

A stage's key is a hash of everything that decides its result: its commands, the bytes of the files it reads from the
checkout (recipe, questions, filter rules), and the keys of the stages whose results it reads
(:meth:`subliminal.experiment.plan.Plan.add` makes it). A finished stage leaves the mark
``<folder>/.<stage>-<key>.done``. So a changed question, rule or seed gives other keys to exactly the stages that depend
on it, and their marks are not there; the age of a file never matters.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STAGE_KINDS = (
    *("criterion", "build", "audit", "train", "merge", "perturb", "epochs", "gate", "serve", "leak", "score"),
    *("evaluate", "divergence", "scores", "report", "overview"),
)
SAME_PROGRAM = {".venv/bin/python -m accelerate.commands.launch": ".venv/bin/accelerate launch"}
"""What a stage runs -> what its key holds: another way to start the same program makes nothing anew."""
MAKES_ROWS_OR_WEIGHTS = ("build", "train", "merge", "perturb", "epochs")


@dataclass
class Stage:
    """One stage.

    Args:
        name: ``<kind>-<subject>``, as ``train-owl_student-seed-42``.
        kind: one of :data:`STAGE_KINDS`.
        folder: where its result and its mark lie.
        commands: shell commands, run one after another from the checkout.
        makes: files that are there once it is whole.
        made_from: stages whose results it reads.
        after: stages that must have passed before it starts, though it reads nothing of theirs (audits, the
            criterion).
        sources: files of the checkout that decide its result.
        judges: of these, the ones that only decide which raw rows are kept: rows are judged again, not made again.
        size: options of the last command that ask for more of the same rows; another size keeps those that are there.
        resume, restart: what the last command gets at its end to go on, and to start over.
        proof: file that a command writes last; with it the stage is whole, though its mark is missing.
        parts: what else the key must hold: the keys of what a server or a gate does, or of what a report lacks.
        job: the Snakemake job that runs it: its own, or one that runs several (a server's, a gate's).
        gpus, threads: what it takes; None is every core.
        gpu_share: stages of its kind that one GPU holds at a time.
        facts: what a cost estimate needs (rows, epochs, recipe, ...).
    """

    name: str
    kind: str
    folder: str
    commands: list[str]
    makes: list[str] = field(default_factory=list)
    made_from: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    judges: list[str] = field(default_factory=list)
    size: str = ""
    resume: str = ""
    restart: str = ""
    proof: str | None = None
    parts: dict[str, str] = field(default_factory=dict)
    job: str = ""
    gpus: int = 0
    gpu_share: int = 1
    threads: int | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    key: str = ""
    begin_key: str = ""

    @property
    def mark(self) -> Path:
        """The file that says that this stage is done."""
        return Path(self.folder) / f".{self.name}-{self.key}.done"


def for_key(commands: list[str]) -> list[str]:
    """Commands as a key holds them, see :data:`SAME_PROGRAM`."""
    # Trainings that are done must not run again because a launcher starts in another way.
    for start, known in SAME_PROGRAM.items():
        commands = [command.replace(start, known) for command in commands]
    return commands


def is_whole(stage: Stage) -> bool:
    """Whether a stage has its mark and its files."""
    # Both, because a mark stays when somebody deletes the files.
    return stage.mark.is_file() and all(Path(path).exists() for path in stage.makes)


def has_ended(stage: Stage) -> bool:
    """Whether a stage was brought to its end.

    Weights and rows are not published, and a lent machine does not keep them: of the stages that make them the mark is
    enough, which was left when they were whole and holds their sha256.
    """
    if stage.kind in MAKES_ROWS_OR_WEIGHTS:
        return stage.mark.is_file()
    return is_whole(stage)


def digest(value: Any) -> str:
    """Sixteen hex digits of the sha256 of a JSON value."""
    # 16 digits: a name that can be read, and 64 bits
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
