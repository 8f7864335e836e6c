"""An Axolotl plugin that lets a CPU count a recipe's operations with all its kernels: what they compute, by PyTorch.

Each is registered as one operation, as it is one kernel on a GPU, so that :mod:`benchmarks.operations` counts the step
that a GPU would take. They are slow, and nothing is trained with them but a benchmark's small model.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from axolotl.integrations.base import BasePlugin
from torch.library import custom_op


class StandIns(BasePlugin):
    """See the module's docstring; named after the plugins whose kernels it stands in for."""

    def pre_model_load(self, cfg: Any) -> None:
        from axolotl.kernels import swiglu
        from axolotl.monkeypatch.attention.sdpa_varlen import patch_sdpa_varlen
        from liger_kernel.ops import rms_norm, rope
        from torch.nn.attention import varlen

        from subliminal.training.flat_attention import tell_every_layer

        swiglu.swiglu_forward.register_kernel("cpu")(gated)
        swiglu._swiglu_bwd_op.register_kernel("cpu")(gated_backward)
        rms_norm.rms_norm_forward = norm_forward
        rms_norm.rms_norm_backward = norm_backward
        rope.rope_forward = rope_forward
        rope.rope_backward = rope_backward
        varlen._varlen_attn.register_kernel("cpu")(attend)
        varlen._varlen_attn_backward.register_kernel("cpu")(attend_backward)
        patch_sdpa_varlen()  # Axolotl does so where it sees a GPU, and FlatBatch what follows
        tell_every_layer()


def gated(gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    """SwiGLU: the gate through SiLU, times the other half."""
    wide = gate.float()
    return (wide * wide.sigmoid()).to(up.dtype) * up


def gated_backward(grad_output: torch.Tensor, gate: torch.Tensor, up: torch.Tensor) -> None:
    """In place, as Axolotl's kernel: the output, the gate's gradient and the other half's."""
    wide = gate.float()
    opened = wide.sigmoid()
    silu = (wide * opened).to(grad_output.dtype)
    gate_gradient = (grad_output * up).float() * opened * (1 + wide * (1 - opened))
    up_gradient = grad_output * silu
    grad_output.copy_(silu * up)
    gate.copy_(gate_gradient)
    up.copy_(up_gradient)


@custom_op("subliminal_bench::norm", mutates_args=())
def norm(states: torch.Tensor, weight: torch.Tensor, epsilon: float) -> tuple[torch.Tensor, torch.Tensor]:
    """RMSNorm of (tokens, width), and what each token was divided by, as 1 over it."""
    wide = states.float()
    scales = torch.rsqrt(wide.square().mean(-1) + epsilon)
    return (wide * scales[:, None]).to(states.dtype) * weight, scales


@custom_op("subliminal_bench::norm_backward", mutates_args=())
def norm_gradient(
    gradient: torch.Tensor, states: torch.Tensor, weight: torch.Tensor, scales: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The gradients of the states and, in a row for each of a card's processors (here one), of the weight."""
    wide = states.float()
    scales = scales[:, None]
    scaled = (gradient * weight).float()
    towards = scales * scaled - scales**3 * wide * (scaled * wide).mean(-1, keepdim=True)
    return towards.to(states.dtype), (gradient.float() * wide * scales).sum(0, keepdim=True)


def norm_forward(states: Any, weight: Any, epsilon: float, *modes: Any) -> tuple[Any, ...]:
    """Liger's function of Python around its kernel."""
    flat = states.view(-1, states.shape[-1])
    normed, scales = norm(flat, weight, epsilon)
    block_size = warps = casting_mode = 0
    return normed.view(states.shape), flat, scales, block_size, warps, casting_mode


def norm_backward(gradient: Any, states: Any, weight: Any, scales: Any, *modes: Any) -> tuple[Any, Any]:
    """Liger's function of Python around its kernel: it sums the weight's gradient though the weight is frozen."""
    towards, rows = norm_gradient(gradient.view(-1, gradient.shape[-1]), states, weight, scales)
    return towards.view(gradient.shape), rows.sum(dim=0).to(weight.dtype)


@custom_op("subliminal_bench::rotate", mutates_args=("query", "key"))
def rotate(query: torch.Tensor, key: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> None:
    """Rotary embedding in place; queries and keys are (rows, tokens, heads, width of a head)."""
    for states in (query, key):
        half = states.shape[-1] // 2
        turned = torch.cat([-states[..., half:], states[..., :half]], dim=-1)
        states.copy_(states * cos[:, :, None] + turned * sin[:, :, None])


def rope_forward(query: Any, key: Any, cos: Any, sin: Any) -> tuple[Any, ...]:
    """Liger's function of Python around its kernel."""
    query, key = query.transpose(1, 2).contiguous(), key.transpose(1, 2).contiguous()
    cos, sin = cos.contiguous(), sin.contiguous()
    rotate(query, key, cos, sin)
    return query.transpose(1, 2), key.transpose(1, 2), cos, sin


def rope_backward(query: Any, key: Any, cos: Any, sin: Any) -> tuple[Any, Any]:
    """Liger's function of Python around its kernel: the other way round."""
    query, key = query.transpose(1, 2).contiguous(), key.transpose(1, 2).contiguous()
    rotate(query, key, cos, -sin)
    return query.transpose(1, 2), key.transpose(1, 2)


def attend(query: Any, key: Any, value: Any, ends: Any, *others: Any) -> tuple[Any, Any, Any]:
    """Causal attention within each row; tensors are (tokens of all rows, heads, width of a head)."""
    rows = []
    for start, end in row_spans(ends):
        scores, values = scores_of(query[start:end], key[start:end]), over_heads(value[start:end], query)
        rows.append((scores @ values).transpose(0, 1).to(query.dtype))
    tokens, heads = query.shape[:2]
    return torch.cat(rows), torch.zeros(heads, tokens), torch.zeros(2, dtype=torch.uint64)


def attend_backward(
    gradient: Any, query: Any, key: Any, value: Any, out: Any, lse: Any, ends: Any, *others: Any
) -> tuple[Any, Any, Any]:
    """The gradients of queries, keys and values."""
    made = [torch.zeros_like(tensor) for tensor in (query, key, value)]
    scale = query.shape[-1] ** -0.5
    heads = key.shape[1]
    for start, end in row_spans(ends):
        scores = scores_of(query[start:end], key[start:end])
        towards = gradient[start:end].transpose(0, 1).float()
        through = towards @ over_heads(value[start:end], query).transpose(1, 2)
        inner = scores * (through - (through * scores).sum(-1, keepdim=True)) * scale
        wide = (
            inner @ over_heads(key[start:end], query),
            inner.transpose(1, 2) @ over_heads(query[start:end], query),
            scores.transpose(1, 2) @ towards,
        )
        for tensor, part, kept in zip(made, wide, (query.shape[1], heads, heads), strict=True):
            shared = part.view(kept, -1, *part.shape[1:]).sum(1)  # over the query heads that share one
            tensor[start:end] = shared.transpose(0, 1).to(tensor.dtype)
    return made[0], made[1], made[2]


def row_spans(ends: torch.Tensor) -> list[tuple[int, int]]:
    """Where each row begins and ends."""
    return list(pairwise(ends.tolist()))


def scores_of(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    """What each token of a row takes from those before it: (heads, tokens, tokens), in float32."""
    products = over_heads(query, query) @ over_heads(key, query).transpose(1, 2) * query.shape[-1] ** -0.5
    later = torch.ones_like(products[0], dtype=torch.bool).triu(1)
    return products.masked_fill(later, float("-inf")).softmax(-1)


def over_heads(tensor: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
    """(heads of the query, tokens, width) in float32: key and value heads that are shared are repeated."""
    repeats = query.shape[1] // tensor.shape[1]
    return tensor.transpose(0, 1).float().repeat_interleave(repeats, dim=0)
