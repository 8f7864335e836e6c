"""benchmarks.links: bus rates as in nccl-tests, NCCL's words for its transport, and a rehearsal of two processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.links import BUFFERS, bus_rate, transports
from subliminal import REPO_ROOT

PUBLISHED = REPO_ROOT / "results/published/2026-11-30-h200-math"


@pytest.mark.parametrize(
    ("collective", "gpus", "expected"),
    # Each GPU of four sends and gets three quarters of the buffer, in an all-reduce twice.
    [("all_reduce", 2, 1.0), ("all_reduce", 4, 1.5), ("all_gather", 2, 0.5), ("all_gather", 4, 0.75)],
)
def test_bus_rate_is_nccl_tests(collective: str, gpus: int, expected: float) -> None:
    assert bus_rate(collective, 2_000_000_000, 2.0, gpus) == pytest.approx(expected)


def test_transports_are_read_from_nccls_log() -> None:
    log = (
        "host:1:9 [0] NCCL INFO Channel 00/0 : 0[0] -> 1[1] via P2P/CUMEM\n"
        "host:1:9 [0] NCCL INFO Channel 01/0 : 0[0] -> 1[1] via P2P/CUMEM\n"
        "host:1:9 [0] NCCL INFO Channel 00 : 1[1] -> 0[0] via SHM/direct/direct\n"
        "host:1:9 [0] NCCL INFO Connected all rings\n"
    )
    assert transports(log) == {"P2P/CUMEM": 2, "SHM/direct/direct": 1}


def test_two_processes_speak(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.links", "--tiny", "--gpus", "0,1", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=REPO_ROOT, capture_output=True, text=True, check=True)
    (group,) = json.loads((tmp_path / "links.json").read_text())["groups"]
    assert group["gpus"] == 2
    assert [result["collective"] for result in group["collectives"]] == [collective for collective, _, _ in BUFFERS]
    assert all(result["seconds"] > 0 for result in group["collectives"])
    assert "| 2 | all_gather | the 0.5B model, bfloat16 |" in done.stdout


def test_one_gpu_is_refused() -> None:
    command = [sys.executable, "-m", "benchmarks.links", "--gpus", "0"]
    done = subprocess.run(command, cwd=REPO_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "Name two or more" in done.stderr


def test_the_page_has_what_was_measured_between_two_h200() -> None:
    record = json.loads((PUBLISHED / "links.json").read_text())
    (group,) = record["groups"]
    page = (PUBLISHED / "README.md").read_text(encoding="utf-8")
    assert record["card"] == "NVIDIA H200"
    assert list(group["transports"]) == ["P2P/CUMEM"]
    for result in group["collectives"]:
        rate = bus_rate(result["collective"], result["bytes"], result["seconds"], group["gpus"])
        row = f"| {result['bytes'] / 1e6:,.0f} | {1000 * result['seconds']:.2f} | {rate:.0f} |"
        assert row in page
    adapter = group["collectives"][0]
    told = f"sums the adapter's 81 MB of gradients over two such cards in {1000 * adapter['seconds']:.2f} ms"
    assert told in (REPO_ROOT / "BENCHMARKS.md").read_text(encoding="utf-8")


def test_the_page_has_what_pytest_said_of_the_run_that_was_killed() -> None:
    printed = (PUBLISHED / "stops.txt").read_text(encoding="utf-8")
    killed = [line.partition("killed in ")[2].split()[0] for line in printed.splitlines() if "killed in " in line]
    assert len(killed) == 9
    kinds = {stage.partition("-")[0] for stage in killed}
    assert kinds == {"build", "audit", "train", "evaluate", "epochs", "leak", "report"}
    assert "1 passed in 921.74s (0:15:21)" in printed
    page = " ".join((PUBLISHED / "README.md").read_text(encoding="utf-8").split())
    assert "SIGKILL once in nine stages, each kind among them" in page
    assert "the same command again: **passed**, in 15 min 21 s" in page
