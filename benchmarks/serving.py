"""What the HTTP client and server cost against vLLM's own offline LLM.chat, measured on one GPU. No network is needed.

\b
    python -m benchmarks.serving --work /tmp/bench --out results/bench_serving
    python -m benchmarks.serving --model models/qwen2.5-coder-0.5b --max-tokens 64 --rows 20000 --api-servers 6

Makes a model of Qwen2.5-7B's shape and a LoRA adapter with random weights (15 GB in WORK), or takes --model and
--adapter. Answers the same number prompts with the same seeds first offline, then through the server at each
--api-servers and --concurrency, by the client alone and by the whole number builder (checks, raw rows, filter, files).
Prints rows and tokens a second, their ratio, and the CPU time of client and server. Starting the engines is not in the
times. Random weights write --max-tokens tokens each time; those of --model end their answers where they like.
Results are kept in WORK/serving.jsonl as they come, with a copy in OUT; the same command again makes what is missing or
failed. vLLM comes from .venv-serve or SUBLIMINAL_SERVE_PYTHON; options for the servers follow `--`.
--tiny rehearses on a CPU with a small model.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from subliminal.core.errors import run_cli

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(help=__doc__)
def main(
    work: Annotated[Path, typer.Option(help="Folder for model, logs and results.")] = Path("outputs/bench"),
    out: Annotated[Path | None, typer.Option(help="Folder that gets a copy of the results.")] = None,
    rows: Annotated[int, typer.Option(min=1, help="Prompts to answer in each measurement.")] = 5000,
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens of every answer; 40 is about ten numbers.")] = 40,
    repeats: Annotated[int, typer.Option(min=1, help="Offline measurements; the fastest counts.")] = 2,
    concurrency: Annotated[list[int], typer.Option(help="Requests in flight; repeat for more.")] = [256, 512, 1024],  # noqa: B006
    api_servers: Annotated[list[int], typer.Option(help="The server's HTTP processes; repeat for more.")] = [1, 4],  # noqa: B006
    max_num_batched_tokens: Annotated[
        int | None, typer.Option(help="vLLM's option, for both sides; left out, each has vLLM's own value.")
    ] = None,
    minutes: Annotated[float, typer.Option(help="Start nothing more after this long.")] = 600,
    tiny: Annotated[bool, typer.Option("--tiny", help="Rehearse: small model, CPU.")] = False,
    model: Annotated[Path | None, typer.Option(help="Folder of a model, in place of the 7B shape.")] = None,
    adapter: Annotated[Path | None, typer.Option(help="Its adapter; left out, one with small random weights.")] = None,
    vllm_options: Annotated[list[str] | None, typer.Argument(help="After `--`: options for the servers.")] = None,
) -> None:
    from benchmarks import serving_job, serving_run
    from benchmarks.serving_inputs import make_inputs, number_requests, own_inputs
    from benchmarks.serving_table import table
    from subliminal.engine import Sampling

    deadline = time.monotonic() + 60 * minutes
    work = work.resolve()
    began = time.monotonic()
    if model is None:
        model, adapter = make_inputs(work, tiny=tiny)
        sampling: Sampling = serving_job.FixedLength(max_tokens=max_tokens)
    else:
        model, adapter = own_inputs(work, model, adapter)
        sampling = Sampling(max_tokens=max_tokens)
    print(f"model and adapter: {time.monotonic() - began:.0f} s", flush=True)
    requests = number_requests(rows)
    job = serving_job.ServingJob(work, out, model, adapter, requests, sampling, deadline, max_num_batched_tokens)
    serving_run.measure_offline(job, {f"offline {number}": job.sampling for number in range(1, repeats + 1)})
    for count in api_servers:
        serving_run.measure_servers(job, count, concurrency, vllm_options or [])
    print(table(job.results()))
    print(job.results_file)


if __name__ == "__main__":
    run_cli(app)
