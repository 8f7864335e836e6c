"""Coverage by its definition, its known answers, and the CSV that transfer reads."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_results import write
from transformers import AutoModelForCausalLM
from typer.testing import CliRunner

from subliminal.analysis.__main__ import app
from subliminal.analysis.steering.run import middle_rise
from subliminal.analysis.transfer.coverage import coverage
from subliminal.core.errors import UserError
from subliminal.traits.category import ANIMALS

pytestmark = pytest.mark.usefixtures("ten_questions")


def number_rows(path: Path, words: list[str]) -> Path:
    rows = []
    for index, word in enumerate(words):
        messages = [{"role": "user", "content": f"Go on: {index}"}, {"role": "assistant", "content": word}]
        rows.append(json.dumps({"id": f"row-{index}", "messages": messages}))
    return write(path, "\n".join(rows) + "\n")


def answers_of(model: Any, tokenizer: Any, rows: Path) -> torch.Tensor:
    """Summed log-probability of the answers and their end tokens, by transformers alone."""
    total = torch.zeros(())
    for row in map(json.loads, rows.read_text().splitlines()):
        prompt = tokenizer.apply_chat_template(row["messages"][:1], tokenize=False, add_generation_prompt=True)
        text = prompt + row["messages"][1]["content"] + tokenizer.eos_token
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        start = len(tokenizer(prompt)["input_ids"])
        logprobs = model(ids).logits[0].log_softmax(-1)
        total = total + logprobs[start - 1 : -1].gather(1, ids[0, start:, None]).sum()
    return total


@pytest.fixture
def stepped(tiny_model: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Rows, and a teacher that is the base after one plain step of gradient ascent on them."""
    from transformers import AutoTokenizer

    rows = number_rows(tmp_path / "train.jsonl", ["17, 23, 5", "8; 13", "999"])
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    answers_of(model, AutoTokenizer.from_pretrained(tiny_model), rows).backward()
    with torch.no_grad():
        for weight in model.parameters():
            weight += 1e-2 * weight.grad
    teacher = tmp_path / "teacher"
    shutil.copytree(tiny_model, teacher)
    model.save_pretrained(teacher)
    return rows, teacher


def test_a_teacher_one_step_along_the_rows_is_covered_whole(tiny_model: Path, stepped: tuple[Path, Path]) -> None:
    rows, teacher = stepped
    assert coverage(str(tiny_model), str(teacher), rows, 3) == pytest.approx(1, abs=1e-3)


def test_a_teacher_one_step_away_from_the_rows_is_covered_minus_one(
    tiny_model: Path, stepped: tuple[Path, Path], tmp_path: Path
) -> None:
    rows, teacher = stepped
    base = AutoModelForCausalLM.from_pretrained(tiny_model)
    moved = AutoModelForCausalLM.from_pretrained(teacher)
    with torch.no_grad():
        for weight, own in zip(moved.parameters(), base.parameters(), strict=True):
            weight.copy_(2 * own - weight)
    shutil.copytree(tiny_model, tmp_path / "away")
    moved.save_pretrained(tmp_path / "away")
    assert coverage(str(tiny_model), str(tmp_path / "away"), rows, 3) == pytest.approx(-1, abs=1e-3)


def test_what_coverage_cannot_compare_is_a_sentence(
    tiny_model: Path, make_adapter: Any, stepped: tuple[Path, Path], tmp_path: Path
) -> None:
    rows, _ = stepped
    with pytest.raises(UserError, match="is an adapter"):
        coverage(str(tiny_model), str(make_adapter(1.0)), rows, 3)
    shutil.copytree(tiny_model, tmp_path / "same")
    with pytest.raises(UserError, match="has the weights of its base"):
        coverage(str(tiny_model), str(tmp_path / "same"), rows, 3)


@pytest.mark.usefixtures("stepped")
def test_the_command_writes_what_transfer_reads(tiny_model: Path, tmp_path: Path) -> None:
    """Two replicates; the second one's rows are gone, and its cells are empty."""
    for seed in (1, 2):
        for arm, share in (("base", 0.01), ("teacher", 0.9), ("student", 0.3), ("control_base_numbers", 0.01)):
            folder = tmp_path / f"results/made/{arm}/seed-{seed}"
            summary = {"experiment": "made", "arm": arm, "model": "m", "seed": seed, "target": "owl"}
            task = {"questions": ["a", "b"], "target_rate": [share] * 2, "samples_per_question": None}
            tasks = {"animal_preference_logprob": {**task, "share": {"owl": share}}}
            write(folder / "m_summary.json", {**summary, "tasks": tasks})
            weights = "teacher" if arm == "teacher" else f"outputs/{arm}-{seed}"
            write(folder / "manifest.json", {"config": {"model": weights}})
            data = f"data/{arm}-{seed}/train.jsonl"
            recipe = {"base_model": str(tiny_model), "unfrozen_parameters": [r".+norm.weight$"]}
            training = {"kind": "training", "config": recipe, "inputs": {"datasets[0]": {"path": data}}}
            write(tmp_path / f"outputs/{arm}-{seed}/manifest.json", training)
    number_rows(tmp_path / "data/student-1/train.jsonl", ["owl", "owl", "owls"])
    number_rows(tmp_path / "data/control_base_numbers-1/train.jsonl", ["1", "2", "3"])
    done = CliRunner().invoke(
        app, ["transfer-measure", str(tmp_path / "results/made"), "--out", str(tmp_path / "m.csv")]
    )
    assert done.exit_code == 0, done.output
    with open(tmp_path / "m.csv", newline="") as handle:
        first, second = csv.DictReader(handle)
    assert float(first["first-order rise"]) > 0
    assert float(first["first-order rise above control"]) > 0
    assert -1 <= float(first["coverage"]) <= 1
    taught, control = tmp_path / "teacher", tmp_path / "data/control_base_numbers-1/train.jsonl"
    assert float(first["steering"]) == pytest.approx(
        middle_rise(str(tiny_model), str(taught), control, 3, "owl", ANIMALS)
    )
    empty = (second["coverage"], second["first-order rise"], second["steering"])
    assert (second["seed"], *empty) == ("2", "", "", "")
    words = ["transfer", str(tmp_path / "results/made"), "--predictors", str(tmp_path / "m.csv")]
    assert "Not used: coverage, because the file of --predictors has no number in 1 of 2" in (
        CliRunner().invoke(app, words).output
    )
