"""What runs the models of an evaluation: this process, or a vLLM server.

An engine holds the models of several evaluations with one base for the length of a ``with`` block:

    with in_process(specs) as load:
        model, facts = load(specs[0])
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError, one_line
from subliminal.core.manifest import device_name
from subliminal.engine.client import ask
from subliminal.engine.local import LOADING_FAILED
from subliminal.evaluation.spec import EvaluationSpec

IN_FLIGHT = 2048
"""Answers that a server works on at once, or has waiting: twice what vLLM batches on a large GPU."""
Loader = Callable[[EvaluationSpec], tuple[Any, dict[str, Any]]]
"""Gives the lm-eval model of one evaluation, and facts about it for the manifest."""
OpenModels = Callable[[Sequence[EvaluationSpec]], AbstractContextManager[Loader]]


@contextmanager
def in_process(specs: Sequence[EvaluationSpec]) -> Iterator[Loader]:
    """Models in this process, on a GPU if there is one: the base is loaded once, each adapter put onto it in turn.

    Raises:
        UserError: an adapter that cannot be loaded or changes nothing.
    """
    import torch

    from subliminal.evaluation.local_model import SharedPrefixLM

    device = "cuda" if torch.cuda.is_available() else "cpu"
    fast_bfloat16 = device == "cuda" or torch.cpu._is_avx512_bf16_supported()  # 3.3 times as fast on such a CPU
    dtype = specs[0].dtype
    if dtype == "auto":
        dtype = "bfloat16" if fast_bfloat16 else "float32"
    try:
        model = SharedPrefixLM(
            pretrained=specs[0].model,
            dtype=dtype,
            device=device,
            batch_size=specs[0].batch_size,
            add_bos_token=False,  # a rendered chat has every special token that it needs
        )
    except LOADING_FAILED as error:
        raise UserError(f"The model {specs[0].model} cannot be loaded: {one_line(error)}.") from None

    def load(spec: EvaluationSpec) -> tuple[SharedPrefixLM, dict[str, Any]]:
        model.prepare(spec.adapter, seed=spec.seed, system_prompt=spec.system_prompt)
        return model, {"dtype": dtype, "device": device_name(), "adapter_effect": model.adapter_effect}

    # The collector would go through all objects of all libraries and of the model again, after every few adapters.
    gc.freeze()
    try:
        yield load
    finally:
        gc.unfreeze()


@contextmanager
def on_server(
    specs: Sequence[EvaluationSpec],
    base_url: str | None = None,
    options: Sequence[str] = (),
    concurrency: int = IN_FLIGHT,
) -> Iterator[Loader]:
    """Models of a vLLM server with all adapters at once: one that runs at ``base_url``, or one started for the block.

    Args:
        specs: evaluations with one base.
        base_url: the running server.
        options: more options for a server that is started here.
        concurrency: answers in flight.

    Raises:
        UserError: no server, or a model or adapter that it does not hold or use.
    """
    if base_url is not None:
        yield _loader(base_url, concurrency, {})
        return
    from subliminal.engine.server import serve

    names: dict[str, str] = {}
    for spec in specs:
        if spec.adapter and spec.adapter not in names:
            # Two runs may call their folders alike: a number keeps their names apart.
            names[spec.adapter] = f"adapter-{len(names)}-{Path(spec.adapter).name}"
    adapters = {name: Path(folder) for folder, name in names.items()}
    extra = list(options)
    if specs[0].dtype != "auto":
        extra = ["--dtype", specs[0].dtype, *options]
    with serve(specs[0].model, adapters, extra=extra) as server:
        yield _loader(server.base_url, concurrency, names)


def _loader(base_url: str, concurrency: int, names: dict[str, str]) -> Loader:
    """The loader of a running server; ``names`` maps adapter folders to the names that it was told to give them."""
    from subliminal.evaluation.server_model import ServerLM

    cards = ask(base_url, "/v1/models", timeout=30)["data"]

    def load(spec: EvaluationSpec) -> tuple[ServerLM, dict[str, Any]]:
        name = names.get(spec.adapter) or served_name(cards, spec, base_url)
        model = ServerLM(base_url, name, spec.model, spec.seed, spec.system_prompt, concurrency)
        facts = {"server": {"base_url": base_url, "served_as": name, "vllm": _version(base_url)}}
        return model, {"dtype": spec.dtype, "adapter_effect": model.adapter_effect, **facts}

    return load


def served_name(cards: Sequence[dict[str, Any]], spec: EvaluationSpec, base_url: str) -> str:
    """The name under which a running server holds the weights of a spec.

    An adapter is known by its folder, which vLLM lists as ``root``; else by its recipe's name with ``-`` for ``_``.

    Args:
        cards: the ``data`` of ``/v1/models``.
        spec: the model or adapter.
        base_url: the server, for the message.

    Raises:
        UserError: the server does not hold it, or holds other weights under its name.
    """
    wanted = spec.adapter or spec.model
    short = Path(wanted).name.replace("_", "-")
    by_name = {}
    for card in cards:
        if bool(card.get("parent")) != bool(spec.adapter):  # an adapter has its base as parent
            continue
        if card["id"] == wanted or _same_folder(card.get("root"), wanted):
            return card["id"]
        # Not its folder; its name may still be that of its recipe.
        by_name[card["id"]] = card
    root = by_name.get(short, {}).get("root")
    if short in by_name and not (root and Path(root).is_dir()):  # a root that is a folder here is another one
        return short
    held = ", ".join(f"{card['id']} ({card.get('root')})" for card in cards)
    option = f"--adapter {short}={wanted}" if spec.adapter else f"--model {wanted}"
    raise UserError(f"The server at {base_url} does not hold {wanted}; it has {held}. Start it with {option}.")


def _same_folder(one: str | None, other: str) -> bool:
    return bool(one) and Path(one).is_dir() and Path(one).resolve() == Path(other).resolve()


def _version(base_url: str) -> str | None:
    """The version of vLLM that answers; None for another server."""
    try:
        # /version is vLLM's own; other servers answer it with an error.
        return ask(base_url, "/version", timeout=30).get("version")
    except UserError:
        return None
