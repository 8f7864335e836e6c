"""Recipes: their schema, lint, header and index, and what the Axolotl plugin checks before a run starts."""
