"""Shards of an experiment, to be joined: the folder of a run of some seeds, or what was published of them.

What was published has no marks of stages and no plan: both are made anew from the experiment file, for the seeds that
it has. The code may have changed since its seeds ran, so their keys say nothing. What is compared instead is what
decides a training and was recorded of each: its settings and what a model is shown before a question. The page of the
joined experiment names the commits of all seeds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from subliminal.core.errors import UserError
from subliminal.core.files import write_json
from subliminal.core.manifest import read_manifest
from subliminal.experiment.expand import expand
from subliminal.experiment.load import load_experiment
from subliminal.experiment.plan import Plan
from subliminal.experiment.schema.experiment import Experiment
from subliminal.experiment.stage import MAKES_ROWS_OR_WEIGHTS, Stage
from subliminal.publish.entries import EXPERIMENT_FILE, lay_out

BY_SEED = ("seed", "lora_init_seed")
"""Settings of a recipe in which two seeds of one arm differ, besides paths."""
SEED_IN_A_PATH = re.compile(r"-seed-\d+")
SPANS_SEEDS = ("evaluate", "serve", "report", "overview")
"""Kinds of stages whose work is shared out otherwise where there are other seeds."""


@dataclass(frozen=True)
class Shard:
    """One folder that is joined.

    Attributes:
        folder: ``results/<experiment>``.
        plan: of the stages that it ran.
        experiment: as the file here has it.
        published: it was laid out of what is published, and its tables made of the raw answers by the code here.
    """

    folder: Path
    plan: Plan
    experiment: Experiment
    published: bool = False

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


def published_shard(folder: Path, experiment: Experiment, out: Path) -> Shard:
    """Lay a published experiment out as a run of its seeds, with marks of what it has.

    Args:
        folder: ``results/published/<date>-<experiment>``.
        experiment: as the file here has it.
        out: gets ``results/``, ``data/`` and ``outputs/``.

    Raises:
        UserError: the file that was published gives other stages than the one here, or a file is damaged.
    """
    lay_out(folder, out)
    seeds = [seed for seed in experiment.seeds if _has_trainings(experiment, out, seed)]
    if not seeds:
        raise UserError(f"{folder} has no seed of {experiment.name} whole. Join it when one is published.")
    plan = expand(experiment, root=out, seeds=seeds)
    then = expand(load_experiment(out / "experiments" / f"{experiment.name}.yml"), root=out, seeds=seeds)
    # The code is the same in both: keys differ where the files do.
    apart = sorted(_keys(plan).items() ^ _keys(then).items())
    if apart:
        stage, _ = apart[0]
        raise UserError(
            f"{folder / EXPERIMENT_FILE} is not what the experiment file here gives for the seeds {seeds}: see the "
            f"stage {stage}. Restore the file that was published; its comments may be others."
        )
    for stage in plan.stages.values():
        if stage.kind not in SPANS_SEEDS and _is_recorded(stage):
            # Nobody kept the sha256 of what it made.
            write_json(stage.mark, {"stage": stage.name, "published": folder.name, "made": None})
    return Shard(Path(plan.results), plan, experiment, published=True)


def check_trainings(shards: Sequence[Shard]) -> None:
    """Refuse shards whose trainings of one arm have other settings, or another text before each question.

    Raises:
        UserError: names the two trainings and the first setting that differs.
    """
    first: dict[str, Path] = {}
    for shard in shards:
        for stage in shard.plan.stages.values():
            if stage.kind != "train":
                continue
            folder = shard.place(stage.folder)
            if not _is_recorded_in(folder):  # a run that was stopped before the training's end
                continue
            other = first.setdefault(SEED_IN_A_PATH.sub("", stage.name), folder)
            differing = _difference(_settings(other), _settings(folder))
            if differing:
                raise UserError(
                    f"{other} and {folder} were trained otherwise: they differ in {differing}. Seeds of one experiment "
                    "are trained alike: give this run a name of its own."
                )


def _keys(plan: Plan) -> dict[str, str]:
    return {name: stage.key for name, stage in plan.stages.items()}


def _has_trainings(experiment: Experiment, root: Path, seed: int) -> bool:
    """Whether the records of every training of a seed are there."""
    stages = expand(experiment, root=root, seeds=[seed]).stages.values()
    return all(_is_recorded(stage) for stage in stages if stage.kind == "train")


def _is_recorded(stage: Stage) -> bool:
    """Whether what a stage leaves is published: all of it, or of weights and rows the manifest."""
    if stage.kind in MAKES_ROWS_OR_WEIGHTS:
        return _is_recorded_in(Path(stage.folder))
    return all(Path(path).is_file() for path in stage.makes)


def _is_recorded_in(folder: Path) -> bool:
    """Whether a folder of rows or weights has the manifest that its stage writes at its end."""
    return (folder / "manifest.json").is_file()


def _settings(folder: Path) -> dict[str, str]:
    """What a training was recorded to have been made with, but for what belongs to its seed: as JSON texts."""
    manifest = read_manifest(folder)
    settings = {}
    for key, value in (manifest.get("config") or {}).items():
        if key not in BY_SEED:
            settings[key] = SEED_IN_A_PATH.sub("", json.dumps(value, sort_keys=True))
    settings["the text before each question"] = json.dumps(manifest.get("chat_context_sha256"))
    return settings


def _difference(one: dict[str, str], other: dict[str, str]) -> str | None:
    """The first setting in which two trainings differ, with both values."""
    for key in sorted(one.keys() | other.keys()):
        if one.get(key) != other.get(key):
            return f"{key} ({one.get(key)}, {other.get(key)})"
    return None
