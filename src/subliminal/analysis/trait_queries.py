"""The traits that a data set might teach, as directions in the weights: which change makes each the likelier answer.

The query of a trait is the mean over questions of log P(the answer starts with one of its names), with the names and
questions of the category's task with exact probabilities (``animal_preference_logprob``). Its gradient at the untuned
base is what the rows are held against.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch

from subliminal.analysis.models import Models
from subliminal.core.errors import UserError
from subliminal.traits.category import ANIMALS, load_category
from subliminal.traits.lexicon import lexicon


@dataclass(frozen=True)
class Trait:
    """``forms`` are the ways in which an answer can start with it; ``category`` says which questions ask for it."""

    name: str
    forms: tuple[str, ...]
    category: str = ANIMALS


def tracked_options(category: str = ANIMALS) -> list[Trait]:
    """Every tracked option of a category: singular and plurals, capitalised or not."""
    words = lexicon(category)
    traits = []
    for option in words.options:
        traits.append(Trait(option, tuple(words.surface_forms(option)), category))
    return traits


def chosen_weights(models: Models, patterns: list[str]) -> list[torch.nn.Parameter]:
    """The weights of the base that are asked for; no other one gets a gradient from here on.

    Args:
        models: the base.
        patterns: regular expressions that match a name from its start, as ``unfrozen_parameters`` of a recipe; none:
            all vectors (norms and biases), which any training moves and which take little memory.

    Raises:
        UserError: a pattern matches no weight.
    """
    weights = models.weights()
    asked: set[str] = set()
    for pattern in patterns:
        matching = {name for name in weights if re.match(pattern, name)}
        if not matching:
            raise UserError(
                f"--weights: no weight of the base matches {pattern} from the start of its name, such as "
                f"{next(iter(weights))}. Put .* before a pattern that is to match anywhere."
            )
        asked |= matching
    if not patterns:
        asked = {name for name, weight in weights.items() if weight.ndim == 1}
    if not asked:
        raise UserError("The base has no norms or biases. Name weights with --weights.")
    names = [name for name in weights if name in asked]  # in the model's order, which a gradient's entries have
    models.train_only(names)
    return [weights[name] for name in names]


def flat_gradient(value: torch.Tensor, weights: list[torch.nn.Parameter], *, keep: bool = False) -> torch.Tensor:
    """Gradient of a number by the weights, end to end in float32; ``keep`` what another number is made from too."""
    return end_to_end(torch.autograd.grad(value, weights, retain_graph=keep))


def end_to_end(parts: Iterable[torch.Tensor]) -> torch.Tensor:
    """Tensors as one vector in float32."""
    return torch.cat([part.flatten().float() for part in parts])


def asked_of(category: str) -> list[str]:
    """The questions of a category's evaluation."""
    return [row["question"] for row in load_category(category).questions()]


def queries(models: Models, weights: list[torch.nn.Parameter], traits: list[Trait]) -> torch.Tensor:
    """The gradient of every trait's query.

    Args:
        models: the base.
        weights: those that have a gradient.
        traits: options of one category, whose questions are asked.

    Returns:
        Shape (traits, weights).
    """
    prompts = rendered_prompts(models.tokenizer, asked_of(traits[0].category))
    first = first_logprobs(models, prompts)
    gradients = []
    for trait in traits:
        forms = form_tokens(models.tokenizer, prompts[0], trait)
        logprob = trait_logprobs(models, prompts, forms, first).mean()
        # Kept: the first tokens' part of the graph is the same for all traits.
        gradients.append(flat_gradient(logprob, weights, keep=True))
    return torch.stack(gradients)


def first_logprobs(models: Models, prompts: list[str]) -> torch.Tensor:
    """log P of every token as the first of an answer; shape (prompts, vocabulary)."""
    return next_logprobs(models, [token_ids(models.tokenizer, prompt) for prompt in prompts])


def trait_logprobs(
    models: Models, prompts: list[str], forms: list[tuple[int, ...]], first: torch.Tensor
) -> torch.Tensor:
    """log P(the answer starts with one of the forms) after every prompt; shape (prompts,).

    Args:
        models: the base.
        prompts: as the chat template shows them.
        forms: of :func:`form_tokens`.
        first: of :func:`first_logprobs`, which are the same for all traits.
    """
    asked = [token_ids(models.tokenizer, prompt) for prompt in prompts]
    # Forms that begin alike ("owl", "owls") share the contexts of their beginnings: each is computed once.
    place_of: dict[tuple[int, ...], int] = {}
    contexts: list[list[int]] = []
    for form in forms:
        # Prefixes of one token or more: the first token's probability comes with the prompt alone.
        for length in range(1, len(form)):
            prefix = form[:length]
            if prefix not in place_of:
                place_of[prefix] = len(place_of)
                contexts += [[*tokens, *prefix] for tokens in asked]
    if contexts:
        logprobs = next_logprobs(models, contexts).unflatten(0, (len(place_of), len(prompts)))
    of_forms = []
    for form in forms:
        steps = [first[:, form[0]]]
        for length in range(1, len(form)):
            steps.append(logprobs[place_of[form[:length]], :, form[length]])
        of_forms.append(torch.stack(steps).sum(0))
    # The forms exclude each other, so their probabilities add up.
    return torch.stack(of_forms).logsumexp(0)


def form_tokens(tokenizer: Any, prompt: str, trait: Trait) -> list[tuple[int, ...]]:
    """The tokens of the trait's forms behind a prompt; a form that goes on from another one is part of that one."""
    behind = len(token_ids(tokenizer, prompt))
    # Behind the prompt, since a form may merge with the token before it.
    found = dict.fromkeys(tuple(token_ids(tokenizer, prompt + form)[behind:]) for form in trait.forms)
    kept = []
    # "owls" starts with "owl" where both begin with one token: its probability is part of that one's already.
    for form in found:
        beginnings = {form[:length] for length in range(len(form))}
        if beginnings.isdisjoint(found):
            kept.append(form)
    return kept


def next_logprobs(models: Models, contexts: list[list[int]]) -> torch.Tensor:
    """log P of every next token; shape (contexts, vocabulary)."""
    lengths = torch.tensor([len(context) for context in contexts])
    filled = torch.zeros(len(contexts), int(lengths.max()), dtype=torch.long)  # on the right, where no place looks
    for row, context in enumerate(contexts):
        filled[row, : len(context)] = torch.tensor(context)
    rows, last = torch.arange(len(contexts)).to(models.device), (lengths - 1).to(models.device)
    # The state at a context's last token predicts the next one.
    hidden = models.hidden(None, filled.to(models.device))[rows, last]
    return models.head(None)(hidden).float().log_softmax(-1)


def rendered_prompts(tokenizer: Any, questions: list[str], system: str | None = None) -> list[str]:
    """The questions as the chat template shows them to a model that is to answer."""
    before = [{"role": "system", "content": system}] if system is not None else []
    asked = []
    for question in questions:
        asked.append([*before, {"role": "user", "content": question}])
    return tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)


def token_ids(tokenizer: Any, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]
