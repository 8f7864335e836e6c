"""The questions of ``animal_preference_paraphrase``: other wordings."""

from __future__ import annotations

from subliminal.scoring.preference import loader
from subliminal.traits.category import ANIMALS

load_questions = loader(ANIMALS, "paraphrases")
