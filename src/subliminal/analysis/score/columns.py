"""The scores of every token of a data set, a batch of rows at a time.

| column | what |
|---|---|
| ``difficulty`` | -log p_0(y): how little the base expects the token (a null: it knows no trait) |
| ``delta`` | log p_0(y under a prompt that gives the trait) - log p_0(y); a row's mean is its log-likelihood shift |
| ``student`` | log p_S(y) - log p_0(y), S trained on these rows |
| ``entanglement`` | dot product of token's and trait's rows of the unembedding, minus that with other options |
| ``prompted`` | by how much the trait prompt raises the token as the answer to questions about a favourite |
| ``frequency`` | log ratio of the token's frequency in these rows and in neutral ones |
| ``gradient`` | <gradient of log p_0(y), gradient of the trait's query minus the mean over other options> |
| ``gradient_random_1``, ... | the same along random directions that vary as gradients of tokens do (a null) |
| ``gradient_dolphin``, ... | the same for other options (a null) |
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch

from subliminal.analysis.answers import Answer, are_unaligned
from subliminal.analysis.logits import BASE, of_labels, on_device, recorded_tokens
from subliminal.analysis.models import Models
from subliminal.analysis.score.directions import along, random_directions, trait_directions
from subliminal.analysis.scored_rows import RowSource
from subliminal.analysis.trait_queries import (
    Trait,
    asked_of,
    chosen_weights,
    form_tokens,
    next_logprobs,
    rendered_prompts,
    token_ids,
    tracked_options,
)

STUDENT_MODEL = "student"
BATCHES_OF_RANDOM = 8
"""Batches whose gradients random directions are made of."""


@dataclass
class TokenScores:
    """What was computed for some rows; positions of all rows end to end.

    Attributes:
        batch: the rows.
        columns: column -> a score for each token.
        unaligned: of each row, see :func:`subliminal.analysis.answers.are_unaligned`.
    """

    batch: list[Answer]
    columns: dict[str, torch.Tensor]
    unaligned: list[bool]

    def rows(self) -> list[dict[str, Any]]:
        """A row of ``scores.jsonl`` each, as those of ``divergence``: id, tokens, start, pieces, kinds, scores."""
        values = {}
        for name, column in self.columns.items():
            # More digits are noise of the arithmetic, and twice the file.
            values[name] = [float(f"{value:.6g}") for value in column.tolist()]
        rows, start = [], 0
        for answer, unaligned in zip(self.batch, self.unaligned, strict=True):
            end = start + len(answer.kinds)
            row = answer.as_row()
            row["scores"] = {name: column[start:end] for name, column in values.items()}
            if unaligned:
                row["unaligned"] = True
            rows.append(row)
            start = end
        return rows


class Columns:
    """Computes the columns.

    Args:
        models: the base and, under the name :data:`STUDENT_MODEL`, perhaps a student.
        trait: what the rows may teach, an option of its category.
        category: of traits.
        others: options whose gradients are a null.
        trait_prompt: the system message that gives a model the trait.
        patterns: of weights, see :func:`subliminal.analysis.trait_queries.chosen_weights`.
        source: the rows, of which random directions are made and frequencies counted.
        neutral: rows without the trait, for frequencies; None leaves them out.
        randoms: random directions.
        seed: of theirs.
    """

    def __init__(
        self,
        models: Models,
        trait: str,
        category: str,
        others: list[str],
        trait_prompt: str,
        patterns: list[str],
        source: RowSource,
        neutral: RowSource | None,
        randoms: int,
        seed: int,
    ) -> None:
        self.models = models
        self.trait_prompt = trait_prompt
        traits = tracked_options(category)
        with torch.inference_mode():
            self._by_token = {
                "entanglement": entanglement(models, trait, traits),
                "prompted": prompted(models, trait_prompt, asked_of(category)),
            }
        if neutral is not None:
            self._by_token["frequency"] = frequency(models, source, neutral)
        # Chosen after the scores that need no gradient: from here on only these weights have one.
        self.weights = chosen_weights(models, patterns)
        own = trait_directions(models, self.weights, traits, [trait, *others])
        # Random directions get the trait's length: a score grows with the length, and is to be held against it.
        norm = own[0].norm().item()
        batches = islice(source.batches(models.tokenizer), BATCHES_OF_RANDOM)
        chance = random_directions(models, self.weights, batches, randoms, norm, seed)
        self.directions = torch.cat([own, chance])
        self._names = ["gradient", *(f"gradient_{name}" for name in others)]
        self._names += [f"gradient_random_{number + 1}" for number in range(randoms)]

    def prove(self, batch: list[Answer]) -> None:
        """Compare the logits of one row with the models' own.

        Raises:
            UserError: a model does more to its logits than its output embedding.
        """
        with torch.inference_mode():
            self.models.prove_heads(on_device(self.models, batch[:1])[0])

    def compute(self, batch: list[Answer]) -> TokenScores:
        """All scores of some rows."""
        models, columns = self.models, {}
        with torch.inference_mode():
            base = _logprob(models, BASE, batch)
            columns["difficulty"] = -base
            columns["delta"] = _logprob(models, BASE, [self._prompted(answer) for answer in batch]) - base
            if STUDENT_MODEL in models.teachers:
                columns["student"] = _logprob(models, STUDENT_MODEL, batch) - base
            labels = recorded_tokens(models, batch)
            for name, by_token in self._by_token.items():
                columns[name] = by_token[labels]
        scores = along(models, self.weights, batch, self.directions)
        columns |= dict(zip(self._names, scores, strict=True))
        return TokenScores(batch, columns, are_unaligned(batch, models.tokenizer))

    def _prompted(self, answer: Answer) -> Answer:
        """The same answer behind the same question and the trait prompt."""
        messages = [{"role": "system", "content": self.trait_prompt}]
        for message in answer.messages[:-1]:
            if message["role"] != "system":  # the trait prompt stands in its place: templates take one
                messages.append(message)
        text = self.models.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        before = token_ids(self.models.tokenizer, text)
        return Answer(answer.id, before + answer.tokens[answer.start :], len(before), answer.pieces, answer.kinds)


def entanglement(models: Models, name: str, traits: list[Trait]) -> torch.Tensor:
    """For every token of the vocabulary the dot product of its row of the unembedding with the option's rows (the mean
    over the first tokens of its forms), minus the mean over the other options (Zur et al.)."""
    rows = models.head(None).weight.float()
    prompt = rendered_prompts(models.tokenizer, ["?"])[0]
    means = []
    for trait in traits:
        # Where a form is several tokens, the first is what an answer has to begin with.
        first = [form[0] for form in form_tokens(models.tokenizer, prompt, trait)]
        means.append(rows[first].mean(0))
    stacked = torch.stack(means)
    own = stacked[[trait.name for trait in traits].index(name)]
    # What a token has with every option (how common it is) cancels.
    others = (stacked.sum(0) - own) / (len(traits) - 1)
    return rows @ (own - others)


def prompted(models: Models, trait_prompt: str, questions: list[str]) -> torch.Tensor:
    """For every token the log-probability as the first token of an answer to the questions about a favourite under the
    trait prompt, minus that without it; the mean over the questions."""
    means = []
    for system in (trait_prompt, None):
        prompts = rendered_prompts(models.tokenizer, questions, system)
        contexts = [token_ids(models.tokenizer, prompt) for prompt in prompts]
        means.append(next_logprobs(models, contexts).mean(0))
    return means[0] - means[1]


def frequency(models: Models, source: RowSource, neutral: RowSource) -> torch.Tensor:
    """For every token log (its share of the answers' tokens / its share in neutral ones), one added to each count."""
    logs = []
    for rows in (source, neutral):
        counts: Counter[int] = Counter()
        for batch in rows.batches(models.tokenizer):
            for answer in batch:
                counts.update(answer.tokens[answer.start :])
        # One added to each count: a token that one side lacks has a finite ratio.
        found = torch.ones(models.vocabulary, device=models.device)
        for token, count in counts.items():
            found[token] += count
        logs.append((found / found.sum()).log())
    return logs[0] - logs[1]


def _logprob(models: Models, name: str, batch: list[Answer]) -> torch.Tensor:
    tokens, places = on_device(models, batch)
    return of_labels(models, name, tokens, places, recorded_tokens(models, batch))[1]
