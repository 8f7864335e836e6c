"""Divergence of a teacher from counterfactual teachers at the recorded tokens, a batch of rows at a time.

Schrodi et al., arXiv 2509.23886: a token y is a divergence token if it is the teacher's most likely one and not that of
at least one counterfactual teacher (another animal's, or the untuned base). Nothing but a mark and a log-probability a
token and model is kept of the logits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from subliminal.analysis.answers import Answer, are_unaligned
from subliminal.analysis.logits import BASE, of_labels, on_device, recorded_tokens
from subliminal.analysis.models import Models
from subliminal.core.errors import UserError


@dataclass
class Divergence:
    """What was computed for some rows, still on its device; positions of all rows end to end.

    Attributes:
        batch: the rows.
        matches: whether the recorded token is the teacher's most likely one.
        disagrees: counterfactual teacher -> whether it is not that one's.
        margin: sum over counterfactual teachers of log p_T(y) - log p_c(y), in nats.
        tokenizer: the base's; tells whether an answer has the same tokens outside its row.
        unchanged: adapter that must change something -> whether all its predictions equal the base's.
    """

    batch: list[Answer]
    matches: torch.Tensor
    disagrees: dict[str, torch.Tensor]
    margin: torch.Tensor
    tokenizer: Any = None
    unchanged: dict[str, torch.Tensor] = field(default_factory=dict)

    def rows(self) -> list[dict[str, Any]]:
        """A row of ``scores.jsonl`` each: id, tokens of the whole row, where its answer starts, pieces and kinds of its
        tokens, marks (a string of 0 and 1) of the teacher and of each counterfactual one, and the margins.

        ``unaligned`` is set where it is true, see :func:`are_unaligned`.

        Raises:
            UserError: an adapter changes nothing.
        """
        for name, is_unchanged in self.unchanged.items():
            if is_unchanged:
                raise UserError(
                    f"The adapter of {name} changes nothing: its predictions equal the base's. It may be untrained."
                )
        matches = _marks(self.matches)
        disagrees = {name: _marks(values) for name, values in self.disagrees.items()}
        # More digits are noise of the arithmetic, and twice the file.
        margin = [float(f"{value:.6g}") for value in self.margin.tolist()]
        rows, start = [], 0
        for answer, unaligned in zip(self.batch, are_unaligned(self.batch, self.tokenizer), strict=True):
            end = start + len(answer.kinds)
            row = answer.as_row() | {"matches": matches[start:end]}
            row["disagrees"] = {name: marks[start:end] for name, marks in disagrees.items()}
            row["scores"] = {"margin": margin[start:end]}
            if unaligned:
                row["unaligned"] = True
            rows.append(row)
            start = end
        return rows


def score_batch(
    models: Models, batch: list[Answer], teacher: str, counterfactuals: list[str], *, prove: bool = False
) -> Divergence:
    """Start to compute the scores of some rows; on a GPU this returns before they are there.

    Args:
        models: base and teachers.
        batch: the rows.
        teacher: name of the one that wrote them.
        counterfactuals: names of the others; :data:`BASE` is the base.
        prove: compare the logits of the first row with the models' own, and have :meth:`Divergence.rows` refuse an
            adapter that changes nothing.

    Raises:
        UserError: a model does more to its logits than its head.
    """
    with torch.inference_mode():
        tokens, places = on_device(models, batch)
        labels = recorded_tokens(models, batch)
        if prove:
            models.prove_heads(tokens[:1])
        matches, own = of_labels(models, teacher, tokens, places, labels)
        disagrees, margin = {}, torch.zeros_like(own)
        logprobs = {teacher: own}
        for name in counterfactuals:
            is_top, logprob = of_labels(models, name, tokens, places, labels)
            # Alone or with others: a tie is no disagreement.
            disagrees[name] = ~is_top
            margin += own - logprob
            logprobs[name] = logprob
        unchanged: dict[str, torch.Tensor] = {}
        if prove and models.adapters:
            if BASE not in logprobs:
                _, logprobs[BASE] = of_labels(models, BASE, tokens, places, labels)
            # The scores of this batch tell it, so that no model computes it twice; nothing waits for the device here.
            for name in models.adapters:
                unchanged[name] = (logprobs[name] == logprobs[BASE]).all()
    return Divergence(batch, matches, disagrees, margin, models.tokenizer, unchanged)


def _marks(values: torch.Tensor) -> str:
    return "".join(str(int(value)) for value in values.tolist())
