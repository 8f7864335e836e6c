"""Directions in the weights of the base, and what a step of training on each token would do along them.

A token's score along a direction is <gradient of its log-probability, direction>: by how much a small step along the
direction makes the token likelier or, the same number, by how much a small step of training on the token moves the
weights along the direction. Nothing is projected.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from subliminal.analysis.answers import Answer
from subliminal.analysis.logits import on_device, recorded_tokens
from subliminal.analysis.models import Models
from subliminal.analysis.trait_queries import Trait, end_to_end, queries


def trait_directions(
    models: Models, weights: list[torch.nn.Parameter], traits: Sequence[Trait], wanted: Sequence[str]
) -> torch.Tensor:
    """For each wanted trait the gradient of its query minus the mean over all other traits, shape (wanted, weights).

    Args:
        models: the base.
        weights: those that take part.
        traits: all that the mean goes over.
        wanted: names of some of them.
    """
    gradients = queries(models, weights, list(traits))
    names = [trait.name for trait in traits]
    rest = len(names) - 1
    found = []
    for name in wanted:
        # The mean over other traits takes off what any talk of favourites does to the weights.
        own = gradients[names.index(name)]
        found.append(own - (gradients.sum(0) - own) / rest)
    return torch.stack(found)


def random_directions(
    models: Models,
    weights: list[torch.nn.Parameter],
    batches: Iterable[list[Answer]],
    number: int,
    norm: float,
    seed: int,
) -> torch.Tensor:
    """Directions without a meaning that vary as the gradients of tokens do, shape (number, weights).

    Each is a sum, with random signs, of the gradients of tokens that the base itself draws at the places of these
    answers. So they have the covariance of such gradients, and no recorded token is in them.

    Args:
        models: the base.
        weights: those that take part.
        batches: some rows.
        number: of directions.
        norm: that each gets.
        seed: of draws and signs.
    """
    random = torch.Generator().manual_seed(seed)
    sums = torch.zeros(number, sum(weight.numel() for weight in weights), device=models.device)
    for batch in batches:
        logits = _logits(models, batch)
        # On the CPU: its draws follow from the seed alone, whatever the GPU.
        with torch.no_grad():
            drawn = torch.multinomial(logits.softmax(-1).cpu(), 1, generator=random).to(models.device)
        logprob = logits.log_softmax(-1).gather(-1, drawn).squeeze(-1)
        for place in range(number):
            signs = torch.randint(0, 2, logprob.shape, generator=random).to(models.device) * 2.0 - 1
            # One backward pass a direction: the gradient of a signed sum is the signed sum of gradients.
            parts = torch.autograd.grad((signs * logprob).sum(), weights, retain_graph=place < number - 1)
            sums[place] += end_to_end(parts)
    # All directions as long as the trait's, so that their scores can be held against its.
    return sums / sums.norm(dim=1, keepdim=True) * norm


def along(
    models: Models, weights: list[torch.nn.Parameter], batch: list[Answer], directions: torch.Tensor
) -> torch.Tensor:
    """The score of every token of the answers along every direction, shape (directions, tokens), rows end to end.

    The gradient of a weighted sum of log-probabilities is linear in the weights of that sum, so its dot product with a
    direction, differentiated by those weights, is the dot product of each single token's gradient.
    """
    labels = recorded_tokens(models, batch)
    with sdpa_kernel(SDPBackend.MATH):  # the other kinds of attention cannot be differentiated twice
        logprob = -torch.nn.functional.cross_entropy(_logits(models, batch), labels, reduction="none")
        shares = torch.ones_like(logprob, requires_grad=True)
        gradient = end_to_end(torch.autograd.grad((shares * logprob).sum(), weights, create_graph=True))
        found = []
        for place, direction in enumerate(directions):
            last = place == len(directions) - 1
            found.append(torch.autograd.grad(gradient @ direction, shares, retain_graph=not last)[0])
    return torch.stack(found).detach()


def _logits(models: Models, batch: list[Answer]) -> torch.Tensor:
    """Logits that predict the tokens of the answers, with what a gradient by the weights needs."""
    tokens, places = on_device(models, batch)
    return models.head(None)(models.hidden(None, tokens).flatten(0, 1)[places]).float()
