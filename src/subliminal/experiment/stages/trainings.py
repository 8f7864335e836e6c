"""Trainings as stages: the recipe with what the experiment changes, and the command that trains it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from subliminal.experiment.sources import model_sources
from subliminal.experiment.stage import Stage
from subliminal.experiment.stages.datasets import Datasets, audit_of
from subliminal.experiment.stages.foundation import PYTHON
from subliminal.experiment.stages.model import StageModel


class TrainingStages(Datasets):
    """Adds trainings to the plan."""

    def train(
        self,
        subject: str,
        recipe: Path,
        overrides: dict[str, Any],
        base: StageModel,
        rows: str,
        count: int | None,
        seed: int,
        *,
        lora_init: int,
        job: str = "",
        after: Sequence[str] = (),
    ) -> StageModel:
        """A training run; returns what it makes of the base: an adapter on it, or a whole model without one.

        Args:
            subject: the run's folder in ``outputs/<experiment>/``.
            recipe, overrides: the recipe, and keys with other values.
            base: the model that it starts from.
            rows: the stage that builds its data.
            count: their number, as far as it is known.
            seed: of the training.
            lora_init: seed of the adapter's first weights, where the recipe has an adapter.
            job: the gate's, for a teacher that may never be needed.
            after: stages that it waits for beside its data's audit.
        """
        folder, keys = self.outputs / subject, self.recipe(recipe) | overrides
        data = self.rows_file(rows)
        changes = {"base_model": base.path, "datasets[0].path": str(data), "output_dir": str(folder), "seed": seed}
        whole = keys.get("adapter") is None
        if not whole:
            changes["lora_init_seed"] = lora_init
        if base.path != keys["base_model"] and "revision_of_model" in keys:
            changes["revision_of_model"] = "main"  # the recipe's commit is one of its own base
        words = [f"{PYTHON} scripts/render_recipe.py {recipe}"]
        # Once before and once after the overrides: first for the order of the words, then so that these values stand.
        values = {**changes, **overrides, **changes}  # the experiment's own values, whatever an override says
        for key, value in values.items():
            words.append(f"--set {shlex.quote(f'{key}={_yaml(value)}')}")
        if count:
            words.append(f"--rows {count}")
        render = f"{' '.join(words)} -o {folder}/recipe.yml --overwrite"
        # `accelerate launch`, whose program imports its other commands too: five seconds of transformers and sklearn.
        launcher = f"{PYTHON} -m accelerate.commands.launch --config_file {self.experiment.launcher}"
        launch = f"{launcher} -m axolotl.cli.train"
        stage = Stage(f"train-{subject}", "train", str(folder), [render, f"{launch} {folder}/recipe.yml"], job=job)
        weights = "adapter_model"
        if whole:
            weights = "model"
        stage.makes = [f"{folder}/{weights}.safetensors"]
        # `after` and not `made_from`: an audit must pass, and changes nothing of what is trained.
        stage.made_from, stage.after = [*base.made_by, rows], [audit_of(rows), *after]
        stage.sources = [str(recipe), str(self.experiment.launcher)]
        if not base.made_by:
            stage.sources += model_sources(base.path)
        # The manifest is what a training writes last. Recipes have Axolotl resume by itself: nothing is added to go on.
        stage.restart, stage.proof = "--overwrite=true", f"{folder}/manifest.json"
        stage.gpus, stage.threads = self.experiment.resources.train_gpus, self.experiment.resources.threads
        stage.gpu_share = self.experiment.resources.per_gpu
        stage.facts = {"recipe": str(recipe), "overrides": overrides, "rows": count, "epochs": keys["num_epochs"]}
        stage.facts["tokens"] = None
        if count:
            stage.facts["tokens"] = int(count * keys["num_epochs"] * keys["sequence_len"])
        made_by = (*base.made_by, self.plan.add(stage))
        return replace(base, weights=str(folder), whole=whole, made_by=made_by)


def _yaml(value: Any) -> str:
    """A value as YAML on one line; JSON is that."""
    if isinstance(value, str):
        return value
    return json.dumps(value)
