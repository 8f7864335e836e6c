"""All stages of an experiment: their keys, which wait for which, which are done, and the file for Snakemake."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError
from subliminal.core.files import read_object, write_text
from subliminal.core.manifest import sha256_of_input
from subliminal.experiment.stage import Stage, digest, for_key, has_ended, is_whole


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

        Raises:
            RuntimeError: there is a stage of this name with other commands, which would never run. No experiment file
                can mend that: the names are made here.
        """
        known = self.stages.get(stage.name)
        if known is not None and known.commands != stage.commands:
            raise RuntimeError(f"Two stages are named {stage.name}: {known.commands} and {stage.commands}")
        if known is not None or stage.name in self.lost:
            return stage.name
        culprit = stage.name if stage.name in self.failed else None
        for needed in (*stage.made_from, *stage.after):
            culprit = culprit or self.lost.get(needed)
        # Named after the first failure, not the stage before: that is what a reader has to mend.
        if culprit:
            self.lost[stage.name] = culprit
            return stage.name
        for path in [*stage.sources, *stage.judges]:
            # A hash of each file once, however many stages follow from it.
            if path not in self.sources:
                self.sources[path] = sha256_of_input(path)
        stage.job = stage.job or stage.name
        # Of `made_from` alone: an audit must pass before a training, and changes nothing of what it makes.
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

    def last_trainings(self, until: Sequence[str] = ()) -> list[str]:
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

    def up_to(self, until: Sequence[str]) -> set[str]:
        """The jobs that make some stages, with all that they need.

        Args:
            until: names of stages, or kinds, each of which is every stage of that kind; without any, all jobs.

        Raises:
            UserError: there is no such stage and no such kind.
        """
        if not until:
            return set(self.jobs())
        found: set[str] = set()
        for wanted in until:
            # A stage within a server's or a gate's job cannot be run without it.
            jobs = {stage.job for stage in self.stages.values() if wanted in (stage.name, stage.kind)}
            if not jobs:
                kinds = ", ".join(dict.fromkeys(stage.kind for stage in self.stages.values()))
                raise UserError(
                    f"{self.name} has no stage {wanted!r} and none of that kind. Its kinds: {kinds}; "
                    "`make plan EXP=... ALL=1` lists the stages."
                )
            found |= jobs
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
            # Nothing is gone that is read: what is marked may count.
            if not gone:
                return done
            again |= gone  # what they were made from may be gone too, so that one look is not enough

    def _done_but(self, again: set[str]) -> set[str]:
        """The stages that are done, but for these and what is made from them."""
        ended = has_ended if self.marks_suffice else is_whole
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

    def save(self, path: Path, *, gpu_places: int = 1, until: Sequence[str] = ()) -> None:
        """Write the plan for Snakemake and for :meth:`load`.

        Args:
            path: the file.
            gpu_places: units of Snakemake's resource ``gpu`` that make one GPU (see :meth:`gpu_places`).
            until: as for :meth:`up_to`.
        """
        jobs, wanted = {}, self.up_to(until)
        for name, stage in self.jobs().items():
            reads, waits = self.needs(name)
            # A stage that shares a GPU takes one part of it, a stage that has it alone takes all parts.
            units = stage.gpus * max(1, gpu_places // stage.gpu_share)
            marks = {"reads": self._marks(reads), "waits": self._marks(waits)}
            # In Snakemake's file a job is called by its mark: the mark is the one file that every job makes.
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
            raise UserError(
                f"There is no plan {path}. `make experiment EXP=...` writes it: run that first, or correct the path."
            )
        content = read_object(path, "Run `make experiment EXP=...` again, which writes it.")
        try:
            plan = cls(content["name"], content["results"])
            plan.sources = content["sources"]
            plan.stages = {values["name"]: Stage(**values) for values in content["stages"]}
        except (KeyError, TypeError) as error:
            raise UserError(f"{path} is no plan ({error!r}). Run `make experiment EXP=...` again.") from None
        return plan
