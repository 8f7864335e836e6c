"""What a model folder lacks is a sentence, before a run begins with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from subliminal.core.weights import TOKENIZERS, model_folder_problem


def folder_with(folder: Path, *names: str) -> Path:
    """A folder with these files, all of them empty."""
    for name in names:
        (folder / name).touch()
    return folder


def test_all_that_an_empty_folder_lacks_is_named_at_once(tmp_path: Path) -> None:
    said = model_folder_problem(tmp_path)
    assert said.startswith(f"The model folder {tmp_path} has no config.json and no weights (model.safetensors, or ")
    assert said.endswith(
        " and no tokenizer (tokenizer.json, tokenizer.model, vocab.json with merges.txt, spiece.model, "
        "sentencepiece.bpe.model, vocab.txt or tekken.json). Copy the whole model into it, or fetch or train it again."
    )


@pytest.mark.parametrize("names", TOKENIZERS)
def test_a_tokenizer_of_any_form_will_do(names: tuple[str, ...], tmp_path: Path) -> None:
    *first, last = names
    folder_with(tmp_path, "config.json", *first)
    assert "has no tokenizer (" in model_folder_problem(tmp_path, weights=False)
    folder_with(tmp_path, last)
    assert model_folder_problem(tmp_path, weights=False) is None


def test_weights_are_wanted_whole_unless_they_are_drawn_anew(tmp_path: Path) -> None:
    folder_with(tmp_path, "config.json", "tokenizer.json")
    assert model_folder_problem(tmp_path, weights=False) is None
    assert "has no weights (" in model_folder_problem(tmp_path)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text('{"weight_map": {"a": "part-1.safetensors", "b": "part-2.safetensors"}}')
    save_file({"a": np.zeros(1)}, tmp_path / "part-1.safetensors")
    assert "part-2.safetensors is no whole safetensors file" in model_folder_problem(tmp_path)
    save_file({"b": np.zeros(1)}, tmp_path / "part-2.safetensors")
    assert model_folder_problem(tmp_path) is None
