"""The card (README.md) of an adapter on the Hub: what it was trained from, on what, how, and how to load it.

The card holds nothing but what the run wrote down, so the same run gives the same bytes again.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

import yaml

from subliminal import REPO_ROOT
from subliminal.core.hub import is_hub_id
from subliminal.core.manifest import scrub
from subliminal.core.templates import templates
from subliminal.engine.served_adapters import LORA_RANKS
from subliminal.training.header import batch_line

LAST = 10
"""Steps whose mean loss stands for the end of an epoch; one step alone is noise."""
# An absolute path that is no part of an address or of a longer path; group 1 is its last name.
_ABSOLUTE = re.compile(r"(?<![\w.:/~-])~?/(?:[^\s/\"'=:,;|<>]+/)+([^\s/\"'=:,;|<>]+)")


@dataclass(frozen=True)
class Data:
    """One training dataset: its path or Hub name, the sha256 of its bytes, and where it is on the Hub, if it is."""

    path: str
    sha256: str | None
    repo: str | None = None
    revision: str | None = None


@dataclass(frozen=True)
class Place:
    """Where a card will lie: repository, branch, the tag of the run, and the epoch branches beside it."""

    repo: str
    branch: str
    tag: str
    epochs: tuple[int, ...] = ()


def portable(value: Any) -> Any:
    """A copy of text, or of nested lists and dicts, that says nothing of this machine's folders and holds no token.

    Paths inside the checkout become relative to it; of any other absolute path only the last name stays.
    """
    if isinstance(value, dict):
        return {key: portable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [portable(item) for item in value]
    if not isinstance(value, str):
        return value
    # The checkout before other paths: of these only the last name stays.
    return _ABSOLUTE.sub(r"\1", scrub(value).replace(f"{REPO_ROOT}/", ""))


def adapter_card(
    manifest: dict[str, Any],
    metrics: list[dict[str, Any]],
    data: Iterable[Data],
    place: Place,
    *,
    licence: str,
    epoch: int | None = None,
) -> str:
    """The card as Markdown with the metadata that the Hub reads.

    Args:
        manifest: of the finished training run.
        metrics: rows of its ``metrics.jsonl``.
        data: its training datasets.
        place: where the card will lie.
        licence: SPDX-like name in lower case, as the Hub lists them.
        epoch: the epoch after which these weights were saved; None for the end of the run.
    """
    manifest = portable(manifest)
    data = [replace(each, path=portable(each.path)) for each in data]
    config, base = manifest["config"], manifest["config"]["base_model"]
    revision = config.get("revision_of_model")
    pinned = f', revision="{revision}"' if revision else ""
    # What the card's code names must be the very weights that the card is about.
    weights_at = place.branch
    if place.branch == "main":
        weights_at = place.tag  # main may move on, the tag does not
    card = templates("subliminal.publish").get_template("adapter.md.j2")
    return card.render(
        manifest=manifest,
        config=config,
        training=manifest["training"],
        counts=manifest.get("counts") or {},
        head=_yaml(_metadata(base, data, licence)),
        title=PurePosixPath(config["output_dir"]).name,
        epoch=epoch,
        place=place,
        base=base,
        base_on_hub=is_hub_id(base),
        base_sha256=(manifest["inputs"].get("base_model") or {}).get("sha256"),
        revision=revision,
        # Forty hex digits are a commit; the name of a branch may mean another one tomorrow.
        revision_moves=not re.fullmatch(r"[0-9a-f]{40}", str(revision)),
        pinned=pinned,
        data=data,
        batch=batch_line(config, int(manifest.get("processes") or 1)),
        losses=_losses(metrics, math.ceil(float(config["num_epochs"]))),
        last=LAST,
        weights_at=weights_at,
        name=place.repo.split("/")[1],
        rank=_served_rank(int(config["lora_r"])),
        recipe=_yaml(config),
        versions=", ".join(f"{name} {version}" for name, version in manifest["packages"].items()),
        licence=licence,
    )


def _metadata(base: str, data: list[Data], licence: str) -> dict[str, Any]:
    """The card's YAML head. Names that are not on the Hub stay out: its validation refuses them."""
    head: dict[str, Any] = {"license": licence, "library_name": "peft"}
    if is_hub_id(base):
        head |= {"base_model": base, "base_model_relation": "adapter"}
    published = []
    for each in data:
        if each.repo:
            published.append(each.repo)
        elif is_hub_id(each.path):
            published.append(each.path)
    if published:
        head["datasets"] = published
    return head | {"pipeline_tag": "text-generation", "tags": ["subliminal-learning", "lora", "axolotl"]}


def _losses(metrics: list[dict[str, Any]], epochs: int) -> list[tuple[int, float]]:
    """(epoch, mean loss of its last logged steps) of every epoch that has any."""
    found = []
    for epoch in range(1, epochs + 1):
        # A step that ends an epoch counts for it.
        losses = [row["loss"] for row in metrics if epoch - 1 < row["epoch"] <= epoch][-LAST:]
        if losses:
            found.append((epoch, sum(losses) / len(losses)))
    return found


def _served_rank(lora_r: int) -> int:
    """The smallest rank that vLLM can be told for an adapter."""
    for rank in LORA_RANKS:
        if rank >= lora_r:
            return rank
    # Above all of them: the card names the largest, and vLLM says that it is too small.
    return LORA_RANKS[-1]


def _yaml(value: Any) -> str:
    # So wide that no command or path is broken over two lines.
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1000).strip()
