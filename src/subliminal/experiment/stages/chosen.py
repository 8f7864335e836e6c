"""Arms that learn some of the teacher's tokens or rows: the stages that score them, and the rows that are chosen."""

from __future__ import annotations

import shlex
from pathlib import Path

from subliminal.experiment.arms import BY_NAME, TOWARDS_ANOTHER, ArmKind
from subliminal.experiment.plan import Stage
from subliminal.experiment.sources import model_sources
from subliminal.experiment.stages.datasets import PYTHON
from subliminal.experiment.stages.models import ModelStages
from subliminal.experiment.sweep.factors import Point
from subliminal.traits.lexicon import lexicon

SCORES_OF_DIVERGENCE = "divergence"
"""The ranking that ``python -m subliminal.analysis divergence`` makes; all others are of ``score``."""


class ChosenStages(ModelStages):
    """Adds what arms with :attr:`ArmKind.chosen` need."""

    def rows_learned(self, arm: ArmKind, rows: int) -> int:
        if arm.chosen is None or arm.chosen.kind != "rows":
            return rows
        return round(self.experiment.tokens.rows_share * rows)

    def rows_of(self, arm: ArmKind, trait: str, seed: int, point: Point) -> str:
        if arm.chosen is None:
            return super().rows_of(arm, trait, seed, point)
        rows = point.rows
        taught = super().rows_of(BY_NAME["student"], trait, seed, point)
        if arm.chosen.by == SCORES_OF_DIVERGENCE:
            stage, folder = self._divergence(trait, seed, taught)
        else:
            stage, folder = self._scores(trait, seed, taught, rows)
        tokens, chosen = self.experiment.tokens, arm.chosen
        share = tokens.share
        if chosen.kind == "rows":
            share = tokens.rows_share
        options = {"scores": folder, "by": self._ranked_by(chosen.by, trait), "take": chosen.take, "share": share}
        subject = taught.removeprefix("build-").replace("_numbers", f"_{arm.name.removeprefix('student_')}_numbers", 1)
        row_seed, _ = self.seed_of("numbers", seed)
        count = self.rows_learned(arm, rows)
        builder = f"select {chosen.kind}"
        return self.build(subject, builder, None, options, count, row_seed, source=taught, reads=[stage])

    def _ranked_by(self, by: str, trait: str) -> str:
        """The name of a score in its file."""
        if by != TOWARDS_ANOTHER:
            return by
        options = lexicon(self.experiment.trait.category).options
        return f"gradient_{next(option for option in options if option != trait)}"  # `score` compares with it, too

    def _divergence(self, trait: str, seed: int, taught: str) -> tuple[str, Path]:
        """The stage that marks divergence tokens of a teacher's rows, and its folder."""
        base, teacher = self.base(seed), self.writer(trait, seed)
        others = {name: self.writer(name, seed) for name in self.experiment.tokens.counterfactuals}
        if self.experiment.teacher.neutral is not None:
            others["neutral"] = self.neutral_teacher(seed)
        words = [f"{PYTHON} -m subliminal.analysis divergence --base {base.path} --teacher {teacher.weights}"]
        words += [f"--counterfactual {name}={model.weights}" for name, model in others.items()]
        words.append(f"--rows {self.data / taught.removeprefix('build-')}/train.jsonl")
        made_by = [*base.made_by, *teacher.made_by]
        for model in others.values():
            made_by += model.made_by
        return self._scoring_stage(SCORES_OF_DIVERGENCE, trait, taught, words, made_by)

    def _scores(self, trait: str, seed: int, taught: str, rows: int) -> tuple[str, Path]:
        """The stage that scores a teacher's rows by everything but divergence, and its folder.

        The student that learns all of them is one of the scores, and gradients go by the weights that it trains.
        """
        base, student = self.base(seed), self.student("student", trait, seed, Point(rows))
        neutral = super().rows_of(BY_NAME["control_base_numbers"], trait, seed, Point(rows))
        words = [f"{PYTHON} -m subliminal.analysis score --base {base.path} --student {student.weights}"]
        words.append(f"--trait {trait} --category {self.experiment.trait.category}")
        words.append(f"--rows {self.data / taught.removeprefix('build-')}/train.jsonl")
        words.append(f"--neutral-rows {self.data / neutral.removeprefix('build-')}/train.jsonl")
        keys = self.recipe(self.experiment.student.recipe) | self.experiment.student.overrides
        words += [f"--weights {shlex.quote(pattern)}" for pattern in keys.get("unfrozen_parameters") or []]
        return self._scoring_stage("scores", trait, taught, words, [*student.made_by, neutral])

    def _scoring_stage(
        self, kind: str, trait: str, taught: str, words: list[str], made_by: list[str]
    ) -> tuple[str, Path]:
        """A stage of scores, and its folder."""
        end = taught.partition("_numbers")[2]
        folder = self.results / kind / f"{trait}{end}"
        stage = Stage(f"{kind}-{trait}{end}", kind, str(folder), [" ".join([*words, f"--out {folder}"])])
        stage.resume, stage.restart = "--resume", "--overwrite"
        stage.makes = [f"{folder}/scores.jsonl", f"{folder}/manifest.json"]
        stage.made_from = list(dict.fromkeys([*made_by, taught]))
        if not made_by:
            stage.sources = model_sources(self.experiment.model)
        resources = self.experiment.resources
        stage.gpus, stage.gpu_share, stage.threads = resources.evaluate_gpus, resources.per_gpu, resources.threads
        return self.plan.add(stage), folder
