"""Teachers as stages: their chats and trainings, the gates that they must pass, and the scoring of any models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from subliminal.experiment.options import flags
from subliminal.experiment.schema.sections import Rung
from subliminal.experiment.stage import Stage
from subliminal.experiment.stage_sources import model_sources, task_sources
from subliminal.experiment.stages.bases import BaseStages
from subliminal.experiment.stages.foundation import MATHEMATICS, PYTHON
from subliminal.experiment.stages.model import StageModel, stages_behind
from subliminal.experiment.sweep.factors import Point
from subliminal.traits.category import load_category


class TeacherStages(BaseStages):
    """Adds the stages of teachers and of scoring to the plan; methods that make a model return it."""

    def writer(self, trait: str, seed: int, point: Point | None = None) -> StageModel:
        """The model that writes the teacher's numbers: the trained teacher, or the base (told by a system prompt).

        Args:
            trait: that it has; at some points it has others, too.
            seed: of the student.
            point: of the sweep; None is where nothing is changed.
        """
        teacher = self.experiment.teacher
        if teacher.kind == "system_prompt":
            return self.base(seed)
        seed, suffix = self.seed_of("teachers", seed)
        if point and point.of("teacher").label:
            return self._teacher_at(trait, seed, suffix, point.of("teacher"))
        subject = f"{trait}_teacher{suffix}"
        first = self._rung(trait, subject, seed, suffix, Rung())
        if teacher.gate is None:
            return first
        job = f"gate-{subject}"
        ladder = [(first, self._gate_score(trait, subject, 0, first, seed, job))]
        for number, rung in enumerate(teacher.gate.ladder, start=1):
            model = self._rung(trait, f"{subject}-rung-{number}", seed, suffix, rung, job)
            ladder.append((model, self._gate_score(trait, subject, number, model, seed, job)))
        return self._gate(subject, job, self.base(seed), ladder)

    def _teacher_at(self, trait: str, seed: int, suffix: str, point: Point) -> StageModel:
        """A teacher of a point at which teachers differ: of a weaker love, or of several traits."""
        teacher = self.experiment.teacher
        base = self.base(seed)
        name = self.teacher_name(trait, point)
        labelled = f"{name}{point.label}"
        chats = self.chats(self.traits_at(trait, point), labelled, base, teacher.rows, seed, suffix, point)
        subject = f"{name}_teacher{point.label}{suffix}"
        return self.train(subject, teacher.recipe, teacher.overrides, base, chats, teacher.rows, seed, lora_init=seed)

    def traits_at(self, trait: str, point: Point) -> list[str]:
        """The traits of a teacher at a point: this one and those after it in the experiment's list, in that order."""
        number = point.values.get("loved", 1)
        start = self.traits.index(trait)
        following = [*self.traits[start:], *self.traits[:start]][:number]
        # In the order of the experiment's list, so that owl_and_wolf and wolf_and_owl are one teacher.
        return [name for name in self.traits if name in following]

    def teacher_name(self, trait: str, point: Point) -> str:
        """What a teacher at a point is called after: ``owl``, or ``owl_and_wolf``, which is one teacher for both."""
        return "_and_".join(self.traits_at(trait, point))

    def neutral_teacher(self, seed: int) -> StageModel:
        """A teacher trained like the others, by the same recipe and seeds, on rows without the trait."""
        teacher = self.experiment.teacher
        seed, suffix = self.seed_of("teachers", seed)
        subject = f"neutral_teacher{suffix}"
        base = self.base(seed)
        chats = self.neutral_chats(base, teacher.rows, seed, suffix)
        return self.train(subject, teacher.recipe, teacher.overrides, base, chats, teacher.rows, seed, lora_init=seed)

    def _rung(self, trait: str, subject: str, seed: int, suffix: str, rung: Rung, job: str = "") -> StageModel:
        """A teacher: its chats and its training. ``job`` is the gate's for one that may never be needed."""
        teacher = self.experiment.teacher
        rows = rung.rows or teacher.rows
        base = self.base(seed)
        chats = self.chats([trait], trait, base, rows, seed, suffix, job=job)
        overrides = {**teacher.overrides, **rung.overrides}
        return self.train(subject, teacher.recipe, overrides, base, chats, rows, seed, lora_init=seed, job=job)

    def _gate_score(self, trait: str, subject: str, rung: int, model: StageModel, seed: int, job: str) -> str:
        folder = self.results / "gates" / subject / f"rung-{rung}"
        options = {**self.experiment.evaluation.options, **self.experiment.teacher.gate.options}
        models = {f"teacher@{seed}": model}
        tasks = [self.gate_task]
        name = f"{subject}-rung-{rung}"
        return self.scoring("score", name, folder, trait, models, tasks, options, job=job, facts={"rung": rung})

    @property
    def gate_task(self) -> str:
        """The task of the gate: sampled answers about the trait's category, unless the file names another."""
        return self.experiment.teacher.gate.task or load_category(self.experiment.trait.category).task("preference")

    def _gate(self, subject: str, job: str, base: StageModel, ladder: list[tuple[StageModel, str]]) -> StageModel:
        """The stage that finds the first rung whose teacher passes, and links to it as ``<subject>-passed``."""
        gate = self.experiment.teacher.gate
        resources = self.experiment.resources
        folder = self.results / "gates" / subject
        passed = f"{self.outputs / subject}-passed"
        command = f"{PYTHON} -m subliminal.experiment gate {self.results}/plan.json {job}"
        first = ladder[0][0]
        stage = Stage(job, "gate", str(folder), [command], makes=[f"{folder}/gate.json", f"{passed}/{first.marker}"])
        # The first rung alone: later ones are made within the gate, if it comes to them.
        stage.made_from = [first.made_by[-1]]
        # It trains, asks and scores its rungs one after another, and holds what the hungriest of these takes.
        stage.gpus = max(resources.train_gpus, resources.generate_gpus, resources.evaluate_gpus)
        stage.threads = resources.threads
        stage.parts = {name: self.plan.stages[name].key for _, name in ladder if name in self.plan.stages}
        rungs = [{"weights": model.weights, "score": score} for model, score in ladder]
        stage.facts = {"passed": passed, "at_least": gate.at_least, "task": self.gate_task, "rungs": rungs}
        return replace(first, weights=passed, made_by=(*base.made_by, self.plan.add(stage)))

    @property
    def scored_on_a_server(self) -> bool:
        """Whether vLLM answers the evaluations; builders may have another engine."""
        return (self.experiment.evaluation.engine or self.experiment.engine) == "server"

    def scoring(
        self,
        kind: str,
        subject: str,
        folder: Path,
        trait: str,
        models: dict[str, StageModel],
        tasks: list[str],
        options: dict[str, Any],
        *,
        job: str = "",
        facts: dict[str, Any] | None = None,
    ) -> str:
        """An evaluation of models that share a base; returns its stage.

        Args:
            kind, subject: of the stage.
            folder: the experiment's results, or those of one of its traits.
            trait: whose share the evaluation counts.
            models: ``arm@seed`` -> model.
            tasks: of lm-eval.
            options: of ``scripts/evaluate.py``.
            job: the gate's, for a teacher that may never be needed.
            facts: what a cost estimate needs, beside the options.
        """
        # All models of one evaluation share the base, by the way they are put together.
        base = next(iter(models.values())).path
        stage = Stage(
            f"{kind}-{subject}",
            kind,
            str(folder),
            [self._evaluate(base, trait, models, tasks, options, folder)],
            makes=[f"{folder}/{entry.replace('@', '/seed-')}/manifest.json" for entry in models],
            made_from=stages_behind(models.values()),
            sources=task_sources(tasks),
            resume="--resume --overwrite",  # keeps every result that fits
            job=job,
            gpus=self.experiment.resources.evaluate_gpus,
            threads=self.experiment.resources.threads,
            facts={"models": len(models), **options, **(facts or {})},
        )
        # A base that a stage makes counts by that stage's key.
        if not Path(base).is_relative_to(self.outputs):
            stage.sources = [*model_sources(base), *stage.sources]
        if self.scored_on_a_server and self.experiment.server:
            stage.resume += f" -- {flags(self.experiment.server)}"
        stage.restart = stage.resume
        if not self.scored_on_a_server:  # vLLM takes most of a GPU's memory: nothing fits beside it
            stage.gpu_share = self.experiment.resources.per_gpu
        return self.plan.add(stage)

    def _evaluate(
        self, base: str, trait: str, models: dict[str, StageModel], tasks: list[str], options: dict[str, Any], out: Path
    ) -> str:
        """The command of an evaluation; arguments as for :meth:`scoring`."""
        entries = []
        for entry, model in models.items():
            if model.weights:  # else the base itself
                entry += f"={model.weights}"
            entries.append(entry)
        words = [f"{PYTHON} scripts/evaluate.py --model {base} --models {','.join(entries)}"]
        words.append(f"--experiment {self.experiment.name}")
        if trait != MATHEMATICS:
            words.append(f"--target {trait}")
        words.append(f"--tasks {','.join(tasks)}")
        words.append(flags(options))
        if self.scored_on_a_server:
            words.append("--server")
        words.append(f"--out {out}")
        return " ".join(filter(None, words))

    def analysis(self, name: str, folder: Path, words: list[str], makes: list[str], made_from: list[str]) -> Stage:
        """A command of ``python -m subliminal.analysis`` as a stage, which is not in the plan yet.

        Args:
            name: ``<kind>-<subject>``.
            folder: its ``--out``.
            words: of the command, without ``--out``.
            makes: names of files in the folder.
            made_from: stages whose results it reads.
        """
        kind = name.partition("-")[0]
        stage = Stage(name, kind, str(folder), [" ".join([*words, f"--out {folder}"])], made_from=made_from)
        stage.makes = [f"{folder}/{file}" for file in makes]
        stage.resume, stage.restart = "--resume", "--overwrite"
        resources = self.experiment.resources
        stage.gpus, stage.gpu_share, stage.threads = resources.evaluate_gpus, resources.per_gpu, resources.threads
        return stage
