"""Recipes: their schema, lint, header and index, and what the Axolotl plugin checks before a run starts."""

VALUES_CHECKED = "SUBLIMINAL_VALUES_CHECKED"
"""The environment variable by which a run of an experiment says that its recipes' values were checked when it was
planned. A check imports Axolotl, six seconds of a core for each training, which checks them once more itself."""
