"""Serve a base model and its LoRA adapters over HTTP with vLLM, until Ctrl-C.

    python scripts/serve.py --model Qwen/Qwen2.5-7B-Instruct --adapter owl-teacher=outputs/owl_teacher

``--run "COMMAND"`` runs one command against the server, with its address in SUBLIMINAL_BASE_URL, and ends with that
command's status. ``--base-url URL`` starts nothing and checks a server that runs already. Options of vLLM itself follow
``--``. On a CPU a LoRA adapter costs more than half of the speed: merge it first if it is the only one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated

import typer

from subliminal.core import watchdog
from subliminal.core.errors import run_cli
from subliminal.engine.served_adapters import parse_adapters
from subliminal.engine.server import serve
from subliminal.engine.server_checks import check_server

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(help=__doc__)
def main(
    model: Annotated[str, typer.Option(help="Base model: a folder or a Hub id.")],
    adapter: Annotated[list[str], typer.Option(help="NAME=FOLDER; repeat for more.")] = [],  # noqa: B006
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes any free port.")] = 8000,
    served_model_name: Annotated[
        str | None, typer.Option(help="The base model's name in requests; MODEL if left out.")
    ] = None,
    api_server_count: Annotated[
        int | None, typer.Option(min=1, help="Processes that speak HTTP; a small model waits for a single one.")
    ] = None,
    max_model_len: Annotated[int | None, typer.Option(min=1, help="Longest prompt plus answer, in tokens.")] = None,
    tensor_parallel_size: Annotated[int | None, typer.Option(min=1, help="GPUs to spread the model over.")] = None,
    gpu_memory_utilization: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Share of the GPU's memory to take.")
    ] = None,
    kv_cache_memory_bytes: Annotated[
        int | None, typer.Option(min=1, help="Size of the cache, instead of measuring it; for a GPU that is shared.")
    ] = None,
    no_compile: Annotated[
        bool, typer.Option("--no-compile", help="Start sooner, without torch.compile; a token may cost more.")
    ] = False,
    startup_seconds: Annotated[float, typer.Option(min=0.0, help="How long the server may take to start.")] = 1800,
    base_url: Annotated[str | None, typer.Option(help="Only check the server at this address.")] = None,
    run: Annotated[str | None, typer.Option(help="Run this shell command against the server, then stop.")] = None,
    vllm_options: Annotated[list[str] | None, typer.Argument(help="After `--`: options for vLLM.")] = None,
) -> None:
    # A `kill` unwinds like an exception, so that what was started is stopped.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    adapters = parse_adapters(adapter)
    name = served_model_name or model
    if base_url is not None:
        _report(base_url, name, adapters)
        raise typer.Exit(_run(run, base_url, lambda: None) if run else 0)
    with serve(
        model,
        adapters,
        port=port,
        startup_seconds=startup_seconds,
        served_model_name=served_model_name,
        max_model_len=max_model_len,
        tensor_parallel_size=tensor_parallel_size,
        gpu_memory_utilization=gpu_memory_utilization,
        kv_cache_memory_bytes=kv_cache_memory_bytes,
        api_server_count=api_server_count,
        no_compile=no_compile,
        extra=vllm_options or [],
    ) as server:
        _report(server.base_url, name, adapters)
        if run:
            raise typer.Exit(_run(run, server.base_url, server.check))
        with suppress(KeyboardInterrupt):
            server.hold()


def _report(base_url: str, name: str, adapters: dict) -> None:
    """Print each adapter's distance from the base, and the address last."""
    for adapter, nats in check_server(base_url, name, adapters).items():
        print(f"{adapter} is in use: it moves a next-token log-probability of {name} by up to {nats:.3g} nats")
    print(base_url, flush=True)


def _run(command: str, base_url: str, check: Callable[[], None]) -> int:
    """The status of a command that runs for as long as ``check`` raises nothing."""
    process = watchdog.start(["sh", "-c", command], env={**os.environ, "SUBLIMINAL_BASE_URL": base_url})
    try:
        while process.poll() is None:
            check()
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.5)
        return process.returncode
    finally:
        watchdog.stop(process)


if __name__ == "__main__":
    run_cli(app)
