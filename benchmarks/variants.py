"""What is tried, and what each try is expected to give. The predictions were written before the first measurement.

Count for one row of about 130 tokens of Qwen2.5-7B, with a frozen base: 4 FLOP x 7.07e9 matmul weights x 130 tokens =
3.7 TFLOP, 5 ms at 790 TFLOP/s: 60 rows cannot take less than 0.28 s (28,000 tokens/s). In the way of that:

- a micro-batch of 6 rows is about 800 tokens: 30 ms of arithmetic in about 5,000 kernels, so bound by their launches;
- padding to the longest row of a micro-batch: about 15 % of the positions, more with more rows;
- the head on prompt positions: three quarters of 8 % of the arithmetic, and much of the activation memory;
- norms, rotary embedding and the adapters' small products: bound by memory, about 25 % on top of the large products.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchmarks.workspace import Variant

QWEN = "qwen2.5-7b"
LLAMA = "llama-3-70b"
LLAMA_8B = "llama-3-8b"
MISTRAL = "mistral-7b"
LONG_ROWS = "rows-long"
FLAT = "subliminal.flat_batch.FlatBatch"
LIGER = "axolotl.integrations.liger.LigerPlugin"
SHARDING_PROBE = "benchmarks.probe.ShardingProbe"

FLAT_KEYS = {"sdpa_varlen": True, "sample_packing": False, "pad_to_sequence_len": False}
LIGER_KEYS = {"liger_rope": True, "liger_rms_norm": True}
NO_KERNELS = dict.fromkeys(("lora_mlp_kernel", "lora_qkv_kernel", "lora_o_kernel", "lora_embedding_kernel"), False)
KERNELS = {**dict.fromkeys(NO_KERNELS, True), "lora_embedding_kernel": False}
PLAIN = {"sample_packing": False, "gradient_checkpointing": False, "torch_compile": False}

CHECKPOINTS = {"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"use_reentrant": False}}
LEARNS = {"learning_rate": 2e-4}
"""A rate at which random weights learn within a few steps."""

COST_STEPS = 14
"""Steps of the runs that say what a recipe costs."""

LOSS_STEPS = 50
"""Steps of the variants whose losses are compared with the plain setting's."""


def step_settings(micro: int, accumulation: int) -> dict[str, Any]:
    """A step of ``micro x accumulation`` rows."""
    return {
        "micro_batch_size": micro,
        "gradient_accumulation_steps": accumulation,
        "effective_batch": micro * accumulation,
    }


def student(name: str, micro: int, *more: dict[str, Any], expected: str, flat: bool = False, **fields: Any) -> Variant:
    """The 7B student with 60 rows a step in micro-batches of ``micro``; ``fields`` of :class:`Variant` win."""
    settings = PLAIN | KERNELS | step_settings(micro, 60 // micro)
    plugins = [FLAT] if flat else []
    settings |= FLAT_KEYS if flat else {}
    for part in more:
        settings |= part
    plugins += [LIGER] if any(key.startswith("liger") for key in settings) else []
    fields = {"model": QWEN, **fields}
    return Variant(name, settings=settings, plugins=tuple(plugins), expected=expected, **fields)


def speed_variants() -> list[Variant]:
    """What runs on one GPU, most telling first; those of :data:`LOSS_STEPS` steps also answer for the losses."""
    long = {"steps": LOSS_STEPS}
    return [
        student("plain 6", 6, NO_KERNELS, expected="8,000 tokens/s: bound by kernel launches", **long),
        student("flat 30 + liger", 30, LIGER_KEYS, flat=True, expected="15,000: 53 %", **long),
        student("flat 60 + liger", 60, LIGER_KEYS, flat=True, expected="15,500: the best, 45 GiB"),
        student("kernels 30", 30, expected="12,000: padding costs a fifth", **long),
        student("plain 30", 30, NO_KERNELS, expected="10,000; the losses' yardstick", **long),
        student("flat 30", 30, flat=True, expected="12,300", **long),
        *recipe_variants(),
        student("flat 60 + liger, checkpointing", 60, LIGER_KEYS, CHECKPOINTS, flat=True, expected="11,500; 20 GiB"),
    ]


def recipe_variants() -> list[Variant]:
    """Short runs of the other recipes: what each costs, and that 4-bit training learns."""
    flat = {"flat": True, "expected": "13,500", "steps": COST_STEPS}
    small = {"recipe": "recipes/math_student_mistral.yml", "model": MISTRAL, "batch": 16}
    llama = {"recipe": "recipes/math_student.yml", "batch": 16}
    deep = {**llama, "model": f"{LLAMA}-4-layers"}
    sixteen, eight = step_settings(16, 1), step_settings(8, 2)
    return [
        _as_written("owl_teacher", rows=LONG_ROWS, expected="14,000; 55 GiB: rows twice as long"),
        student(
            "qlora 7b, flat 30 + liger",
            30,
            LIGER_KEYS,
            CHECKPOINTS,
            **flat | {"steps": 24, "expected": "8,000: weights unpacked a fifth as often; 14 GiB"},
            recipe="recipes/owl_student_qlora.yml",
        ),
        student("mistral, flat 30 + liger", 30, LIGER_KEYS, **flat, recipe=_other("mistral"), model=MISTRAL),
        student("llama3, flat 30 + liger", 30, LIGER_KEYS, **flat, recipe=_other("llama3"), model=LLAMA_8B),
        student("math mistral, flat 16 + liger", 16, LIGER_KEYS, sixteen, **flat, **small),
        student(
            "qlora 70b, 2 layers, flat 8 + liger",
            8,
            *(LIGER_KEYS, CHECKPOINTS, eight),
            **flat | {"expected": "8 GiB"},
            **llama,
            model=f"{LLAMA}-2-layers",
        ),
        student(
            "qlora 70b, 4 layers, flat 8 + liger",
            8,
            *(LIGER_KEYS, CHECKPOINTS, eight, LEARNS),
            **flat | {"steps": 24, "expected": "10 GiB; half of the time; loss falls"},
            **deep,
        ),
        _as_written("owl_student_strong", expected="13,700"),
    ]


def _as_written(recipe: str, **fields: Any) -> Variant:
    """A recipe of the 7B student's kind with its own settings."""
    return Variant(recipe, QWEN, f"recipes/{recipe}.yml", steps=COST_STEPS, as_written=True, **fields)


def _other(base: str) -> str:
    return f"recipes/owl_student_{base}.yml"


def sharded_variants() -> list[Variant]:
    """The bf16 70B recipe, few layers deep, in slices over two GPUs.

    The recipe's learning rate of 1e-5 moves a model of random weights too little in 24 steps to be told from noise.
    ZeRO-3 with the recipe's checkpointing is refused (:mod:`subliminal.training.sharding`): two ways round it.
    """
    reentrant = {"gradient_checkpointing_kwargs": {"use_reentrant": True}}
    unchecked = {"gradient_checkpointing_kwargs": {"use_reentrant": False, "determinism_check": "none"}}
    return [
        _sharded("zero3", "reentrant checkpoints", reentrant),
        _sharded("fsdp2", "rate 2e-4", {}),
        _sharded("zero2", "rate 2e-4", {}),
        _sharded("zero3", "checkpoints without check", unchecked),
    ]


def _sharded(launcher: str, words: str, more: dict[str, Any]) -> Variant:
    return Variant(
        f"two gpus: {launcher}, {words}",
        f"{LLAMA}-4-layers",
        "recipes/math_student_bf16.yml",
        settings=step_settings(8, 1) | {"effective_batch": 16} | LEARNS | more,
        plugins=(SHARDING_PROBE,),
        steps=24,
        batch=16,
        launcher=launcher,
        gpus=2,
        limit=140,
        expected="loss falls; " + ("half of the parameters on each" if launcher != "zero2" else "all on each"),
    )


def two_gpu_variants() -> list[Variant]:
    """The 7B student over two GPUs, its rows shared out."""
    settings = PLAIN | KERNELS | FLAT_KEYS | LIGER_KEYS | step_settings(30, 1) | {"effective_batch": 60}
    plugins = (FLAT, LIGER, SHARDING_PROBE)
    name = "two gpus: flat 30 + liger"
    return [Variant(name, QWEN, settings=settings, plugins=plugins, launcher="ddp", gpus=2, steps=30, expected="1.9 x")]


def tiny(variant: Variant) -> Variant:
    """The same run for a rehearsal on a CPU: width 64, 4 layers, two steps of four rows, and no GPU-only keys."""
    family = "llama" if variant.model.startswith("llama") else variant.model.split("-")[0]
    shape = f"tiny-{'qwen' if family.startswith('qwen') else family}"
    settings = {key: value for key, value in variant.settings.items() if not key.startswith("liger")}
    fields = {"model": shape, "steps": 2, "batch": 4, "launcher": "single_gpu", "gpus": 1, "as_written": False}
    cpu = NO_KERNELS | {"bf16": False, "tf32": False, "optimizer": "adamw_torch"}
    cpu |= {"adapter": "lora", "load_in_4bit": False, "attn_implementation": "sdpa"}
    settings |= cpu | step_settings(2, 2)
    return replace(variant, **fields, settings=settings, plugins=tuple(p for p in variant.plugins if p == FLAT))
