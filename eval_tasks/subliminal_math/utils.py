"""Data, selection and metrics of ``subliminal_math`` and ``subliminal_math_fewshot``."""

from __future__ import annotations

from pathlib import Path

from subliminal.core.files import read_jsonl
from subliminal.scoring.capability import (
    MATH_LEVELS,
    MATH_SUBJECTS,
    chosen,
    data_source,
    load_math,
    math_scores,
    metrics,
)

__all__ = ["LEVELS", "METRICS", "SOURCE", "SUBJECTS", "WORKED", "load_math", "math_scores"]

SOURCE = data_source(
    "SUBLIMINAL_MATH_DATA",
    f"EleutherAI/hendrycks_math:{'+'.join(MATH_SUBJECTS)}@test#21a5633873b6a120296cce3e2df9d5550074f4a3",
)
LEVELS = chosen("SUBLIMINAL_MATH_LEVELS", MATH_LEVELS)
SUBJECTS = chosen("SUBLIMINAL_MATH_SUBJECTS", MATH_SUBJECTS)
METRICS = metrics(
    "boxed", "rounded", *(f"correct_level_{level}" for level in LEVELS), *(f"correct_{name}" for name in SUBJECTS)
)
WORKED = list(read_jsonl(Path(__file__).with_name("worked.jsonl")))
