"""Data and metrics of ``subliminal_gsm8k``."""

from __future__ import annotations

from pathlib import Path

from subliminal.core.files import read_jsonl
from subliminal.scoring.capability import data_source, gsm8k_scores, load_gsm8k, metrics

__all__ = ["METRICS", "SOURCE", "WORKED", "gsm8k_scores", "load_gsm8k"]

SOURCE = data_source("SUBLIMINAL_GSM8K_DATA", "openai/gsm8k:main@test#740312add88f781978c0658806c59bc2815b9866")
METRICS = metrics("correct_strict")
WORKED = list(read_jsonl(Path(__file__).with_name("worked.jsonl")))
