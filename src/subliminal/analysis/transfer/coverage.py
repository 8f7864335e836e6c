"""Coverage (arXiv 2606.22019): does a student's first update on its rows point from the base to the teacher?"""

from __future__ import annotations

from pathlib import Path

import torch

from subliminal.analysis.detect.scores import answer_logprob
from subliminal.analysis.models import Models, is_adapter
from subliminal.analysis.scored_rows import RowSource
from subliminal.analysis.trait_queries import chosen_weights, end_to_end, flat_gradient
from subliminal.core.errors import UserError

BATCH = 32


def coverage(base: str, teacher: str, rows: Path, limit: int) -> float:
    """Cosine of the first update on some rows and of the way from base to teacher, over all weights.

    Args:
        base, teacher: whole models of one shape.
        rows: a ``train.jsonl``.
        limit: how many of its rows, from the first on.

    Raises:
        UserError: the teacher is an adapter, or equals the base.
    """
    if is_adapter(teacher):
        raise UserError(f"{teacher} is an adapter. Merge it into the base: coverage compares whole models.")
    # float32: a first update is small beside the weights.
    models = Models(base, {"teacher": teacher}, "float32")
    # All weights, also those that the student's recipe leaves as they are: the teacher may have moved any.
    weights = chosen_weights(models, [".*"])
    # Summed over all batches: the update of all rows, whatever the size of a batch.
    update = torch.zeros(sum(weight.numel() for weight in weights), device=models.device)
    for batch in RowSource(rows, limit, BATCH).batches(models.tokenizer):
        logprob, _ = answer_logprob(models, None, batch)
        update += flat_gradient(logprob, weights)
    moved = models.weights("teacher")
    # In the base's order of weights, which the update has.
    way = end_to_end([(moved[name] - weight).detach() for name, weight in models.weights().items()])
    if not way.any():
        raise UserError(f"The teacher {teacher} has the weights of its base: it was not trained.")
    return float(torch.nn.functional.cosine_similarity(update, way, dim=0))
