"""Scores of the tokens of one data set, with their nulls (``python -m subliminal.analysis score``)."""
