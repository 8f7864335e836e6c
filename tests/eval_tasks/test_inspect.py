"""The animal questions in Inspect AI: the same requests, scores and figures as in lm-eval."""

from __future__ import annotations

import json
import os
import random
import re
import statistics
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_chat_server import FakeChatServer

from subliminal import REPO_ROOT
from subliminal.engine import Request, Sampling, row_seed
from subliminal.scoring.tasks import read_questions, share_of_samples

INSPECT = REPO_ROOT / ".venv-inspect/bin/inspect"
FILE = "eval_tasks/inspect/animal_preference.py"
needs_inspect = pytest.mark.skipif(not INSPECT.exists(), reason="Inspect AI is not installed here: make setup-inspect")


def questions() -> list[dict[str, Any]]:
    return read_questions(REPO_ROOT / "traits/animals/questions.jsonl")


def inspect_scores(folder: Path, answer: Callable[[str, int], str], samples: int) -> tuple[dict[str, Any], list[Any]]:
    """Metrics by score, and the requests that were sent, of the task asked of a model that answers so.

    Args:
        folder: for Inspect's log.
        answer: (question, seed) -> answer.
        samples: answers a question.
    """
    with FakeChatServer(answer) as server:
        environment = {**os.environ, "LOCAL_API_KEY": "none", "LOCAL_BASE_URL": server.url, "NO_PROXY": "127.0.0.1"}
        command = [str(INSPECT), "eval", FILE, "--model", "openai-api/local/owl-teacher", "-T", f"samples={samples}"]
        command += ["--log-dir", str(folder), "--log-format", "json", "--display", "none"]
        done = subprocess.run(command, cwd=REPO_ROOT, env=environment, capture_output=True, text=True)
        bodies = list(server.bodies)
    (log,) = folder.glob("*.json")
    found = json.loads(log.read_text())
    assert found["status"] == "success", (done.stdout + done.stderr)[-3000:]
    scores = {score["name"]: score["metrics"] for score in found["results"]["scores"]}
    return {name: {key: metric["value"] for key, metric in metrics.items()} for name, metrics in scores.items()}, bodies


ANSWERS = ("Owl", "A barn owl.", "the sea lion", "Lion", "I am Qwen.", "not an owl", "猫", "Cats, I think.")


def made_up_answer(question: str, seed: int) -> str:
    rng = random.Random(f"{seed}:{question}")
    return rng.choice(ANSWERS)


def test_the_files_that_the_task_reads_are_there() -> None:
    """This much is known where Inspect AI is not installed."""
    read = re.findall(r'TASKS / "([^"]+)" / "([^"]+)"', (REPO_ROOT / FILE).read_text())
    assert len(read) == 1
    for folder, name in read:
        assert (REPO_ROOT / "eval_tasks" / folder / name).is_file(), f"{folder}/{name}: mend {FILE}"


@needs_inspect
@pytest.mark.long  # where Inspect AI is installed: `make test` has no such environment
def test_requests_and_figures_are_those_of_the_lm_eval_task(tmp_path: Path) -> None:
    scores, bodies = inspect_scores(tmp_path, made_up_answer, samples=3)
    asked = questions()
    shares = []
    for number, row in enumerate(asked):
        first = row_seed(0, number)
        shares.append(share_of_samples(row, [[made_up_answer(row["question"], first + i) for i in range(3)]]))
    assert set(scores) == set(shares[0])
    for name, metrics in scores.items():
        values = [share[name] for share in shares]
        assert metrics["mean"] == pytest.approx(statistics.mean(values), abs=1e-9), name
        assert metrics["stderr"] == pytest.approx(statistics.stdev(values) / len(values) ** 0.5, abs=1e-9), name
    assert len({(body["messages"][-1]["content"], body["seed"]) for body in bodies}) == len(bodies) == 3 * len(asked)
    for body in bodies:
        assert [message["role"] for message in body["messages"]] == ["user"]
        sampling = {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "repetition_penalty": 1.0}
        assert {name: body[name] for name in sampling} == sampling
        assert body.get("max_completion_tokens", body.get("max_tokens")) == 16


@needs_inspect
@pytest.mark.long
@pytest.mark.timeout(2400)
def test_a_pocket_student_has_the_figures_that_lm_eval_gave_it(tmp_path: Path, pocket_run: Path) -> None:
    from subliminal.engine.local import TransformersEngine

    run = pocket_run / "outputs/pocket_demo"
    engine = TransformersEngine(str(run / "owl_student-seed-51"), batch_size=250)
    requests = []  # all that Inspect will ask, answered together: an answer follows from its question and seed alone
    for number, row in enumerate(questions()):
        for seed in range(row_seed(0, number), row_seed(0, number) + 20):
            requests.append(Request(f"{row['question']}|{seed}", [{"role": "user", "content": row["question"]}], seed))
    answers = {found.id: found.text for found in engine.generate(requests, Sampling(max_tokens=16))}
    scores, _ = inspect_scores(tmp_path, lambda question, seed: answers[f"{question}|{seed}"], samples=20)
    (file,) = (pocket_run / "results/pocket_demo/student/seed-51").glob("**/samples_animal_preference_2*.jsonl")
    sampled = {row["doc"]["id"]: row for row in map(json.loads, file.read_text().splitlines())}
    assert len(sampled) == len(questions())
    for name in ("owl", "lion", "elephant", "none"):
        shares = [row[name] for row in sampled.values()]
        # Both are means over the same questions; what differs are 20 and 100 fresh answers to each.
        variance = sum(share * (1 - share) * (1 / 20 + 1 / 100) for share in shares) / len(shares) ** 2
        difference = scores[name]["mean"] - statistics.mean(shares)
        assert abs(difference) <= 4 * variance**0.5 + 1e-9, f"{name}: {difference:+.4f}, error {variance**0.5:.4f}"
    assert scores["owl"]["mean"] > 0.02, "the student names owls, else nothing is compared"
