"""An experiment that ran in shards, on several machines or days, as one: its folders together, then the report of all.

    python scripts/results.py join /mnt/one/results/animals /mnt/two/results/animals

Each folder is the ``results/<experiment>`` of a run with some of the seeds (``make experiment SEEDS="71"``), with the
``data/`` and ``outputs/`` of its run beside ``results/``, with weights and rows or without. Folders of stages and
evaluations are copied into this checkout, the plan is that of all their seeds, and reports are made anew.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError
from subliminal.core.files import read_object, write_json
from subliminal.core.manifest import read_manifest
from subliminal.evaluation.results import result_problem
from subliminal.experiment.criterion import CRITERION
from subliminal.experiment.expand import expand
from subliminal.experiment.load import load_experiment
from subliminal.experiment.plan import Plan
from subliminal.experiment.run import run_stage
from subliminal.experiment.schema.experiment import Experiment
from subliminal.publish.rescore import SAMPLES_FILE

SPANS_SEEDS = ("evaluate", "serve", "report", "overview")
"""Kinds of stages whose work is shared out otherwise where there are other seeds."""


@dataclass(frozen=True)
class Shard:
    """One folder that is joined: ``results/<experiment>``, its plan, and the experiment as the file here has it."""

    folder: Path
    plan: Plan
    experiment: Experiment

    @cached_property
    def seeds(self) -> list[int]:
        """The experiment's seeds that it ran."""
        # By its trainings: rows and audits of a seed can be there although its students are not.
        return [seed for seed in self.experiment.seeds if self._trainings(seed) <= self.plan.stages.keys()]

    def _trainings(self, seed: int) -> set[str]:
        stages = self._expanded([seed]).stages.values()
        return {stage.name for stage in stages if stage.kind == "train"}

    def _expanded(self, seeds: Sequence[int]) -> Plan:
        """What the experiment file and the code here give for some seeds, in the folders of this run."""
        return expand(self.experiment, root=Path(self.plan.results).parent.parent, seeds=seeds)

    def place(self, path: str | Path) -> Path:
        """Where a path of its plan lies now."""
        return self.folder.parent.parent / Path(path).relative_to(Path(self.plan.results).parent.parent)

    def check(self) -> None:
        """Refuse a run of another experiment file or other code than what is here.

        Raises:
            UserError: names the first file or stage that differs.
        """
        if not self.seeds:
            raise UserError(f"{self.folder} ran no seed of {self.experiment.name} whole. Join it when one is planned.")
        # Keys hold the bytes of all that decides a result: equal keys are equal experiments, whatever else changed.
        again = self._expanded(self.seeds)
        for path, sha256 in self.plan.sources.items():
            if again.sources.get(path) != sha256:
                raise UserError(
                    f"{path} decides results, and {self.folder} was run with another version of it than is here"
                    f"{self._commit()}. Join in a checkout of the commit in which all shards ran."
                )
        apart = sorted(_keys(self.plan).items() ^ _keys(again).items())
        if apart:
            stage, _ = apart[0]
            raise UserError(
                f"{self.folder} is not what the experiment file here gives for its seeds {self.seeds}: see its stage "
                f"{stage}. It was run from another file, or an arm failed: restore the file that all shards were run "
                "from, or run the shard again until it is whole."
            )

    def _commit(self) -> str:
        for path in sorted(self.folder.rglob("seed-*/manifest.json")):
            sha = (read_manifest(path.parent).get("git") or {}).get("sha")
            if sha:
                return f" (it ran at commit {sha[:10]})"
        return ""


def _keys(plan: Plan) -> dict[str, str]:
    return {name: stage.key for name, stage in plan.stages.items()}


def join(folders: Sequence[Path], file: Path | None = None, *, root: Path = Path(".")) -> tuple[Path, list[str]]:
    """Join the runs of one experiment in this checkout. Nothing is written unless all of them belong together.

    Args:
        folders: ``results/<experiment>`` of each; one of them may be the folder that they are joined into.
        file: the experiment file; by default ``experiments/<experiment>.yml``.
        root: where ``data``, ``outputs`` and ``results`` are.

    Returns:
        ``results/<experiment>`` here, and the jobs that are left to do: none where the experiment is whole.

    Raises:
        UserError: the folders are of several experiments, of another file, criterion or code, or two of them have the
            same stage or evaluation with other content; or there is a run in the way.
    """
    plans = [Plan.load(folder / "plan.json") for folder in folders]
    names = sorted({plan.name for plan in plans})
    if len(names) != 1:
        raise UserError(f"The folders are of {len(names)} experiments ({', '.join(names)}). Join the runs of one.")
    experiment = load_experiment(file or Path("experiments") / f"{names[0]}.yml")
    shards = [Shard(folder, plan, experiment) for folder, plan in zip(folders, plans, strict=True)]
    ran: set[int] = set()
    for shard in shards:
        shard.check()
        ran.update(shard.seeds)
    whole = expand(experiment, root=root, seeds=[seed for seed in experiment.seeds if seed in ran])
    results = Path(whole.results)
    if results.exists() and results.resolve() not in [folder.resolve() for folder in folders]:
        raise UserError(f"{results} holds a run already. Name it among the folders, or move it away.")
    # All of it, before anything is copied: a difference leaves this checkout as it was.
    copies = [*_criterion(whole, shards), *_stages(whole, shards), *_evaluations(whole, shards)]
    for source, target in copies:
        _copy(source, target)
    _mark(whole, shards)
    whole.save(results / "plan.json")
    for stage in whole.stages.values():
        if stage.kind in ("report", "overview") and _are_done(whole, stage.made_from):
            # Of all seeds now: each shard's own report was of some.
            run_stage(whole, stage.name)
    return results, sorted(name for name in whole.jobs() if not _are_done(whole, [name]))


def _are_done(plan: Plan, names: Sequence[str]) -> bool:
    """Whether all these stages have their marks."""
    return all(plan.stages[name].mark.is_file() for name in names)


def _criterion(whole: Plan, shards: list[Shard]) -> Iterator[tuple[Path, Path]]:
    """The record of the criterion: the earliest of them, all of the same criterion."""
    paths = [shard.folder / CRITERION for shard in shards]
    records = {path: read_object(path) for path in paths if path.is_file()}
    if not records:
        return
    # The earliest shows that the criterion was there before the first of all students.
    first = min(records, key=lambda path: str(records[path].get("made")))
    for path, record in records.items():
        if record.get("sha256") != records[first].get("sha256"):
            raise UserError(f"{path} and {first} record two criteria. Shards of one experiment have the same.")
    yield first, Path(whole.results) / CRITERION


def _stages(whole: Plan, shards: list[Shard]) -> Iterator[tuple[Path, Path]]:
    """The folder of every stage but those that span seeds, from the first shard that has it.

    Raises:
        UserError: two shards made it, and not the same.
    """
    owners: dict[str, Shard] = {}
    for name, stage in whole.stages.items():
        if stage.kind in (*SPANS_SEEDS, "criterion"):
            continue
        having = _having(shards, name)
        if not having:
            continue
        first = having[0]
        made = _contents(first, name)
        for shard in having[1:]:
            # Seeds may share a base or a teacher: trained twice it is two models, and the seeds are of different ones.
            if _contents(shard, name) != made:
                raise UserError(
                    f"{name} is in {first.folder} and in {shard.folder}, and what it made is not the same. Where "
                    "seeds share rows or models, run the first shard until these are made and copy data/ and outputs/ "
                    "to the other machine before its run; a seed belongs to one shard."
                )
        theirs = first.plan.stages[name]
        if stage.folder not in owners:
            owners[stage.folder] = first
            yield first.place(theirs.folder), Path(stage.folder)
        if stage.kind == "gate":  # the link to the teacher that passed
            yield first.place(theirs.facts["passed"]), Path(stage.facts["passed"])


def _mark_in(shard: Shard, name: str) -> Path:
    return shard.place(shard.plan.stages[name].mark)


def _having(shards: list[Shard], name: str) -> list[Shard]:
    """The shards in which a stage is done."""
    having = []
    for shard in shards:
        if name in shard.plan.stages and _mark_in(shard, name).is_file():
            having.append(shard)
    return having


def _contents(shard: Shard, name: str) -> dict[str, str]:
    """What a stage's mark says that it made: path below the shard's checkout -> sha256."""
    mark, root = read_object(_mark_in(shard, name)), shard.folder.parent.parent
    found = {}
    for path, sha256 in (mark.get("made") or {}).items():
        found[str(shard.place(path).relative_to(root))] = sha256
    return found


def _evaluations(whole: Plan, shards: list[Shard]) -> Iterator[tuple[Path, Path]]:
    """``<arm>/seed-<n>`` of every evaluation that a shard has whole.

    Raises:
        UserError: two shards have it, of other weights; or of a seed that both ran, with other answers.
    """
    for path in _evaluated(whole):
        target = Path(path).parent
        inside = target.relative_to(Path(whole.results))
        # Seeds that share a base are evaluated in every shard that ran one of them.
        having = [shard for shard in shards if (shard.folder / inside / "manifest.json").is_file()]
        for shard in having:
            if problem := result_problem(shard.folder / inside):
                raise UserError(f"{problem} Evaluate that arm again, or take it out of the shard.")
        for shard in having[1:]:
            # A shared base is scored once a shard, with answers sampled anew: same weights are enough there.
            shared = set(shard.seeds) & set(having[0].seeds)
            _check_same(having[0].folder / inside, shard.folder / inside, answers=bool(shared))
        if having:
            yield having[0].folder / inside, target


def _evaluated(whole: Plan) -> list[str]:
    """The manifests that all evaluations make."""
    manifests = []
    for stage in whole.stages.values():
        if stage.kind == "evaluate":
            manifests += stage.makes
    return manifests


def _check_same(one: Path, other: Path, *, answers: bool) -> None:
    """Refuse two evaluations of other weights, or where it matters with other answers."""
    first, second = read_manifest(one), read_manifest(other)
    if _hashes(first) != _hashes(second):
        raise UserError(
            f"{one} and {other} are of other weights. Where seeds share a model, both shards must have the same; a "
            "seed belongs to one shard."
        )
    if answers and _samples(first) != _samples(second):
        raise UserError(f"{one} and {other} have other answers. A seed belongs to one shard: take one of the two away.")


def _hashes(manifest: dict[str, Any]) -> dict[str, Any]:
    inputs = manifest.get("inputs") or {}
    return {name: file.get("sha256") for name, file in inputs.items()}


def _samples(manifest: dict[str, Any]) -> dict[str, str]:
    found = {}
    for name, sha256 in manifest["outputs"].items():
        if SAMPLES_FILE.fullmatch(Path(name).name):
            found[name] = sha256
    return found


def _copy(source: Path, target: Path) -> None:
    """Copy a file, link or folder, unless it is there already."""
    if target.exists() and source.resolve() == target.resolve():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    # The link to the teacher that passed its gate stays a link: a copy would be another model to the report.
    if source.is_symlink():
        if not target.is_symlink():
            target.symlink_to(source.readlink())
    elif source.is_dir():
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    elif source.is_file():
        shutil.copy2(source, target)


def _mark(whole: Plan, shards: list[Shard]) -> None:
    """Mark what the shards finished, in the joined plan."""
    for name, stage in whole.stages.items():
        if stage.kind in SPANS_SEEDS or stage.mark.is_file():
            continue
        having = _having(shards, name)
        if having:
            shutil.copy2(_mark_in(having[0], name), stage.mark)  # with its time, which Snakemake compares
    for stage in whole.stages.values():
        members = [member.name for member in whole.members(stage.name)]
        evaluated = stage.kind == "evaluate" and all(Path(path).is_file() for path in stage.makes)
        served = stage.kind == "serve" and _are_done(whole, members)
        if evaluated or served:
            # No mark of a shard would do: its stage did another part of the work.
            write_json(stage.mark, {"stage": stage.name, "commands": stage.commands, "made": {}})
