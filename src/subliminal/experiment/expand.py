"""From an experiment to its stages: which datasets, trainings and evaluations the file asks for, and their commands.

    plan = expand(load_experiment(Path("experiments/owl_demo.yml")))
    plan.stages["train-owl_student-seed-42"].commands

Everything of an experiment lies in folders that carry its name, ``data/<name>/``, ``outputs/<name>/`` and
``results/<name>/``, so two experiments never write to the same place.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError
from subliminal.experiment.arms import BY_NAME, ArmKind
from subliminal.experiment.criterion import CRITERION
from subliminal.experiment.epochs import EPOCH, epoch_of
from subliminal.experiment.plan import Plan
from subliminal.experiment.schema.experiment import Experiment
from subliminal.experiment.stage import Stage, digest
from subliminal.experiment.stage_sources import model_sources, weights_problem
from subliminal.experiment.stages.foundation import PYTHON
from subliminal.experiment.stages.model import StageModel, stages_behind
from subliminal.experiment.stages.students import StudentStages
from subliminal.experiment.sweep.factors import Point

Scored = list[tuple[str, int, StageModel]]
"""What is scored for one trait: (arm, seed, model)."""


def expand(
    experiment: Experiment,
    *,
    root: Path = Path("."),
    failed: Mapping[str, dict[str, Any]] | None = None,
    seeds: Sequence[int] | None = None,
) -> Plan:
    """All stages of an experiment.

    Args:
        experiment: as read from its file.
        root: where ``data``, ``outputs`` and ``results`` are.
        failed: stages that cannot be had, each with the record of its failure (``stage``, ``reason``, ``log``). Stages
            that need one are left out; evaluations and servers do without it, and the report says what is missing.
        seeds: some of the experiment's, to run it in shards; None is all.

    Raises:
        UserError: a seed that is not the experiment's, or a model folder without the weights that the experiment names.
    """
    # A seed that the file does not name has no place in its criterion or its report.
    foreign = sorted(set(seeds or ()) - set(experiment.seeds))
    if foreign:
        raise UserError(
            f"The experiment {experiment.name} has no seed {foreign[0]}. "
            f"Its seeds: {', '.join(map(str, experiment.seeds))}."
        )
    for model, sha256 in experiment.pinned_models.items():
        problem = weights_problem(model, sha256)
        if problem:
            raise UserError(f"{experiment.name} cannot be planned: {problem}.")
    return _Expansion(experiment, root, failed, seeds).run()


@dataclass(frozen=True)
class _Part:
    """Arms of an evaluation that have the same tasks."""

    suffix: str
    tasks: list[str]
    holds: Callable[[str], bool]


@dataclass(frozen=True)
class _Evaluated:
    """The evaluations of one trait: stages, what is missing and why, what made the models, whether there are any."""

    stages: list[str]
    missing: list[dict[str, Any]]
    made_by: list[str]
    any: bool


class _Expansion(StudentStages):
    def run(self) -> Plan:
        self._criterion()
        scored = {trait: self._arms(trait) for trait in self.traits}
        leaks = self._leaks()
        # Only now is it known which datasets each server writes.
        self.servers()
        evaluated: dict[str, _Evaluated] = {}
        evaluations: list[str] = []
        for trait, arms in scored.items():
            evaluated[trait] = self._evaluations(trait, arms)
            evaluations += evaluated[trait].stages
        # A report holds its students against those of the other animals, so that it waits for theirs too.
        for trait, each in evaluated.items():
            # In the order of the file; of a shard, too, the seeds are those of the whole file.
            planned = {
                "arms": list(dict.fromkeys(arm for arm, _, _ in scored[trait])),
                "seeds": list(self.experiment.seeds),
            }
            self._report(trait, each, planned, evaluations, leaks)
        self._overview()
        return self.plan

    def _criterion(self) -> None:
        """The stage that records the criterion, which every training on number rows waits for."""
        criterion = self.experiment.criterion
        if criterion is None:
            return
        name = f"criterion-{self.experiment.name}"
        command = f"{PYTHON} -m subliminal.experiment criterion {self.results}/plan.json {name}"
        stage = Stage(name, "criterion", str(self.results), [command], makes=[f"{self.results}/{CRITERION}"], threads=1)
        stage.facts = {"criterion": criterion.canonical()}
        stage.parts = {"criterion": criterion.sha256()}
        self.before_students = [self.plan.add(stage)]

    def _leaks(self) -> list[str]:
        """For each seed with teachers of its own the stage that measures them, the neutral one among them."""
        if self.experiment.leak is None:
            return []
        added = []
        for seed in self.seeds_of("teachers"):
            base = self.base(seed)
            teachers = {}
            for trait, point in itertools.product(self.traits, self.experiment.points(BY_NAME["teacher"])):
                teachers[f"{self.teacher_name(trait, point)}{point.label}"] = self.writer(trait, seed, point)
            if self.experiment.teacher.neutral is not None:
                teachers["neutral"] = self.neutral_teacher(seed)
            # The control's rows at no point of a sweep: all teachers are measured on the same ones.
            # Where each point has fewer rows than that, there are no more.
            plain = Point(min(self.experiment.numbers.rows, self.experiment.most_rows))
            rows = self.rows_of(BY_NAME["control_base_numbers"], self.traits[0], seed, plain)
            _, suffix = self.seed_of("teachers", seed)
            folder = self.results / f"leak{suffix}"
            words = [f"{PYTHON} -m subliminal.analysis leak --base {base.path}"]
            words += [f"--teacher {name}={model.weights}" for name, model in teachers.items()]
            if "neutral" in teachers:
                words.append("--neutral neutral")
            words.append(f"--rows {self.rows_file(rows)}")
            made_from = [*stages_behind(teachers.values()), rows]
            name = f"leak-{self.experiment.name}{suffix}"
            stage = self.analysis(name, folder, words, ["leak.json", "manifest.json"], made_from)
            # A size, so that the rows that were measured stay when more are asked for.
            stage.size = f"--limit {self.experiment.leak.rows}"
            # A base that is trained here is told by its stage's key, one that was there before by its files.
            if not base.made_by:
                stage.sources = model_sources(base.path)
            added.append(self.plan.add(stage))
        return [name for name in added if name in self.plan.stages]

    def _overview(self) -> None:
        """The page on all animals together, where there are several."""
        reports = [stage.name for stage in self.plan.stages.values() if stage.kind == "report"]
        if len(self.traits) > 1 and reports:
            command = f"{PYTHON} scripts/report.py {self.results}"
            stage = Stage(f"overview-{self.experiment.name}", "overview", str(self.results), [command], threads=1)
            stage.makes, stage.made_from = [f"{self.results}/overview.md"], reports
            self.plan.add(stage)

    def _arms(self, trait: str) -> Scored:
        scored: Scored = []
        for arm in self.experiment.arms:
            kind = BY_NAME[arm]
            at = self.experiment.points(kind)
            if kind.rows is None:
                for point in at:
                    scored += self._untrained(kind, trait, point)
            else:  # trained on number rows: one a seed and a sweep point
                for point, seed in itertools.product(at, self.seeds):
                    name, model = f"{arm}{point.label}", self.student(arm, trait, seed, point)
                    scored.append((name, seed, model))
                    for epoch, early in self.by_epoch(arm, model).items():
                        scored.append((f"{name}{EPOCH}{epoch}", seed, early))
            if kind.brings:
                scored += self._untrained(BY_NAME[kind.brings], trait, Point(self.experiment.numbers.rows))
        return scored

    def _untrained(self, arm: ArmKind, trait: str, point: Point) -> Scored:
        """An arm that learns no number rows, once for each seed that makes it anew."""
        name = f"{arm.name}{point.label}"
        seeds = self.seeds_of("bases")
        if arm.name in ("teacher", "neutral_teacher"):
            seeds = self.seeds_of("teachers")
        elif arm.base == "other" and self.experiment.other_base.model:  # the same model for every seed
            seeds = seeds[:1]
        scored = []
        for seed in seeds:
            if arm.name == "teacher":
                model = self.writer(trait, seed, point)
            elif arm.name == "neutral_teacher":
                model = self.neutral_teacher(seed)
            elif arm.base == "other":
                model = self.other_base(seed)
            else:
                model = self.base_at(seed, point)
            scored.append((name, seed, model))
        return scored

    def _folder(self, trait: str) -> Path:
        """Where the results and the report of a trait lie."""
        if len(self.traits) > 1:
            return self.results / trait
        return self.results

    def _evaluations(self, trait: str, arms: Scored) -> _Evaluated:
        """One evaluation for each base, which scores all models on it.

        Where each seed has teachers of its own it is a replicate with an evaluation of its own, so that replicates can
        be run one at a time, on several machines, and put together.
        """
        folder = self._folder(trait)
        kept, missing = self._without_lost(arms)
        done = []
        scored = False
        together: dict[tuple[str, str], Scored] = {}
        for arm, seed, model in kept:
            suffix = f"{model.suffix}{self._replicate(arm, seed)}"
            together.setdefault((model.path, suffix), []).append((arm, seed, model))
        for ((_, suffix), scored_together), part in itertools.product(together.items(), self._parts()):
            of_part = [(arm, seed, model) for arm, seed, model in scored_together if part.holds(arm)]
            if not of_part:
                continue
            models = {f"{arm}@{seed}": model for arm, seed, model in of_part}
            subject = f"{trait}{suffix}{part.suffix}"
            options = self.experiment.evaluation.options
            name = self.scoring("evaluate", subject, folder, trait, models, part.tasks, options)
            if name in self.plan.stages:
                done.append(name)
                continue
            failure = self.plan.failed[self.plan.lost[name]]
            for arm, seed, _ in of_part:
                if (folder / arm / f"seed-{seed}" / "manifest.json").is_file():
                    # What an earlier run scored is still reported, although its evaluation cannot be had now.
                    scored = True
                else:
                    missing.append({"arm": arm, "seed": seed, **failure})
        self.plan.missing += missing
        made_by = stages_behind(model for *_, model in kept)
        return _Evaluated(done, missing, made_by, bool(done) or scored)

    def _report(
        self,
        trait: str,
        evaluated: _Evaluated,
        planned: dict[str, list[Any]],
        evaluations: list[str],
        leaks: list[str],
    ) -> None:
        """The report of a trait, unless nothing of it is scored."""
        if not evaluated.any:
            return
        folder = self._folder(trait)
        commands = [f"{PYTHON} scripts/report.py {folder}", f"{PYTHON} scripts/verify_results.py {folder} --write"]
        report = Stage(f"report-{trait}", "report", str(folder), commands, threads=1)
        report.makes = [f"{folder}/{name}" for name in ("report.md", "report.html", "figure.png", "manifest.json")]
        behind = self.plan.behind([*evaluated.stages, *evaluated.made_by])
        # Only audits of rows that are behind what is reported: those of a lost arm say nothing here.
        audits = [name for name in self.audits if self.plan.stages[name].made_from[0] in behind]
        report.made_from = [*evaluations, *leaks, *audits]
        report.facts = {"missing": evaluated.missing, "planned": planned}
        report.parts = {"missing.json": digest(evaluated.missing)}
        self.plan.add(report)

    def _replicate(self, arm: str, seed: int) -> str:
        """What the name of an evaluation ends in if each seed has teachers, but no base, of its own.

        Nothing for a base, which all seeds share. Where the seeds have bases of their own, the models' names tell.
        """
        kind = BY_NAME.get(arm)
        is_base = kind is not None and kind.rows is None and arm not in ("teacher", "neutral_teacher")
        if is_base or self.experiment.seeds_vary != "teachers":
            return ""
        return f"-seed-{seed}"

    def _parts(self) -> list[_Part]:
        """All arms at once, or the checkpoints of earlier epochs by themselves where they have tasks of their own."""
        evaluation = self.experiment.evaluation
        if not evaluation.epoch_tasks:
            return [_Part("", evaluation.tasks, lambda arm: True)]
        return [
            _Part("", evaluation.tasks, lambda arm: epoch_of(arm) is None),
            _Part("_epochs", evaluation.epoch_tasks, lambda arm: epoch_of(arm) is not None),
        ]

    def _without_lost(self, arms: Scored) -> tuple[Scored, list[dict[str, Any]]]:
        """The arms whose models can be had, and a record of each other: arm, seed, and the failure behind it."""
        kept = []
        missing = []
        for arm, seed, model in arms:
            lost = next((name for name in model.made_by if name in self.plan.lost), None)
            if lost is None:
                kept.append((arm, seed, model))
            else:
                failure = self.plan.failed[self.plan.lost[lost]]
                missing.append({"arm": arm, "seed": seed, **failure})
        return kept, missing
