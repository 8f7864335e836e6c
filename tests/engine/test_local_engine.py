"""The in-process engine on tokenizers as Llama 3 and Mistral have them: without a pad token."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from subliminal.core.errors import UserError
from subliminal.engine import Request, Sampling, row_seed
from subliminal.engine.chat import user_messages
from subliminal.engine.local import TransformersEngine

PROMPTS = ("Name an animal.", "Which animal do you like best of all the animals in the world?", "Owl or wolf?", "Why?")


@pytest.fixture(scope="module")
def unpadded(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, whose tokenizer names no pad token."""
    folder = tmp_path_factory.mktemp("unpadded") / "tiny-chat"
    shutil.copytree(tiny_model, folder)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text())
    del config["pad_token"]
    path.write_text(json.dumps(config))
    return folder


def answers(model: Path, batch_size: int) -> dict[str, tuple[str, str]]:
    engine = TransformersEngine(str(model), batch_size=batch_size)
    requests = [Request(f"row-{n}", user_messages(text), row_seed(1, n)) for n, text in enumerate(PROMPTS)]
    found = {each.id: (each.text, each.finish_reason) for each in engine.generate(requests, Sampling(max_tokens=8))}
    engine.close()
    return found


def test_without_a_pad_token_answers_are_those_with_one(tiny_model: Path, unpadded: Path) -> None:
    from transformers import AutoTokenizer

    assert AutoTokenizer.from_pretrained(unpadded).pad_token is None
    expected = answers(tiny_model, 1)
    assert len(expected) == len(PROMPTS)
    for batch_size in (1, 2, 4):
        assert answers(unpadded, batch_size) == expected, f"batch size {batch_size}"


def test_a_model_without_any_end_of_an_answer_is_refused(unpadded: Path, tmp_path: Path) -> None:
    folder = tmp_path / "endless"
    shutil.copytree(unpadded, folder)
    for name in ("tokenizer_config.json", "generation_config.json", "config.json"):
        content = json.loads((folder / name).read_text())
        content = {key: value for key, value in content.items() if key not in ("eos_token", "eos_token_id")}
        (folder / name).write_text(json.dumps({**content, "eos_token_id": None} if name == "config.json" else content))
    with pytest.raises(UserError, match=r"names a token that ends an answer\. Add `eos_token` to its tokenizer_config"):
        TransformersEngine(str(folder))
