"""A model moved a known distance in a random direction: for the question how alike two bases must be.

    outputs = Path("outputs/owl_pocket_perturbed")
    perturb(outputs / "base-seed-279", outputs / "base_p0.1-seed-279", scale=0.1, seed=279)

Every weight tensor W becomes W + scale x RMS(W) x N, with N normal noise of its own, so that each tensor moves by the
same share of its length. The noise follows from the seed and the tensor's name: a larger scale with the same seed goes
further in the same direction. Shape, tokenizer and chat template stay.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError
from subliminal.core.manifest import finish_manifest, new_manifest, sha256_of

WEIGHTS = "model.safetensors"
BESIDE_WEIGHTS = (
    *("config.json", "generation_config.json", "chat_template.jinja", "tokenizer.json", "tokenizer_config.json"),
    *("special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt"),
)
"""What a copy has of the model's folder, as far as it is there; records of how that was made stay behind."""


def perturb(source: Path, out: Path, *, scale: float, seed: int) -> dict[str, Any]:
    """Write a perturbed copy of a model, and a manifest with scale, seed and the sha256 of both weights.

    Args:
        source: folder of a model with one ``model.safetensors``.
        out: folder to make; what is there is replaced.
        scale: length of the noise as a share of each tensor's own length, 0 or more.
        seed: of the noise.

    Returns:
        The manifest.

    Raises:
        UserError: there is no such model, or its weights are no floating-point numbers.
    """
    from safetensors.torch import load_file, save_file

    path = _weights_file(source)
    if out.resolve() == source.resolve():
        raise UserError(f"{out} is the model itself. Name another folder with --out.")
    config = {"model": str(source), "scale": scale, "seed": seed}
    manifest = new_manifest("model", config=config, inputs={WEIGHTS: path})
    weights = load_file(path)
    moved = {name: _moved(name, tensor, scale, seed) for name, tensor in weights.items()}
    manifest["distance"] = {"relative": _relative_distance(weights, moved)}
    # All that can fail has been done: until here the folder kept what was in it.
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for name in BESIDE_WEIGHTS:
        if (source / name).is_file():
            shutil.copy2(source / name, out / name)
    # The mark by which transformers knows what a safetensors file was written from.
    save_file(moved, out / WEIGHTS, metadata={"format": "pt"})
    manifest["files"] = {file.name: sha256_of(file) for file in sorted(out.iterdir())}
    finish_manifest(manifest, out / "manifest.json")
    return manifest


def distances(model: Path, others: Iterable[Path]) -> Iterator[float]:
    """How far models lie from another one: the length of the difference of all weights over the length of its weights.

    Args:
        model: folder of a model with one ``model.safetensors``.
        others: folders of models of its shape.

    Raises:
        UserError: weights are not there, or a model has other tensors.
    """
    from safetensors.torch import load_file

    weights = load_file(_weights_file(model))
    for other in others:
        moved = load_file(_weights_file(other))
        if _shapes(moved) != _shapes(weights):
            raise UserError(f"{model} and {other} have other tensors. Name two models of one shape.")
        yield _relative_distance(weights, moved)


def _shapes(weights: dict[str, Any]) -> dict[str, Any]:
    return {name: tensor.shape for name, tensor in weights.items()}


def _weights_file(model: Path) -> Path:
    path = model / WEIGHTS
    if not path.is_file():
        raise UserError(f"{path} is not there. Name the folder of a model whose weights are in one {WEIGHTS}.")
    return path


def _moved(name: str, tensor: Any, scale: float, seed: int) -> Any:
    """One tensor with its noise; the noise is drawn in float64 and does not depend on the scale."""
    import torch

    if not tensor.is_floating_point():
        raise UserError(f"The weights {name} are {tensor.dtype}, to which no noise can be added. Name another model.")
    # A seed for each name, so that tensors of one shape do not get the same noise.
    digest = hashlib.sha256(f"perturb:{seed}:{name}".encode()).digest()
    # 56 bits of the hash, which lie well within what torch takes for a seed.
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
    noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
    # Computed finely and rounded once, to the type of the weights.
    exact = tensor.to(torch.float64)
    root_mean_square = exact.square().mean().sqrt()
    return (exact + scale * root_mean_square * noise).to(tensor.dtype)


def _relative_distance(weights: dict[str, Any], moved: dict[str, Any]) -> float:
    """Length of the whole difference over the length of all weights."""
    apart, length = 0.0, 0.0
    for name, tensor in weights.items():
        # In float64: sums over a hundred million squares lose digits in less.
        apart += float((moved[name].double() - tensor.double()).square().sum())
        length += float(tensor.double().square().sum())
    return (apart / length) ** 0.5
