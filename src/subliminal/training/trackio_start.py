"""Trackio under Axolotl 0.19.0, which pins trackio 0.19.0 beside a transformers that calls a newer one.

transformers 5.16.1 passes ``bucket_id`` to ``trackio.init``; 0.19.0 does not know it, so `use_trackio: true` ends the
run with a TypeError. The argument is None in a run on this machine, and then it can go.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any


def start_without_bucket() -> None:
    """Let ``trackio.init`` take a ``bucket_id`` of None."""
    import trackio

    trackio.init = taking_no_bucket(trackio.init)


def taking_no_bucket(init: Callable[..., Any]) -> Callable[..., Any]:
    """``init``, called without ``bucket_id`` where that is None; ``init`` itself if it takes the argument."""
    if "bucket_id" in inspect.signature(init).parameters:
        return init

    @functools.wraps(init)
    def call(*args: Any, **kwargs: Any) -> Any:
        # 0 stands for an argument that was not given: only None may go.
        if kwargs.get("bucket_id", 0) is None:
            del kwargs["bucket_id"]
        return init(*args, **kwargs)

    return call
