"""An experiment that ran in shards, on several machines or days, as one: its folders together, then the report of all.

    python scripts/results.py join /mnt/one/results/animals /mnt/two/results/animals
    python scripts/results.py join results/published/2026-11-29-animals /mnt/three/results/animals

Each folder is the ``results/<experiment>`` of a run with some of the seeds (``make experiment SEEDS="71"``), with the
``data/`` and ``outputs/`` of its run beside ``results/``, with weights and rows or without; or it is what was published
of others. Folders of stages and evaluations are copied into this checkout, the plan is that of all their seeds, and
reports are made anew.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError
from subliminal.core.files import is_published, read_object, write_json
from subliminal.core.manifest import read_manifest, recorded_time
from subliminal.evaluation.results import result_problem
from subliminal.experiment.criterion import CRITERION
from subliminal.experiment.expand import expand
from subliminal.experiment.load import load_experiment
from subliminal.experiment.plan import Plan
from subliminal.experiment.run import run_stage
from subliminal.publish.entries import Entry
from subliminal.publish.rescore import DERIVED, SAMPLES_FILE
from subliminal.publish.shards import SPANS_SEEDS, Shard, check_trainings, published_shard


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
    with tempfile.TemporaryDirectory(prefix="join-") as scratch:
        return _join_runs(list(folders), file, root, Path(scratch))


def _join_runs(folders: list[Path], file: Path | None, root: Path, scratch: Path) -> tuple[Path, list[str]]:
    """Join runs; what is published is laid out in ``scratch`` before."""
    published = [folder for folder in folders if is_published(folder)]
    runs = [folder for folder in folders if folder not in published]
    plans = [Plan.load(folder / "plan.json") for folder in runs]
    names = sorted({plan.name for plan in plans} | {Entry(folder.name).experiment for folder in published})
    if len(names) != 1:
        raise UserError(f"The folders are of {len(names)} experiments ({', '.join(names)}). Join the runs of one.")
    experiment = load_experiment(file or Path("experiments") / f"{names[0]}.yml")
    shards = [Shard(folder, plan, experiment) for folder, plan in zip(runs, plans, strict=True)]
    for shard in shards:
        shard.check()
    for folder in published:
        # First: where both have a stage, a sentence names that of the earlier day first.
        shards.insert(0, published_shard(folder, experiment, scratch / folder.name))
    ran = {seed for shard in shards for seed in shard.seeds}
    if published:
        check_trainings(shards)
    whole = expand(experiment, root=root, seeds=[seed for seed in experiment.seeds if seed in ran])
    results = Path(whole.results)
    if results.exists() and results.resolve() not in [folder.resolve() for folder in runs]:
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
    first = min(records, key=lambda path: recorded_time(records[path], "made", path))
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
            if made is None or _contents(shard, name) is None:
                raise UserError(
                    f"Seeds share {name}, and what is published does not say that it is the same in all folders. Only "
                    "seeds that share no rows and no model can be joined with published ones."
                )
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


def _contents(shard: Shard, name: str) -> dict[str, str] | None:
    """What a stage's mark says that it made: path below the shard's checkout -> sha256; None where nobody kept that."""
    mark, root = read_object(_mark_in(shard, name)), shard.folder.parent.parent
    if "made" in mark and mark["made"] is None:
        return None
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
            made_anew = DERIVED if shard.published else ()
            if problem := result_problem(shard.folder / inside, made_anew=made_anew):
                raise UserError(f"{problem} Evaluate that arm again, or take it out of the shard.")
        for shard in having[1:]:
            # A shared base is scored once a shard, with answers sampled anew: same weights are enough there.
            shared = set(shard.seeds) & set(having[0].seeds)
            # What is published is read by today's reader, whichever it was asked with.
            readers = not (shard.published or having[0].published)
            _check_same(having[0].folder / inside, shard.folder / inside, answers=bool(shared), readers=readers)
        if having:
            yield having[0].folder / inside, target


def _evaluated(whole: Plan) -> list[str]:
    """The manifests that all evaluations make."""
    manifests = []
    for stage in whole.stages.values():
        if stage.kind == "evaluate":
            manifests += stage.makes
    return manifests


def _check_same(one: Path, other: Path, *, answers: bool, readers: bool) -> None:
    """Refuse two evaluations of other weights or tasks, or where it matters with other answers."""
    first, second = read_manifest(one), read_manifest(other)
    if _hashes(first, readers) != _hashes(second, readers):
        raise UserError(
            f"{one} and {other} are of other weights or tasks. Where seeds share a model, both shards must have the "
            "same; a seed belongs to one shard."
        )
    if answers and _samples(first) != _samples(second):
        raise UserError(f"{one} and {other} have other answers. A seed belongs to one shard: take one of the two away.")


def _hashes(manifest: dict[str, Any], readers: bool) -> dict[str, Any]:
    """The sha256 of the weights and questions of an evaluation, and of the code that reads its answers."""
    found = {}
    for name, file in (manifest.get("inputs") or {}).items():
        if readers or not name.startswith("eval_tasks/"):
            found[name] = file.get("sha256")
    return found


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
