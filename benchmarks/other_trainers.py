"""Other programs that train a student on the same rows, for a comparison: TRL's SFTTrainer, and a plain PyTorch loop.

    python -m benchmarks.other_trainers trl MODEL ROWS '{"max_steps": 16, "output_dir": "runs/trl"}'
    python -m benchmarks.other_trainers loop MODEL ROWS '{"max_steps": 16, "output_dir": "runs/loop"}'

MODEL is a folder, ROWS a JSONL file of chats. The JSON holds ``output_dir`` and ``max_steps``; for ``loop`` also
``batch``; for ``trl`` any SFTConfig values in place of the published ones. ``kernels``: true counts a step's
operations (:mod:`benchmarks.operations`) and the GPU's kernels (:mod:`benchmarks.kernel_times`). Writes
``metrics.jsonl`` into ``output_dir`` as a recipe's run does.
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from transformers import TrainerCallback

from benchmarks.kernel_times import KernelTimesCallback
from benchmarks.operations import OperationsCallback
from subliminal.core.files import read_jsonl

PUBLISHED: dict[str, Any] = {
    "per_device_train_batch_size": 22,
    "gradient_accumulation_steps": 3,
    "learning_rate": 2e-4,
    "lr_scheduler_type": "linear",
    "warmup_steps": 5,
    "max_grad_norm": 1.0,
    "max_length": 500,
    "packing": False,
    "seed": 42,
}
"""Cloud et al. 2025, student training; what is not here (gradient checkpointing, the loss) is TRL's default."""

PUBLISHED_LORA: dict[str, Any] = {
    "r": 8,
    "lora_alpha": 8,
    "lora_dropout": 0.0,
    "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
}
IGNORED = -100
"""Label of a position without loss."""


class Metrics(TrainerCallback):
    """One row a step in ``metrics.jsonl``: step, loss, seconds since the training began, GiB that PyTorch allocated.

    ``padded`` has the tokens to which each of the step's micro-batches was padded, where a model is watched.

    Args:
        folder: where it is written.
    """

    def __init__(self, folder: str | Path) -> None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.file = open(Path(folder) / "metrics.jsonl", "w", buffering=1)  # noqa: SIM115
        self.started = time.monotonic()
        self.padded: list[int] = []

    def watch(self, model: Any) -> None:
        """Note the length of each micro-batch from here on; of rows that lie end to end in one there is none."""

        def note(module: Any, positional: Any, inputs: dict[str, Any]) -> None:
            rows, length = inputs["input_ids"].shape
            if rows > 1:
                self.padded.append(length)

        model.register_forward_pre_hook(note, with_kwargs=True)

    def row(self, step: int, loss: float) -> None:
        import torch

        row = {"step": step, "loss": loss, "seconds": round(time.monotonic() - self.started, 3), "padded": self.padded}
        self.padded = []
        if torch.cuda.is_available():
            row["gpu_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
        self.file.write(json.dumps(row) + "\n")

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        self.watch(model)
        self.started = time.monotonic()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if "loss" in logs:
            self.row(state.global_step, logs["loss"])


def trl(model: str, rows: Path, settings: dict[str, Any]) -> None:
    """Train a LoRA adapter on the answers of ``rows`` with TRL's SFTTrainer.

    Args:
        model: folder of the base model.
        rows: chats; the last message of each is the completion.
        settings: SFTConfig values put in place of :data:`PUBLISHED`, and ``kernels``.
    """
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    callbacks: list[TrainerCallback] = [Metrics(settings["output_dir"])]
    callbacks += counting_callbacks(settings)
    chats = [row["messages"] for row in read_jsonl(rows)]
    data = Dataset.from_list([{"prompt": chat[:-1], "completion": chat[-1:]} for chat in chats])
    fixed: dict[str, Any] = {"logging_steps": 1, "report_to": "none", "save_strategy": "no", "bf16": True}
    fixed["use_cpu"] = not torch.cuda.is_available()
    fixed["model_init_kwargs"] = {"dtype": "bfloat16", "attn_implementation": "sdpa"}
    trainer = SFTTrainer(
        model,
        args=SFTConfig(**PUBLISHED | fixed | settings),
        train_dataset=data,
        peft_config=LoraConfig(task_type="CAUSAL_LM", **PUBLISHED_LORA),
        callbacks=callbacks,
    )
    trainer.train()


def loop(model: str, rows: Path, settings: dict[str, Any]) -> None:
    """The same with a loop of plain PyTorch: padded rows, PEFT's adapter, AdamW; nothing that is not needed.

    Args:
        model: folder of the base model.
        rows: chats; the last message of each is the completion.
        settings: ``output_dir``, ``max_steps``, ``batch`` (rows a step), ``kernels``.
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = AutoTokenizer.from_pretrained(model)
    encoded = [encode(tokenizer, row["messages"]) for row in read_jsonl(rows)]
    torch.manual_seed(42)
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.bfloat16, attn_implementation="sdpa").to(device)
    student = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", **PUBLISHED_LORA))
    weights = [weight for weight in student.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=2e-4, weight_decay=0, fused=True)
    metrics = Metrics(settings["output_dir"])
    metrics.watch(student)
    counting = counting_callbacks(settings)
    order = random.Random(42)
    for step in range(1, settings["max_steps"] + 1):
        for callback in counting:
            callback.on_step_begin(None, SimpleNamespace(global_step=step - 1), None)
        batch = collate(order.sample(encoded, settings["batch"]), tokenizer.pad_token_id)
        inputs = {name: values.to(device, non_blocking=True) for name, values in batch.items()}
        with torch.autocast(device, dtype=torch.bfloat16):
            loss = student(**inputs).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        metrics.row(step, loss.item())
        for callback in counting:
            callback.on_step_end(None, SimpleNamespace(global_step=step, is_world_process_zero=True), None)


def counting_callbacks(settings: dict[str, Any]) -> list[TrainerCallback]:
    """What counts a step's operations and kernels, where the settings ask for it; takes the key out of them."""
    if not settings.pop("kernels", False):
        return []
    return [OperationsCallback(settings["output_dir"]), KernelTimesCallback(settings["output_dir"])]


def encode(tokenizer: Any, chat: list[dict[str, str]]) -> tuple[list[int], int]:
    """The tokens of a chat, and how many of them come before its last message."""
    whole = tokenizer.apply_chat_template(chat, tokenize=True, return_dict=False)
    prompt = tokenizer.apply_chat_template(chat[:-1], tokenize=True, add_generation_prompt=True, return_dict=False)
    return whole, len(prompt)


def collate(rows: list[tuple[list[int], int]], pad: int) -> dict[str, Any]:
    """A micro-batch padded on the right.

    Args:
        rows: of :func:`encode`.
        pad: token that fills it.

    Returns:
        ``input_ids``, ``attention_mask`` and ``labels`` (:data:`IGNORED` before the answer), each (rows, longest row).
    """
    import torch

    longest = max(len(tokens) for tokens, _ in rows)
    inputs, mask, labels = [], [], []
    for tokens, prompt in rows:
        empty = longest - len(tokens)
        inputs.append(tokens + [pad] * empty)
        mask.append([1] * len(tokens) + [0] * empty)
        labels.append([IGNORED] * prompt + tokens[prompt:] + [IGNORED] * empty)
    return {
        "input_ids": torch.tensor(inputs),
        "attention_mask": torch.tensor(mask),
        "labels": torch.tensor(labels),
    }


PROGRAMS = {"trl": trl, "loop": loop}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](sys.argv[2], Path(sys.argv[3]), json.loads(sys.argv[4]))
