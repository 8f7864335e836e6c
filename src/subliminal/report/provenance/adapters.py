"""Evidence that each adapter was in use, and the chat context that it was scored in: a section of a report."""

from __future__ import annotations

from typing import Any

from subliminal.report.blocks import Section, Table, or_dash
from subliminal.report.data import Results


def adapters_section(results: Results) -> Section:
    """Evidence that each adapter was in use, and the chat context that it was scored in."""
    rows = []
    for arm, manifests in results.manifests.items():
        for seed, manifest in sorted(manifests.items()):
            rows.append([arm, str(seed), *_adapter(manifest)])
    header = ["arm", "seed", "adapter or model", "sha256", "largest change", "context scored", "context trained"]
    text = [
        "An adapter that is not loaded scores as its base does. Before scoring, the output with the adapter is "
        "compared with the base's: the table has the largest change (of a logit in process, of a log-probability on a "
        "server), and a change of 0 is refused. A whole model has nothing to be left out: its sha256 tells it from its "
        "base. A context is the hash of the chat template around a fixed message; an adapter scored in another one "
        "than it was trained in can lose most of its trait."
    ]
    return Section("Adapters in use", text, [Table(header, rows)])


def _adapter(manifest: dict[str, Any]) -> list[str]:
    """Name and weights of what was scored, the change that its adapter made, and both chat contexts."""
    config, inputs = manifest.get("config") or {}, manifest.get("inputs") or {}
    # A whole model was scored, unless an adapter is named.
    kind, weights = "model", "model/model.safetensors"
    if config.get("adapter"):
        kind, weights = "adapter", "adapter/adapter_model.safetensors"
    effect = manifest.get("adapter_effect")
    if not isinstance(effect, int | float):
        effect = None
    hashes = [(inputs.get(weights) or {}).get("sha256")]
    hashes += [manifest.get(key) for key in ("chat_context_sha256", "trained_chat_context_sha256")]
    sha256, scored, trained = (or_dash(value, lambda value: value[:12]) for value in hashes)
    return [or_dash(config.get(kind)), sha256, or_dash(effect, "{:.3g}".format), scored, trained]
