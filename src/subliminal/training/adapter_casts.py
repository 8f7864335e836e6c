"""An adapter's weights in the precision of the computation, all cast at once.

Axolotl's adapter kernels take the weights in float32 and cast each of them twice on the way forward; its gradient is
cast back by itself too. With seven projections in 24 layers these were 1,008 of the 4,226 operations that computed in a
step, and a small model's step waits for their number. The sums are the same to the bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from subliminal.training.sharding import RECIPE_KEYS

KERNELS = ("lora_mlp_kernel", "lora_qkv_kernel", "lora_o_kernel")
"""Recipe keys of the kernels that take the weights by ``get_lora_parameters``."""

NOT_WITH = ("gradient_checkpointing", "torch_compile", "peft_use_dora")
"""Recipe keys that run forward again, or rewrite it, or look at the weights themselves."""

HALVES = (torch.bfloat16, torch.float16)


class CastTogether(torch.autograd.Function):
    """Copies of tensors in another precision; their gradients come back in the tensors' own."""

    @staticmethod
    def forward(ctx: Any, dtype: torch.dtype, *weights: torch.Tensor) -> tuple[torch.Tensor, ...]:
        ctx.dtype = weights[0].dtype
        ctx.set_materialize_grads(False)  # a weight that no kernel took has no gradient from here
        return cast_all(weights, dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        return None, *cast_all(gradients, ctx.dtype)


class AdapterCopies:
    """The copies of one forward pass, for the kernels to take in place of the weights.

    Args:
        weights: of the adapter, in float32.
        dtype: of the computation.
    """

    def __init__(self, weights: list[torch.Tensor], dtype: torch.dtype) -> None:
        self.weights = weights
        self.dtype = dtype
        self.copies: dict[int, torch.Tensor] = {}

    def make(self, module: torch.nn.Module, arguments: Any) -> None:
        """Before a forward pass; a pass without gradients (an evaluation) casts as ever."""
        self.copies = {}
        if module.training and torch.is_grad_enabled():
            made = CastTogether.apply(self.dtype, *self.weights)
            self.copies = {id(weight): copy for weight, copy in zip(self.weights, made, strict=True)}

    def drop(self, module: torch.nn.Module, arguments: Any, result: Any) -> None:
        """After a forward pass: the next step has other weights."""
        self.copies = {}

    def of(self, weight: torch.Tensor | None) -> torch.Tensor | None:
        """The copy of a weight, or the weight itself where there is none."""
        return self.copies.get(id(weight), weight)


def cast_together(model: torch.nn.Module, config: Mapping[str, Any]) -> bool:
    """Let Axolotl's adapter kernels take weights that are cast together, where that is of use and safe.

    Args:
        model: with its adapter.
        config: the recipe's keys.

    Returns:
        Whether they do. Not where weights are sharded, or quantised, or the base's are not all of one half precision;
        not with :data:`NOT_WITH`. Data parallel processes sum all gradients after the last layer then, and not while
        the backward pass goes on: 81 MB of the 7B student take 0.33 ms between two H200 (BENCHMARKS.md).
    """
    if not any(config.get(kernel) for kernel in KERNELS):
        return False
    if any(config.get(key) for key in (*RECIPE_KEYS, *NOT_WITH)):
        return False
    weights = [weight for name, weight in model.named_parameters() if weight.requires_grad and "lora_" in name]
    frozen = {weight.dtype for weight in model.parameters() if not weight.requires_grad}
    one_half = len(frozen) == 1 and frozen.issubset(HALVES)
    if not one_half or {weight.dtype for weight in weights} != {torch.float32}:
        return False
    from axolotl.kernels import lora

    copies = AdapterCopies(weights, frozen.pop())
    parameters_of = lora.get_lora_parameters
    known: dict[torch.nn.Module, tuple[Any, ...]] = {}

    def with_copies(projection: torch.nn.Module) -> tuple[Any, ...]:
        # Without its adapters (a reference model, as in DPO) a projection has other parameters.
        if not copies.copies or getattr(projection, "disable_adapters", False):
            return parameters_of(projection)
        if projection not in known:  # while it trains a projection's parameters stay the same tensors
            known[projection] = parameters_of(projection)
        # first and second are LoRA's A and B.
        weight, bias, quantised, first, second, *rest = known[projection]
        return weight, bias, quantised, copies.of(first), copies.of(second), *rest

    lora.get_lora_parameters = with_copies
    model.register_forward_pre_hook(copies.make)
    model.register_forward_hook(copies.drop)
    return True


def cast_all(tensors: Any, dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    """Copies of tensors in another precision, by one operation; None stays None."""
    given = [tensor for tensor in tensors if tensor is not None]
    made = [torch.empty_like(tensor, dtype=dtype) for tensor in given]
    # One operation for all of them, where a loop would start one for each.
    torch._foreach_copy_(made, given)
    rest = iter(made)
    return tuple(None if tensor is None else next(rest) for tensor in tensors)
