"""Messages say what is wrong and what helps, in the options of the command that was run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_chat_server import FakeChatServer
from test_malformed_input import evaluate_words, refused, run

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError
from subliminal.training import preflight
from subliminal.training.lint import read_recipe
from subliminal.training.rows import check_datasets

RECIPE = REPO_ROOT / "recipes/smollm2-135m/owl_student.yml"


# --- no network ---


@pytest.mark.parametrize(
    "words",
    [
        ("scripts/plain_context.py", "someone/base-160m"),
        ("scripts/fetch_model.py", "smollm2-135m", "--source", "hub"),
        ("data_builders.pull", "--repo", "team/owl-numbers", "--revision", "0" * 40),
    ],
    ids=lambda words: words[0],
)
def test_a_hub_that_does_not_answer_is_a_sentence(words: tuple[str, ...], tmp_path: Path) -> None:
    command = ["-m", words[0], *words[1:]] if "/" not in words[0] else list(words)
    # Nothing listens there, and the client tries once.
    environ = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, *command, "--out", str(tmp_path / "out")],
        env=environ,
        cwd=REPO_ROOT,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    said = ended.stderr.splitlines()[-1]
    assert said.startswith("error: Cannot fetch ")
    assert "the Hub does not answer (" in said
    assert said.endswith("Connect to the network, then run the command again.")


# --- benchmarks ---


ROW_BENCHMARK = (("--repeats", 0), ("--rows", 0), ("--batch-size", 0), ("--dtype", "foo"))
WRONG_VALUES = (
    *(("divergence", words) for words in ROW_BENCHMARK),
    *(("leak", words) for words in ROW_BENCHMARK),
    ("exact", ("--dtype", "foo")),
    ("training", ("--rows", 0)),
)


@pytest.mark.parametrize(("benchmark", "words"), WRONG_VALUES, ids=str)
def test_a_benchmark_refuses_a_value_before_it_starts(benchmark: str, words: tuple[object, ...]) -> None:
    ended = run(f"benchmarks.{benchmark}", *words)
    assert ended.status == 2
    assert f"Invalid value for '{words[0]}'" in ended.sentence


# --- too few rows ---


def generate(server: FakeChatServer, out: Path, *more: object) -> Any:
    words = ("--model", "owl-teacher", "--base-url", server.url, "--out", out, "--concurrency", 4)
    return run("data_builders.numbers", *words, *more)


def test_hardly_any_answer_passes(tmp_path: Path) -> None:
    out = tmp_path / "rows"
    with FakeChatServer(answer=lambda prompt, seed: "Sure! Here are\n more numbers for you.") as server:
        ended = generate(server, out, "--count", 3, "--max-prompts", 40)
    assert ended.status == 2
    assert "0.0% of 40 answers passed" in ended.sentence
    assert "such as “Sure! Here are more numbers for you.”" in ended.sentence
    assert "More prompts will hardly help" in ended.sentence
    assert "--max-prompts" not in ended.sentence
    assert len(ended.sentence.splitlines()) == 1


def test_some_answers_pass_and_more_prompts_help(tmp_path: Path) -> None:
    with FakeChatServer() as server:
        ended = generate(server, tmp_path / "rows", "--count", 30, "--max-prompts", 20)
    assert ended.status == 2
    assert "Run the same command with --resume and a higher --max-prompts" in ended.sentence


def test_refilter_advises_what_it_has(tmp_path: Path) -> None:
    out = tmp_path / "rows"
    with FakeChatServer() as server:
        assert generate(server, out, "--count", 10).status == 0
    ended = run("data_builders.refilter", out, "--count", 5_000)
    assert ended.status == 2
    assert "Ask for fewer with --count, or run its builder again with --resume for more" in ended.sentence
    assert "--max-prompts" not in ended.sentence


# --- weights that are not there ---


@pytest.mark.parametrize("name", ["models/absent", "outputs/run/merged", "./absent", "absent"])
def test_a_base_that_is_not_there_is_no_repo_id(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"(absent|merged) does not exist") as error:
        preflight.check_base({**read_recipe(RECIPE)[0], "base_model": name})
    for words in (
        ("data_builders.numbers", "--model", name, "--count", 3, "--out", tmp_path / "rows"),
        evaluate_words(Path(name) if "./" not in name else name, tmp_path / "results"),  # type: ignore[arg-type]
        ("scripts/serve.py", "--model", name, "--port", 0),
    ):
        refused(tmp_path, *words, names=name.removeprefix("./"))
        said = run(*words).sentence.lower()
        assert "repo id must" not in said
        assert "repo_id" not in said
    assert "repo" not in str(error.value).lower()


def test_a_tokenizer_that_is_not_there_is_no_repo_id(tmp_path: Path) -> None:
    assert run("data_builders.controls", "uniform", "--count", 5, "--out", tmp_path / "rows").status == 0
    refused(
        tmp_path, "data_builders.audit", tmp_path / "rows", "--tokenizer", "models/absent", names="models/absent does"
    )


# --- an adapter of another rank ---


def test_another_rank_is_a_whole_sentence(make_adapter, tiny_model: Path, tmp_path: Path) -> None:
    adapter = make_adapter(0.1)
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "r": 4}))
    words = evaluate_words(tiny_model, tmp_path / "results", f"student={adapter}")
    refused(tmp_path, *words, names=adapter)
    said = run(*words).sentence
    assert not said.rstrip().endswith(":")
    assert "rank 2" in said
    assert "rank 4" in said


# --- from another folder ---

FROM_ELSEWHERE = {
    "experiment": ("subliminal.experiment", "plan", "experiments/owl_demo.yml"),
    "recipe": ("scripts/lint_recipes.py", "recipes/owl_student.yml"),
    "launcher": ("subliminal.experiment", "plan", REPO_ROOT / "experiments/owl_demo.yml"),
    "dataset": ("data_builders.audit", "eval_tasks/animal_preference"),
    "rows": (
        "data_builders.controls",
        "sorted",
        "--source",
        "traits/animals/questions.jsonl",
        "--out",
        "x",
    ),
    "results": ("scripts/report.py", "results/published"),
    "verify": ("scripts/verify_results.py", "results/published"),
    "base": ("data_builders.numbers", "--model", "recipes/pocket", "--out", "x"),
    "evaluation": (
        "scripts/evaluate.py",
        "--model",
        "recipes/pocket",
        "--models",
        "base",
        "--target",
        "owl",
        "--out",
        "x",
    ),
    "server": ("scripts/serve.py", "--model", "models/../recipes/pocket"),
}


@pytest.mark.parametrize("words", FROM_ELSEWHERE.values(), ids=FROM_ELSEWHERE)
def test_from_another_folder(words: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refused(tmp_path, *words, names=f"run it from the root of the repository, {REPO_ROOT}")


def test_a_training_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="run it from the root of the repository"):
        preflight.check_base({"base_model": "recipes/pocket"})
    with pytest.raises(UserError, match="run it from the root of the repository"):
        check_datasets({"datasets": [{"path": "traits/animals/questions.jsonl"}]})
