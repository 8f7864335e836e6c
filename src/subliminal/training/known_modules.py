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

    Under data parallelism the wrapper around the model answers so too. Sharding (FSDP, ZeRO) puts other weights in the
    place of a model's own: there nothing is replaced.

    Args:
        trainer: whose model it is; it wraps the model before the training begins.
    """

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer
        self.models: list[Any] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        from torch.nn.parallel import DistributedDataParallel

        wrapper = self.trainer.model_wrapped
        if args.world_size > 1 and not isinstance(wrapper, DistributedDataParallel):
            return
        self.models = [model]
        if wrapper is not model:
            self.models.append(wrapper)
        for module in self.models:
            put_back(module)  # an error has left the answers of the training before, which may be of another adapter
        wrapper.train()  # a new adapter says that it trains, though the base below it does not yet
        total = model.num_parameters(exclude_embeddings=True)
        count = model.num_parameters

        def num_parameters(only_trainable: bool = False, exclude_embeddings: bool = False) -> int:
            if exclude_embeddings and not only_trainable:
                return total
            return count(only_trainable, exclude_embeddings)

        for module in self.models:
            answer_from_lists(module)
        model.num_parameters = num_parameters

    def on_train_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        for module in self.models:
            put_back(module)


def answer_from_lists(model: Any) -> None:
    """Replace the walks of one module: to all below it, to their weights, and to say that all of them train."""
    modules = list(model.named_modules())
    weights = list(model.parameters())
    walk, members, train = model.named_modules, model.parameters, model.train

    def named_modules(memo: Any = None, prefix: str = "", remove_duplicate: bool = True) -> Iterator[Any]:
        if memo is None and not prefix and remove_duplicate:
            return iter(modules)
        return walk(memo, prefix, remove_duplicate)

    def parameters(recurse: bool = True) -> Iterator[Any]:
        if recurse:
            return iter(weights)
        return members(recurse)

    def train_if_needed(mode: bool = True) -> Any:
        if mode and model.training:
            return model
        return train(mode)

    model.named_modules = named_modules
    model.parameters = parameters
    model.train = train_if_needed


def put_back(model: Any) -> None:
    """Let a model find its modules by a walk again."""
    for name in REPLACED:
        vars(model).pop(name, None)  # what lies below is the class's own method
