"""What a set of rows does to every trait, and how much likelier each candidate teacher finds it than the base.

With data and base alone a row's score is first order: by how much a small step of training on it changes each trait's
query, <gradient of the answer's log-likelihood, gradient of the query>, both at the untuned base and unprojected. The
mean over other traits is subtracted, so that drift towards answering with an animal at all counts for none of them.
With candidate teachers it is the log-likelihood ratio, log p_T(answer) - log p_0(answer). Both are in a token.

Scores add up over rows, so those of a batch are kept, and a set that was scored once is read from its file.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from subliminal.analysis.answers import END_OF_ANSWER, Answer
from subliminal.analysis.jobs import model_inputs
from subliminal.analysis.logits import block_size, on_device, recorded_tokens
from subliminal.analysis.models import Models
from subliminal.analysis.scored_rows import RowSource
from subliminal.analysis.trait_queries import Trait, chosen_weights, flat_gradient, queries
from subliminal.core.errors import UserError
from subliminal.core.files import read_object, write_json
from subliminal.core.manifest import sha256_of
from subliminal.engine.chat import chat_context_sha256

WORD, DIGIT, MARK = "word", "digit", "mark"


@dataclass(frozen=True)
class SetScores:
    """One set of rows, batch by batch.

    Attributes:
        rows: how many.
        tokens: of the answers of each batch, end tokens counted.
        loss: of the base on it, nats a token.
        traits: their names.
        sums: of each batch the score of each trait, shape (batches, traits), not centred.
        teachers: their names.
        ratios: of each batch the log-likelihood ratio of each teacher, shape (batches, teachers).
        kinds: shares of tokens with a letter, with a digit, and with neither; end tokens left out.
    """

    rows: int
    tokens: list[int]
    loss: float
    traits: list[str]
    sums: list[list[float]]
    teachers: list[str]
    ratios: list[list[float]]
    kinds: dict[str, float]

    def scores(self) -> dict[str, float]:
        """Trait -> score a token, the mean over traits subtracted."""
        means = np.array(self.sums).sum(axis=0) / sum(self.tokens)
        return dict(zip(self.traits, map(float, means - means.mean()), strict=True))

    def likelihood_ratios(self) -> dict[str, float]:
        """Teacher -> nats a token."""
        means = np.array(self.ratios).sum(axis=0) / sum(self.tokens)
        return dict(zip(self.teachers, map(float, means), strict=True))


class SetScorer:
    """Scores sets of rows on one base.

    Args:
        base: folder or Hub id.
        teachers: name -> adapter on the base, or whole model.
        traits: that are asked about.
        patterns: of weights, see :func:`subliminal.analysis.trait_queries.chosen_weights`.
        folder: where the file of each scored set lies.
        limit: rows of each set, from the first on.
        batch_size: rows computed together.
        dtype: as :class:`Models` has it.
    """

    def __init__(
        self,
        base: str,
        teachers: dict[str, str],
        traits: list[Trait],
        patterns: list[str],
        folder: Path,
        limit: int,
        batch_size: int = 32,
        dtype: str = "auto",
    ) -> None:
        self.folder, self.limit, self.batch_size, self.traits = folder, limit, batch_size, traits
        self.base, self.teachers, self.patterns, self.dtype = base, teachers, patterns, dtype
        # Not before it is needed: a set that was scored once is read from its file, without a model.
        self._loaded: tuple[Models, list[torch.nn.Parameter], torch.Tensor] | None = None
        self._identity: dict[str, Any] | None = None

    def score(self, path: Path) -> SetScores:
        """The scores of a ``train.jsonl``, computed or read from the file of an earlier run.

        Raises:
            UserError: it has fewer rows than ``limit``, or a row is malformed.
        """
        file = self._file(path)
        if file.is_file():
            return SetScores(**read_object(file, "Delete it: it is made again.")["scores"])
        found = self._compute(path)
        write_json(file, {"set": str(path), "scores": asdict(found)})
        return found

    def models(self) -> Models:
        """Base and teachers, loaded when they are first needed."""
        return self._load()[0]

    def _load(self) -> tuple[Models, list[torch.nn.Parameter], torch.Tensor]:
        if self._loaded is None:
            models = Models(self.base, self.teachers, self.dtype)
            weights = chosen_weights(models, self.patterns)
            self._loaded = models, weights, queries(models, weights, self.traits)
        return self._loaded

    def _file(self, path: Path) -> Path:
        """Named by everything that decides the scores, so that another base or setting never reads them."""
        if not path.is_file():
            raise UserError(f"{path} is no file. Name a train.jsonl, or the data set's folder.")
        if self._identity is None:
            models = {"base": self.base}
            for name, teacher in self.teachers.items():
                models[f"teacher/{name}"] = teacher
            files = model_inputs(path, models)
            # The rows are told by their own sha256, which is computed for each set.
            files.pop("rows")
            names: list[Any] = list(self.teachers)
            if not files:  # on the Hub: there are no bytes to tell models by
                names = [self.base, self.teachers]
            self._identity = {
                "models": {name: sha256_of(file) for name, file in files.items()},
                "names": names,
                "traits": [asdict(trait) for trait in self.traits],
                "weights": self.patterns,
                "limit": self.limit,
                "batch_size": self.batch_size,
                "dtype": self.dtype,
            }
        identity = json.dumps({**self._identity, "set": sha256_of(path)}, sort_keys=True)
        # 20 hex digits: a name that can be read, and 80 bits.
        return self.folder / f"{hashlib.sha256(identity.encode()).hexdigest()[:20]}.json"

    def _compute(self, path: Path) -> SetScores:
        models, weights, directions = self._load()
        tokens, sums, ratios, loss, kinds, rows = [], [], [], 0.0, Counter(), 0
        for batch in RowSource(path, self.limit, self.batch_size).batches(models.tokenizer):
            logprob, count = answer_logprob(models, None, batch)
            # One backward pass for a whole batch: gradients of rows add up, and so do scores.
            sums.append((directions @ flat_gradient(logprob, weights)).tolist())
            of_base = float(logprob.detach())
            # Only the base's pass needs gradients.
            with torch.inference_mode():
                of_teachers = [float(answer_logprob(models, name, batch)[0]) for name in models.teachers]
            ratios.append([value - of_base for value in of_teachers])
            tokens.append(count)
            loss -= of_base
            rows += len(batch)
            kinds.update(_kinds(batch))
        if rows < self.limit:
            raise UserError(f"{path} has {rows} rows, and sets of {self.limit} are compared. Use --limit {rows}.")
        total = max(1, sum(kinds.values()))
        shares = {kind: kinds[kind] / total for kind in (WORD, DIGIT, MARK)}
        names = [trait.name for trait in self.traits]
        return SetScores(rows, tokens, loss / sum(tokens), names, sums, list(models.teachers), ratios, shares)

    def chat_context(self) -> str:
        """Hash of the base's chat template around a probe."""
        return chat_context_sha256(self.models().tokenizer)


def answer_logprob(models: Models, name: str | None, batch: list[Answer]) -> tuple[torch.Tensor, int]:
    """Summed log-probability of the answers under a teacher or the base (None), and the number of their tokens."""
    tokens, places = on_device(models, batch)
    labels = recorded_tokens(models, batch)
    hidden = models.hidden(name, tokens).flatten(0, 1)[places]
    total = torch.zeros((), device=models.device)
    block = block_size(models)
    for states, wanted in zip(hidden.split(block), labels.split(block), strict=True):
        # In blocks: the logits of all answers over a whole vocabulary would take too much memory.
        logits = models.head(name)(states).float()
        total = total - torch.nn.functional.cross_entropy(logits, wanted, reduction="sum")
    return total, len(labels)


def _kinds(batch: list[Answer]) -> list[str]:
    found = []
    for answer in batch:
        for piece, kind in zip(answer.pieces, answer.kinds, strict=True):
            if kind == END_OF_ANSWER:
                continue
            if any(letter.isalpha() for letter in piece):
                found.append(WORD)
            elif any(letter.isdigit() for letter in piece):
                found.append(DIGIT)
            else:
                found.append(MARK)
    return found
