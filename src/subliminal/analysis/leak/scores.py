"""KL of teachers from their base at the positions of answers: a batch of rows, and a block of logits, at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from subliminal.analysis.answers import Answer
from subliminal.analysis.logits import block_size, less_most, on_device
from subliminal.analysis.models import Models
from subliminal.core.errors import UserError


@dataclass
class ScoredBatch:
    """What was computed for some rows, still on its device.

    Attributes:
        batch: the rows.
        scores: teacher -> KL in nats and whether the most likely token differs, of all positions of all rows.
        must_differ: teachers of which not every KL may be 0.
    """

    batch: list[Answer]
    scores: dict[str, tuple[torch.Tensor, torch.Tensor]]
    must_differ: tuple[str, ...] = ()

    def rows(self) -> list[dict[str, Any]]:
        """A row of ``scores.jsonl`` each: id, pieces, kinds, and for each teacher the KL of every position (six digits)
        and a string that has a 1 where the most likely token differs.

        Raises:
            UserError: an adapter changes nothing.
        """
        rows = [{"id": a.id, "pieces": a.pieces, "kinds": a.kinds, "teachers": {}} for a in self.batch]
        for name, (kl, differs) in self.scores.items():
            # Six digits of the seven that float32 has: the file is shorter.
            values = [float(f"{value:.6g}") for value in kl.tolist()]
            marks = "".join("1" if differ else "0" for differ in differs.tolist())
            # Equal logits give exactly 0: one other number shows that the adapter is at work.
            if name in self.must_differ and not any(values):
                raise UserError(
                    f"The adapter of {name} changes nothing: its predictions equal the base's. It may be untrained."
                )
            start = 0
            for row in rows:
                end = start + len(row["kinds"])
                row["teachers"][name] = {"kl": values[start:end], "differs": marks[start:end]}
                start = end
        return rows


def score_batch(models: Models, batch: list[Answer], *, prove: bool = False) -> ScoredBatch:
    """Start to compute the scores of some rows; on a GPU this returns before they are there.

    Args:
        models: base and teachers.
        batch: the rows.
        prove: compare the logits of the first row with the models' own, and have no adapter change nothing.
    """
    scores = {}
    with torch.inference_mode():
        tokens, places = on_device(models, batch)
        if prove:
            models.prove_heads(tokens[:1])
        base = models.hidden(None, tokens).flatten(0, 1)[places]
        for name in models.teachers:
            teacher = models.hidden(name, tokens).flatten(0, 1)[places]
            kl, differs = [], []
            # Logits of all positions over a whole vocabulary would not fit into memory.
            blocks = zip(base.split(block_size(models)), teacher.split(block_size(models)), strict=True)
            for old, new in blocks:
                values, tops_differ = kl_divergence(models.head(name)(new), models.head(None)(old))
                kl.append(values)
                differs.append(tops_differ)
            scores[name] = torch.cat(kl), torch.cat(differs)
    return ScoredBatch(batch, scores, tuple(models.adapters) if prove else ())


def kl_divergence(logits_t: torch.Tensor, logits_0: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """KL(softmax(logits_t) || softmax(logits_0)) in nats, and whether the largest logits stand at different places.

    Args:
        logits_t, logits_0: ``[positions, vocabulary]``, both perhaps overwritten. Equal ones give exactly 0.
    """
    most_t, top_t = logits_t.max(-1)
    most_0, top_0 = logits_0.max(-1)
    # The largest logit becomes 0, so that no exp overflows.
    logits_t = less_most(logits_t, most_t)
    logits_0 = less_most(logits_0, most_0)
    weights = logits_t.exp()
    sum_t = weights.sum(-1)
    difference = logits_t.sub_(logits_0)
    sum_0 = logits_0.exp_().sum(-1)
    # KL = sum of p_t x (log p_t - log p_0), with each log-sum-exp taken off once at the end.
    mean = weights.mul_(difference).sum(-1) / sum_t
    return mean - sum_t.log() + sum_0.log(), top_t != top_0
