"""Sections of the report that tell of analyses: what leaks from a teacher, what carries the trait, which score finds it."""
