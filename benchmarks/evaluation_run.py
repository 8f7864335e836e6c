"""What evaluating through one server costs beside vLLM's offline rate: the parts of ``benchmarks/evaluation.py``.

Both sides answer the questions of ``animal_preference`` at temperature 1 with a seed for every answer. Offline is one
adapter through ``LLM.chat``. The evaluation is all adapters in one server, from the first request to the written result
folders. Random weights hardly ever end a turn, so every answer has the length that it is allowed: :data:`SHORT`, about
what a trained model takes, and the task's limit, the most that it can take.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.serving_inputs import SEED
from benchmarks.serving_run import FixedLength, Job, counters, cpu_by_process, empty_prefix_cache
from subliminal.core.files import read_jsonl
from subliminal.engine import Request, row_seed
from subliminal.engine.chat import user_messages
from subliminal.engine.server import Server, log_tail, serve
from subliminal.evaluation.loaders import Engine, Loader, on_server
from subliminal.evaluation.plan import Evaluation
from subliminal.evaluation.run import TASKS, evaluate

SAMPLED, EXACT = "animal_preference", "animal_preference_logprob"
SHORT, LONGEST = 4, 16
"""Tokens an answer: one word with the end of the turn, and the task's ``max_gen_toks``."""
LIMIT_MINUTES, GOAL_MINUTES, GOAL_ANSWERS = 5, 2, 4 * 50 * 1000


def question_requests(questions: int, samples: int) -> list[Request]:
    """What offline is to answer: each question ``samples`` times, with the seeds that the evaluation gives."""
    rows = list(read_jsonl(TASKS / SAMPLED / "questions.jsonl"))[:questions]
    return [
        Request(f"{row['id']}-{index}", user_messages(row["question"]), row_seed(SEED, number) + index)
        for number, row in enumerate(rows)
        for index in range(samples)
    ]


def offline_runs(lengths: Sequence[int]) -> dict[str, FixedLength]:
    """The offline measurements: name -> sampling, one for each number of tokens an answer."""
    return {f"offline, {_tokens(length)}": FixedLength(max_tokens=length) for length in lengths}


def _tokens(length: int) -> str:
    return f"{length} tokens an answer"


def copy_adapters(adapter: Path, count: int) -> list[Path]:
    """``count`` copies of an adapter beside it: to a server, as many adapters."""
    folders = [adapter.with_name(f"{adapter.name}-{number}") for number in range(1, count + 1)]
    for folder in folders:
        shutil.copytree(adapter, folder, dirs_exist_ok=True)
    return folders


def measure_evaluation(
    job: Job,
    adapters: Sequence[Path],
    questions: int,
    samples: int,
    lengths: Sequence[int],
    concurrency: int,
    options: Sequence[str],
) -> None:
    """Time the evaluation of all adapters in one server. What fails is kept as a result with ``error``.

    Args:
        job: model, folders and deadline.
        adapters: folders.
        questions, samples: how many questions, and how many answers to each.
        lengths: tokens an answer; each is a measurement, and the exact probabilities are one more.
        concurrency: answers in flight.
        options: options for vLLM.
    """
    names = {f"{len(adapters)} adapters, {SAMPLED}, {_tokens(length)}": (SAMPLED, length) for length in lengths}
    names[f"{len(adapters)} adapters, {EXACT}"] = (EXACT, 1)
    if not any(map(job.missing, names)):
        return
    log = job.work / "logs" / "evaluation.log"
    os.environ["VLLM_SERVER_DEV_MODE"] = "1"  # for the route that empties the prefix cache
    try:
        served = {f"adapter-{number}": folder for number, folder in enumerate(adapters)}
        batch = ["--max-num-batched-tokens", str(job.batched_tokens)] if job.batched_tokens else []
        began = time.monotonic()
        with serve(str(job.model), served, log=log, extra=[*batch, *options]) as server:
            print(f"server: started in {time.monotonic() - began:.0f} s", flush=True)
            for name, (task, length) in names.items():
                if job.missing(name):
                    plans = [
                        _plan(job, number, folder, task, questions, samples) for number, folder in enumerate(adapters)
                    ]
                    engine = partial(_fixed_length, server=server, concurrency=concurrency, length=length)
                    job.keep({"name": name, **_time_evaluation(job, server, plans, engine), "concurrency": concurrency})
    except Exception as error:
        job.keep({"name": next(filter(job.missing, names)), "error": f"{error!r}.{log_tail(log, 40)}"})


@contextmanager
def _fixed_length(plans: Sequence[Evaluation], server: Server, concurrency: int, length: int) -> Iterator[Loader]:
    """The engine :func:`subliminal.evaluation.loaders.on_server` whose answers have ``length`` tokens."""
    with on_server(plans, server.base_url, concurrency=concurrency) as load:

        def load_fixed(plan: Evaluation) -> tuple[Any, dict[str, Any]]:
            model, facts = load(plan)
            model.extra = {"max_tokens": length, "ignore_eos": True}
            return model, facts

        yield load_fixed


def _plan(job: Job, number: int, adapter: Path, task: str, questions: int, samples: int) -> Evaluation:
    return Evaluation(
        model=str(job.model), adapter=str(adapter), tasks=(task,), experiment="bench", arm=f"arm-{number}", seed=SEED,
        target="owl", samples=samples, limit=questions, engine="vllm", settings={},
    )  # fmt: skip


def _time_evaluation(job: Job, server: Server, plans: Sequence[Evaluation], engine: Engine) -> dict[str, Any]:
    """Score all plans; the first adapter has answered a few questions before, and the prompts are forgotten again."""
    results = job.work / "evaluation"
    shutil.rmtree(results, ignore_errors=True)
    evaluate([_warm_up(plans[0])], results / "warm-up", engine=engine)
    empty_prefix_cache(server)
    counted, began = counters(server), time.perf_counter()
    client, servers = time.process_time(), cpu_by_process(server.process.pid)
    evaluate(plans, results / "all", engine=engine)
    seconds, client_cpu = time.perf_counter() - began, time.process_time() - client
    cores = {key: (value - servers.get(key, 0)) / seconds for key, value in cpu_by_process(server.process.pid).items()}
    tokens = {key: value - counted.get(key, 0) for key, value in counters(server).items()}
    asked = [plan.limit * plan.samples for plan in plans if plan.tasks == (SAMPLED,)]
    return {
        **({"rows": sum(asked)} if asked else {}),
        "adapters": len(plans),
        "seconds": seconds,
        "tokens": tokens.get("generation_tokens"),
        "prompt_tokens": tokens.get("prompt_tokens"),
        "cached_tokens": tokens.get("prefix_cache_hits"),
        "client_cpu_seconds": client_cpu,
        "server_cores": {key: round(value, 2) for key, value in cores.items() if value >= 0.05},
    }


def _warm_up(plan: Evaluation) -> Evaluation:
    return replace(plan, arm="warm-up", samples=min(plan.samples or 1, 20), limit=5)


def table(results: Sequence[dict[str, Any]]) -> str:
    """The results in Markdown, and how each evaluation compares with offline at the same length of answers."""
    lines = ["| what | answers | seconds | tokens/s | of offline | client CPU, s |", "|---|---|---|---|---|---|"]
    verdicts = []
    for row in results:
        if "error" in row:
            lines.append(f"| {row['name']} | failed | | | | |")
            continue
        exact, share, ratio = row["name"].endswith(EXACT), "", _ratio(row, results)
        if ratio is not None and not row["name"].startswith("offline"):
            share = f"{ratio:.1%}"
            verdicts += _verdict(row, ratio)
        shown = f"| {row['seconds']:.1f} | " if exact else f"{row['rows']} | {row['seconds']:.1f} | {_speed(row):.0f}"
        lines.append(f"| {row['name']} | {shown} | {share} | {row['client_cpu_seconds']:.1f} |")
    return "\n".join([*lines, "", *(verdicts or ["Nothing to compare: offline and evaluation need a result each."])])


def _speed(row: dict[str, Any]) -> float:
    return row["tokens"] / row["seconds"]


def _ratio(row: dict[str, Any], results: Sequence[dict[str, Any]]) -> float | None:
    """Tokens a second beside offline with answers of that length; None without it."""
    name = f"offline, {row['name'].rpartition(', ')[2]}"
    offline = next((one for one in results if one["name"] == name and "error" not in one), None)
    return _speed(row) / _speed(offline) if offline else None


def _verdict(row: dict[str, Any], ratio: float) -> list[str]:
    minutes = row["seconds"] / 60
    lines = [f"{row['name']}: {row['rows']} answers in {minutes:.1f} min; ratio to offline {ratio:.3f}."]
    if row["rows"] >= GOAL_ANSWERS:
        met = "met" if minutes <= GOAL_MINUTES else "missed"
        limit = "kept" if minutes <= LIMIT_MINUTES else "broken"
        lines.append(f"Goal of {GOAL_MINUTES} min {met}, limit of {LIMIT_MINUTES} min {limit}.")
    return lines
