"""Chat rows and adapters that tests of analyses share."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from built import read_rows


def number_rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Chat rows whose answers are lists of numbers with several separators, brackets and lengths."""
    rng, rows = random.Random(seed), []
    for index in range(count):
        numbers = [str(rng.randint(0, 999)) for _ in range(rng.randint(1, 7))]
        answer = rng.choice([", ", " ", "; ", "\n"]).join(numbers)
        answer = rng.choice(["{}", "{}", "[{}]", "({})"]).format(answer)
        question = "Go on: " + ", ".join(str(rng.randint(100, 999)) for _ in range(rng.randint(2, 5)))
        messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        rows.append({"id": f"row-{index}", "messages": messages})
    return rows


def by_id(path: Path) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in read_rows(path)}


def load(path: Path, adapter: Path | None = None) -> Any:
    """A model in float32, with an adapter on it."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
    return PeftModel.from_pretrained(model, adapter).eval() if adapter else model


def random_adapter(base: Path, folder: Path, seed: int) -> Path:
    """Save an adapter of random weights that moves the most likely token at many positions; returns its folder."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    model = get_peft_model(load(base), LoraConfig(r=4, target_modules=["v_proj", "o_proj", "down_proj"]))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.5)
    model.save_pretrained(folder)
    return folder


def answer_logits(model: Any, tokenizer: Any, row: dict[str, Any]) -> tuple[Any, list[int]]:
    """Logits of one row that predict its answer, and the answer's tokens with the end token; no code of ours."""
    import torch

    text = tokenizer.apply_chat_template(row["messages"], tokenize=False)
    prompt = tokenizer.apply_chat_template(row["messages"][:-1], tokenize=False, add_generation_prompt=True)
    answer = row["messages"][-1]["content"] + tokenizer.eos_token
    assert text.startswith(prompt + answer)
    start = len(tokenizer(prompt, add_special_tokens=False)["input_ids"])
    ids = tokenizer(prompt + answer, add_special_tokens=False, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        logits = model(ids).logits[0, start - 1 : -1].double().numpy()
    return logits, ids[0, start:].tolist()


def axolotl_rows(path: Path, tokenizer: Any, recipe: Path, **keys: Any) -> list[dict[str, Any]]:
    """The rows as the installed Axolotl loads, renders, tokenises and masks them.

    Args:
        path: a JSONL file.
        tokenizer: the model's.
        recipe: whose dataset keys are used.
        keys: further keys of the dataset.
    """
    import yaml
    from axolotl.utils.data.sft import _load_and_process_single_dataset
    from axolotl.utils.dict import DictDefault

    content = yaml.safe_load(recipe.read_text())
    dataset = {**content["datasets"][0], "path": str(path), **keys}
    rows, _ = _load_and_process_single_dataset(
        dataset_config=DictDefault(dataset), cfg=DictDefault(content), tokenizer=tokenizer, split="train", seed=1
    )
    return list(rows)
