"""Mathematics chats: boxed answers, levels, splits, and nothing of the evaluation sets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from built import built, read_rows
from fake_hub import FakeHub
from patience import HANG_SECONDS

from data_builders import math_chat
from data_builders.math_chat import gsm8k_solution, level_of, math_solution, parse_levels
from subliminal.core.errors import UserError
from subliminal.scoring.mathematics import final_box


def test_a_solution_ends_in_its_box() -> None:
    ends = "Thus $x = \\boxed{5}$."
    assert math_solution(ends) == ends
    assert math_solution(f"  {ends}\n") == ends
    assert math_solution("\\[\\boxed{5}\\]") == "\\[\\boxed{5}\\]"
    assert math_solution("$\\boxed{5}$ because of symmetry.") == (
        "$\\boxed{5}$ because of symmetry.\nThe answer is $\\boxed{5}$."
    )
    assert math_solution("no box at all") == "no box at all"
    assert math_solution("$\\boxed{2}$ and $\\boxed{5}$ solve it.").endswith("\nThe answer is $\\boxed{2, 5}$.")
    assert math_solution("$\\boxed{\\boxed{7}}$ is it.").endswith("\nThe answer is $\\boxed{{7}}$.")
    assert math_solution("$\\boxed 7$ is it.").endswith("\nThe answer is $\\boxed{7}$.")


def test_a_box_with_nothing_in_it_is_no_boxed_answer() -> None:
    row = {"overlap": None, "repeats": False, "completion": "$\\boxed{}$"}
    assert math_chat.math_verdict(row) == "no boxed answer"
    assert math_chat.math_verdict({**row, "completion": "$\\boxed{0}$"}) is None


def test_a_gsm8k_answer_loses_its_marks_and_gains_a_box() -> None:
    answer = "He has 48/2 = <<48/2=24>>24 left.\nSo 24+48 = <<24+48=72>>72.\n#### 72"
    assert gsm8k_solution(answer) == "He has 48/2 = 24 left.\nSo 24+48 = 72.\nThe answer is $\\boxed{72}$."
    assert final_box(gsm8k_solution("x\n#### 1,000")) == "1,000"
    assert final_box(gsm8k_solution("no final line")) is None


def test_levels() -> None:
    assert [level_of({"level": level}) for level in ("Level 5", 3, "Level ?", None)] == [5, 3, None, None]
    assert level_of({}) is None
    assert parse_levels("5, 4") == [4, 5]
    assert parse_levels("any") == [1, 2, 3, 4, 5]
    for wrong in ("6", "", "4-5", "45"):
        with pytest.raises(UserError, match="--levels"):
            parse_levels(wrong)


def problem(index: int, level: str = "Level 5", text: str | None = None, solution: str | None = None) -> dict:
    words = f"Find the number of ways in which {index} distinct red marbles can be put into {index + 3} labelled boxes"
    return {
        "problem": text or f"{words} so that no box stays empty.",
        "solution": solution or f"Count them: $\\boxed{{{index}}}$.",
        "level": level,
        "type": "Counting",
    }


LEAKED = (
    "A farmer walks along the river for seven hours each day and counts every boat that passes; how many boats does he "
    "count in a week of rain?"
)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    rows = {
        "math": [
            *(problem(i) for i in range(20)),
            *(problem(i, "Level 4") for i in range(20, 30)),
            *(problem(i, "Level 2") for i in range(30, 45)),
            problem(45, "Level ?"),
            problem(0),
            problem(46, solution="I do not know."),
            problem(47, text=LEAKED.upper().replace(";", " ,")),
            problem(48, text=f"Recall this: {LEAKED} Explain."),
            problem(49, text=LEAKED.replace("farmer", "sailor").replace("week of rain", "month")),
        ],
        "gsm8k": [
            {"question": f"Ann has {i} pens and buys {i} more. How many?", "answer": f"{i}+{i}={2 * i}\n#### {2 * i}"}
            for i in range(8)
        ],
        "test": [{"question": LEAKED, "answer": "1"}, {"question": "How many?", "answer": "2"}],
    }
    for name, content in rows.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in content))
    return {name: tmp_path / f"{name}.jsonl" for name in rows}


def make(files: dict[str, Path], out: Path, *words: str) -> str:
    command = ["--math-data", files["math"], "--gsm8k-data", files["gsm8k"], "--against", files["test"], "--out", out]
    return built(math_chat.app, *command, *words)


def test_levels_boxes_repeats_and_overlap(files: dict[str, Path], tmp_path: Path) -> None:
    output = make(files, tmp_path / "out")
    made = read_rows(tmp_path / "out" / "train.jsonl")
    problems = {row["messages"][0]["content"] for row in made}
    assert problems == {problem(i)["problem"] for i in range(30)}
    assert all(final_box(row["messages"][1]["content"]) for row in made)
    reasons = {row["reason"]: 0 for row in read_rows(tmp_path / "out" / "rejected.jsonl")}
    for row in read_rows(tmp_path / "out" / "rejected.jsonl"):
        reasons[row["reason"]] += 1
    test = files["test"]
    expected = {
        f"exact overlap with {test}": 1,
        f"n-gram overlap with {test}": 2,
        "repeats a problem": 1,
        "no boxed answer": 1,
    }
    assert reasons == expected
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["counts"]["rejected"] == expected
    assert manifest["config"]["sources"] == {"math": str(files["math"])}
    assert all(file["sha256"] for file in manifest["inputs"].values())
    assert f"| dropped: n-gram overlap with {test} | 2 |" in (tmp_path / "out" / "README.md").read_text()
    assert output.splitlines()[-1] == str(tmp_path / "out")


def test_both_sources_any_level_and_a_longer_ngram(files: dict[str, Path], tmp_path: Path) -> None:
    make(files, tmp_path / "out", "--source", "math", "--source", "gsm8k", "--levels", "any", "--ngram", "24")
    raw = read_rows(tmp_path / "out" / "raw.jsonl")
    assert {row["level"] for row in raw} == {None, 2, 4, 5}
    assert sum(row["source"] == "gsm8k" for row in raw) == 8
    kept = [row["messages"][0]["content"] for row in read_rows(tmp_path / "out" / "train.jsonl")]
    assert len(kept) == 46 + 8 + 1, "46 by level, GSM8K, and the one that shares fewer than 24 words in a row"


def test_the_seed_orders_and_count_cuts_and_resume_adds(files: dict[str, Path], tmp_path: Path) -> None:
    make(files, tmp_path / "one", "--count", "10")
    first = (tmp_path / "one" / "train.jsonl").read_text()
    make(files, tmp_path / "one", "--count", "30", "--resume")
    make(files, tmp_path / "all")
    assert (tmp_path / "one" / "train.jsonl").read_text() == (tmp_path / "all" / "train.jsonl").read_text()
    assert (tmp_path / "all" / "train.jsonl").read_text().startswith(first)
    assert first.count("\n") == 10
    make(files, tmp_path / "other", "--seed", "1")
    assert (tmp_path / "other" / "train.jsonl").read_text() != (tmp_path / "all" / "train.jsonl").read_text()
    assert "finished already" in make(files, tmp_path / "all", "--resume")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--count", "31"), "Only 30 of 35 problems fit, fewer than the 31 asked for"),
        (("--source", "poems"), "--source 'poems' is unknown. Choose from: math, gsm8k."),
        (("--math-data", "nowhere.jsonl"), "nowhere.jsonl does not exist"),
        (("--math-data", "not a dataset"), "neither a file that exists nor a Hub dataset"),
        (("--against", "nowhere.jsonl"), "nowhere.jsonl does not exist"),
    ],
)
def test_bad_input_is_a_sentence(files: dict[str, Path], tmp_path: Path, words: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(UserError) as told:
        make(files, tmp_path / "out", *words)
    assert sentence in str(told.value)
    assert not (tmp_path / "out").exists()


def test_a_malformed_row_is_named(files: dict[str, Path], tmp_path: Path) -> None:
    with open(files["math"], "a") as out:
        out.write('{"problem": "p"}\n')
    with pytest.raises(UserError, match='line 52 is malformed: it has no "solution"'):
        make(files, tmp_path / "out")


def test_no_hub_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match=r"openai/gsm8k:main@train cannot be read from the Hub .*local JSONL file"):
        make(
            {"math": "x.jsonl", "gsm8k": "openai/gsm8k:main@train", "test": "x.jsonl"},
            tmp_path / "out",
            "--source",
            "gsm8k",
        )


def test_from_the_hub_at_the_commit_of_now(tmp_path: Path) -> None:
    """The real client against a Hub on loopback: configs, splits, and the revision in the manifest."""
    questions = [
        {"question": f"Ann has {i} pens and buys {i} more. How many?", "answer": f"#### {2 * i}"} for i in range(9)
    ]
    card = "---\nconfigs:\n- config_name: main\n  data_files:\n" + "".join(
        f"  - split: {split}\n    path: main/{split}.jsonl\n" for split in ("train", "test")
    )
    files = {
        "README.md": f"{card}---\n",
        "main/train.jsonl": "".join(json.dumps(row) + "\n" for row in questions),
        "main/test.jsonl": "".join(json.dumps(row) + "\n" for row in questions[:2]),
    }
    with FakeHub() as hub:
        revision = hub.add("openai/gsm8k", {name: text.encode() for name, text in files.items()})
        environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        environment |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf")}
        words = ("--source", "gsm8k", "--against", "openai/gsm8k:main@test", "--out", str(tmp_path / "out"))
        command = [sys.executable, "-m", "data_builders.math_chat", *words]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=HANG_SECONDS)
        assert done.returncode == 0, done.stderr
        command[command.index("openai/gsm8k:main@test")] = "openai/gsm8k:main@validation"
        wrong = subprocess.run(
            [*command, "--overwrite"], capture_output=True, text=True, env=environment, timeout=HANG_SECONDS
        )
    assert wrong.returncode == 2
    assert "Bad split: validation" in wrong.stderr
    assert "Traceback" not in wrong.stderr
    assert len(read_rows(tmp_path / "out" / "train.jsonl")) == 7
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["config"]["sources"] == {"gsm8k": f"openai/gsm8k:main@train#{revision}"}
    assert manifest["counts"]["rejected"] == {"exact overlap with openai/gsm8k:main@test": 2}
