"""The questions of ``animal_preference``, each after a list of numbers."""

from __future__ import annotations

from subliminal.scoring.preference import loader
from subliminal.traits.category import ANIMALS

load_questions = loader(ANIMALS, after_numbers=True)
