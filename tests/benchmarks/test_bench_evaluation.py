"""The measurement of evaluations through a server: what is asked, what is timed, and the table."""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lm_eval.api.instance import Instance
from patience import HANG_SECONDS

from benchmarks import evaluation
from benchmarks.evaluation import EXACT, GOAL_ANSWERS, SAMPLED, EvaluationJob, evaluation_table, question_requests
from benchmarks.serving_job import FixedLength
from subliminal.core.errors import UserError
from subliminal.scoring.preference import questions


def test_offline_answers_what_the_evaluation_asks() -> None:
    requests = question_requests(2, 3)
    asked = questions("animals")[:2]
    assert [request.messages[-1]["content"] for request in requests] == [
        *[asked[0]["question"]] * 3,
        *[asked[1]["question"]] * 3,
    ]
    seeds = [request.seed for request in requests]
    assert [seed - seeds[0] for seed in seeds[:3]] == [0, 1, 2]
    assert len(set(seeds)) == 6


def test_each_adapter_is_scored_once_and_the_warm_up_is_not_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, list[str], Any]] = []
    inside: list[bool] = [False]

    @contextmanager
    def watched(server: object):
        seen: dict[str, Any] = {}
        inside[0] = True
        yield seen
        inside[0] = False
        seen.update(seconds=2.0, tokens=96, client_cpu_seconds=0.5)

    @contextmanager
    def serve(model: str, served: dict[str, Path], **options: Any):
        calls.append(("serve", sorted(served), options["extra"]))
        yield SimpleNamespace(base_url="http://x/v1")

    def evaluate(specs: Any, out: Path, **options: Any) -> None:
        calls.append(("timed" if inside[0] else "warm-up", [spec.arm for spec in specs], specs[0].tasks))

    for name, stand_in in (("watched", watched), ("serve", serve), ("evaluate", evaluate)):
        monkeypatch.setattr(evaluation, name, stand_in)
    monkeypatch.setenv("VLLM_SERVER_DEV_MODE", "1")
    sampling = FixedLength(max_tokens=4)
    job = EvaluationJob(
        tmp_path, None, tmp_path / "m", tmp_path / "a", [], sampling, time.monotonic() + HANG_SECONDS, 8192
    )
    adapters = [tmp_path / "a-0", tmp_path / "a-1"]
    evaluation.measure_evaluation(job, adapters, 3, 4, 16, ["--max-num-seqs", "64"])
    arms = ["arm-0", "arm-1"]
    options = ["--max-num-seqs", "64", "--max-num-batched-tokens", "8192"]
    assert calls == [
        ("serve", ["adapter-0", "adapter-1"], options),
        ("warm-up", ["warm-up"], (SAMPLED,)),
        ("timed", arms, (SAMPLED,)),
        ("warm-up", ["warm-up"], (EXACT,)),
        ("timed", arms, (EXACT,)),
    ]
    sampled, exact = job.results()
    assert sampled["name"] == f"2 adapters, {SAMPLED}, 4 tokens an answer --max-num-seqs 64"
    assert (sampled["answers"], exact["answers"]) == (2 * 3 * 4, 0)
    evaluation.measure_evaluation(job, adapters, 3, 4, 16, ["--max-num-seqs", "64"])
    assert len(calls) == 5, "what is measured is not measured again"


def test_in_process_the_model_is_loaded_once_and_its_answers_are_brief(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[Any] = []

    class Model:
        def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
            return [f"{request.args[1]['max_gen_toks']} tokens" for request in requests]

    @contextmanager
    def in_process(specs: Any):
        events.append(("loaded", len(specs), specs[0].batch_size))
        yield lambda spec: (Model(), {})

    def evaluate(specs: Any, out: Path, *, engine: Any) -> None:
        with engine(specs) as load:
            model, _ = load(specs[0])
            answers = model.generate_until([Instance("generate_until", {}, ("a prompt", {"max_gen_toks": 16}), 0)])
        events.append(([spec.arm for spec in specs], specs[0].tasks, specs[0].batch_size, answers))

    monkeypatch.setattr(evaluation, "in_process", in_process)
    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    deadline = time.monotonic() + HANG_SECONDS
    job = EvaluationJob(tmp_path, None, tmp_path / "m", tmp_path / "a", [], FixedLength(max_tokens=4), deadline)
    evaluation.measure_in_process(job, [tmp_path / "a-0", tmp_path / "a-1"], 3, 5, 64)
    arms = ["arm-0", "arm-1"]
    assert events == [
        ("loaded", 2, 64),
        (["warm-up"], (SAMPLED,), 64, ["4 tokens"]),
        (arms, (SAMPLED,), 64, ["4 tokens"]),
        (["warm-up"], (EXACT,), 64, ["4 tokens"]),
        (arms, (EXACT,), 64, ["4 tokens"]),
    ]
    sampled, exact = job.results()
    assert sampled["name"] == f"2 adapters in process, {SAMPLED}, 4 tokens an answer, 64 together"
    assert (sampled["answers"], sampled["tokens"], exact["answers"]) == (30, 120, 0)
    evaluation.measure_in_process(job, [tmp_path / "a-0", tmp_path / "a-1"], 3, 5, 64)
    assert len(events) == 5, "what is measured is not measured again"


def test_an_engine_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--engines has vllm"):
        evaluation.main(work=tmp_path, engines="vllm,process")


def test_the_goal_is_judged_where_all_answers_were_given() -> None:
    seen = {"tokens": 800_000, "client_cpu_seconds": 7.5, "server_cores": {"python3 7": 0.96}}
    whole = {"name": "4 adapters", "answers": GOAL_ANSWERS, "seconds": 96.0, **seen}
    part = {"name": "offline", "rows": 12_500, "seconds": 6.3, "tokens": 50_000, "client_cpu_seconds": 5.5}
    text = evaluation_table([part, whole, {"name": "broken", "error": "no kernel image"}])
    assert "| 4 adapters | 200,000 | 96.0 | 2,083 | 8,333 | 7.5 | python3 7 0.96 |" in text
    assert "| offline | 12,500 | 6.3 | 1,984 | 7,937 | 5.5 |  |" in text
    assert "| broken | failed |" in text
    assert "4 adapters: 96.0 s; under 100 wanted: met." in text
    assert "100.0 s; under 100 wanted: missed." in evaluation_table([{**whole, "seconds": 100.0}])
    assert "wanted" not in evaluation_table([{**whole, "answers": 1000}])
