"""Sections of the report that tell of analyses: what leaks, what carries the trait, and which score finds it."""
