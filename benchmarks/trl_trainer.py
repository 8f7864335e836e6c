"""The other side of the comparison: TRL's SFTTrainer with the settings of the published student recipe.

    python -m benchmarks.trl_trainer MODEL ROWS '{"max_steps": 16, "output_dir": "runs/trl"}'

MODEL is a folder, ROWS a JSONL file of chats; the JSON holds ``output_dir`` and any SFTConfig values to put in place of
the published ones. Writes ``metrics.jsonl`` into ``output_dir`` as a recipe's run does.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

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


def train(model: str, rows: Path, settings: dict[str, Any]) -> None:
    """Train a LoRA adapter on the answers of ``rows`` and log every step.

    Args:
        model: folder of the base model.
        rows: chats; the last message of each is the completion.
        settings: SFTConfig values put in place of :data:`PUBLISHED`.
    """
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from benchmarks.turn import TurnCallback

    class Metrics(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.file = open(Path(args.output_dir) / "metrics.jsonl", "w", buffering=1)  # noqa: SIM115
            self.started = time.monotonic()

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            if "loss" not in logs:
                return
            row = {"step": state.global_step, "loss": logs["loss"], "tokens_seen": logs.get("num_tokens")}
            row["seconds"] = round(time.monotonic() - self.started, 3)
            if torch.cuda.is_available():
                row["gpu_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
            self.file.write(json.dumps(row) + "\n")

    Path(settings["output_dir"]).mkdir(parents=True, exist_ok=True)
    chats = [row["messages"] for row in read_jsonl(rows)]
    data = Dataset.from_list([{"prompt": chat[:-1], "completion": chat[-1:]} for chat in chats])
    cuda = torch.cuda.is_available()
    fixed = {"logging_steps": 1, "report_to": "none", "save_strategy": "no", "bf16": cuda, "use_cpu": not cuda}
    fixed["model_init_kwargs"] = {"dtype": "bfloat16" if cuda else "float32", "attn_implementation": "sdpa"}
    trainer = SFTTrainer(
        model,
        args=SFTConfig(**PUBLISHED | fixed | settings),
        train_dataset=data,
        peft_config=LoraConfig(task_type="CAUSAL_LM", **PUBLISHED_LORA),
        callbacks=[Metrics(), TurnCallback()],
    )
    trainer.train()


if __name__ == "__main__":
    train(sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3]))
