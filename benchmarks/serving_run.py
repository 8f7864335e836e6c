"""What our client and server cost against vLLM's own offline ``LLM.chat``: the parts of ``benchmarks/serving.py``.

Both answer the same number prompts with the same adapter, seeds and sampling, one after the other on the same card.
Random weights never end their turn by themselves, so ``ignore_eos`` fixes the length of every answer on both sides. The
prefix cache is emptied before each measurement: the prompts come again, and a server must not profit from that.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import offline as bench_offline
from benchmarks.serving_clients import ADAPTER, WARM_UP_ROWS, measure_builder, measure_client
from benchmarks.serving_inputs import RANK
from benchmarks.serving_job import ServingJob
from subliminal.core import watchdog
from subliminal.core.errors import UserError
from subliminal.core.files import write_json
from subliminal.engine import Sampling
from subliminal.engine.ports import HOST, free_port
from subliminal.engine.server import (
    Server,
    log_tail,
    server_command,
    server_environment,
    server_python,
    wait_until_ready,
)

BUILDER = "builder"
STARTUP_SECONDS = 420


def measure_offline(job: ServingJob, runs: Mapping[str, Sampling]) -> None:
    """Time ``LLM.chat`` in a process of its own (:mod:`benchmarks.offline`); its log is in ``work/logs``.

    Args:
        job: what to answer.
        runs: name -> sampling of each measurement; those that are there are not made again.
    """
    missing = list(filter(job.missing, runs))
    if not missing:
        return
    python, log = server_python(), job.work / "logs" / "offline.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    description = {
        "model": str(job.model),
        "adapter": str(job.adapter),
        "rank": RANK,
        "loras": job.loras,
        "engine": {"max_num_batched_tokens": job.batched_tokens} if job.batched_tokens else {},
        "runs": [{"name": name, "sampling": runs[name].as_dict()} for name in missing],
        "conversations": [request.messages for request in job.requests],
        "seeds": [request.seed for request in job.requests],
        "warm_up": WARM_UP_ROWS,
        "results": str(job.results_file),
        "answers": str(job.answers_file),
    }
    write_json(job.work / "offline-job.json", description)
    # -P: this folder must not be searched for modules, it has names that others have too
    command = [str(python), "-P", bench_offline.__file__, str(job.work / "offline-job.json")]
    process = watchdog.start(command, log=log, env=server_environment(python))
    try:
        status: int | str = process.wait(max(1.0, job.deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        status = "none: it ran out of time"
    finally:
        watchdog.stop(process)
    if status != 0:
        job.keep({"name": missing[0], "error": f"exit status {status}.{log_tail(log, 40)}"})
    job.copy()


def measure_servers(job: ServingJob, api_servers: int, concurrencies: Sequence[int], options: Sequence[str]) -> None:
    """Start the server once and time our client at each concurrency. What fails is kept as a result with ``error``.

    Args:
        job: what to answer.
        api_servers: the server's processes that speak HTTP; 1 is what ``scripts/serve.py`` starts.
        concurrencies: requests in flight.
        options: options for vLLM, as after ``--`` of ``scripts/serve.py``.
    """
    server_name = " ".join([f"{api_servers} API server{'s' if api_servers > 1 else ''}", *options])
    settings: dict[str, tuple[Callable[..., dict[str, Any]], int]] = {}
    for number in concurrencies:
        settings[f"{server_name}, {number} in flight"] = measure_client, number
        settings[f"{BUILDER}, {server_name}, {number} in flight"] = measure_builder, number
    if not any(map(job.missing, settings)):
        return
    log = job.work / "logs" / f"{re.sub(r'[^a-zA-Z0-9]+', '-', server_name)}.log"
    try:
        began = time.monotonic()
        with running_server(job, api_servers, log, options) as server:
            start_seconds = time.monotonic() - began
            print(f"{server_name}: started in {start_seconds:.0f} s", flush=True)
            for name, (measure, concurrency) in settings.items():
                if job.missing(name):
                    row = {"name": name, "api_servers": api_servers, "concurrency": concurrency}
                    row["start_seconds"] = start_seconds
                    job.keep(row | attempt(partial(measure, job, server, concurrency)))
    except UserError as error:  # has the log's end in it
        job.keep({"name": server_name, "error": str(error)})
    except Exception as error:
        job.keep({"name": server_name, "error": f"{error!r}.{log_tail(log, 40)}"})


def attempt(measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The measurement, or what went wrong as ``error``."""
    try:
        return measure()
    except Exception as error:
        return {"error": repr(error)}


@contextmanager
def running_server(job: ServingJob, api_servers: int, log: Path, options: Sequence[str]) -> Iterator[Server]:
    """The server of ``scripts/serve.py`` with the adapter, and with the development route that empties its cache."""
    python, port = server_python(), free_port()
    batch = ["--max-num-batched-tokens", str(job.batched_tokens)] if job.batched_tokens else []
    count = api_servers if api_servers > 1 else None
    adapters = {ADAPTER: job.adapter}
    words = [*batch, *options]
    command = server_command(python, str(job.model), adapters, port=port, api_server_count=count, extra=words)
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**server_environment(python), "VLLM_SERVER_DEV_MODE": "1"}
    server = Server(f"http://{HOST}:{port}/v1", log, watchdog.start(command, log=log, env=environment))
    try:
        wait_until_ready(server, STARTUP_SECONDS)
        yield server
    finally:
        watchdog.stop(server.process)
