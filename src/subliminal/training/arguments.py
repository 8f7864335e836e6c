"""The keys that :class:`subliminal.axolotl_plugin.StrictRecipe` adds to a recipe; this module imports quickly."""

from __future__ import annotations

from pydantic import BaseModel, Field


class StrictRecipeArgs(BaseModel):
    """The keys that this plugin adds to a recipe."""

    effective_batch: int = Field(
        description="Rows of one optimiser step over all processes; a run that differs is refused."
    )
    lora_init_seed: int | None = Field(
        default=None, description="Seed of the adapter's first weights; empty takes `seed`, as without an adapter."
    )
    overwrite: bool = Field(default=False, description="Delete an earlier run in output_dir and train from the start.")
