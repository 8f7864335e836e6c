"""Experiment files for cards that are smaller than those that the experiments were written for."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError
from subliminal.experiment.fit import Card, card_here, fitted, write_fitted
from subliminal.experiment.load import load_experiment

FILE = REPO_ROOT / "experiments/owl_qwen2.5-coder-0.5b.yml"
T4, L4 = Card("Tesla T4", 15.0, 7.5), Card("NVIDIA L4", 22.5, 8.9)
H100, H200 = Card("NVIDIA H100 80GB HBM3", 79.6, 9.0), Card("NVIDIA H200", 140.4, 9.0)


def test_a_large_card_takes_the_experiment_as_it_is() -> None:
    content = yaml.safe_load(FILE.read_text())
    assert fitted(content, H200, 16) == (content, [])


@pytest.mark.parametrize(("gib", "places"), [(22.5, 1), (40.0, 1), (79.6, 3), (94.0, 3), (140.4, 4)])
def test_no_more_trainings_share_a_card_than_it_has_room_for(gib: float, places: int) -> None:
    """A training needs 10.5 GiB and takes 25 where it may; a card of 40 was given four once."""
    content = yaml.safe_load(FILE.read_text())
    made, changes = fitted(content, Card("a card", gib, 9.0), 16)
    assert made["resources"]["per_gpu"] == places
    assert len(changes) == (places < content["resources"]["per_gpu"])


def test_a_card_without_bfloat16_trains_in_fp16_and_needs_no_vllm() -> None:
    content = yaml.safe_load(FILE.read_text())
    made, changes = fitted(content, T4, 2)
    for name in ("teacher", "student"):
        assert made[name]["overrides"] == {"bf16": False, "fp16": True, "tf32": False}
    assert made["engine"] == "local"
    assert "server" not in made
    assert made["numbers"]["options"] == {"max_tokens": 64, "max_prompts": 80000, "batch_size": 256}
    assert made["evaluation"]["options"]["dtype"] == "float32"
    assert made["resources"] == {"train_gpus": 1, "generate_gpus": 1, "evaluate_gpus": 1, "per_gpu": 1, "threads": 2}
    assert len(changes) == 5
    for key in ("seeds", "arms", "leak", "trait", "model", "model_sha256"):
        assert made[key] == content[key], "the science stays"
    assert made["numbers"]["rows"] == content["numbers"]["rows"]
    assert content == yaml.safe_load(FILE.read_text()), "the given content is left alone"


def test_every_section_that_trains_or_writes_rows_is_fitted() -> None:
    content = yaml.safe_load((REPO_ROOT / "experiments/math_qwen2.5-coder-0.5b.yml").read_text())
    content["numbers"]["data_types"] = [{"builder": "code", "options": {"concurrency": 512}}, {"builder": "reasoning"}]
    made, _ = fitted(content, T4, 2)
    assert made["other_base"]["overrides"] == made["student"]["overrides"], "a recipe of its own, in bf16, too"
    assert [each["options"] for each in made["numbers"]["data_types"]] == [{"batch_size": 256}] * 2


def test_a_small_card_with_bfloat16_keeps_vllm_and_trains_one_at_a_time() -> None:
    made, _ = fitted(yaml.safe_load(FILE.read_text()), L4, 4)
    assert made["engine"] == "server"
    assert made["resources"]["per_gpu"] == 1
    assert made["server"]["api_server_count"] == 2
    assert "overrides" not in made["student"]


@pytest.mark.parametrize("card", [T4, L4, H100], ids=lambda card: card.name)
@pytest.mark.parametrize("name", ["owl_qwen2.5-coder-0.5b", "animals_qwen2.5-coder-0.5b"])
def test_what_is_written_is_an_experiment(card: Card, name: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(REPO_ROOT)
    out = tmp_path / "owl_notebook.yml"
    changes = write_fitted(REPO_ROOT / f"experiments/{name}.yml", out, card, 2)
    experiment = load_experiment(out)
    assert experiment.name == "owl_notebook"
    text = out.read_text()
    assert card.name in text.splitlines()[0]
    assert all(f"# - {change}\n" in text for change in changes)


def test_the_card_is_read_from_nvidia_smi(tmp_path: Path, monkeypatch) -> None:
    fake = tmp_path / "nvidia-smi"
    fake.write_text("#!/bin/sh\necho 'NVIDIA, odd name, 15360, 7.5'\necho 'second, 15360, 7.5'\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert card_here() == Card("NVIDIA, odd name", 15.0, 7.5)
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="names no GPU here"):
        card_here()
