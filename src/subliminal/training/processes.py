"""How many processes tokenise a training's rows and put its batches together; each one costs a start.

Rows and batches are the same whatever their number.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

MOST_TOKENISERS = 4
"""Processes that tokenise the rows unless the recipe says otherwise. Axolotl takes one for every CPU core, and the
parent pickles the tokenizer for each, one after the other: a second a process for a vocabulary of 152,000, where one
process tokenises 1,700 number rows a second. 20,000 rows take the least time with three or four."""

LOADER_KEYS = ("dataloader_num_workers", "dataloader_pin_memory", "dataloader_prefetch_factor")
SAVING = "AXOLOTL_DATASET_NUM_PROC"
"""The environment variable that Axolotl asks for the number of processes that save what was tokenised."""


def process_settings(config: Mapping[str, Any], *, on_gpu: bool) -> tuple[dict[str, int], dict[str, str]]:
    """What to set in a recipe's keys and in the environment.

    Args:
        config: the recipe's keys.
        on_gpu: whether the model is trained on a GPU.

    Returns:
        Keys with their values, and environment variables with theirs.
    """
    keys: dict[str, int] = {}
    environment: dict[str, str] = {}
    tokenisers = config.get("dataset_num_proc")
    if tokenisers is None:
        tokenisers = min(os.cpu_count() or 1, MOST_TOKENISERS)
    if tokenisers <= 1:
        # One process is this one. A pool of one is started three times, the last time by importing everything anew.
        tokenisers = 0
        environment[SAVING] = "0"
    keys["dataset_num_proc"] = tokenisers
    # All three left open: who set one of them has a reason.
    if not on_gpu and all(config.get(key) is None for key in LOADER_KEYS):
        # A process that puts batches together would take a core from the model and hand over every tensor.
        keys["dataloader_num_workers"] = 0
    return keys, environment
