"""The stages of an experiment: what each makes, from what, by which commands, and the key that says whether it is done.

A stage's key is a hash of everything that decides its result: its commands, the bytes of the files it reads from the
checkout (recipe, questions, filter rules), and the keys of the stages whose results it reads. A finished stage leaves
the mark ``<folder>/.<stage>-<key>.done``. So a changed question, rule or seed gives other keys to exactly the stages
that depend on it, and their marks are not there; the age of a file never matters.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError
from subliminal.core.files import read_object, write_text
from subliminal.core.manifest import sha256_of

KINDS = (
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
        kind: one of :data:`KINDS`.
        folder: where its result and its mark lie.
        commands: shell commands, run one after another from the checkout.
        makes: files that are there once it is whole.
        made_from: stages whose results it reads.
        after: stages that must have passed before it starts, though it reads nothing of theirs (audits, the
            criterion).
        gives_way_to: stages that go first where they are wanted, and that it needs nothing of.
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
    gives_way_to: list[str] = field(default_factory=list)
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


class Plan:
    """All stages of an experiment by name, each after those that it needs.

    Args:
        name: the experiment's.
        results: ``results/<name>``.
        failed: stages that cannot be had, each with the record of its failure; what needs them is left out with them.

    ``marks_suffice`` changes which stages count as done, see :meth:`done`.
    """

    def __init__(self, name: str, results: str, failed: Mapping[str, dict[str, Any]] | None = None) -> None:
        self.name = name
        self.results = results
        self.failed = dict(failed or {})
        self.stages: dict[str, Stage] = {}
        self.lost: dict[str, str] = {}
        self.sources: dict[str, str] = {}
        self.missing: list[dict[str, Any]] = []
        self.marks_suffice = False

    def add(self, stage: Stage) -> str:
        """Take in a stage (once) and give it its key; returns its name.

        A stage that failed, or needs one that is lost, goes to ``lost`` with the name of the one that failed.
        """
        if stage.name in self.stages or stage.name in self.lost:
            return stage.name
        culprit = None
        if stage.name in self.failed:
            culprit = stage.name
        for needed in (*stage.made_from, *stage.after):
            culprit = culprit or self.lost.get(needed)
        if culprit:
            self.lost[stage.name] = culprit
            return stage.name
        for path in [*stage.sources, *stage.judges]:
            if path not in self.sources:
                self.sources[path] = sha256_of(path)
        stage.job = stage.job or stage.name
        upstream = [self.stages[name].key for name in stage.made_from]
        # Two keys: rows are made anew where the first differs, and judged again where only the second does.
        commands = for_key(stage.commands)
        begin = [stage.kind, commands, sorted(stage.parts.items()), self._hashes(stage.sources), upstream]
        stage.begin_key = digest(begin)
        stage.key = digest([begin, stage.size, self._hashes(stage.judges)])
        self.stages[stage.name] = stage
        return stage.name

    def _hashes(self, paths: list[str]) -> list[tuple[str, str]]:
        return [(path, self.sources[path]) for path in sorted(paths)]

    def jobs(self) -> dict[str, Stage]:
        """The stages that Snakemake runs: those that are not part of another's job."""
        return {name: stage for name, stage in self.stages.items() if stage.job == name}

    def members(self, job: str) -> list[Stage]:
        """The stages that run within a job, in order; empty for a stage that is its own job."""
        return [stage for stage in self.stages.values() if stage.job == job and stage.name != job]

    def needs(self, job: str) -> tuple[list[str], list[str]]:
        """The jobs whose results a job reads, and those that only have to pass before it."""
        reads: set[str] = set()
        waits: set[str] = set()
        for part in (self.stages[job], *self.members(job)):
            reads.update(self.stages[name].job for name in part.made_from)
            waits.update(self.stages[name].job for name in part.after)
        # Stages within the job wait for each other inside it; what is read is waited for anyway.
        reads -= {job}
        waits -= {job} | reads
        return sorted(reads), sorted(waits)

    def _go_before(self, job: str) -> set[str]:
        """The jobs that a job gives way to: nothing of theirs is needed, so they are not made for its sake."""
        parts = [self.stages[job], *self.members(job)]
        return {self.stages[name].job for part in parts for name in part.gives_way_to if name in self.stages} - {job}

    def last_trainings(self, until: str | None = None) -> list[str]:
        """Of the trainings that are wanted, those with the longest chain of jobs before them.

        The run is as long as the way to these: a student needs a teacher, a server and its rows; a control, that reads
        none of them, can fill the gaps.

        Args:
            until: as for :meth:`up_to`.
        """
        wanted = self.up_to(until)
        needs: dict[str, list[str]] = {}
        for name in wanted:
            needs[name], _ = self.needs(name)
        before: dict[str, int] = {}  # how many jobs stand before a job, one after another
        for name in TopologicalSorter(needs).static_order():
            before[name] = max((before[earlier] + 1 for earlier in needs[name]), default=0)
        trainings = [name for name in self.jobs() if name in wanted and self.stages[name].kind == "train"]
        longest = max((before[name] for name in trainings), default=0)
        return [name for name in trainings if before[name] == longest]

    def up_to(self, until: str | None) -> set[str]:
        """The jobs that make a stage, or every stage of a kind, with all that they need; all jobs for None.

        Raises:
            UserError: there is no such stage and no such kind.
        """
        if until is None:
            return set(self.jobs())
        found = {stage.job for stage in self.stages.values() if until in (stage.name, stage.kind)}
        if not found:
            kinds = ", ".join(dict.fromkeys(stage.kind for stage in self.stages.values()))
            raise UserError(
                f"{self.name} has no stage {until!r} and none of that kind. Its kinds: {kinds}; "
                "`make plan EXP=... ALL=1` lists the stages."
            )
        left = list(found)
        while left:
            reads, waits = self.needs(left.pop())
            new = {*reads, *waits} - found
            found |= new
            left += new
        return found

    def gpu_places(self) -> int:
        """How many stages share a GPU at most: Snakemake, which knows whole numbers only, counts in such parts."""
        return max((stage.gpu_share for stage in self.stages.values()), default=1)

    def behind(self, names: list[str]) -> set[str]:
        """These stages, and all that they were made from, directly or not."""
        found, left = set(names), list(names)
        while left:
            new = set(self.stages[left.pop()].made_from) - found
            found |= new
            left += new
        return found

    def done(self) -> set[str]:
        """The stages that are done: marked, their files there, and everything that they were made from done.

        With ``marks_suffice`` weights and rows may be gone (a lent machine does not keep them) as long as nothing that
        is still to do reads them.
        """
        again: set[str] = set()
        while True:
            done = self._done_but(again)
            if not self.marks_suffice:
                return done
            read: set[str] = set()
            for name, stage in self.stages.items():
                if name not in done and stage.job not in done:
                    read.update(stage.made_from)
            gone = {name for name in done & read if not is_whole(self.stages[name])}
            if not gone:
                return done
            again |= gone  # what they were made from may be gone too, so that one look is not enough

    def _done_but(self, again: set[str]) -> set[str]:
        """The stages that are done, but for these and what is made from them."""
        ended = is_whole
        if self.marks_suffice:
            ended = has_ended
        done: set[str] = set()
        for name, stage in self.stages.items():  # in an order in which all that a stage is made from comes before it
            if name not in again and done.issuperset(stage.made_from) and ended(stage):
                done.add(name)
        for name in list(done):
            # A server's mark is void without its datasets; a gate's later rungs may not be needed.
            if self.stages[name].kind == "serve":
                datasets = {part.name for part in self.members(name)}
                if not datasets <= done:
                    done.discard(name)
        return done

    def _marks(self, names: list[str]) -> list[str]:
        return [str(self.stages[name].mark) for name in names]

    def save(self, path: Path, *, gpus: int | None = None, gpu_places: int = 1, until: str | None = None) -> None:
        """Write the plan for Snakemake and for :meth:`load`.

        Args:
            path: the file.
            gpus: GPUs of this machine to give away; None where a cluster gives them.
            gpu_places: units of Snakemake's resource ``gpu`` that make one GPU (see :meth:`gpu_places`).
            until: as for :meth:`up_to`.
        """
        jobs, wanted = {}, self.up_to(until)
        first = {name: self._go_before(name) & wanted for name in self.jobs()}
        busy = set().union(*first.values())
        if gpus is None or gpus > len(busy):
            first = {}  # a GPU would be idle meanwhile: on four, controls that waited for two servers lost five minutes
        for name, stage in self.jobs().items():
            reads, waits = self.needs(name)
            waits = sorted({*waits, *first.get(name, set())} - {*reads})
            units = stage.gpus * max(1, gpu_places // stage.gpu_share)
            marks = {"reads": self._marks(reads), "waits": self._marks(waits)}
            jobs[str(stage.mark)] = {"name": name, **marks, "gpu_units": units}
        goals = self._marks(sorted(wanted))
        content = {
            "name": self.name,
            "results": self.results,
            "sources": self.sources,
            "jobs": jobs,
            "goals": goals,
            "stages": [asdict(stage) for stage in self.stages.values()],
        }
        write_text(path, json.dumps(content, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Plan:
        """Read what :meth:`save` wrote.

        Raises:
            UserError: there is no such file.
        """
        if not path.is_file():
            raise UserError(f"There is no plan {path}. `make experiment EXP=...` and `make plan EXP=...` write it.")
        content = read_object(path, "Run `make experiment EXP=...` again, which writes it.")
        try:
            plan = cls(content["name"], content["results"])
            plan.sources = content["sources"]
            plan.stages = {values["name"]: Stage(**values) for values in content["stages"]}
        except (KeyError, TypeError) as error:
            raise UserError(f"{path} is no plan ({error!r}). Run `make experiment EXP=...` again.") from None
        return plan


def for_key(commands: list[str]) -> list[str]:
    """Commands as a key holds them, see :data:`SAME_PROGRAM`."""
    for start, known in SAME_PROGRAM.items():
        commands = [command.replace(start, known) for command in commands]
    return commands


def is_whole(stage: Stage) -> bool:
    """Whether a stage has its mark and its files."""
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
