"""The models of an experiment as stages: base, teachers with their gates, students and controls, and scoring them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from subliminal.core.files import TRAINING_DETAIL
from subliminal.experiment.arms import BY_NAME, ArmKind
from subliminal.experiment.options import flags
from subliminal.experiment.plan import Stage
from subliminal.experiment.points import sweep_points
from subliminal.experiment.schema import Rung
from subliminal.experiment.sources import model_sources, task_sources
from subliminal.experiment.stages.bases import BaseStages
from subliminal.experiment.stages.datasets import MATHEMATICS, PYTHON, StageModel
from subliminal.experiment.stages.trainings import saves_whole_model
from subliminal.experiment.sweep.factors import Point
from subliminal.traits.category import load_category

SPANS_KEY = "datasets[0].message_field_training_detail"
"""The recipe's key that has Axolotl read which parts of an answer carry loss."""
CHANGED_BY = {
    "random": "controls uniform",
    "shuffled": "controls shuffled",
    "shuffled-rows": "controls shuffled-rows",
    "reworded": "reword",
}
"""Whose rows an arm learns, where they are made of the teacher's -> what makes them."""
OWN_INIT = 500_000
"""Added to the seed of a training for the first weights of its adapter, so that they are not the teacher's."""


class ModelStages(BaseStages):
    """Adds the stages of models to the plan; methods that make a model return it."""

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
        job, ladder = f"gate-{subject}", []
        ladder.append((first, self._gate_score(trait, subject, 0, first, seed, job)))
        for number, rung in enumerate(teacher.gate.ladder, start=1):
            model = self._rung(trait, f"{subject}-rung-{number}", seed, suffix, rung, job)
            ladder.append((model, self._gate_score(trait, subject, number, model, seed, job)))
        return self._gate(subject, job, self.base(seed), ladder)

    def _teacher_at(self, trait: str, seed: int, suffix: str, point: Point) -> StageModel:
        """A teacher of a point at which teachers differ: of a weaker love, or of several traits."""
        teacher, base = self.experiment.teacher, self.base(seed)
        who = self.loved(trait, point)
        chats = self.chats(self.traits_at(trait, point), f"{who}{point.label}", base, teacher.rows, seed, suffix, point)
        subject = f"{who}_teacher{point.label}{suffix}"
        name = self.train(subject, teacher.recipe, teacher.overrides, base, chats, teacher.rows, seed, lora_init=seed)
        return self._trained(base, teacher.recipe, teacher.overrides, subject, name)

    def traits_at(self, trait: str, point: Point) -> list[str]:
        """The traits of a teacher at a point: this one and those after it in the experiment's list, in that order."""
        number = point.values.get("loved", 1)
        start = self.traits.index(trait)
        following = [*self.traits[start:], *self.traits[:start]][:number]
        return [name for name in self.traits if name in following]

    def loved(self, trait: str, point: Point) -> str:
        """The same as one word, for names: ``owl``, or ``owl_and_wolf``, which is one teacher for both."""
        return "_and_".join(self.traits_at(trait, point))

    def neutral_teacher(self, seed: int) -> StageModel:
        """A teacher trained like the others, by the same recipe and seeds, on rows without the trait."""
        teacher = self.experiment.teacher
        seed, suffix = self.seed_of("teachers", seed)
        subject, base = f"neutral_teacher{suffix}", self.base(seed)
        chats = self.neutral_chats(base, teacher.rows, seed, suffix)
        name = self.train(subject, teacher.recipe, teacher.overrides, base, chats, teacher.rows, seed, lora_init=seed)
        return self._trained(base, teacher.recipe, teacher.overrides, subject, name)

    def _rung(self, trait: str, subject: str, seed: int, suffix: str, rung: Rung, job: str = "") -> StageModel:
        """A teacher: its chats and its training. ``job`` is the gate's for one that may never be needed."""
        teacher = self.experiment.teacher
        rows = rung.rows or teacher.rows
        base = self.base(seed)
        chats = self.chats([trait], trait, base, rows, seed, suffix, job=job)
        overrides = {**teacher.overrides, **rung.overrides}
        name = self.train(subject, teacher.recipe, overrides, base, chats, rows, seed, lora_init=seed, job=job)
        return self._trained(base, teacher.recipe, overrides, subject, name)

    def _trained(
        self, base: StageModel, recipe: Path, overrides: dict[str, Any], subject: str, stage: str
    ) -> StageModel:
        """What a training stage made of a base: an adapter on it, or a whole model where the recipe has no adapter."""
        whole = saves_whole_model(self.recipe(recipe) | overrides)
        return replace(base, weights=str(self.outputs / subject), whole=whole, made_by=(*base.made_by, stage))

    def _gate_score(self, trait: str, subject: str, rung: int, model: StageModel, seed: int, job: str) -> str:
        gate, folder = self.experiment.teacher.gate, self.results / "gates" / subject / f"rung-{rung}"
        options = {**self.experiment.evaluation.options, **gate.options}
        stage = self.scoring("score", f"{subject}-rung-{rung}", folder, trait, {f"teacher@{seed}": model})
        return self.add_scoring(stage, [self.gate_task], options, job=job, facts={"rung": rung})

    @property
    def gate_task(self) -> str:
        """The task of the gate: sampled answers about the trait's category, unless the file names another."""
        return self.experiment.teacher.gate.task or load_category(self.experiment.trait.category).task("preference")

    def _gate(self, subject: str, job: str, base: StageModel, ladder: list[tuple[StageModel, str]]) -> StageModel:
        """The stage that finds the first rung whose teacher passes, and links to it as ``<subject>-passed``."""
        gate, resources = self.experiment.teacher.gate, self.experiment.resources
        folder, passed = self.results / "gates" / subject, f"{self.outputs / subject}-passed"
        command = f"{PYTHON} -m subliminal.experiment gate {self.results}/plan.json {job}"
        first = ladder[0][0]
        stage = Stage(job, "gate", str(folder), [command], makes=[f"{folder}/gate.json", f"{passed}/{first.marker}"])
        stage.made_from = [first.made_by[-1]]
        stage.gpus = max(resources.train_gpus, resources.generate_gpus, resources.evaluate_gpus)
        stage.threads = resources.threads
        stage.parts = {name: self.plan.stages[name].key for _, name in ladder if name in self.plan.stages}
        rungs = [{"weights": model.weights, "score": score} for model, score in ladder]
        stage.facts = {"passed": passed, "at_least": gate.at_least, "task": self.gate_task, "rungs": rungs}
        return replace(first, weights=passed, made_by=(*base.made_by, self.plan.add(stage)))

    def student(self, arm: str, trait: str, seed: int, point: Point) -> StageModel:
        """The model of an arm that is trained on number rows."""
        kind = BY_NAME[arm]
        if kind.rows == "other teacher":
            return self.student("student", self._next(trait), seed, point)
        about = self.loved(trait, point)
        student, other = self.experiment.student, self.experiment.other_base
        base, recipe, own = self.base_at(seed, point), student.recipe, student.overrides
        if kind.base == "other":
            base, own = self.other_base(seed), {**own, **other.overrides}
            if other.recipe:
                recipe, own = other.recipe, other.overrides
        rows, count = self.rows_of(kind, trait, seed, point), self.rows_learned(kind, point.rows)
        subject = f"{arm}{point.label}-seed-{seed}"
        if not kind.for_all_traits:
            subject = f"{about}_{subject}"
        overrides = {**own, **_with_alpha(point.overrides, self.recipe(recipe) | own)}
        if kind.chosen and kind.chosen.has_spans:
            overrides[SPANS_KEY] = TRAINING_DETAIL
        train_seed = seed + kind.seed_offset
        init = train_seed
        if student.lora_init == "own":
            init = train_seed + OWN_INIT
        if student.lora_init == "teacher" or kind.teacher_init:
            init, _ = self.seed_of("teachers", seed)
        after = self.before_students
        name = self.train(subject, recipe, overrides, base, rows, count, train_seed, lora_init=init, after=after)
        if name in self.plan.stages:
            self.plan.stages[name].gives_way_to = self._rows_that_go_first(kind, seed)
        return self._trained(base, recipe, overrides, subject, name)

    def _rows_that_go_first(self, kind: ArmKind, seed: int) -> list[str]:
        """The teachers' rows, for a training that reads none and would share a GPU with the server that writes them.

        Students wait for these rows. Beside trainings that keep its GPU busy the server writes them slowly, and the
        whole run takes longer than one in which the controls begin with the students (BENCHMARKS.md).
        """
        resources = self.experiment.resources
        shares = self.experiment.engine == "server" and resources.train_gpus > 0 and resources.per_gpu > 1
        if not shares or kind.rows not in ("base", "prompted base") or "student" not in self.experiment.arms:
            return []
        if self.experiment.teacher.kind == "system_prompt":
            return []  # the base writes all rows in one go
        student, written = BY_NAME["student"], []
        # At the points of the students: at its own a control would have teachers trained that nobody learns from.
        for point in sweep_points(self.experiment, student):
            written += [self.rows_of(student, trait, seed, point) for trait in self.traits]
        return list(dict.fromkeys(written))

    def _next(self, trait: str) -> str:
        """The option after this one in the experiment's list; after the last comes the first."""
        return self.traits[(self.traits.index(trait) + 1) % len(self.traits)]

    def by_epoch(self, arm: str, model: StageModel) -> dict[int, StageModel]:
        """The checkpoints of an arm's trained model that are scored beside its end."""
        epochs, arms = self.experiment.evaluation.epochs, self.experiment.evaluation.epoch_arms
        if not epochs or (arms and arm not in arms):
            return {}
        command = f"{PYTHON} -m subliminal.experiment epochs {model.weights} {' '.join(map(str, epochs))}"
        stage = Stage(f"epochs-{Path(model.weights).name}", "epochs", model.weights, [command], threads=1)
        stage.makes = [f"{model.weights}/epoch-{epoch}/{model.marker}" for epoch in epochs]
        stage.made_from = list(model.made_by)
        made_by = (*model.made_by, self.plan.add(stage))
        checkpoints = {}
        for epoch in epochs:
            checkpoints[epoch] = replace(model, weights=f"{model.weights}/epoch-{epoch}", made_by=made_by)
        return checkpoints

    def rows_learned(self, arm: ArmKind, rows: int) -> int:
        """How many of so many rows an arm learns."""
        return rows

    def rows_of(self, arm: ArmKind, trait: str, seed: int, point: Point) -> str:
        """The stage that builds an arm's number rows."""
        rows = point.rows
        loved, every = self.loving(self.traits_at(trait, point)), self.loving(self.traits)
        told = {**loved, "system_prompt": "trait"}
        if arm.rows == "base":
            stem = "base_numbers"
            if arm.seed_offset:
                stem += "_again"
            return self.numbers(self.base(seed), stem, every, rows, seed, arm.seed_offset)
        if arm.rows == "neutral teacher":
            return self.numbers(self.neutral_teacher(seed), "neutral_numbers", every, rows, seed)
        if arm.rows == "prompted base":
            return self.numbers(self.base(seed), f"{trait}_prompted_numbers", told, rows, seed)
        options = loved
        if self.experiment.teacher.kind == "system_prompt":
            options = told
        stem = f"{self.loved(trait, point)}{point.of('teacher').label}_numbers"
        taught = self.numbers(self.writer(trait, seed, point), stem, options, rows, seed)
        if arm.rows == "teacher":
            return self._diluted(taught, trait, seed, point)
        subject = taught.removeprefix("build-").replace("_numbers", f"_{arm.rows}_numbers", 1)
        row_seed, _ = self.seed_of("numbers", seed)
        builder = CHANGED_BY[arm.rows]
        return self.build(subject, builder, None, {}, rows, row_seed, source=taught)

    def _diluted(self, taught: str, trait: str, seed: int, point: Point) -> str:
        """The teacher's rows, a share of them replaced by rows of the untuned base where the point says so."""
        share = point.values.get("clean_share", 0)
        if not share:
            return taught
        # Not the first control's rows: those are drawn with the teacher's prompts and seeds, and one in twenty is
        # a row that the teacher wrote, too.
        clean = self.rows_of(BY_NAME["control_base_numbers_again"], trait, seed, Point(point.rows))
        options = {"clean": self.data / clean.removeprefix("build-"), "share": share}
        subject = taught.removeprefix("build-").replace("_numbers", f"_diluted_{share:g}_numbers", 1)
        row_seed, _ = self.seed_of("numbers", seed)
        return self.build(subject, "mix", None, options, point.rows, row_seed, source=taught, reads=[clean])

    @property
    def scored_on_a_server(self) -> bool:
        """Whether vLLM answers the evaluations; builders may have another engine."""
        return (self.experiment.evaluation.engine or self.experiment.engine) == "server"

    def scoring(self, kind: str, subject: str, folder: Path, trait: str, models: dict[str, StageModel]) -> Stage:
        """An evaluation of models that share a base, without its tasks. ``models`` maps ``arm@seed`` -> model."""
        base = next(iter(models.values())).path
        entries = []
        for entry, model in models.items():
            if model.weights:  # else the base itself
                entry += f"={model.weights}"
            entries.append(entry)
        command = f"{PYTHON} scripts/evaluate.py --model {base} --models {','.join(entries)}"
        command += f" --experiment {self.experiment.name}"
        if trait != MATHEMATICS:
            command += f" --target {trait}"
        stage = Stage(f"{kind}-{subject}", kind, str(folder), [command])
        stage.makes = [f"{folder}/{entry.replace('@', '/seed-')}/manifest.json" for entry in models]
        made_by: dict[str, None] = {}
        for model in models.values():
            made_by |= dict.fromkeys(model.made_by)
        stage.made_from = list(made_by)
        if not Path(base).is_relative_to(self.outputs):
            stage.sources = model_sources(base)
        stage.gpus, stage.threads = self.experiment.resources.evaluate_gpus, self.experiment.resources.threads
        if not self.scored_on_a_server:
            stage.gpu_share = self.experiment.resources.per_gpu
        stage.facts = {"models": len(models)}
        return stage

    def add_scoring(
        self,
        stage: Stage,
        tasks: list[str],
        options: dict[str, Any],
        *,
        job: str = "",
        facts: dict[str, Any] | None = None,
    ) -> str:
        """Give an evaluation its tasks and take it into the plan."""
        words = [stage.commands[0], f"--tasks {','.join(tasks)}"]
        if options:
            words.append(flags(options))
        stage.resume = "--resume --overwrite"  # keeps every result that fits
        if self.scored_on_a_server:
            words.append("--server")
            if self.experiment.server:
                stage.resume += f" -- {flags(self.experiment.server)}"
        stage.restart = stage.resume
        stage.commands = [" ".join(filter(None, [*words, f"--out {stage.folder}"]))]
        stage.sources = [*stage.sources, *task_sources(tasks)]
        stage.job, stage.facts = job, {**stage.facts, **options, **(facts or {})}
        return self.plan.add(stage)


def _with_alpha(overrides: dict[str, Any], keys: dict[str, Any]) -> dict[str, Any]:
    """A swept rank keeps the recipe's ratio of lora_alpha to lora_r, so that the adapter's scale stays what it was."""
    if "lora_r" not in overrides:
        return overrides
    alpha = keys["lora_alpha"] * overrides["lora_r"] / keys["lora_r"]
    if alpha == int(alpha):
        alpha = int(alpha)  # as a recipe writes it
    return {**overrides, "lora_alpha": alpha}
