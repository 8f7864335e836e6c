"""Trainings as stages: the recipe with what the experiment changes, and the command that trains it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from subliminal.experiment.stage import Stage
from subliminal.experiment.stage_sources import model_sources
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
        folder = self.outputs / subject
        keys = self.recipe(recipe) | overrides
        whole = keys.get("adapter") is None
        changes = {"base_model": base.path, "datasets[0].path": str(self.rows_file(rows))}
        changes |= {"output_dir": str(folder), "seed": seed}
        if not whole:
            changes["lora_init_seed"] = lora_init
        if base.path != keys["base_model"] and "revision_of_model" in keys:
            changes["revision_of_model"] = "main"  # the recipe's commit is one of its own base
        # Once before and once after the overrides: first for the order of the words, then so that these values stand.
        values = {**changes, **overrides, **changes}  # the experiment's own values, whatever an override says
        weights = "model" if whole else "adapter_model"
        stage = Stage(
            f"train-{subject}",
            "train",
            str(folder),
            [_render(recipe, values, count, folder), self._launch(folder)],
            makes=[f"{folder}/{weights}.safetensors"],
            made_from=[*base.made_by, rows],
            # `after` and not `made_from`: an audit must pass, and changes nothing of what is trained.
            after=[audit_of(rows), *after],
            sources=[str(recipe), str(self.experiment.launcher)],
            # Recipes have Axolotl resume by itself: nothing is added to go on.
            restart="--overwrite=true",
            proof=f"{folder}/manifest.json",  # a training writes it last
            job=job,
            gpus=self.experiment.resources.train_gpus,
            gpu_share=self.experiment.resources.per_gpu,
            threads=self.experiment.resources.threads,
            facts={"recipe": str(recipe), "overrides": overrides, "rows": count, "epochs": keys["num_epochs"]},
        )
        if not base.made_by:
            stage.sources += model_sources(base.path)
        stage.facts["tokens"] = None
        if count:
            stage.facts["tokens"] = int(count * keys["num_epochs"] * keys["sequence_len"])
        made_by = (*base.made_by, self.plan.add(stage))
        return replace(base, weights=str(folder), whole=whole, made_by=made_by)

    def _launch(self, folder: Path) -> str:
        """The command that trains the recipe in a run's folder."""
        # `accelerate launch`, whose program imports its other commands too: five seconds of transformers and sklearn.
        launcher = f"{PYTHON} -m accelerate.commands.launch --config_file {self.experiment.launcher}"
        return f"{launcher} -m axolotl.cli.train {folder}/recipe.yml"


def _render(recipe: Path, values: dict[str, Any], count: int | None, folder: Path) -> str:
    """The command that writes a recipe with other values into a run's folder."""
    words = [f"{PYTHON} scripts/render_recipe.py {recipe}"]
    for key, value in values.items():
        words.append(f"--set {shlex.quote(f'{key}={_yaml(value)}')}")
    if count:
        words.append(f"--rows {count}")
    return f"{' '.join(words)} -o {folder}/recipe.yml --overwrite"


def _yaml(value: Any) -> str:
    """A value as YAML on one line; JSON is that."""
    if isinstance(value, str):
        return value
    return json.dumps(value)
