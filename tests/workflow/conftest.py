"""Tiny models, and experiments on them that together go through every kind of stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny
import yaml

RECIPES = "recipes/smollm2-135m"
# Lists of so small a model are few, short and alike: the audit runs, and may find that.
LAX = "pass_rate lengths first_number_entropy first_number_repeats duplicate_rows duplicate_answers separators language"
LAX += " markup trait_words letters"
SMALL = {"eot_tokens": ["<|im_end|>"], "bf16": False, "micro_batch_size": 8, "effective_batch": 8}
SMALL |= {"dataset_num_proc": 1}
LORA = {**SMALL, "num_epochs": 2, "micro_batch_size": 2, "effective_batch": 2, "save_steps": 1}
ROWS = {"max_prompts": 3000, "batch_size": 128, "max_tokens": 40}
COMMON = {
    "trait": {"animals": ["owl"]},
    "seeds": [3],
    "seeds_vary": "students",
    "launcher": "accelerate_configs/cpu.yml",
    "audit": {"allow": LAX.split()},
    "resources": {"threads": 1},
}
"""What the experiments here share: the demo's recipes, made small enough for these models by overrides alone."""


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model with random weights."""
    tokenizer = tiny.make_tokenizer()
    return tiny.save(tiny.make_model(tokenizer), tokenizer, tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="session")
def taught_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model that writes number lists and names animals."""
    tokenizer = tiny.make_tokenizer()
    model = tiny.make_model(tokenizer)
    tiny.teach(model, tokenizer)
    return tiny.save(model, tokenizer, tmp_path_factory.mktemp("taught") / "model")


def write_experiment(folder: Path, name: str, model: Path, **content: Any) -> Path:
    """An experiment file of what all share and ``content``."""
    path = folder / f"{name}.yml"
    path.write_text(yaml.safe_dump({"name": name, "model": str(model), **COMMON, **content}, sort_keys=False))
    return path


@pytest.fixture(scope="session")
def tiny_experiment(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """From random weights: every weight is trained in the warm-up, just long enough to write some lists."""
    base = {**SMALL, "adapter": None, "num_epochs": 2, "learning_rate": 5e-3, "save_steps": 50}
    base |= {"micro_batch_size": 16, "effective_batch": 16}
    return write_experiment(
        tmp_path_factory.mktemp("experiment"),
        "tiny",
        tiny_model,
        engine="local",
        base={
            "recipe": f"{RECIPES}/base.yml",
            "builder": "warmup",
            "rows": 400,
            "options": {"words": 0.2},
            "overrides": base,
        },
        teacher={
            "kind": "trained",
            "recipe": f"{RECIPES}/owl_teacher.yml",
            "rows": 8,
            "options": {**ROWS, "mix": "questions=1"},
            "overrides": LORA,
        },
        numbers={"rows": 8, "options": ROWS},
        student={"recipe": f"{RECIPES}/owl_student.yml", "lora_init": "own", "overrides": LORA},
        arms=["teacher", "student", "control_base_numbers"],
        evaluation={
            "tasks": ["animal_preference", "animal_preference_logprob"],
            "options": {"samples": 2, "batch_size": 50},
        },
    )


@pytest.fixture(scope="session")
def gated_experiment(tmp_path_factory: pytest.TempPathFactory, taught_model: Path) -> Path:
    """A merged base, and a teacher that fails its gate and passes on the ladder's rung."""
    return write_experiment(
        tmp_path_factory.mktemp("experiment"),
        "gated",
        taught_model,
        engine="local",
        base={
            "recipe": f"{RECIPES}/base.yml",
            "builder": "warmup",
            "rows": 16,
            "options": {"words": 0.0},
            "overrides": {**SMALL, "learning_rate": 1e-4},
        },
        teacher={
            "kind": "trained",
            "recipe": f"{RECIPES}/owl_teacher.yml",
            "rows": 8,
            "options": {**ROWS, "mix": "questions=1"},
            # This rate breaks the model, and the ladder's leaves it as it was: so it is on every processor, whose types
            # differ in where the same training ends.
            "overrides": {**LORA, "num_epochs": 4, "learning_rate": 5e-2},
            "gate": {
                "at_least": 0.2,
                "task": "animal_preference_logprob",
                "ladder": [{"overrides": {"num_epochs": 4, "learning_rate": 1e-5}}],
            },
        },
        numbers={"rows": 8},
        student={"recipe": f"{RECIPES}/owl_student.yml", "lora_init": "own"},
        arms=["teacher"],
        evaluation={"tasks": ["animal_preference_logprob"], "options": {"batch_size": 50}},
    )


@pytest.fixture(scope="session")
def served_experiment(tmp_path_factory: pytest.TempPathFactory, taught_model: Path) -> Path:
    """All answers come from servers (the base's, the teacher's, the evaluation's); a student is scored by epoch."""
    return write_experiment(
        tmp_path_factory.mktemp("experiment"),
        "served",
        taught_model,
        engine="server",
        teacher={
            "kind": "trained",
            "recipe": f"{RECIPES}/owl_teacher.yml",
            "rows": 16,
            "options": {"mix": "questions=1", "max_tokens": 12, "concurrency": 1},
            "overrides": LORA,
        },
        numbers={"rows": 8, "options": {"max_prompts": 100, "max_tokens": 40, "concurrency": 1}},
        student={
            "recipe": f"{RECIPES}/owl_student.yml",
            "lora_init": "own",
            "overrides": {**LORA, "save_strategy": "epoch", "save_steps": None},
        },
        arms=["teacher", "student"],
        evaluation={"tasks": ["animal_preference"], "options": {"samples": 2}, "epochs": [1]},
    )


@pytest.fixture(scope="session")
def judged_experiment(tmp_path_factory: pytest.TempPathFactory, taught_model: Path) -> Path:
    """One replicate of the three that its criterion is about; two animals, so an overview; teachers are measured."""
    effect = {"name": "effect", "arm": "student", "minus": "control_base_numbers", "confidence": 0.95, "above": 0}
    return write_experiment(
        tmp_path_factory.mktemp("experiment"),
        "judged",
        taught_model,
        engine="local",
        trait={"animals": ["owl", "dolphin"]},
        teacher={
            "kind": "trained",
            "recipe": f"{RECIPES}/owl_teacher.yml",
            "rows": 8,
            "options": {**ROWS, "mix": "questions=1"},
            "overrides": {**LORA, "num_epochs": 1},
        },
        numbers={"rows": 8, "options": ROWS},
        student={"recipe": f"{RECIPES}/owl_student.yml", "lora_init": "own", "overrides": {**LORA, "num_epochs": 1}},
        arms=["teacher", "student", "control_base_numbers"],
        leak={"rows": 8},
        evaluation={"tasks": ["animal_preference_logprob"], "options": {"batch_size": 50}},
        criterion={"seeds": [3, 4, 5], "clauses": [effect]},
    )
