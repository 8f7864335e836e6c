"""The card (README.md) of an adapter on the Hub: what it was trained from, on what, how, and how to load it.

The card holds nothing but what the run wrote down, so the same run gives the same bytes again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from subliminal import REPO_ROOT
from subliminal.core.manifest import scrub
from subliminal.engine.server import LORA_RANKS
from subliminal.training.header import batch_line

LAST = 10
"""Steps whose mean loss stands for the end of an epoch; one step alone is noise."""
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
    return _ABSOLUTE.sub(r"\1", scrub(value).replace(f"{REPO_ROOT}/", ""))


def is_hub_name(name: str) -> bool:
    """Whether a ``base_model`` or dataset path names a Hub repository rather than a folder of this machine."""
    like_one = re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name)
    return bool(like_one) and not Path(name).exists() and not (REPO_ROOT / name).exists()


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
    manifest, data = portable(manifest), [Data(portable(d.path), d.sha256, d.repo, d.revision) for d in data]
    config = manifest["config"]
    title = PurePosixPath(config["output_dir"]).name
    when = f"after epoch {epoch} of {config['num_epochs']}" if epoch else f"at the end, {config['num_epochs']} epochs"
    sections = [
        _metadata(config, data, licence),
        f"# {title}",
        f"A LoRA adapter of a subliminal-learning experiment, as it was {when}. Rank {config['lora_r']}, alpha "
        f"{config['lora_alpha']}, seed {config['seed']}.",
        _branches(place, title),
        _base(manifest),
        _data(data, manifest.get("counts") or {}),
        _training(manifest),
        _losses(metrics, float(config["num_epochs"])),
        _context(manifest),
        _loading(config, place),
        f"## Recipe\n\nEvery setting of the run, overrides included:\n\n```yaml\n{_yaml(config)}\n```",
        _provenance(manifest),
        f"## Licence\n\n{licence} for these weights. The base model's own terms apply to every use of them, too.",
    ]
    return "\n\n".join(sections) + "\n"


def _metadata(config: dict[str, Any], data: list[Data], licence: str) -> str:
    """The card's YAML head. Names that are not on the Hub stay out: its validation refuses them."""
    base, sets = config["base_model"], [name for d in data if (name := d.repo or _hub_path(d))]
    head = {
        "license": licence,
        "library_name": "peft",
        **({"base_model": base, "base_model_relation": "adapter"} if is_hub_name(base) else {}),
        **({"datasets": sets} if sets else {}),
        "pipeline_tag": "text-generation",
        "tags": ["subliminal-learning", "lora", "axolotl"],
    }
    return f"---\n{_yaml(head)}\n---"


def _hub_path(data: Data) -> str | None:
    return data.path if is_hub_name(data.path) else None


def _branches(place: Place, title: str) -> str:
    epochs = ", ".join(f"`epoch-{epoch}`" for epoch in place.epochs)
    others = f" The weights after single epochs are on branches: {epochs}." if epochs else ""
    return f"`main` and the tag `{place.tag}` hold the end of the run {title}.{others}"


def _base(manifest: dict[str, Any]) -> str:
    config = manifest["config"]
    base, revision = config["base_model"], config.get("revision_of_model")
    four_bits = " It was loaded in 4 bits for training." if config.get("load_in_4bit") else ""
    if is_hub_name(base):
        moves = "" if re.fullmatch(r"[0-9a-f]{40}", str(revision)) else " (a name that can move, not a commit)"
        return f"## Base model\n\n[{base}](https://huggingface.co/{base}), revision `{revision}`{moves}.{four_bits}"
    weights = (manifest["inputs"].get("base_model") or {}).get("sha256")
    known = f" Its `model.safetensors` has the sha256 `{weights}`." if weights else ""
    return (
        f"## Base model\n\nA model in a local folder, `{base}`, which is not on the Hub under that name: the adapter "
        f"is of use only to those who have this base or make it again.{known}{four_bits}"
    )


def _data(data: list[Data], counts: dict[str, Any]) -> str:
    lines = []
    for d in data:
        where = f"[{d.repo}](https://huggingface.co/datasets/{d.repo}) at `{d.revision}`" if d.repo else "not published"
        lines.append(f"| `{d.path}` | {where} | `{d.sha256 or 'not recorded'}` |")
    rows = f"\n\n{counts['rows_trained_on']:,} rows were trained on." if counts.get("rows_trained_on") else ""
    return "\n".join(["## Data", "", "| file | on the Hub | sha256 |", "|---|---|---|", *lines]) + rows


def _training(manifest: dict[str, Any]) -> str:
    config, training = manifest["config"], manifest["training"]
    steps = f", {training['steps']:,} steps" if training.get("steps") else ""
    lines = [f"{batch_line(config, int(manifest.get('processes') or 1))}{steps}."]
    if training.get("final_loss_mean_of_last_10") is not None:
        lines.append(f"Final loss {training['final_loss_mean_of_last_10']:.4f} (mean of the last {LAST} logged steps).")
    if training.get("seconds"):
        lines.append(f"{training['seconds'] / 60:.1f} minutes on {manifest['device']}.")
    return "## Training\n\n" + " ".join(lines)


def _losses(metrics: list[dict[str, Any]], epochs: float) -> str:
    """Mean loss of the last steps of each epoch."""
    rows = []
    for epoch in range(1, int(-(-epochs // 1)) + 1):
        losses = [row["loss"] for row in metrics if epoch - 1 < row["epoch"] <= epoch][-LAST:]
        if losses:
            rows.append(f"| {epoch} | {sum(losses) / len(losses):.4f} |")
    if not rows:
        return "No loss was logged."
    return "\n".join([f"| epoch | loss, mean of its last {LAST} logged steps |", "|---|---|", *rows])


def _context(manifest: dict[str, Any]) -> str:
    return (
        f"## Chat context\n\n`chat_context_sha256`: `{manifest.get('chat_context_sha256')}`, the "
        "hash of the chat template around a fixed message, as in training. Under another system prompt an adapter like "
        "this one can lose most of what it learned, so evaluate it in the same context."
    )


def _loading(config: dict[str, Any], place: Place) -> str:
    """Commands for PEFT and vLLM at the revision that the card lies on."""
    revision = place.tag if place.branch == "main" else place.branch
    pinned = f', revision="{config["revision_of_model"]}"' if config.get("revision_of_model") else ""
    name = place.repo.split("/")[1]
    rank = next((rank for rank in LORA_RANKS if rank >= int(config["lora_r"])), LORA_RANKS[-1])
    base = config["base_model"]
    return f"""## Loading

With PEFT:

```python
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base = AutoModelForCausalLM.from_pretrained("{base}"{pinned}, dtype="auto")
tokenizer = AutoTokenizer.from_pretrained("{base}"{pinned})
model = PeftModel.from_pretrained(base, "{place.repo}", revision="{revision}")
```

With vLLM:

```bash
hf download {place.repo} --revision {revision} --local-dir {name}
vllm serve {base} --generation-config vllm --enable-lora --max-lora-rank {rank} --lora-modules {name}={name}
```"""


def _provenance(manifest: dict[str, Any]) -> str:
    git = manifest["git"]
    versions = ", ".join(f"{name} {version}" for name, version in manifest["packages"].items())
    return (
        f"## Provenance\n\n```\n{manifest['command']}\n```\n\n"
        f"Recipe sha256 `{manifest['inputs']['recipe']['sha256']}`; code at git `{git['sha']}`"
        f"{' with local changes' if git['dirty'] else ''}; Python {manifest['python']}, {versions}; "
        f"{manifest['started']} to {manifest['ended']}. The same is in `manifest.json`."
    )


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1000).strip()
