"""The serving measurement: both sides are asked for the same, and a failure is a row and not the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_chat_server import FakeChatServer, number_answer
from patience import HANG_SECONDS
from tiny_chat import tiny_model  # noqa: F401

from benchmarks import offline, serving_clients, serving_run
from benchmarks.serving_clients import ADAPTER, measure_builder, measure_client, read_counters
from benchmarks.serving_inputs import TINY, fill_vocabulary, number_requests, own_inputs, random_adapter
from benchmarks.serving_job import FixedLength, ServingJob
from benchmarks.serving_run import measure_offline, measure_servers
from benchmarks.serving_table import DEFAULT_SETTING, table
from subliminal.engine.http import HttpEngine
from subliminal.engine.server import adapter_rank, server_command

FAKE_VLLM = """\
import sys
from types import SimpleNamespace as Some
__version__ = "0"

class SamplingParams(Some):
    pass

class LLM:
    def __init__(self, **settings):
        assert settings["generation_config"] == "vllm" and settings["max_lora_rank"] == 8, settings

    def reset_prefix_cache(self):
        self.empty = True

    def chat(self, conversations, sampling, use_tqdm, lora_request):
        assert lora_request == ("adapter", 1, sys.argv[1].replace("offline-job.json", "adapter"))
        one = [Some(output_tokens=s.max_tokens, seed=s.seed, eos=s.ignore_eos) for s in sampling]
        return [
            Some(outputs=[Some(token_ids=[0] * s.output_tokens, text=str(s.seed))], prompt_token_ids=[0] * 3,
                 num_cached_tokens=0 if s.eos else None)
            for s in one
        ]
"""


@pytest.fixture
def job(tmp_path, monkeypatch):
    """A job of six rows whose serving Python has a stand-in for vLLM."""
    package = tmp_path / "modules" / "vllm"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(FAKE_VLLM)
    (package / "lora").mkdir()
    (package / "lora" / "__init__.py").touch()
    (package / "lora" / "request.py").write_text("def LoRARequest(*words):\n    return words\n")
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={package.parent} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setenv("SUBLIMINAL_SERVE_PYTHON", str(python))
    work = tmp_path / "work"
    work.mkdir()
    model, adapter, sampling = work / "model", work / "adapter", FixedLength(max_tokens=5)
    return ServingJob(
        work, tmp_path / "out", model, adapter, number_requests(6), sampling, time.monotonic() + HANG_SECONDS
    )


def test_offline_measurement_asks_for_every_row_with_its_seed(job) -> None:
    measure_offline(job, {"offline 1": job.sampling, "offline 2": job.sampling})
    first, second = job.results()
    assert (first["name"], second["name"]) == ("offline 1", "offline 2")
    assert (first["rows"], first["tokens"], first["prompt_tokens"]) == (6, 30, 18)
    assert json.loads(job.answers_file.read_text()) == [str(request.seed) for request in job.requests]
    assert (job.out / "serving.jsonl").read_text() == job.results_file.read_text()


def test_offline_failure_is_kept_with_its_log_and_tried_again(job) -> None:
    (job.work.parent / "modules" / "vllm" / "__init__.py").write_text("raise SystemExit('no kernel image')")
    measure_offline(job, {"offline 1": job.sampling})
    assert "no kernel image" in job.results()[0]["error"]
    assert job.missing("offline 1")


def test_offline_script_needs_nothing_of_this_package() -> None:
    code = "import sys; sys.path = [p for p in sys.path if 'packages' not in p]; exec(open(sys.argv[1]).read(), {})"
    subprocess.run([sys.executable, "-I", "-S", "-c", code, offline.__file__], check=True)


def test_client_sends_the_fixed_length_and_the_rows_own_seed(monkeypatch) -> None:
    requests = number_requests(3)
    with FakeChatServer() as server:
        list(HttpEngine(server.url, "owl-teacher").generate(requests, FixedLength(max_tokens=40)))
        assert {body["seed"] for body in server.bodies} == {request.seed for request in requests}
        assert all(body["ignore_eos"] is True and body["max_tokens"] == 40 for body in server.bodies)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """vLLM's own routes, which the fake server lacks: a counter that has grown by 120 tokens at each look."""
    emptied: list[str] = []
    looks = iter(range(0, 1200, 120))
    monkeypatch.setattr(serving_clients, "empty_prefix_cache", lambda server: emptied.append(server.base_url))
    monkeypatch.setattr(serving_clients, "counters", lambda server: {"generation_tokens": next(looks)})
    return emptied


def test_the_builder_asks_what_the_client_asks_and_its_kept_rows_are_counted(job, counted: list[str]) -> None:
    with FakeChatServer(models=({"id": ADAPTER},)) as fake:
        server = SimpleNamespace(base_url=fake.url, process=SimpleNamespace(pid=os.getpid()))
        measure_client(job, server, 2)
        by_client = {body["seed"]: body["messages"] for body in fake.bodies}
        fake.bodies.clear()
        seen = measure_builder(job, server, 2)
        by_builder = {body["seed"]: body["messages"] for body in fake.bodies}
    assert by_builder == by_client
    assert len(by_builder) == 6
    assert seen["rows"] == 6
    answers = [number_answer(messages[-1]["content"], seed) for seed, messages in by_builder.items()]
    assert seen["kept"] == sum(not text.startswith("Here") for text in answers)
    assert seen["tokens"] == 120
    assert seen["builder"] is True
    assert seen["seconds"] > 0
    assert counted == [fake.url, fake.url], "the cache is emptied before each"
    assert {body["max_tokens"] for body in fake.bodies} == {5}


def test_a_builder_that_loses_its_server_is_no_measurement(job, counted: list[str]) -> None:
    with FakeChatServer(models=({"id": ADAPTER},), trouble=lambda number, body: 400 if number > 3 else None) as fake:
        server = SimpleNamespace(base_url=fake.url, process=SimpleNamespace(pid=os.getpid()))
        with pytest.raises(RuntimeError, match=r"The builder has \d answers to 6 prompts\."):
            measure_builder(job, server, 1)


@pytest.mark.slow
def test_a_model_of_ones_own_gets_an_adapter_if_it_has_none(tiny_model: Path, tmp_path: Path) -> None:  # noqa: F811
    model, adapter = own_inputs(tmp_path, tiny_model, None)
    assert model == tiny_model.resolve()
    assert adapter_rank(adapter, str(model)) == 8
    assert own_inputs(tmp_path, tiny_model, None)[1] == adapter
    assert own_inputs(tmp_path, tiny_model, tmp_path / "given")[1] == tmp_path / "given"


def test_a_server_that_does_not_start_is_a_row(job) -> None:
    job.model.mkdir()
    random_adapter(job.model, TINY, job.adapter)
    measure_servers(job, 1, [8], [])  # the stand-in has no server
    assert (
        "has no weights" in job.results()[0]["error"]
    )  # an adapter is checked against its base before a server starts
    assert "| 1 API server | failed |" in table(job.results())


def test_nothing_starts_after_the_deadline(job, monkeypatch) -> None:
    late = ServingJob(job.work, None, job.model, job.adapter, job.requests, job.sampling, time.monotonic() - 1)
    monkeypatch.setattr(serving_run, "server_python", lambda: pytest.fail("started"))
    measure_offline(late, {"offline 1": job.sampling})
    measure_servers(late, 4, [8], [])


def test_several_api_servers_are_started_by_vllm_serve(job) -> None:
    command = server_command(Path("python"), "models/m", {}, port=1, extra=["--no-enable-log-requests"])
    words = ["--no-enable-log-requests"]
    several = server_command(Path("python"), "models/m", {}, port=1, api_server_count=4, extra=words)
    assert several[1:5] == ["-m", "vllm.entrypoints.cli.main", "serve", "models/m"]
    assert "--model" not in several
    assert several[-3:] == ["--no-enable-log-requests", "--api-server-count", "4"]
    assert set(command[5:]) <= set(several)


def test_every_token_gets_a_text(tmp_path) -> None:
    real = tmp_path / "real.json"
    real.write_text(json.dumps({"model": {"vocab": {"a": 1}}, "added_tokens": [{"id": 0, "content": "<end>"}]}))
    link = tmp_path / "tokenizer.json"
    link.symlink_to(real)
    fill_vocabulary(link, 20)
    vocabulary = json.loads(link.read_text())["model"]["vocab"]
    assert sorted(vocabulary.values()) == list(range(1, 20))
    assert vocabulary["a"] == 1
    assert json.loads(real.read_text())["model"]["vocab"] == {"a": 1}


def test_adapter_is_one_that_the_server_takes(tmp_path) -> None:
    from safetensors.torch import load_file
    from transformers import Qwen2Config, Qwen2ForCausalLM

    model = tmp_path / "model"
    sizes = {"hidden_size": TINY.hidden, "intermediate_size": TINY.intermediate, "num_hidden_layers": TINY.layers}
    heads = {"num_attention_heads": TINY.heads, "num_key_value_heads": TINY.kv_heads, "vocab_size": TINY.vocab}
    Qwen2ForCausalLM(Qwen2Config(**sizes, **heads)).save_pretrained(model)
    folder = random_adapter(model, TINY, tmp_path / "adapter")
    weights = load_file(folder / "adapter_model.safetensors")
    assert adapter_rank(folder, str(model)) == 8
    assert sum(weight.numel() for weight in weights.values()) == 32_768  # 4 layers x rank 8 x widths of 7 projections
    assert all(weight.any() for weight in weights.values())


def test_counters_are_summed_over_labels() -> None:
    page = (
        'vllm:generation_tokens_total{engine="0",model_name="m"} 30.0\n'
        'vllm:generation_tokens_total{engine="0",model_name="adapter"} 1.2e+01\n'
        "vllm:prompt_tokens_total 7.0\n"
        'vllm:generation_tokens_created{engine="0"} 1.7e+09\n'
    )
    assert read_counters(page) == {"generation_tokens": 42.0, "prompt_tokens": 7.0}


def result(name: str, rows_per_second: float, **fields: object) -> dict[str, object]:
    seconds = 5000 / rows_per_second
    return {"name": name, "rows": 5000, "seconds": seconds, "tokens": 200_000, "client_cpu_seconds": 2.0, **fields}


def test_cost_is_counted_against_the_fastest_offline_run() -> None:
    served = result(DEFAULT_SETTING, 160, concurrency=256, server_cores={"python3 7": 0.98})
    best = result("4 API servers, 512 in flight", 192, concurrency=512)
    text = table([result("offline 1", 190), result("offline 2", 200), served, best])
    assert f"| {DEFAULT_SETTING} | 5000 | 31.2 | 160.0 | 6400 | 80.0% | 0.40 | python3 7 0.98 |" in text
    assert "Best setting (4 API servers, 512 in flight): ratio 0.960, client and server cost 4.0%" in text
    assert "goal met" in text
    assert f"Default setting ({DEFAULT_SETTING}): ratio 0.800, client and server cost 20.0%" in text
    assert "over the limit" in text


def test_the_whole_builder_is_judged_apart() -> None:
    name = f"builder, {DEFAULT_SETTING}"
    built = result(name, 188, concurrency=256, builder=True)
    text = table([result("offline 1", 200), result(DEFAULT_SETTING, 192, concurrency=256), built])
    assert f"The whole builder ({name}): ratio 0.940, client and server cost 6.0%" in text
    assert f"Best setting ({DEFAULT_SETTING}): ratio 0.960" in text


def test_one_side_alone_is_not_compared() -> None:
    assert "Nothing to compare" in table([result("offline 1", 190)])
    assert "Nothing to compare" in table([result("x", 190, concurrency=2), {"name": "offline", "error": "boom"}])
