"""How fast the GPUs of one host speak to each other: NCCL's all-reduce and all-gather, and what carries them.

\b
    python -m benchmarks.links --gpus 0,1,2,3 --out OUT

One process a GPU, first on two of them, then on all. Buffers are as large as what a step of a training sends: an
all-reduce of an adapter's gradients in float32 (DDP), and an all-gather of a whole model's weights in bfloat16 (FSDP2,
ZeRO-3). Times are medians over the repeats, of the process that took longest. Bus rates are those of NVIDIA's
nccl-tests: bytes over time, times 2 (n - 1) / n for an all-reduce and (n - 1) / n for an all-gather on n GPUs, so that
they can be held against the links' rate whatever n is. Beside them stand the copy of a buffer from one GPU to the next
by PyTorch alone, and NCCL's own words for the transport between two processes (P2P, SHM or NET). PyTorch is enough.
--tiny rehearses on a CPU, with gloo in NCCL's place.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from subliminal.core.errors import UserError, run_cli
from subliminal.engine.ports import free_port

BUFFERS = (
    ("all_reduce", "an adapter of the 7B student, float32", 81_000_000),
    ("all_reduce", "1 GB", 1_000_000_000),
    ("all_gather", "the 0.5B model, bfloat16", 988_000_000),
)
"""Collective, what sends as much, and bytes: of the buffer that is summed, or of the whole that is gathered."""
TINY_BYTES = 40_000
BYTES = 2
"""Of an element: bfloat16."""
REPEATS = 10
WARM_UP = 3
TRANSPORT = re.compile(r"via ([A-Z0-9]+(?:/[A-Za-z0-9_]+)*)")

app = typer.Typer(add_completion=False, rich_markup_mode=None)


def bus_rate(collective: str, size: int, seconds: float, gpus: int) -> float:
    """GB/s over the links, as nccl-tests counts them.

    Args:
        collective: ``all_reduce`` or ``all_gather``.
        size: bytes of the buffer that is summed, or of the whole that is gathered.
        seconds: of one call.
        gpus: that take part.

    Source: https://github.com/NVIDIA/nccl-tests/blob/master/doc/PERFORMANCE.md.
    """
    share = (gpus - 1) / gpus
    if collective == "all_reduce":
        share *= 2
    return 1e-9 * size / seconds * share


def transports(log: str) -> dict[str, int]:
    """What NCCL says that it sends by, and over how many channels: ``{"P2P/CUMEM": 32}``.

    Args:
        log: what NCCL wrote with ``NCCL_DEBUG=INFO``.
    """
    return dict(Counter(TRANSPORT.findall(log)))


def time_calls(work: Callable[[], object], repeats: int, wait: Callable[[], object]) -> float:
    """Seconds of one call: the median of ``repeats`` calls after :data:`WARM_UP` that are not counted."""
    for _ in range(WARM_UP):
        work()
    times = []
    for _ in range(repeats):
        wait()
        begin = time.perf_counter()
        work()
        wait()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def call_of(collective: str, elements: int, gpus: int, device: Any) -> Callable[[], object]:
    """One call of a collective, on buffers of this process.

    Args:
        collective: ``all_reduce`` or ``all_gather``.
        elements: of the buffer that is summed, or of the whole that is gathered.
        gpus: that take part; they divide ``elements``.
        device: where the buffers lie.
    """
    import torch
    import torch.distributed as dist

    if collective == "all_reduce":
        buffer = torch.ones(elements, dtype=torch.bfloat16, device=device)
        return partial(dist.all_reduce, buffer)
    piece = torch.ones(elements // gpus, dtype=torch.bfloat16, device=device)
    whole = torch.empty(elements, dtype=torch.bfloat16, device=device)
    return partial(dist.all_gather_into_tensor, whole, piece)


def one_process(rank: int, gpus: int, port: int, tiny: bool, out: str) -> None:
    """One of the processes that speak: every collective of :data:`BUFFERS`; the first writes the results to ``out``."""
    import torch
    import torch.distributed as dist

    device = torch.device("cpu")
    backend = "gloo"
    wait: Callable[[], object] = dist.barrier
    if not tiny:
        device = torch.device("cuda", rank)
        backend = "nccl"
        torch.cuda.set_device(device)
        wait = torch.cuda.synchronize
    dist.init_process_group(backend, init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=gpus)
    results = []
    for collective, what, size in BUFFERS:
        if tiny:
            size = TINY_BYTES
        elements = size // BYTES // gpus * gpus  # as many on each process
        seconds = time_calls(call_of(collective, elements, gpus, device), REPEATS, wait)
        slowest = torch.tensor(seconds, dtype=torch.float32, device=device)
        dist.all_reduce(slowest, op=dist.ReduceOp.MAX)
        seconds = slowest.item()
        results.append({"collective": collective, "what": what, "bytes": BYTES * elements, "seconds": seconds})
    dist.destroy_process_group()
    if rank == 0:
        Path(out).write_text(json.dumps(results))


def measure_collectives(gpus: int, tiny: bool) -> dict[str, Any]:
    """Every collective between the first ``gpus`` of the visible cards."""
    import torch.multiprocessing

    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "results.json"
        os.environ.update({"NCCL_DEBUG": "INFO", "NCCL_DEBUG_FILE": f"{folder}/nccl.%p"})
        torch.multiprocessing.spawn(one_process, (gpus, port, tiny, str(out)), nprocs=gpus)
        results = json.loads(out.read_text())
        log = "".join(path.read_text(errors="replace") for path in sorted(Path(folder).glob("nccl.*")))
    for result in results:
        result["bus_gb_per_s"] = round(bus_rate(result["collective"], result["bytes"], result["seconds"], gpus), 2)
    return {"gpus": gpus, "transports": transports(log), "collectives": results}


def measure_copy() -> dict[str, Any]:
    """A buffer of 1 GB from the first GPU to the second by PyTorch, and which pairs may read each other's memory."""
    import torch

    count = torch.cuda.device_count()
    peers = []
    for one in range(count):
        for other in range(count):
            if one != other and torch.cuda.can_device_access_peer(one, other):
                peers.append([one, other])
    source = torch.ones(500_000_000, dtype=torch.bfloat16, device="cuda:0")
    target = torch.empty_like(source, device="cuda:1")

    def wait() -> None:
        torch.cuda.synchronize(0)
        torch.cuda.synchronize(1)

    seconds = time_calls(lambda: target.copy_(source), REPEATS, wait)
    return {"copy_gb_per_s": round(1 / seconds, 2), "peers": peers}


def links_table(measured: list[dict[str, Any]]) -> str:
    """The collectives in Markdown, one line each."""
    lines = ["| GPUs | collective | as much as | MB | ms | bus GB/s |", "|---|---|---|---|---|---|"]
    for group in measured:
        for result in group["collectives"]:
            lines.append(
                f"| {group['gpus']} | {result['collective']} | {result['what']} | {result['bytes'] / 1e6:,.0f} "
                f"| {1000 * result['seconds']:.2f} | {result['bus_gb_per_s']:.2f} |"
            )
    return "\n".join(lines)


@app.command(help=__doc__)
def main(
    out: Annotated[Path | None, typer.Option(help="Folder for links.json; without it nothing is kept.")] = None,
    gpus: Annotated[str, typer.Option(help="CUDA indices, comma-separated; two or more.")] = "0,1",
    tiny: Annotated[bool, typer.Option("--tiny", help="Rehearse on a CPU, with small buffers.")] = False,
) -> None:
    count = len(gpus.split(","))
    if count < 2:
        raise UserError("One GPU has nobody to speak to. Name two or more: --gpus 0,1.")
    import torch

    os.environ["CUDA_VISIBLE_DEVICES"] = gpus
    if not tiny and torch.cuda.device_count() < count:
        raise UserError(f"--gpus {gpus} names {count} GPUs, and PyTorch sees {torch.cuda.device_count()}. Name fewer.")
    sizes = sorted({2, count})
    record: dict[str, Any] = {"torch": torch.__version__, "groups": []}
    if not tiny:
        shown = subprocess.run(["nvidia-smi", "topo", "-m"], capture_output=True, text=True, check=False)
        record |= {"card": torch.cuda.get_device_name(0), "topology": shown.stdout}
        record |= {"nccl": ".".join(map(str, torch.cuda.nccl.version()))} | measure_copy()
        torch.cuda.empty_cache()
        print(f"{record['card']}, torch {record['torch']}, NCCL {record['nccl']}")
        print(f"copy from one to the next: {record['copy_gb_per_s']} GB/s; peers: {record['peers']}")
        print(record["topology"])
    for size in sizes:
        group = measure_collectives(size, tiny)
        record["groups"].append(group)
        print(f"{size} GPUs: NCCL sends by {group['transports']}")
    print(links_table(record["groups"]))
    if out:
        out.mkdir(parents=True, exist_ok=True)
        (out / "links.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    run_cli(app)
