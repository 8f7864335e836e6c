"""What evaluating four adapters through one server costs beside vLLM's own offline rate, on one GPU, without network.

    python -m benchmarks.evaluation --work /tmp/bench --out results/bench_evaluation

Makes a model of Qwen2.5-7B's shape and a LoRA adapter with random weights (15 GB in WORK), answers 50 questions with
one adapter offline, then evaluates four adapters in one server on the same questions, 1,000 answers each and exact,
and prints seconds, tokens a second and their ratio. Starting the engines is not in the times; writing the results is.
They are kept in WORK/serving.jsonl as they come, with a copy in OUT; the same command again makes what is missing or
failed. vLLM comes from .venv-serve or SUBLIMINAL_SERVE_PYTHON; options for the server follow `--`. --tiny rehearses on
a CPU with a small model.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from subliminal.core.errors import run_cli
from subliminal.evaluation.loaders import IN_FLIGHT

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(help=__doc__)
def main(
    work: Annotated[Path, typer.Option(help="Folder for model, logs and results.")] = Path("outputs/bench"),
    out: Annotated[Path | None, typer.Option(help="Folder that gets a copy of the results.")] = None,
    questions: Annotated[int, typer.Option(min=1, max=50, help="Questions.")] = 50,
    samples: Annotated[int, typer.Option(min=1, help="Answers to each question.")] = 1000,
    adapters: Annotated[int, typer.Option(min=1, help="Adapters in the server.")] = 4,
    offline_samples: Annotated[int, typer.Option(min=1, help="Offline answers to each question, for its rate.")] = 250,
    answer_tokens: Annotated[
        list[int] | None,
        typer.Option(help="Tokens an answer, may be repeated; left out, 4 (a word) and 16 (the most)."),
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Answers in flight.")] = IN_FLIGHT,
    max_num_batched_tokens: Annotated[
        int | None, typer.Option(help="vLLM's option, for both sides; left out, each has vLLM's own value.")
    ] = None,
    offline_only: Annotated[bool, typer.Option("--offline-only", help="Stop before the server.")] = False,
    minutes: Annotated[float, typer.Option(help="Start nothing more after this long.")] = 600,
    tiny: Annotated[bool, typer.Option("--tiny", help="Rehearse: small model, CPU.")] = False,
    vllm_options: Annotated[list[str] | None, typer.Argument(help="After `--`: options for the server.")] = None,
) -> None:
    from benchmarks import evaluation_run
    from benchmarks.serving_inputs import make_inputs
    from benchmarks.serving_run import FixedLength, Job, measure_offline

    deadline = time.monotonic() + 60 * minutes
    work = work.resolve()
    model, adapter = make_inputs(work, tiny=tiny)
    lengths = answer_tokens or [evaluation_run.SHORT, evaluation_run.LONGEST]
    requests = evaluation_run.question_requests(questions, offline_samples)
    sampling = FixedLength(max_tokens=max(lengths))
    job = Job(work, out, model, adapter, requests, sampling, deadline, max_num_batched_tokens, loras=adapters)
    measure_offline(job, evaluation_run.offline_runs(lengths))
    if not offline_only:
        folders = evaluation_run.copy_adapters(adapter, adapters)
        evaluation_run.measure_evaluation(job, folders, questions, samples, lengths, concurrency, vllm_options or [])
    print(evaluation_run.table(job.results()))
    print(job.results_file)


if __name__ == "__main__":
    run_cli(app)
