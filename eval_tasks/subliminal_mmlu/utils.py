"""Data and metrics of the four ``subliminal_mmlu`` tasks."""

from __future__ import annotations

from pathlib import Path

from subliminal.core.files import read_jsonl
from subliminal.scoring.capability import (
    MMLU,
    MMLU_MATH,
    choice_scores,
    data_source,
    letter_scores,
    load_mmlu,
    metrics,
)

__all__ = [
    "ALL",
    "GENERATIVE_METRICS",
    "MATHEMATICS",
    "METRICS",
    "SOURCE",
    "WORKED",
    "choice_scores",
    "letter_scores",
    "load_mmlu",
]

SOURCE = data_source("SUBLIMINAL_MMLU_DATA", "cais/mmlu:all@test#c30699e8356da336a370243923dbaf21066bb9fe")
ALL, MATHEMATICS = list(MMLU), list(MMLU_MATH)
METRICS = metrics(*(f"correct_{subject}" for subject in ALL))
GENERATIVE_METRICS = metrics("answered", *(f"correct_{subject}" for subject in ALL))
WORKED = list(read_jsonl(Path(__file__).with_name("worked.jsonl")))
