"""Log-probabilities of many short continuations of each of many prompts, in few forward passes.

The continuations of one prompt are a tree of tokens, in which those that begin alike share their first nodes. A
sequence is a prompt and, behind it, one position for every node that another token follows. An attention mask lets each
node see the prompt and the nodes above it, and nothing else. The sequences of several prompts are one forward pass:

    prompt 1        . . P P P P P | a b c d .       padding (.) on the left, so that all prompts end in one column,
    prompt 2        P P P P P P P | a b c d e       and on the right, where a tree is smaller

Only the last column of the prompts and those of the trees need logits.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

Tokens = tuple[int, ...]
PASS_BYTES = 2**29
"""The logits of a pass take at most this much (and so do the attention weights of a layer), or it has one prompt."""

FOLLOW_MASKS = ("eager", "sdpa")
"""Attention of transformers that takes a mask for each pair of places; flash attention knows padding alone."""
SEE_BACK = {"full_attention", "sliding_attention", "attention"}
"""Kinds of layers in which a token sees the tokens before it by that mask; recurrent ones go by columns."""


def can_score(model: Any) -> bool:
    """Whether a model computes in one pass what it would of each continuation alone.

    It has to take the mask and the positions of :func:`score_pass`; where it does not, the numbers would be wrong
    without a word.

    Args:
        model: a causal language model of transformers, without an adapter around it.
    """
    config = model.config.get_text_config()
    kinds = getattr(config, "layer_types", None) or getattr(config, "layers_block_type", None) or []
    if config._attn_implementation not in FOLLOW_MASKS or not set(kinds) <= SEE_BACK:
        return False
    # ALiBi counts columns, and siblings stand in different ones.
    return "position_ids" in inspect.signature(model.forward).parameters and not getattr(config, "alibi", False)


@dataclass(frozen=True)
class Tree:
    """Continuations of one prompt. Row 0 of its logits comes after the prompt, row ``i + 1`` after node ``i``.

    Attributes:
        tokens: the token of each node.
        depths: how many tokens after the prompt each node is, from 1.
        sees: [node, node], whether the first sees the second: itself and the nodes above it.
        rows, chosen: of every step, the row of logits that predicts it, and its token. No two steps are the same.
        paths: the steps of each continuation.
    """

    tokens: Tokens
    depths: Tokens
    sees: torch.Tensor
    rows: torch.Tensor
    chosen: torch.Tensor
    paths: tuple[Tokens, ...]


@lru_cache(maxsize=64)  # most tasks ask for the same continuations of every prompt
def token_tree(continuations: tuple[Tokens, ...]) -> Tree:
    """The tree of continuations (token ids)."""
    nodes = set()
    for ids in continuations:
        # The last token of a continuation is predicted and predicts nothing, so it needs no position.
        for end in range(1, len(ids)):
            nodes.add(ids[:end])
    ordered = sorted(nodes, key=len)  # parents first
    row_of: dict[Tokens, int] = {(): 0}
    for row, node in enumerate(ordered, start=1):
        row_of[node] = row
    sees = torch.eye(len(ordered), dtype=torch.bool)
    for index, node in enumerate(ordered):
        parent = row_of[node[:-1]] - 1
        if parent >= 0:
            # A node sees what its parent sees, and itself; parents come first, so theirs is complete.
            sees[index] |= sees[parent]
    steps: dict[tuple[int, int], int] = {}
    paths = []
    for ids in continuations:
        path = []
        for end, token in enumerate(ids):
            # Continuations that share a step share its number, so its log-probability is read once.
            path.append(steps.setdefault((row_of[ids[:end]], token), len(steps)))
        paths.append(tuple(path))
    return Tree(
        tokens=tuple(node[-1] for node in ordered),
        depths=tuple(map(len, ordered)),
        sees=sees,
        rows=torch.tensor([row for row, _ in steps], dtype=torch.long),
        chosen=torch.tensor([token for _, token in steps], dtype=torch.long),
        paths=tuple(paths),
    )


def passes(prompts: Sequence[Tokens], trees: Sequence[Tree], model: Any, most: int) -> list[list[int]]:
    """Which prompts are computed together: those of like length, in the memory of :data:`PASS_BYTES`.

    Args:
        prompts: token ids.
        trees: of the continuations of each.
        model: a causal language model of transformers; its vocabulary, heads and type of numbers count.
        most: prompts together.

    Returns:
        The indices of the prompts of each pass, the longest first.
    """
    config = model.config.get_text_config()
    affordable = PASS_BYTES // model.dtype.itemsize
    # By length, so that prompts of like length share a pass and little padding is computed.
    longest_first = sorted(range(len(prompts)), key=lambda index: -len(prompts[index]))
    batches: list[list[int]] = []
    rows, length = 0, 0  # of the last batch
    for index in longest_first:
        rows = max(rows, 1 + len(trees[index].tokens))
        length = max(length, len(prompts[index]))
        columns = length + rows
        # Logits take rows x vocabulary, one layer's attention columns x columns x heads: the larger decides.
        numbers = max(rows * config.vocab_size, columns**2 * config.num_attention_heads)
        if batches and len(batches[-1]) < most and (len(batches[-1]) + 1) * numbers <= affordable:
            batches[-1].append(index)
            continue
        batches.append([index])
        rows, length = 1 + len(trees[index].tokens), len(prompts[index])
    return batches


@torch.inference_mode()
def score_pass(model: Any, prompts: Sequence[Tokens], trees: Sequence[Tree]) -> list[list[tuple[float, bool]]]:
    """Score all continuations of some prompts in one forward pass.

    Args:
        model: a causal language model of transformers.
        prompts: token ids, at least one each.
        trees: of the continuations of each.

    Returns:
        For each prompt, (log-probability in nats, whether it is the likeliest text) of each of its continuations.
    """
    device = model.device
    ids, positions, sees = _sequences(prompts, trees)
    # What a position must not see gets the least number that the type has: a weight of 0 after softmax.
    mask = torch.zeros(sees.shape, dtype=model.dtype, device=device)
    mask.masked_fill_(~sees.to(device), torch.finfo(model.dtype).min)
    output = model(
        input_ids=ids.to(device),
        position_ids=positions.to(device),
        attention_mask=mask[:, None],  # the same for all heads
        logits_to_keep=1 + max(len(tree.tokens) for tree in trees),
        use_cache=False,
    )
    logprobs, likeliest = [], []
    for all_rows, tree in zip(output.logits, trees, strict=True):
        logits = all_rows[: 1 + len(tree.tokens)].float()  # one prompt at a time: float32 takes twice as much memory
        rows, chosen = tree.rows.to(device), tree.chosen.to(device)
        # In float64, since the steps of a continuation are added.
        logprobs.append(logits[rows, chosen].double() - logits.logsumexp(dim=1).double()[rows])
        likeliest.append(logits.argmax(dim=1)[rows] == chosen)
    # Read once a pass: each reading waits for the GPU.
    steps = list(zip(torch.cat(logprobs).tolist(), torch.cat(likeliest).tolist(), strict=True))
    scores, first = [], 0
    for tree in trees:
        own = steps[first : first + len(tree.rows)]
        first += len(own)
        scores.append([_along(path, own) for path in tree.paths])
    return scores


def _along(path: Tokens, steps: Sequence[tuple[float, bool]]) -> tuple[float, bool]:
    """Log-probability of a continuation, and whether it is the likeliest text, from those of its steps."""
    logprob, is_greedy = 0.0, True
    for step in path:
        logprob += steps[step][0]
        is_greedy = is_greedy and steps[step][1]
    return logprob, is_greedy


def _sequences(prompts: Sequence[Tokens], trees: Sequence[Tree]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Token ids and positions [prompt, column], and whether a column sees another [prompt, column, column]."""
    start = max(map(len, prompts))  # the column at which the trees begin
    columns = start + max(len(tree.tokens) for tree in trees)
    ids = torch.zeros(len(prompts), columns, dtype=torch.long)
    positions = torch.zeros(len(prompts), columns, dtype=torch.long)
    # Padding sees itself: a softmax over nothing would be no number.
    sees = torch.eye(columns, dtype=torch.bool).repeat(len(prompts), 1, 1)
    for row, (prompt, tree) in enumerate(zip(prompts, trees, strict=True)):
        first, end = start - len(prompt), start + len(tree.tokens)
        ids[row, first:end] = torch.tensor(prompt + tree.tokens)
        positions[row, first:start] = torch.arange(len(prompt))
        # Siblings stand at one position: each is what comes next after its parent.
        positions[row, start:end] = len(prompt) - 1 + torch.tensor(tree.depths, dtype=torch.long)
        sees[row, first:start, first:start] = torch.ones(len(prompt), len(prompt), dtype=torch.bool).tril()
        sees[row, start:end, first:start] = True
        sees[row, start:end, start:end] = tree.sees
    return ids, positions, sees
