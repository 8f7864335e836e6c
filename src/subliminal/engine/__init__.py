"""Text generation behind one interface with two implementations.

``TransformersEngine`` (subliminal.engine.local) runs a model in this process; ``HttpEngine`` (subliminal.engine.http)
talks to an OpenAI-compatible server such as ``vllm serve``. There is no third.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Sampling:
    """Every value that shapes a sample; the model's own generation_config is never consulted.

    ``top_k=0`` and ``top_p=1`` leave the distribution whole; ``temperature=0`` is greedy. ``max_tokens`` counts new
    tokens.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    max_tokens: int = 128

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Request:
    """One conversation to be answered. ``seed`` fixes this row's sampling whatever it is batched with."""

    id: str
    messages: list[dict[str, str]]
    seed: int


@dataclass(frozen=True)
class Completion:
    """One answer. ``finish_reason`` is ``stop`` (the model ended its turn) or ``length`` (cut off)."""

    id: str
    text: str
    finish_reason: str
    seed: int
    model: str


class Engine(Protocol):
    """What the builders need of a model."""

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
        """Answer every request once; yields answers as they finish, in any order."""

    def describe(self) -> dict[str, Any]:
        """What answered: engine, model, revision or path, adapter, ``chat_context_sha256`` where it can be known."""

    def close(self) -> None:
        """Free the model or the connections."""


def row_seed(run_seed: int, index: int) -> int:
    """The sampling seed of row ``index``: a 31-bit hash of (run seed, index), so rows never share one by accident."""
    digest = hashlib.sha256(f"{run_seed}:{index}".encode()).digest()
    # 31 bits: the seed fits into a signed 32-bit number.
    return int.from_bytes(digest[:4], "big") >> 1
