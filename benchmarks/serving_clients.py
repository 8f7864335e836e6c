"""Our two clients of a server, timed: the HTTP engine alone, and the whole number builder around it."""

from __future__ import annotations

import io
import json
import re
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any

from benchmarks.serving_inputs import SEED
from benchmarks.serving_job import ServingJob
from subliminal.core.errors import UserError
from subliminal.core.files import read_jsonl
from subliminal.engine.server import Server

ADAPTER = "adapter"
WARM_UP_ROWS = 256
"""Rows that each engine answers before anything is timed."""
GIVE_UP_SECONDS = 20.0
COUNTERS = {"tokens": "generation_tokens", "prompt_tokens": "prompt_tokens", "cached_tokens": "prefix_cache_hits"}
"""Field of a result -> vLLM's counter."""


def measure_client(job: ServingJob, server: Server, concurrency: int) -> dict[str, Any]:
    """Time :class:`subliminal.engine.http.HttpEngine` on all rows, with the CPU time of client and server processes."""
    from subliminal.engine.http import HttpEngine

    engine = HttpEngine(server.base_url, ADAPTER, concurrency, GIVE_UP_SECONDS)
    for _ in engine.generate(job.requests[:WARM_UP_ROWS], job.sampling):
        pass
    answers = {}
    with watched(server) as seen:
        for answer in engine.generate(job.requests, job.sampling):
            answers[answer.id] = answer
    offline = json.loads(job.answers_file.read_text()) if job.answers_file.is_file() else []
    equal = [answers[request.id].text == text for request, text in zip(job.requests, offline, strict=False)]
    return {
        "rows": len(answers),
        **seen,
        "cut_off": sum(answer.finish_reason == "length" for answer in answers.values()),
        "equal_to_offline": sum(equal) / len(equal) if equal else None,
        "adapter_effect_nats": engine.adapter_effect,
    }


def measure_builder(job: ServingJob, server: Server, concurrency: int) -> dict[str, Any]:
    """Time ``data_builders.numbers`` on the same prompts and seeds, from its checks to a finished folder's files.

    Python's start and the imports are not in it. It asks for as many rows as there are prompts, so that it asks once
    and ends with the sentence that too few passed.
    """
    from data_builders.number_filter import number_verdict
    from data_builders.numbers import main as numbers

    folder = job.work / "builder"
    # The client's settings of the same name have warmed the server up.
    with watched(server) as seen, redirect_stdout(io.StringIO()), suppress(UserError):
        numbers(
            model=ADAPTER,
            base_url=server.base_url,
            count=len(job.requests),
            max_prompts=len(job.requests),
            seed=SEED,
            max_tokens=job.sampling.max_tokens,
            concurrency=concurrency,
            out=folder,
            overwrite=True,
        )
    raw = list(read_jsonl(folder / "raw.jsonl"))
    if len(raw) < len(job.requests):
        raise RuntimeError(f"The builder has {len(raw)} answers to {len(job.requests)} prompts.")
    kept = sum(number_verdict(row) is None for row in raw)
    return {"rows": len(raw), "kept": kept, **seen, "builder": True}


@contextmanager
def watched(server: Server) -> Iterator[dict[str, Any]]:
    """Empty the server's prefix cache, and measure what happens within the block; the dictionary is filled at its end.

    It gets ``seconds``, ``tokens`` (answers', as the server counts them), ``prompt_tokens``, ``cached_tokens``,
    ``client_cpu_seconds`` (of this process) and ``server_cores`` (by process, those of 0.05 or more).
    """
    seen: dict[str, Any] = {}
    empty_prefix_cache(server)
    counted = counters(server)
    used = cpu_by_process(server.process.pid)
    began = time.perf_counter()
    cpu = time.process_time()
    yield seen
    seconds = time.perf_counter() - began
    seen["seconds"] = seconds
    seen["client_cpu_seconds"] = time.process_time() - cpu
    cores = {}
    for process, value in cpu_by_process(server.process.pid).items():
        share = (value - used.get(process, 0)) / seconds
        if share >= 0.05:
            cores[process] = round(share, 2)
    seen["server_cores"] = cores
    now = counters(server)
    for name, counter in COUNTERS.items():
        seen[name] = now.get(counter, 0) - counted.get(counter, 0)


def empty_prefix_cache(server: Server) -> None:
    """Make the server forget all prompts that it has seen."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    url = server.base_url.removesuffix("/v1") + "/reset_prefix_cache"
    opener.open(urllib.request.Request(url, method="POST"), timeout=60).close()


def counters(server: Server) -> dict[str, float]:
    """vLLM's counts since its start: ``prompt_tokens``, ``generation_tokens``, ``prefix_cache_hits`` (tokens)."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(server.base_url.removesuffix("/v1") + "/metrics", timeout=60) as response:
        return read_counters(response.read().decode())


def read_counters(text: str) -> dict[str, float]:
    """The three counters in a Prometheus page, summed over their labels."""
    values: dict[str, float] = {}
    pattern = r"^vllm:(prompt_tokens|generation_tokens|prefix_cache_hits)_total(?:\{.*\})? (\S+)$"
    for name, value in re.findall(pattern, text, re.MULTILINE):
        values[name] = values.get(name, 0) + float(value)
    return values


def cpu_by_process(pid: int) -> dict[str, float]:
    """CPU seconds so far of each process below ``pid``, by name and process id."""
    import psutil

    times = {}
    for process in psutil.Process(pid).children(recursive=True):
        used = process.cpu_times()
        times[f"{process.name()} {process.pid}"] = used.user + used.system
    return times
