"""A callback that spares each step its walks through the model: its modules are the same in every step.

PyTorch finds a model's modules by going through it. The Trainer and Axolotl do so in every step: for train(),
zero_grad(), clipping, the count of operations, and whether anything is compiled. A model of 24 layers with an adapter
on seven projections has 2,000 modules, and six walks take a tenth of the processor's time for a small model's step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from transformers import TrainerCallback

REPLACED = ("named_modules", "parameters", "num_parameters", "train")
"""Methods of the model that are replaced while it trains."""


class KnownModules(TrainerCallback):
    """Answer from a list what would be found by a walk, from the first step to the last.

    Several processes wrap the model in ways of their own: there nothing is replaced.
    """

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        if args.world_size > 1:
            return
        put_back(model)  # a training that ended in an error has left its answers, which may be those of another adapter
        model.train()  # a new adapter says that it trains, though the base below it does not yet
        modules = list(model.named_modules())
        weights = list(model.parameters())
        total = model.num_parameters(exclude_embeddings=True)
        walk, members, count, train = [getattr(model, name) for name in REPLACED]

        def named_modules(memo: Any = None, prefix: str = "", remove_duplicate: bool = True) -> Iterator[Any]:
            if memo is None and not prefix and remove_duplicate:
                return iter(modules)
            return walk(memo, prefix, remove_duplicate)

        def parameters(recurse: bool = True) -> Iterator[Any]:
            if recurse:
                return iter(weights)
            return members(recurse)

        def num_parameters(only_trainable: bool = False, exclude_embeddings: bool = False) -> int:
            if exclude_embeddings and not only_trainable:
                return total
            return count(only_trainable, exclude_embeddings)

        def train_if_needed(mode: bool = True) -> Any:
            if mode and model.training:
                return model
            return train(mode)

        methods = (named_modules, parameters, num_parameters, train_if_needed)
        for name, method in zip(REPLACED, methods, strict=True):
            setattr(model, name, method)

    def on_train_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        put_back(model)


def put_back(model: Any) -> None:
    """Let a model find its modules by a walk again."""
    for name in REPLACED:
        vars(model).pop(name, None)  # what lies below is the class's own method
