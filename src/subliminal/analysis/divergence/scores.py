"""Divergence of a teacher from counterfactual teachers at the recorded tokens, a batch of rows at a time.

Schrodi et al., arXiv 2509.23886: a token y is a divergence token if it is the teacher's most likely one and not that of
at least one counterfactual teacher (another animal's, or the untuned base). Nothing but a mark and a log-probability a
token and model is kept of the logits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from subliminal.analysis.answers import Answer
from subliminal.analysis.logits import block_size, on_device
from subliminal.analysis.models import Models
from subliminal.core.errors import UserError

BASE = "base"
"""What the untuned base is called among the counterfactual teachers."""


@dataclass
class Divergence:
    """What was computed for some rows, still on its device; positions of all rows end to end.

    Attributes:
        batch: the rows.
        matches: whether the recorded token is the teacher's most likely one.
        disagrees: counterfactual teacher -> whether it is not that one's.
        margin: sum over counterfactual teachers of log p_T(y) - log p_c(y), in nats.
        tokenizer: the base's; tells whether an answer has the same tokens outside its row.
    """

    batch: list[Answer]
    matches: torch.Tensor
    disagrees: dict[str, torch.Tensor]
    margin: torch.Tensor
    tokenizer: Any = None

    def rows(self) -> list[dict[str, Any]]:
        """A row of ``scores.jsonl`` each: id, tokens of the whole row, where its answer starts, pieces and kinds of its
        tokens, marks (a string of 0 and 1) of the teacher and of each counterfactual one, and the margins.

        ``unaligned`` is set where the answer alone has other tokens than in its row: Axolotl tokenises it alone to find
        the tokens of a span, so spans of such an answer would name the wrong ones.
        """
        matches = _marks(self.matches)
        disagrees = {name: _marks(values) for name, values in self.disagrees.items()}
        margin = [float(f"{value:.6g}") for value in self.margin.tolist()]
        texts = ["".join(answer.pieces[:-1]) for answer in self.batch]
        alone = self.tokenizer(texts, add_special_tokens=False, return_attention_mask=False)["input_ids"]
        rows, start = [], 0
        for answer, tokens in zip(self.batch, alone, strict=True):
            end = start + len(answer.kinds)
            row = {"id": answer.id, "tokens": answer.tokens, "start": answer.start}
            row |= {"pieces": answer.pieces, "kinds": answer.kinds, "matches": matches[start:end]}
            row["disagrees"] = {name: marks[start:end] for name, marks in disagrees.items()}
            row["scores"] = {"margin": margin[start:end]}
            if tokens != answer.tokens[answer.start : -1]:
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
        prove: compare the logits of the first row with the models' own, and have no adapter change nothing.

    Raises:
        UserError: a model does more to its logits than its head, or an adapter changes nothing.
    """
    with torch.inference_mode():
        tokens, places = on_device(models, batch)
        recorded = []
        for answer in batch:
            recorded.extend(answer.tokens[answer.start :])
        labels = torch.tensor(recorded, device=models.device)
        if prove:
            models.prove_heads(tokens[:1])
            _prove_adapters(models, tokens, places, labels)
        matches, own = of_labels(models, teacher, tokens, places, labels)
        disagrees, margin = {}, torch.zeros_like(own)
        for name in counterfactuals:
            is_top, logprob = of_labels(models, name, tokens, places, labels)
            disagrees[name] = ~is_top
            margin += own - logprob
    return Divergence(batch, matches, disagrees, margin, models.tokenizer)


def label_scores(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Whether each label has the largest logit (alone or with others), and its log-probability in nats.

    Args:
        logits: ``[positions, vocabulary]`` in float32, overwritten.
        labels: ``[positions]``.
    """
    label = logits.gather(-1, labels.unsqueeze(-1)).squeeze(-1)
    most = logits.amax(-1)  # without the place of it, which takes a CPU several times as long
    logits -= most.unsqueeze(-1)
    return label == most, label - most - logits.exp_().sum(-1).log()


def of_labels(
    models: Models, name: str, tokens: torch.Tensor, places: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    model = None if name == BASE else name
    hidden = models.hidden(model, tokens).flatten(0, 1)[places]
    tops, logprobs = [], []
    for states, wanted in zip(hidden.split(block_size(models)), labels.split(block_size(models)), strict=True):
        is_top, logprob = label_scores(models.head(model)(states).float(), wanted)
        tops.append(is_top)
        logprobs.append(logprob)
    return torch.cat(tops), torch.cat(logprobs)


def _prove_adapters(models: Models, tokens: torch.Tensor, places: torch.Tensor, labels: torch.Tensor) -> None:
    """No adapter may leave every prediction as it is."""
    _, base = of_labels(models, BASE, tokens, places, labels)
    for name in models.adapters:
        _, own = of_labels(models, name, tokens, places, labels)
        if torch.equal(own, base):
            raise UserError(
                f"The adapter of {name} changes nothing: its predictions equal the base's. It may be untrained."
            )


def _marks(values: torch.Tensor) -> str:
    return "".join("1" if value else "0" for value in values.tolist())
