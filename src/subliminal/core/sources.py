"""Rows from a local file (JSONL, a JSON list, Parquet) or from a Hub dataset, named by one string.

A path that exists, or ends in ``.jsonl``, ``.json`` or ``.parquet``, is a file. Anything else is a Hub dataset:
``owner/name``, then, each optional, ``:config`` (several joined by ``+``), ``@split`` (default train) and
``#revision``, as in ``openai/gsm8k:main@test``. A commit id of 40 hex digits may follow an ``@``, too.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError
from subliminal.core.manifest import scrub
from subliminal.core.row_files import SUFFIXES, Check, read_row_file

_COMMIT_AFTER_AT = re.compile(r"@(?=[0-9a-f]{40}$)")
_HUB = re.compile(
    r"(?P<id>[\w.-]+/[\w.-]+)(?::(?P<configs>[\w.-]+(?:\+[\w.-]+)*))?(?:@(?P<split>[\w.-]+))?(?:#(?P<revision>[\w./-]+))?"
)


@dataclass(frozen=True)
class HubSource:
    """A Hub dataset: its id, the configs to read one after the other (None: the only one), split and revision."""

    id: str
    configs: tuple[str | None, ...]
    split: str
    revision: str | None


def is_file(source: str) -> bool:
    """True if ``source`` names a local file."""
    return source.endswith(SUFFIXES) or Path(source).exists()


def parse_source(source: str) -> HubSource:
    """Read the name of a Hub dataset.

    Raises:
        UserError: it has another form.
    """
    found = _HUB.fullmatch(_with_hash(source))
    if not found:
        raise UserError(
            f"{source!r} is neither a file that exists nor a Hub dataset of the form "
            "owner/name[:config[+config]][@split][#revision]."
        )
    configs = tuple(found["configs"].split("+")) if found["configs"] else (None,)
    return HubSource(found["id"], configs, found["split"] or "train", found["revision"])


def check_source(source: str) -> None:
    """Refuse a name that is neither a file's nor of the form of a Hub dataset; nothing is read.

    Raises:
        UserError: it is neither.
    """
    if not is_file(source):
        parse_source(source)


def read_rows(source: str, check: Check = lambda row: None) -> Iterator[dict[str, Any]]:
    """Stream the rows of a file or a Hub dataset.

    Args:
        source: see the module.
        check: returns what is wrong with a row, or None.

    Raises:
        UserError: the file or dataset is missing, empty or unreadable, or a row is malformed (names it).
    """
    if is_file(source):
        yield from read_row_file(Path(source), check)
        return
    hub = parse_source(source)
    # 0 where the loop has no row at all.
    number = 0
    for number, row in enumerate(_stream(source, hub), start=1):
        if problem := check(row):
            raise UserError(f"{source}, row {number} is malformed: {problem}. Name another dataset, split or config.")
        yield row
    if not number:
        raise UserError(f"{source} has no rows. Name another dataset, split or config.")


def pin_source(source: str) -> str:
    """The same rows for good: a Hub dataset's name with the commit that it stands for now; a file's path as it is.

    Raises:
        UserError: the Hub does not answer or does not have the dataset.
    """
    if is_file(source):
        return source
    from huggingface_hub import HfApi

    hub = parse_source(source)
    try:
        revision = HfApi().dataset_info(hub.id, revision=hub.revision).sha
    except Exception as error:  # the Hub client raises many kinds: offline, missing, gated, rate-limited
        raise _unreadable(source, error) from None
    return f"{_with_hash(source).partition('#')[0]}#{revision}"


def _with_hash(source: str) -> str:
    """``owner/name@<commit>`` as ``owner/name#<commit>``: no split has a name of 40 hex digits."""
    return _COMMIT_AFTER_AT.sub("#", source)


def _stream(source: str, hub: HubSource) -> Iterator[dict[str, Any]]:
    import datasets

    known = datasets.config.TORCH_AVAILABLE
    # Rows are taken as they are, and no tensors made of them, for which a stream would import torch.
    datasets.config.TORCH_AVAILABLE = known and "torch" in sys.modules
    try:
        for config in hub.configs:
            # A stream reads as far as rows are asked for: some of these data sets have terabytes.
            yield from datasets.load_dataset(hub.id, config, split=hub.split, revision=hub.revision, streaming=True)
    except Exception as error:  # the Hub's clients raise many kinds
        raise _unreadable(source, error) from None
    finally:
        datasets.config.TORCH_AVAILABLE = known


def _unreadable(source: str, error: Exception) -> UserError:
    detail = scrub((str(error).strip().splitlines() or [""])[0])[:200]
    return UserError(
        f"{source} cannot be read from the Hub ({type(error).__name__}: {detail}). Check the network, the name and "
        "your access to it, or give a local JSONL file of the same shape."
    )
