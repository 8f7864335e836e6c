"""How long four adapters of Qwen2.5-7B's shape take to answer 50 questions a thousand times each, on one GPU.

    python -m benchmarks.evaluation --work /tmp/bench --out results/bench_evaluation

Makes the model and the adapter of benchmarks.serving (15 GB in WORK), answers some of the questions with one adapter
by vLLM's offline LLM.chat, then evaluates copies of the adapter as ``scripts/evaluate.py`` does, in one server and in
this process, from the first request to the written result folders; --engines names a part of them. Starting the engines
is not in the times. Random weights hardly ever end a turn, so every answer has --answer-tokens tokens; a trained
model's take about four. Results are kept in WORK/evaluation.jsonl as they come, with a copy in OUT; the same command
again makes what is missing. --tiny rehearses on a CPU; options for the server follow `--`.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.serving_clients import watched
from benchmarks.serving_inputs import SEED, make_inputs
from benchmarks.serving_job import FixedLength, ServingJob
from benchmarks.serving_run import measure_offline
from benchmarks.workspace import met_or_missed
from subliminal.core.errors import UserError, run_cli
from subliminal.engine import Request, row_seed
from subliminal.engine.chat import user_messages
from subliminal.engine.server import Server, serve
from subliminal.evaluation.loaders import IN_FLIGHT, Loader, OpenModels, in_process, on_server
from subliminal.evaluation.run import evaluate
from subliminal.evaluation.spec import EvaluationSpec

SAMPLED, EXACT = "animal_preference", "animal_preference_logprob"
ENGINES = ("offline", "server", "process")
WARM_UP = {"samples": 20, "limit": 5}
"""Answers and questions that one adapter is asked before anything is timed."""
OFFLINE_SAMPLES = 250
"""Answers to each question that vLLM without a server is timed with."""
GOAL_SECONDS, GOAL_ANSWERS = 100, 4 * 50 * 1000

Watch = Callable[[], AbstractContextManager[dict[str, Any]]]
"""What measures an evaluation: see :func:`benchmarks.serving_clients.watched`."""

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@dataclass(frozen=True)
class EvaluationJob(ServingJob):
    """A :class:`benchmarks.serving_job.ServingJob` whose results have a file of their own."""

    @property
    def results_file(self) -> Path:
        return self.work / "evaluation.jsonl"


def question_requests(questions: int, samples: int) -> list[Request]:
    """What offline is to answer: each question ``samples`` times, with the seeds that the evaluation gives."""
    # It imports lm-eval, and `--help` need not wait for that.
    from subliminal.scoring.preference import questions as favourite_questions

    requests = []
    for number, row in enumerate(favourite_questions("animals")[:questions]):
        for index in range(samples):
            seed = row_seed(SEED, number) + index
            requests.append(Request(f"{row['id']}-{index}", user_messages(row["question"]), seed))
    return requests


def measure_evaluation(
    job: EvaluationJob, adapters: Sequence[Path], questions: int, samples: int, concurrency: int, options: Sequence[str]
) -> None:
    """Time the evaluation of all adapters in one server, sampled answers and exact probabilities.

    Args:
        job: model, folders, length of an answer and deadline.
        adapters: folders.
        questions, samples: how many questions, and how many answers to each.
        concurrency: answers in flight.
        options: options for vLLM.
    """
    length = job.sampling.max_tokens
    suffix = "".join(f" {option}" for option in options)
    names = {
        f"{len(adapters)} adapters, {SAMPLED}, {length} tokens an answer{suffix}": SAMPLED,
        f"{len(adapters)} adapters, {EXACT}{suffix}": EXACT,
    }
    if not any(map(job.missing, names)):
        return
    os.environ["VLLM_SERVER_DEV_MODE"] = "1"  # for the route that empties the prefix cache
    served = {f"adapter-{number}": folder for number, folder in enumerate(adapters)}
    words = list(options)
    if job.batched_tokens:
        words += ["--max-num-batched-tokens", str(job.batched_tokens)]
    began = time.monotonic()
    with serve(str(job.model), served, log=job.work / "logs" / "evaluation.log", extra=words) as server:
        print(f"server: started in {time.monotonic() - began:.0f} s", flush=True)
        for name, task in names.items():
            if not job.missing(name):
                continue
            specs = specs_of(job, adapters, task, questions, samples)
            engine = partial(fixed_length, server=server, concurrency=concurrency, length=length)
            seen = _time(job, partial(watched, server), specs, engine)
            job.keep({"name": name, "answers": _asked(specs), **seen})


def measure_in_process(job: EvaluationJob, adapters: Sequence[Path], questions: int, samples: int, batch: int) -> None:
    """Time the same evaluation without a server, by transformers in this process.

    Args:
        job: model, folders, length of an answer and deadline.
        adapters: folders.
        questions, samples: how many questions, and how many answers to each.
        batch: answers written together.
    """
    length = job.sampling.max_tokens
    names = {
        f"{len(adapters)} adapters in process, {SAMPLED}, {length} tokens an answer, {batch} together": SAMPLED,
        f"{len(adapters)} adapters in process, {EXACT}": EXACT,
    }
    if not any(map(job.missing, names)):
        return
    specs = {}
    for task in names.values():
        asked = specs_of(job, adapters, task, questions, samples)
        specs[task] = [replace(spec, batch_size=batch, engine="transformers") for spec in asked]
    began = time.monotonic()
    with in_process(specs[SAMPLED]) as load:  # the model takes its batch size when it is loaded
        print(f"in process: loaded in {time.monotonic() - began:.0f} s", flush=True)

        def load_fixed(spec: EvaluationSpec) -> tuple[Any, dict[str, Any]]:
            model, facts = load(spec)
            model.generate_until = partial(_answer_briefly, model, length)
            return model, facts

        for name, task in names.items():
            if not job.missing(name):
                continue
            seen = _time(job, watched_process, specs[task], lambda _: nullcontext(load_fixed))
            answers = _asked(specs[task])
            job.keep({"name": name, "answers": answers, "tokens": answers * length, **seen})


def _answer_briefly(model: Any, length: int, requests: Sequence[Any], **options: Any) -> list[str]:
    """The model's own ``generate_until``, with answers of at most ``length`` tokens."""
    brief = []
    for request in requests:
        prompt, arguments = request.args
        brief.append(replace(request, arguments=(prompt, {**arguments, "max_gen_toks": length})))
    return type(model).generate_until(model, brief, **options)


@contextmanager
def watched_process() -> Iterator[dict[str, Any]]:
    """Measure what happens within the block; the dictionary gets ``seconds`` and ``client_cpu_seconds`` at its end."""
    seen: dict[str, Any] = {}
    began, cpu = time.perf_counter(), time.process_time()
    yield seen
    seen["seconds"] = time.perf_counter() - began
    seen["client_cpu_seconds"] = time.process_time() - cpu


def specs_of(
    job: EvaluationJob, adapters: Sequence[Path], task: str, questions: int, samples: int
) -> list[EvaluationSpec]:
    """One task asked of each adapter."""
    specs = []
    for number, folder in enumerate(adapters):
        specs.append(
            EvaluationSpec(
                str(job.model), (task,), "bench", f"arm-{number}", SEED, "owl",
                adapter=str(folder), samples=samples, limit=questions, engine="vllm", settings={},
            )
        )  # fmt: skip
    return specs


def _asked(specs: Sequence[EvaluationSpec]) -> int:
    """Answers that are sampled."""
    if EXACT in specs[0].tasks:
        return 0
    return len(specs) * (specs[0].limit or 0) * (specs[0].samples or 0)


@contextmanager
def fixed_length(specs: Sequence[EvaluationSpec], server: Server, concurrency: int, length: int) -> Iterator[Loader]:
    """The models of :func:`subliminal.evaluation.loaders.on_server`, whose sampled answers have ``length`` tokens."""
    with on_server(specs, server.base_url, concurrency=concurrency) as load:

        def load_fixed(spec: EvaluationSpec) -> tuple[Any, dict[str, Any]]:
            model, facts = load(spec)
            model.extra = {"max_tokens": length, "ignore_eos": True}
            return model, facts

        yield load_fixed


def _time(job: EvaluationJob, watch: Watch, specs: Sequence[EvaluationSpec], engine: OpenModels) -> dict[str, Any]:
    """Score all specs, which ``watch`` measures; the first has answered a few questions before."""
    results = job.work / "evaluation"
    shutil.rmtree(results, ignore_errors=True)
    evaluate([replace(specs[0], arm="warm-up", **WARM_UP)], results / "warm-up", engine=engine)
    with watch() as seen:
        evaluate(specs, results / "all", engine=engine)
    return seen


def evaluation_table(results: Sequence[dict[str, Any]]) -> str:
    """The results in Markdown, and whether the goal is met."""
    lines = ["| what | answers | seconds | answers/s | tokens/s | client CPU, s | server processes, cores |"]
    lines.append("|---|---|---|---|---|---|---|")
    verdicts = []
    for row in results:
        if "error" in row:
            lines.append(f"| {row['name']} | failed | | | | | |")
            continue
        answers = row.get("answers", row.get("rows", 0))  # offline counts rows
        cores = ", ".join(f"{name} {value:.2f}" for name, value in row.get("server_cores", {}).items())
        cells = [row["name"], "", f"{row['seconds']:.1f}", "", "", f"{row['client_cpu_seconds']:.1f}", cores]
        if answers:
            cells[1] = f"{answers:,}"
            cells[3] = f"{answers / row['seconds']:,.0f}"
            cells[4] = f"{row['tokens'] / row['seconds']:,.0f}"
        lines.append(f"| {' | '.join(cells)} |")
        if row.get("answers", 0) >= GOAL_ANSWERS:
            met = met_or_missed(row["seconds"] < GOAL_SECONDS)
            verdicts.append(f"{row['name']}: {row['seconds']:.1f} s; under {GOAL_SECONDS} wanted: {met}.")
    return "\n".join([*lines, "", *verdicts])


@app.command(help=__doc__)
def main(
    work: Annotated[Path, typer.Option(help="Folder for model, logs and results.")] = Path("outputs/bench"),
    out: Annotated[Path | None, typer.Option(help="Folder that gets a copy of the results.")] = None,
    questions: Annotated[int, typer.Option(min=1, max=50, help="Questions.")] = 50,
    samples: Annotated[int, typer.Option(min=1, help="Answers to each question.")] = 1000,
    adapters: Annotated[int, typer.Option(min=1, help="Adapters in the server.")] = 4,
    answer_tokens: Annotated[int, typer.Option(min=1, help="Tokens of every answer.")] = 4,
    concurrency: Annotated[int, typer.Option(min=1, help="Answers in flight.")] = IN_FLIGHT,
    batch: Annotated[int, typer.Option(min=1, help="Answers written together in process.")] = 1000,
    engines: Annotated[str, typer.Option(help=f"Of {', '.join(ENGINES)}: those that are timed.")] = ",".join(ENGINES),
    max_num_batched_tokens: Annotated[
        int | None, typer.Option(help="vLLM's option, for both sides; left out, each has vLLM's own value.")
    ] = None,
    minutes: Annotated[float, typer.Option(help="Start nothing more after this long.")] = 600,
    tiny: Annotated[bool, typer.Option("--tiny", help="Rehearse: small model, CPU.")] = False,
    vllm_options: Annotated[list[str] | None, typer.Argument(help="After `--`: options for the server.")] = None,
) -> None:
    wanted = engines.split(",")
    for name in wanted:
        if name not in ENGINES:
            raise UserError(f"--engines has {name}. Name some of {', '.join(ENGINES)}, with commas between them.")
    deadline = time.monotonic() + 60 * minutes
    work = work.resolve()
    model, adapter = make_inputs(work, tiny=tiny)
    requests = question_requests(questions, OFFLINE_SAMPLES)
    sampling = FixedLength(max_tokens=answer_tokens)
    job = EvaluationJob(work, out, model, adapter, requests, sampling, deadline, max_num_batched_tokens, loras=adapters)
    if "offline" in wanted:
        measure_offline(job, {f"offline, {answer_tokens} tokens an answer": sampling})
    copies = []
    for number in range(adapters):
        copy = adapter.with_name(f"{adapter.name}-{number}")
        shutil.copytree(adapter, copy, dirs_exist_ok=True)
        copies.append(copy)
    if "process" in wanted:  # before the server: both need most of a card
        measure_in_process(job, copies, questions, samples, batch)
    if "server" in wanted:
        measure_evaluation(job, copies, questions, samples, concurrency, vllm_options or [])
    print(evaluation_table(job.results()))
    print(job.results_file)


if __name__ == "__main__":
    run_cli(app)
