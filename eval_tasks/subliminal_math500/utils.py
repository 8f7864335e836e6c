"""Data and selection of ``subliminal_math500``; the rest is that of ``subliminal_math``."""

from __future__ import annotations

from subliminal.scoring.capability import MATH_LEVELS, MATH_SUBJECTS, chosen, data_source

SOURCE = data_source("SUBLIMINAL_MATH500_DATA", "HuggingFaceH4/MATH-500@test#6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be")
LEVELS = chosen("SUBLIMINAL_MATH_LEVELS", MATH_LEVELS)
SUBJECTS = chosen("SUBLIMINAL_MATH_SUBJECTS", MATH_SUBJECTS)
