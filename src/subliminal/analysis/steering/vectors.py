"""Steering vectors: what a teacher adds to the activations of its base, and the base with that added to its own.

The vector of a teacher at a layer is the mean over prompts of h(teacher) - h(base), where h is what the layer leaves in
the residual stream at the last token of the chat template, the one that the answer's first token is predicted from.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from subliminal.analysis.answers import Answer
from subliminal.analysis.models import Models
from subliminal.analysis.scored_rows import RowSource
from subliminal.core.errors import UserError


@dataclass(frozen=True)
class Vectors:
    """What was found at one layer.

    Attributes:
        teachers: name -> vector, shape (width,).
        randoms: directions with the covariance of the base's activations, each of length 1, shape (number, width).
    """

    teachers: dict[str, torch.Tensor]
    randoms: torch.Tensor


def middle_layer(models: Models) -> int:
    """The layer that is steered unless others are asked for, counted from 0."""
    # Of an even number of layers the earlier of the two in the middle.
    return (len(models.layers(None)) - 1) // 2


def vectors(models: Models, source: RowSource, layer: int, randoms: int, seed: int) -> Vectors:
    """The vectors of all teachers and some random directions, in one pass over the prompts.

    A random direction is a sum of the base's activations at the prompts, each minus their mean, with normal random
    weights: it has the covariance of activations over prompts, and knows of no teacher. Memory does not grow with the
    rows.

    Args:
        models: the base and its teachers.
        source: rows whose prompts are read; their answers are not.
        layer: from 0.
        randoms: directions.
        seed: of their weights.

    Raises:
        UserError: there are too few prompts for a direction, or no such layer.
    """
    # On the CPU: its draws follow from the seed alone, whatever the GPU.
    random = torch.Generator().manual_seed(seed)
    sums: dict[str | None, torch.Tensor | float] = dict.fromkeys((None, *models.teachers), 0.0)
    weighted, weight_of_all, count = 0.0, 0.0, 0
    with torch.inference_mode():
        for batch in source.batches(models.tokenizer):
            states = {name: last_states(models, name, layer, batch) for name in sums}
            weights = torch.randn(randoms, len(batch), generator=random).to(models.device)
            for name, found in states.items():
                sums[name] = sums[name] + found.sum(0)
            # None is the base: random directions must know of no teacher.
            weighted = weighted + weights @ states[None]
            weight_of_all = weight_of_all + weights.sum(1)
            count += len(batch)
        if count < 2:
            raise UserError(f"{source.path} has {count} rows: a direction takes two prompts or more.")
        # Each activation minus their mean: the mean is known only now, so that its share is taken off here.
        directions = weighted - weight_of_all[:, None] * sums[None] / count
        directions = directions / directions.norm(dim=1, keepdim=True)
        return Vectors({name: (sums[name] - sums[None]) / count for name in models.teachers}, directions)


def last_states(models: Models, name: str | None, layer: int, batch: list[Answer]) -> torch.Tensor:
    """What a layer leaves at the last token of each prompt, shape (rows, width), in float32."""
    prompts = [answer.tokens[: answer.start] for answer in batch]
    length = max(map(len, prompts))
    if length > models.longest:
        raise UserError(f"A prompt has {length} tokens, and the base takes {models.longest} at most. Leave it out.")
    # filled up on the right, where no token looks
    tokens = torch.tensor([prompt + [0] * (length - len(prompt)) for prompt in prompts], device=models.device)
    last = torch.tensor([len(prompt) - 1 for prompt in prompts], device=models.device)
    kept = []

    def keep(module: Any, inputs: Any, output: Any) -> None:
        kept.append(_stream(output)[torch.arange(len(prompts), device=models.device), last].float())

    hook = models.layers(name)[_checked(models, layer)].register_forward_hook(keep)
    try:
        # The hook keeps what the layer leaves; what comes out at the end is not needed.
        models.hidden(name, tokens)
    finally:
        hook.remove()
    return kept[0]


@contextmanager
def steered(models: Models, layer: int, vector: torch.Tensor) -> Iterator[None]:
    """Within this, the base adds a vector to what one of its layers leaves, at every token.

    Args:
        models: of which the base is steered.
        layer: from 0.
        vector: shape (width,).
    """

    def add(module: Any, inputs: Any, output: Any) -> Any:
        # Cast once here: the stream of a bfloat16 model stays in its type.
        moved = _stream(output) + vector.to(models.dtype)
        if isinstance(output, tuple):
            return (moved, *output[1:])
        return moved

    hook = models.layers(None)[_checked(models, layer)].register_forward_hook(add)
    # The hook goes after an error, too: whoever asks this model next must get the base.
    try:
        yield
    finally:
        hook.remove()


def _stream(output: Any) -> torch.Tensor:
    """The residual stream in what a layer returns, which is a tuple in older versions of transformers."""
    if isinstance(output, tuple):
        return output[0]
    return output


def _checked(models: Models, layer: int) -> int:
    layers = len(models.layers(None))
    if not 0 <= layer < layers:
        raise UserError(f"There is no layer {layer}: the base has the layers 0 to {layers - 1}.")
    return layer
