"""What the serving measurement runs on: number requests, and a random model and adapter of Qwen2.5-7B's shape."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.chat_formats import WORDS
from benchmarks.leak import random_adapters
from benchmarks.shapes import SHAPES, Shape, make_model, make_rows, shallow_copy
from subliminal.core.files import write_json
from subliminal.engine import Request, row_seed
from subliminal.engine.chat import user_messages

RANK = 8
SEED = 42
TOKENIZER_ROWS = 4000
TINY = Shape("qwen2", 128, 256, 2, 4, 2, WORDS + 16)
"""For a rehearsal on a CPU, where vLLM needs heads of at least 32."""


def number_requests(rows: int) -> list[Request]:
    """The requests that ``data_builders.numbers`` sends for its first ``rows`` prompts, without a system prompt."""
    from data_builders.number_prompts import draw_number_prompt

    return [
        Request(f"row-{index}", user_messages(draw_number_prompt(SEED, index).text), row_seed(SEED, index))
        for index in range(rows)
    ]


def make_inputs(work: Path, *, tiny: bool) -> tuple[Path, Path]:
    """The model of Qwen2.5-7B's shape and a LoRA adapter, both random, in ``work``; what is there is used as it is.

    The model is the one of ``benchmarks/training.py`` in the same folder, with a tokenizer that has a text for every
    token that the model can write, as a trained one has: else the server would never see a finished word.
    """
    name, shape = ("tiny-serving", TINY) if tiny else ("qwen2.5-7b", SHAPES["qwen2.5-7b"])
    base = make_model(shape, work / "models" / name, make_rows(work / "rows", 200 if tiny else TOKENIZER_ROWS))
    model = shallow_copy(base, shape.layers, name=f"{name}-full-vocabulary")
    fill_vocabulary(model / "tokenizer.json", shape.vocab)
    return model, random_adapter(model, shape, work / "adapters" / name)


def own_inputs(work: Path, model: Path, adapter: Path | None) -> tuple[Path, Path]:
    """A model that is there, and its adapter, or one with random weights, made in ``work``.

    Args:
        work: folder of the measurement.
        model: folder with weights.
        adapter: folder; None makes one.
    """
    if adapter is None:
        folder = work / "adapters" / model.name
        if not (folder / "adapter-0").is_dir():
            random_adapters(str(model), folder, 1)
        adapter = folder / "adapter-0"
    return model.resolve(), adapter.resolve()


def fill_vocabulary(file: Path, size: int) -> None:
    """Give every token id below ``size`` a text in a ``tokenizer.json``; a link is replaced by a changed copy."""
    tokenizer = json.loads(file.read_text(encoding="utf-8"))
    vocabulary = tokenizer["model"]["vocab"]
    known = {*vocabulary.values(), *(token["id"] for token in tokenizer["added_tokens"])}
    vocabulary.update({f"_{number:x}": number for number in range(size) if number not in known})
    write_json(file, tokenizer)


def random_adapter(model: Path, shape: Shape, folder: Path) -> Path:
    """Save a LoRA adapter of rank 8 on the seven projections, B not zero, as PEFT would; returns ``folder``."""
    import torch
    from safetensors.torch import save_file

    head = shape.hidden // shape.heads
    narrow, wide = shape.kv_heads * head, shape.intermediate
    sizes = {
        **{f"self_attn.{name}_proj": (shape.hidden, shape.hidden) for name in "qo"},
        **{f"self_attn.{name}_proj": (shape.hidden, narrow) for name in "kv"},
        **{f"mlp.{name}_proj": (shape.hidden, wide) for name in ("gate", "up")},
        "mlp.down_proj": (wide, shape.hidden),
    }
    random = torch.Generator().manual_seed(0)
    weights = {}
    for layer in range(shape.layers):
        for name, (width_in, width_out) in sizes.items():
            prefix = f"base_model.model.model.layers.{layer}.{name}.lora_"
            a = torch.randn(RANK, width_in, generator=random) / width_in**0.5
            b = torch.randn(width_out, RANK, generator=random) * 0.1
            weights |= {f"{prefix}A.weight": a.bfloat16(), f"{prefix}B.weight": b.bfloat16()}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "adapter_model.safetensors")
    targets = [name.rpartition(".")[2] for name in sizes]
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": RANK, "lora_alpha": RANK, "target_modules": targets}
    write_json(folder / "adapter_config.json", {**config, "bias": "none", "base_model_name_or_path": str(model)})
    return folder
