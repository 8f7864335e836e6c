"""What a steered base says: by how much a direction raises each option of a category, in nats.

The lift of an option is the mean over the category's questions of log P(the answer starts with one of its names),
steered minus untouched; from each the mean over all options is subtracted, so that a push towards answering with any
animal at all counts for none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from subliminal.analysis.models import Models
from subliminal.analysis.steering.vectors import steered
from subliminal.analysis.trait_queries import (
    Trait,
    asked_of,
    first_logprobs,
    form_tokens,
    rendered_prompts,
    trait_logprobs,
)


class Lifts:
    """Asks the base for a category's options, untouched once and then steered.

    Args:
        models: the base.
        traits: options of one category, whose questions are asked.
    """

    def __init__(self, models: Models, traits: list[Trait]) -> None:
        self.models, self.traits = models, traits
        self._prompts = rendered_prompts(models.tokenizer, asked_of(traits[0].category))
        self._untouched = self._logprobs()

    def of(self, layer: int, vector: torch.Tensor) -> dict[str, float]:
        """Option -> lift when this is added to what the layer leaves, nats."""
        with steered(self.models, layer, vector):
            moved = self._logprobs() - self._untouched
        # A push towards answering with any option at all lifts every one alike, and is no trait.
        moved = moved - moved.mean()
        names = [trait.name for trait in self.traits]
        return dict(zip(names, moved.tolist(), strict=True))

    def _logprobs(self) -> np.ndarray:
        found = []
        with torch.inference_mode():
            first = first_logprobs(self.models, self._prompts)
            for trait in self.traits:
                # All prompts end alike, in the template's words: the tokens behind one are those behind every one.
                forms = form_tokens(self.models.tokenizer, self._prompts[0], trait)
                found.append(trait_logprobs(self.models, self._prompts, forms, first).mean().item())
        return np.array(found)


@dataclass(frozen=True)
class Steered:
    """What a teacher's vector does to one option.

    Attributes:
        rise: of that option, nats above the mean of all options.
        place: among all options, from 1.
        p: share of random directions of the same length that raise it as much, the vector itself counted in; None
            without any.
        spread: standard deviation of the random directions' rises, nats; None with fewer than two.
    """

    rise: float
    place: int
    p: float | None
    spread: float | None


def judged(option: str, lifts: dict[str, float], of_random: list[dict[str, float]]) -> Steered:
    """One option's lift beside those of all options, and beside what random directions do to it."""
    rise = lifts[option]
    place = 1 + sum(other > rise for other in lifts.values())
    random = [each[option] for each in of_random]
    p = spread = None
    if random:
        # The vector itself counts among the directions, so that p is never 0.
        p = (1 + sum(value >= rise for value in random)) / (1 + len(random))
    if len(random) > 1:
        spread = float(np.std(random, ddof=1))
    return Steered(rise, place, p, spread)
