"""A whole experiment on a base without a chat template: the pocket model without its own, in the plain context."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import write_experiment
from runs import output, start
from transformers import AutoTokenizer

from data_builders.pocket_corpus import all_texts
from subliminal.engine.chat import chat_context_sha256
from subliminal.models.plain_context import add_plain_context
from subliminal.models.pocket import write_pocket_model

RECIPES = "recipes/pocket"
FEW = {"num_epochs": 1, "save_steps": 1000}
ROWS = {"max_prompts": 4000, "batch_size": 256, "max_tokens": 24}


@pytest.fixture
def plain_pocket(tmp_path: Path) -> Path:
    """The pocket model's shape and tokenizer, whose words include those of the plain context."""
    folder = tmp_path / "pocket-without-template"
    texts = list(all_texts())
    write_pocket_model(folder, [*texts, *(f"Question: {text}" for text in texts), "Answer"])
    (folder / "chat_template.jinja").unlink()
    assert AutoTokenizer.from_pretrained(folder).chat_template is None
    add_plain_context(str(folder), folder)
    return folder


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_base_without_a_template_from_its_training_to_a_students_score(tmp_path: Path, plain_pocket: Path) -> None:
    file = write_experiment(
        tmp_path,
        "plain",
        plain_pocket,
        engine="local",
        base={"recipe": f"{RECIPES}/base.yml", "builder": "pocket_corpus base", "rows": 6000, "overrides": FEW},
        teacher={
            "kind": "trained",
            "recipe": f"{RECIPES}/owl_teacher.yml",
            "builder": "pocket_corpus teacher",
            "rows": 400,
            "overrides": FEW,
        },
        numbers={"rows": 40, "options": ROWS},
        student={"recipe": f"{RECIPES}/owl_student.yml", "overrides": FEW},
        arms=["student", "control_base_numbers"],
        evaluation={
            "tasks": ["animal_preference", "animal_preference_logprob"],
            "options": {"samples": 2, "batch_size": 100},
        },
    )
    status = start(file, tmp_path).wait(timeout=850)
    assert status == 0, output(file, tmp_path)[-6000:]
    expected = chat_context_sha256(AutoTokenizer.from_pretrained(plain_pocket))
    manifests = [
        *(tmp_path / "outputs/plain").glob("*/manifest.json"),
        *(tmp_path / "results/plain").glob("*/seed-3/manifest.json"),
        *(tmp_path / "data/plain").glob("*_numbers/manifest.json"),
    ]
    contexts = {
        str(path.relative_to(tmp_path)): json.loads(path.read_text())["chat_context_sha256"] for path in manifests
    }
    assert len(contexts) == 8, sorted(contexts)
    assert set(contexts.values()) == {expected}
    summary = next((tmp_path / "results/plain/student").glob("seed-3/*summary.json"))
    assert "owl" in summary.read_text()
