"""Rows as tensors, and what models say of their recorded tokens: a block of logits at a time."""

from __future__ import annotations

import numpy as np
import torch

from subliminal.analysis.answers import Answer
from subliminal.analysis.models import Models
from subliminal.core.errors import UserError

BASE = "base"
"""What the untuned base is called among the models of an analysis."""
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
    # Of numpy: torch.tensor takes five times as long over lists.
    tokens = np.zeros((len(batch), length), dtype=np.int64)
    places = []
    for row, answer in enumerate(batch):
        end = len(answer.tokens)
        tokens[row, :end] = answer.tokens  # no place of an answer looks to what fills up its right
        # The logits at a place predict the next one, so an answer's begin one place before it.
        places.append(np.arange(row * length + answer.start - 1, row * length + end - 1))
    return _sent(models, tokens), _sent(models, np.concatenate(places))


def _sent(models: Models, values: np.ndarray) -> torch.Tensor:
    """The values on the models' device."""
    tensor = torch.from_numpy(values)
    if models.device == "cuda":
        # From other memory than pinned a copy waits until the GPU has computed all that it was given before.
        tensor = tensor.pin_memory()
    return tensor.to(models.device, non_blocking=True)


def block_size(models: Models) -> int:
    """Positions whose logits are held at once."""
    return max(1, BLOCK_VALUES // models.vocabulary)


def recorded_tokens(models: Models, batch: list[Answer]) -> torch.Tensor:
    """The tokens that :func:`on_device`'s places predict, rows end to end."""
    recorded: list[int] = []
    for answer in batch:
        recorded.extend(answer.tokens[answer.start :])
    return _sent(models, np.array(recorded, dtype=np.int64))


def less_most(logits: torch.Tensor, most: torch.Tensor) -> torch.Tensor:
    """Logits in float32 less the largest of their position.

    Args:
        logits: ``[positions, vocabulary]``; overwritten if they are in float32.
        most: the largest at each position.
    """
    if logits.dtype == torch.float32:
        return logits.sub_(most.unsqueeze(-1))  # in place: a block of logits is 256 MB
    # In one step with the change of type, which alone reads and writes the block once more.
    return logits.sub(most.float().unsqueeze(-1))


def label_scores(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Whether each label has the largest logit (alone or with others), and its log-probability in nats.

    Args:
        logits: ``[positions, vocabulary]``, perhaps overwritten.
        labels: ``[positions]``.
    """
    label = logits.gather(-1, labels.unsqueeze(-1)).squeeze(-1)
    most = logits.amax(-1)  # without the place of it, which takes a CPU several times as long
    total = less_most(logits, most).exp_().sum(-1)
    # A label that ties with another for the largest logit counts as the top.
    return label == most, label.float() - most.float() - total.log()


def of_labels(
    models: Models, name: str, tokens: torch.Tensor, places: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """:func:`label_scores` of one model, a block of logits at a time.

    Args:
        models: base and teachers.
        name: a teacher's, or :data:`BASE`.
        tokens, places: of :func:`on_device`.
        labels: of :func:`recorded_tokens`.
    """
    model: str | None = name
    if name == BASE:
        model = None
    hidden = models.hidden(model, tokens).flatten(0, 1)[places]
    block = block_size(models)
    tops, logprobs = [], []
    for states, wanted in zip(hidden.split(block), labels.split(block), strict=True):
        is_top, logprob = label_scores(models.head(model)(states), wanted)
        tops.append(is_top)
        logprobs.append(logprob)
    return torch.cat(tops), torch.cat(logprobs)
