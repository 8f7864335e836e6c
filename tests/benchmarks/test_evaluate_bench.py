"""The measurement of the evaluation: both sides are asked for the same, and the table compares them."""

import sys
import time
from contextlib import nullcontext
from types import SimpleNamespace

from fake_chat_server import FakeChatServer

from benchmarks import evaluation_run
from benchmarks.evaluation_run import (
    EXACT,
    SAMPLED,
    copy_adapters,
    measure_evaluation,
    offline_runs,
    question_requests,
    table,
)
from benchmarks.serving_inputs import SEED
from benchmarks.serving_run import Job
from subliminal.evaluation.requests import gather


def test_offline_gets_the_questions_and_seeds_of_the_evaluation():
    requests = question_requests(questions=3, samples=4)
    prompts = [request.messages[0]["content"] for request in requests]
    assert len(set(prompts)) == 3
    asked = [SimpleNamespace(args=(prompt, {"do_sample": True, "temperature": 1.0})) for prompt in prompts]
    asks = gather(asked, SEED)
    assert [ask.prompt for ask in asks] == list(dict.fromkeys(prompts))
    assert [seed for ask in asks for seed in ask.seeds] == [request.seed for request in requests]


def test_copies_are_adapters_of_their_own(tmp_path):
    adapter = tmp_path / "tiny"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    folders = copy_adapters(adapter, 2)
    assert folders == [tmp_path / "tiny-1", tmp_path / "tiny-2"] == copy_adapters(adapter, 2)
    assert all((folder / "adapter_config.json").is_file() for folder in folders)


def row(name, seconds, tokens, **fields):
    return {"name": name, "rows": 100, "seconds": seconds, "tokens": tokens, "client_cpu_seconds": 1.0, **fields}


def test_table_compares_with_offline_answers_of_the_same_length():
    rows = [row(name, 8, 100 * sampling.max_tokens) for name, sampling in offline_runs([8, 9]).items()]
    name = f"4 adapters, {SAMPLED}, 8 tokens an answer"
    rows += [row(name, 132, 11880), row(f"4 adapters, {EXACT}", 30, 400)]
    text = table(rows)
    assert f"| {name} | 100 | 132.0 | 90 | 90.0% | 1.0 |" in text
    assert f"| 4 adapters, {EXACT} | | 30.0 |  |  | 1.0 |" in text
    assert text.endswith(f"\n{name}: 100 answers in 2.2 min; ratio to offline 0.900.")
    rows[2]["rows"] = 200_000
    assert table(rows).endswith("Goal of 2 min missed, limit of 5 min kept.")
    assert "Nothing to compare" in table([rows[1], rows[2], {"name": name, "error": "boom"}])


def test_evaluation_through_a_server_is_timed_for_each_length(tmp_path, tiny_model, monkeypatch):
    """The runner, the client and the counters against a server that answers at once."""
    models = [{"id": str(tiny_model)}]
    adapters = []
    for number in range(2):
        folder = tmp_path / f"adapter-{number}"
        folder.mkdir()
        (folder / "adapter_config.json").write_text("{}")
        models.append({"id": f"adapter-{number}", "parent": str(tiny_model), "root": str(folder), "shift": 0.5})
        adapters.append(folder)
    job = Job(tmp_path / "work", tmp_path / "out", tiny_model, adapters[0], [], None, time.monotonic() + 60)
    job.work.mkdir()
    monkeypatch.setattr(evaluation_run, "cpu_by_process", lambda pid: {"server 1": 0.0})
    monkeypatch.setattr(evaluation_run, "empty_prefix_cache", lambda server: None)
    monkeypatch.setattr(evaluation_run, "counters", lambda server: {"generation_tokens": 0.0})
    with FakeChatServer(models=models) as fake:
        server = SimpleNamespace(base_url=fake.url, process=SimpleNamespace(pid=1))
        monkeypatch.setattr(evaluation_run, "serve", lambda *a, **k: nullcontext(server))
        measure_evaluation(job, adapters, 2, 60, [3, 5], 100, [])
        asked = [(body["n"], body["max_tokens"]) for body in fake.bodies if body.get("n", 1) > 20]
    first, second, exact = job.results()
    assert (first["rows"], second["rows"]) == (240, 240)
    assert not {"error", "rows"} & set(exact)
    assert asked == [(50, 3)] * 4 + [(50, 5)] * 4
    assert (tmp_path / "work" / "evaluation" / "all" / "arm-1" / f"seed-{SEED}" / "manifest.json").is_file()


def test_a_failed_evaluation_is_a_row(tmp_path, tiny_model, monkeypatch):
    monkeypatch.setenv("SUBLIMINAL_SERVE_PYTHON", sys.executable)  # .venv-serve need not be there
    job = Job(tmp_path, None, tiny_model, tmp_path, [], None, time.monotonic() + 60)
    measure_evaluation(job, [tmp_path / "no-adapter"], 1, 1, [4], 10, [])
    assert "no-adapter does not exist" in job.results()[0]["error"]
