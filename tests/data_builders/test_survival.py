"""A 2,000-row generation by the real command, killed and troubled: no row lost, none twice, the same final bytes."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_chat_server import FakeChatServer, free_port
from fake_chat_server import __file__ as SERVER_FILE
from patience import HANG_SECONDS

COUNT = 2000
KILLS = 6


class Server:
    """The fake chat server as a process of its own, always on the same port."""

    def __init__(self, *words: str):
        self.port, self.words, self.process = free_port(), words, None

    def start(self) -> None:
        command = [sys.executable, SERVER_FILE, "--port", str(self.port), *self.words]
        self.process = subprocess.Popen(command)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def start(server: Server | FakeChatServer, out: Path, *words: str) -> subprocess.Popen:
    command = [
        *(sys.executable, "-m", "data_builders.numbers", "--animal", "owl", "--model", "owl-teacher"),
        *("--base-url", f"http://127.0.0.1:{server.port}/v1", "--count", str(COUNT), "--out", str(out)),
        *("--concurrency", "32", "--no-system-prompt", "--resume", *words),
    ]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def finish(process: subprocess.Popen, out: Path) -> None:
    output, errors = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 0, errors
    assert output.splitlines()[-1] == str(out)


def made(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in ("train.jsonl", "rejected.jsonl")}


def raw_indices(out: Path) -> list[int]:
    return sorted(json.loads(line)["index"] for line in (out / "raw.jsonl").read_text().splitlines())


def wait_for(server: Server) -> None:
    import urllib.request

    deadline = time.monotonic() + HANG_SECONDS
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{server.port}/v1/models", timeout=5).close()
            return
        except OSError:
            assert time.monotonic() < deadline, "the fake server did not start"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Iterator[Path]:
    server, out = Server(), tmp_path_factory.mktemp("whole") / "made"
    server.start()
    try:
        wait_for(server)
        finish(start(server, out), out)
    finally:
        server.stop()
    rows = [json.loads(line) for line in (out / "train.jsonl").read_text().splitlines()]
    assert len(rows) == COUNT
    return out


@pytest.mark.slow
def test_killed_at_random_moments(undisturbed: Path, tmp_path: Path) -> None:
    """SIGKILL while rows arrive, wherever that is: start-up, mid-line, between rounds, while files are derived."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed of the moments: {seed}")
    rng, out, server = random.Random(seed), tmp_path / "made", Server("--delay", "0.02")
    server.start()
    seen: list[int] = []
    try:
        wait_for(server)
        for kill in range(KILLS + 1):
            process = start(server, out)
            size_to_wait_for = size(out) + rng.randrange(1, 2 * 470 * COUNT // KILLS)  # about 470 bytes a raw row
            while process.poll() is None and not (deriving(out) if kill == KILLS else size(out) >= size_to_wait_for):
                time.sleep(0.001)
            time.sleep(rng.random() * 0.02)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            seen.append(size(out))
            assert kill or size(out), "killed before it began"
        finish(start(server, out), out)
    finally:
        server.stop()
    assert len(set(seen)) >= 3, "the kills did not fall into the run"
    indices = raw_indices(out)
    assert indices == list(range(len(indices))), "a row is lost or there twice"
    assert indices == raw_indices(undisturbed)
    assert made(out) == made(undisturbed)
    assert not deriving(out), "a half-written file was left behind"


def deriving(out: Path) -> list[Path]:
    return list(out.glob(".*.jsonl.*.partial"))


def size(out: Path) -> int:
    return (out / "raw.jsonl").stat().st_size if (out / "raw.jsonl").exists() else 0


@pytest.mark.slow
def test_a_server_that_fails_drops_and_restarts(undisturbed: Path, tmp_path: Path) -> None:
    """One request in five fails (429, 5xx, dropped, garbled, aborted), and the server is killed and restarted twice."""
    out, server = tmp_path / "made", Server("--trouble", "--delay", "0.02")
    server.start()
    try:
        wait_for(server)
        process = start(server, out)
        for share in (0.2, 0.6):
            while size(out) < share * 470 * COUNT:
                assert process.poll() is None, process.communicate()
                time.sleep(0.005)
            server.stop()
            time.sleep(0.3)
            server.start()
        finish(process, out)
    finally:
        server.stop()
    assert raw_indices(out) == raw_indices(undisturbed)
    assert made(out) == made(undisturbed)


@pytest.mark.slow
def test_a_server_that_is_gone_is_a_sentence_and_rows_are_kept(tmp_path: Path) -> None:
    server, out = Server(), tmp_path / "made"
    process = start(server, out)
    _, errors = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 2
    assert errors.startswith(f"error: No OpenAI-compatible server answers at http://127.0.0.1:{server.port}/v1")
    assert "Traceback" not in errors
    assert not out.exists()


@pytest.mark.slow
def test_a_server_that_fails_from_the_very_first_request_on_and_a_builder_that_is_killed_twice(tmp_path: Path) -> None:
    """400 rows; of all requests, the questions at the start too, the first and every fifth after it fail."""
    whole, out = tmp_path / "whole", tmp_path / "made"
    count = ("--count", "400")
    kinds = (503, 429, "drop", 500)

    def first_and_every_fifth(number: int, body: dict | None = None) -> int | str | None:
        return kinds[number // 5 % len(kinds)] if number % 5 == 0 else None

    with FakeChatServer() as server:
        finish(start(server, whole, *count), whole)
    with FakeChatServer(trouble=first_and_every_fifth, question_trouble=first_and_every_fifth, delay=0.05) as server:
        for share in (0.2, 0.6):
            process = start(server, out, *count)
            while size(out) < share * 470 * 400:
                assert process.poll() is None, process.communicate()
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        finish(start(server, out, *count), out)
        assert server.questions >= 3
    assert raw_indices(out) == raw_indices(whole), "a row is lost or there twice"
    assert made(out) == made(whole)
