"""Rows as tensors, for the analyses that look at logits: what is fed to a model, and how much of it at once."""

from __future__ import annotations

import torch

from subliminal.analysis.answers import Answer
from subliminal.analysis.models import Models
from subliminal.core.errors import UserError

BLOCK_VALUES = 2**26
"""Logits of one model that are held at once: 256 MB in float32."""


def on_device(models: Models, batch: list[Answer]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids ``[rows, length]``, filled up on the right, and the places that predict answers (rows end to end).

    Raises:
        UserError: a row has more tokens than the base takes.
    """
    length = max(len(answer.tokens) for answer in batch)
    if length > models.longest:
        raise UserError(f"A row has {length} tokens, and the base takes {models.longest} at most. Leave it out.")
    tokens = torch.tensor([answer.tokens + [0] * (length - len(answer.tokens)) for answer in batch])
    places: list[int] = []
    for row, answer in enumerate(batch):
        places.extend(range(row * length + answer.start - 1, row * length + len(answer.tokens) - 1))
    return tokens.to(models.device), torch.tensor(places).to(models.device)


def block_size(models: Models) -> int:
    """Positions whose logits are held at once."""
    return max(1, BLOCK_VALUES // models.vocabulary)
