"""Bases as stages: the model itself or what is trained of it, another one, and one that is moved away from it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from subliminal.experiment.arms import AGAIN
from subliminal.experiment.stage import Stage
from subliminal.experiment.stage_sources import model_sources
from subliminal.experiment.stages.foundation import PYTHON
from subliminal.experiment.stages.model import StageModel
from subliminal.experiment.stages.trainings import TrainingStages
from subliminal.experiment.sweep.factors import Point, point_label


class BaseStages(TrainingStages):
    """Adds the stages of bases to the plan; every method returns the model."""

    def base(self, seed: int) -> StageModel:
        """The base that the arms of a seed share: the model itself, or what the section ``base`` makes of it."""
        if self.experiment.base is None:
            return StageModel(self.experiment.model)
        seed, suffix = self.seed_of("bases", seed)
        base, start = self.experiment.base, StageModel(self.experiment.model)
        rows = self._base_corpus(f"base_corpus{suffix}", base.rows, seed)
        return self._trained_base(f"base{suffix}", start, rows, base.rows, base.overrides, seed, suffix)

    def other_base(self, seed: int) -> StageModel:
        """The base of the arms ``other_base*``: another model, or the base's training once more with another seed."""
        other = self.experiment.other_base
        seed, suffix = self.seed_of("bases", seed)
        if other.model is not None:
            return StageModel(other.model, suffix="_other_base")
        # On the same rows as the first base: only the training's seed is another.
        base, rows = self.experiment.base, self._base_corpus(f"base_corpus{suffix}", self.experiment.base.rows, seed)
        seed += other.seed_offset
        subject, start = f"other_base{suffix}", StageModel(self.experiment.model)
        trained = self._trained_base(subject, start, rows, base.rows, base.overrides, seed, suffix)
        return replace(trained, suffix=f"_other_base{suffix}")

    def base_at(self, seed: int, point: Point) -> StageModel:
        """The base that the students of a point start from: that of the teacher, trained further or perturbed."""
        point = point.of("base")
        model = self.base(seed)
        if not point.label:
            return model
        base_seed, suffix = self.seed_of("bases", seed)
        more, scale = point.values.get("more_base_rows"), point.values.get("perturbation")
        if more:
            end = point_label({"more_base_rows": more}) + suffix
            model = self._base_trained_on(model, more, base_seed, end)
        if scale:
            model = self._perturbed(model, scale, base_seed, point.label + suffix)
        return model

    def _base_trained_on(self, start: StageModel, rows: int, seed: int, suffix: str) -> StageModel:
        """A base that has learned more rows of its own kind; of these, fewer are the first of more."""
        base = self.experiment.base
        keys = {**base.overrides, **base.further}
        if self.recipe(base.recipe).get("reinit_weights"):
            keys["reinit_weights"] = False  # else it would begin anew
        corpus = self._base_corpus(f"base_corpus{suffix}", rows, seed + AGAIN)  # rows that the base has not seen
        return self._trained_base(f"base{suffix}", start, corpus, rows, keys, seed + AGAIN, suffix)

    def _perturbed(self, start: StageModel, scale: float, seed: int, suffix: str) -> StageModel:
        """A base with noise on its weights; a larger scale goes further in the same direction."""
        subject = f"base{suffix}"
        folder = self.outputs / subject
        command = f"{PYTHON} scripts/perturb_model.py {start.path} --scale {scale:g} --seed {seed} --out {folder}"
        stage = Stage(f"perturb-{subject}", "perturb", str(folder), [command], threads=1)
        # Without --resume: the noise is drawn in seconds, and half a model is of no use.
        stage.resume = stage.restart = "--overwrite"
        stage.makes = [f"{folder}/model.safetensors", f"{folder}/manifest.json"]
        stage.made_from = list(start.made_by)
        if not start.made_by:
            stage.sources = model_sources(start.path)
        return StageModel(str(folder), None, (*start.made_by, self.plan.add(stage)), suffix)

    def _base_corpus(self, subject: str, rows: int, seed: int) -> str:
        """The stage of the rows that a base learns."""
        base = self.experiment.base
        options = {**self.category_option(base.builder), **base.options}
        return self.build(subject, base.builder, None, options, rows, seed)

    def _trained_base(
        self, subject: str, start: StageModel, rows: str, count: int, overrides: dict[str, Any], seed: int, suffix: str
    ) -> StageModel:
        """A base that is trained, and merged where it is an adapter."""
        base, folder = self.experiment.base, self.outputs / subject
        trained = self.train(subject, base.recipe, overrides, start, rows, count, seed, lora_init=seed)
        if trained.whole:
            return StageModel(str(folder), None, trained.made_by, suffix)
        # Axolotl copies the unmerged model's manifest along, which is not this model's.
        command = (
            f"rm -rf {folder}/merged && {PYTHON} -m axolotl.cli.merge_lora {folder}/recipe.yml && "
            f"rm -f {folder}/merged/manifest.json"
        )
        merge = Stage(f"merge-{subject}", "merge", str(folder), [command], made_from=[trained.made_by[-1]])
        merge.makes = [f"{folder}/merged/model.safetensors"]
        return StageModel(f"{folder}/merged", None, (*trained.made_by, self.plan.add(merge)), suffix)
