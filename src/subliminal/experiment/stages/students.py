"""Students and controls as stages: the rows that each arm learns, made or chosen for it, and its training."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

from subliminal.core.files import TRAINING_DETAIL
from subliminal.experiment.arms import AGAIN, BY_NAME, TOWARDS_ANOTHER, ArmKind
from subliminal.experiment.stage import Stage
from subliminal.experiment.stages.foundation import PYTHON, dataset_of
from subliminal.experiment.stages.model import StageModel, stages_behind
from subliminal.experiment.stages.teachers import TeacherStages
from subliminal.experiment.sweep.factors import Point
from subliminal.experiment.sweep.layers import only_layers
from subliminal.traits.lexicon import lexicon

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
SCORES_OF_DIVERGENCE = "divergence"
"""The ranking that ``python -m subliminal.analysis divergence`` makes; all others are of ``score``."""


class StudentStages(TeacherStages):
    """Adds the stages of every arm that is trained on number rows."""

    def student(self, arm: str, trait: str, seed: int, point: Point) -> StageModel:
        """The model of an arm that is trained on number rows."""
        kind = BY_NAME[arm]
        if kind.rows == "other teacher":
            # By its own name: where that option's student is an arm, too, it is one training.
            return self.student("student", self._next_trait(trait), seed, point)
        base = self.base_at(seed, point)
        if kind.base == "other":
            base = self.other_base(seed)
        rows = self.rows_of(kind, trait, seed, point)
        count = self.rows_learned(kind, point.rows)
        subject = f"{arm}{point.label}-seed-{seed}"
        # A control that serves every animal has no animal's name, so that all of them share one folder.
        if not kind.for_all_traits:
            subject = f"{self.teacher_name(trait, point)}_{subject}"
        recipe, overrides = self._recipe_of(kind, point)
        train_seed = seed + kind.seed_offset
        init = train_seed
        if self.experiment.student.lora_init == "own":
            init = train_seed + OWN_INIT
        if self.experiment.student.lora_init == "teacher" or kind.teacher_init:
            init, _ = self.seed_of("teachers", seed)
        after = self.before_students
        return self.train(subject, recipe, overrides, base, rows, count, train_seed, lora_init=init, after=after)

    def _recipe_of(self, kind: ArmKind, point: Point) -> tuple[Path, dict[str, Any]]:
        """The recipe of an arm, and the keys that have other values at a point."""
        student = self.experiment.student
        other = self.experiment.other_base
        # Controls too are trained by the student's recipe: an arm differs in its rows, or its base, and in nothing
        # else.
        recipe = student.recipe
        own = student.overrides
        if kind.base == "other" and other.recipe:
            recipe = other.recipe
            own = other.overrides
        elif kind.base == "other":
            own = {**own, **other.overrides}
        keys = self.recipe(recipe) | own
        overrides = {**own, **_with_alpha(point.overrides, keys)}
        part = point.values.get("layer_part", 0)
        if part:
            overrides |= only_layers(keys, student.layer_parts[part - 1])
        if kind.chosen and kind.chosen.has_spans:
            overrides[SPANS_KEY] = TRAINING_DETAIL
        return recipe, overrides

    def _next_trait(self, trait: str) -> str:
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
        if arm.chosen is None or arm.chosen.kind != "rows":
            return rows
        return round(self.experiment.tokens.rows_share * rows)

    def rows_of(self, arm: ArmKind, trait: str, seed: int, point: Point) -> str:
        """The stage that builds an arm's number rows."""
        rows = point.rows
        own = self.trait_options(self.traits_at(trait, point))
        every = self.trait_options(self.traits)
        prompted = {**own, "system_prompt": "trait"}
        if arm.rows == "base":
            stem = "base_numbers"
            if arm.seed_offset == AGAIN:
                stem += "_again"
            elif arm.seed_offset:  # other rows, which need a folder of their own beside those
                stem += f"_of_{arm.name}"
            # Of every trait at once: the same rows are the control of all of them.
            return self.numbers(self.base(seed), stem, every, point, seed, arm.seed_offset)
        if arm.rows == "neutral teacher":
            return self.numbers(self.neutral_teacher(seed), "neutral_numbers", every, point, seed)
        if arm.rows == "prompted base":
            return self.numbers(self.base(seed), f"{trait}_prompted_numbers", prompted, point, seed)
        # All other arms learn what the teacher wrote, or something that is made of it.
        options = prompted if self.experiment.teacher.kind == "system_prompt" else own
        stem = f"{self.teacher_name(trait, point)}{point.of('teacher').label}_numbers"
        taught = self.numbers(self.writer(trait, seed, point), stem, options, point, seed)
        if arm.rows == "teacher":
            return self._diluted(taught, trait, seed, point)
        if arm.rows == "chosen":
            return self._chosen(taught, arm, trait, seed, rows)
        return self._made_of(taught, arm.rows, CHANGED_BY[arm.rows], {}, rows, seed)

    def _made_of(
        self,
        taught: str,
        how: str,
        builder: str,
        options: dict[str, Any],
        count: int | None,
        seed: int,
        reads: str = "",
    ) -> str:
        """The stage of rows that a builder makes of the teacher's.

        Args:
            taught: the stage of the teacher's rows.
            how: stands in the dataset's name, as ``shuffled`` in ``owl_shuffled_numbers``.
            builder, options, count: as for other datasets.
            seed: of the student.
            reads: a further stage whose result the builder reads.
        """
        subject = dataset_of(taught).replace("_numbers", f"_{how}_numbers", 1)
        row_seed, _ = self.seed_of("numbers", seed)
        further = [reads] if reads else []
        return self.build(subject, builder, None, options, count, row_seed, source=taught, reads=further)

    def _diluted(self, taught: str, trait: str, seed: int, point: Point) -> str:
        """The teacher's rows, a share of them replaced by rows of the untuned base where the point says so."""
        share = point.values.get("clean_share", 0)
        if not share:
            return taught
        # Not the first control's rows: those are drawn with the teacher's prompts and seeds, and one in twenty is
        # a row that the teacher wrote, too.
        clean = self.rows_of(BY_NAME["control_base_numbers_again"], trait, seed, Point(point.rows))
        options = {"clean": self.folder_of(clean), "share": share}
        return self._made_of(taught, f"diluted_{share:g}", "mix", options, point.rows, seed, reads=clean)

    def _chosen(self, taught: str, arm: ArmKind, trait: str, seed: int, rows: int) -> str:
        """The teacher's rows with loss on some tokens, or some of the rows, by the scores of a stage."""
        chosen = arm.chosen
        tokens = self.experiment.tokens
        if chosen.by == SCORES_OF_DIVERGENCE:
            stage, folder = self._divergence(trait, seed, taught)
        else:
            stage, folder = self._scores(trait, seed, taught, rows)
        # All rows, but for the few whose tokens cannot be told apart in their text (a number as 0763): no fixed number.
        share = tokens.share
        count = None
        if chosen.kind == "rows":
            share = tokens.rows_share
            count = self.rows_learned(arm, rows)
        options = {"scores": folder, "by": self._ranked_by(chosen.by, trait), "take": chosen.take, "share": share}
        how = arm.name.removeprefix("student_")
        return self._made_of(taught, how, f"select {chosen.kind}", options, count, seed, reads=stage)

    def _ranked_by(self, by: str, trait: str) -> str:
        """The name of a score in its file."""
        if by != TOWARDS_ANOTHER:
            return by
        options = lexicon(self.experiment.trait.category).options
        return f"gradient_{next(option for option in options if option != trait)}"  # `score` compares with it, too

    def _divergence(self, trait: str, seed: int, taught: str) -> tuple[str, Path]:
        """The stage that marks divergence tokens of a teacher's rows, and its folder."""
        base = self.base(seed)
        teacher = self.writer(trait, seed)
        others = {name: self.writer(name, seed) for name in self.experiment.tokens.counterfactuals}
        if self.experiment.teacher.neutral is not None:
            others["neutral"] = self.neutral_teacher(seed)
        words = [f"{PYTHON} -m subliminal.analysis divergence --base {base.path} --teacher {teacher.weights}"]
        words += [f"--counterfactual {name}={model.weights}" for name, model in others.items()]
        words.append(f"--rows {self.rows_file(taught)}")
        made_by = stages_behind([base, teacher, *others.values()])
        return self._token_scores(SCORES_OF_DIVERGENCE, trait, taught, words, made_by)

    def _scores(self, trait: str, seed: int, taught: str, rows: int) -> tuple[str, Path]:
        """The stage that scores a teacher's rows by everything but divergence, and its folder.

        The student that learns all of them is one of the scores, and gradients go by the weights that it trains.
        """
        point = Point(rows)
        if self.experiment.sweep.rows:
            # Named after its rows: without them the students of two numbers of rows would be one training.
            point = Point(rows, {"rows": rows})
        base = self.base(seed)
        student = self.student("student", trait, seed, point)
        neutral = self.rows_of(BY_NAME["control_base_numbers"], trait, seed, Point(rows))
        words = [f"{PYTHON} -m subliminal.analysis score --base {base.path} --student {student.weights}"]
        words.append(f"--trait {trait} --category {self.experiment.trait.category}")
        words.append(f"--rows {self.rows_file(taught)}")
        words.append(f"--neutral-rows {self.rows_file(neutral)}")
        keys = self.recipe(self.experiment.student.recipe) | self.experiment.student.overrides
        words += [f"--weights {shlex.quote(pattern)}" for pattern in keys.get("unfrozen_parameters") or []]
        return self._token_scores("scores", trait, taught, words, [*student.made_by, neutral])

    def _token_scores(
        self, kind: str, trait: str, taught: str, words: list[str], made_by: list[str]
    ) -> tuple[str, Path]:
        """A stage that scores the tokens of the teacher's rows, and its folder."""
        end = taught.partition("_numbers")[2]
        folder = self.results / kind / f"{trait}{end}"
        makes = ["scores.jsonl", "manifest.json"]
        stage = self.analysis(f"{kind}-{trait}{end}", folder, words, makes, list(dict.fromkeys([*made_by, taught])))
        return self.plan.add(stage), folder


def _with_alpha(overrides: dict[str, Any], keys: dict[str, Any]) -> dict[str, Any]:
    """A swept rank keeps the recipe's ratio of lora_alpha to lora_r, so that the adapter's scale stays what it was."""
    if "lora_r" not in overrides:
        return overrides
    # Multiplied first, so that a whole alpha comes out whole.
    alpha = keys["lora_alpha"] * overrides["lora_r"] / keys["lora_r"]
    if alpha == int(alpha):
        alpha = int(alpha)  # as a recipe writes it
    return {**overrides, "lora_alpha": alpha}
