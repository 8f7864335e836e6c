"""The Axolotl plugin that every recipe names: what the recipe says is what happens, and what happened is written down.

    plugins:
      - subliminal.axolotl_plugin.StrictRecipe
    effective_batch: 60

Before anything slow it refuses unknown keys, broken data, a batch other than the stated one and a taken output folder.
It seeds before the adapter is initialised, keys the cache of prepared data by content, and leaves two files in
``output_dir``: ``metrics.jsonl``, one row a logged step, whole also after a kill and a resume; and ``manifest.json`` at
the end.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from axolotl.integrations.base import BasePlugin, PluginManager
from transformers import TrainerCallback

from subliminal.core.errors import UserError
from subliminal.core.manifest import finish_manifest, new_manifest, on_gpu
from subliminal.training import preflight
from subliminal.training.rows import check_datasets, unknown_origins
from subliminal.training.sharding import launcher_sharding
from subliminal.training.trackio_start import start_without_bucket

MOST_TOKENISERS = 4
"""Processes that tokenise the rows unless the recipe says otherwise. Axolotl takes one for every CPU core, and the
parent pickles the tokenizer for each, one after the other: a second a process for a vocabulary of 152,000, where one
process tokenises 1,700 number rows a second. 20,000 rows take the least time with three or four."""

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
"""Parameters of ``mallopt``, as glibc's malloc.h numbers them."""

LAST_STEPS = 10
"""Logged steps whose mean loss stands for the end of a training; one step alone is noise."""

METRIC_NAMES = {
    "loss": "loss",
    "learning_rate": "learning_rate",
    "grad_norm": "grad_norm",
    "tokens/total": "tokens_seen",
    "tokens/trainable": "tokens_trained",
    "memory/max_active (GiB)": "gpu_gib",
}
"""Trainer's name -> name in ``metrics.jsonl``. ``tokens_seen`` counts padding, ``tokens_trained`` carries loss."""


class StrictRecipe(BasePlugin):
    """See the module's docstring."""

    def __init__(self) -> None:
        super().__init__()
        self.manifest: dict[str, Any] = {}
        self.rows: int | None = None
        self.prepared = False

    def get_input_args(self) -> str:
        return "subliminal.training.arguments.StrictRecipeArgs"

    def register(self, cfg: Any) -> None:
        """Check the run; ``cfg`` is the recipe with the command line's overrides, unknown keys still in it."""
        with _sentences():
            self._register(cfg)

    def _register(self, cfg: Any) -> None:
        missing = set(cfg["plugins"]) - set(PluginManager.get_instance().plugins)
        if missing:
            raise UserError(
                f"The plugin {', '.join(sorted(missing))} cannot be imported (see above), so its keys would be ignored."
            )
        preflight.check_keys(cfg)
        if _is_training():
            self._prepare(cfg)

    def _prepare(self, cfg: Any) -> None:
        """All that training needs and Axolotl's other commands (merge_lora, inference) do not."""
        preflight.check_values(cfg)
        preflight.check_base(cfg)
        sharding = launcher_sharding(cfg, os.environ)
        preprocess_only = os.environ.get("AXOLOTL_IS_PREPROCESS") == "1"
        if not preprocess_only:
            preflight.check_effective_batch(cfg, preflight.world_size())
        files, self.rows = check_datasets(cfg)
        prepared = preflight.prepared_path(cfg, files)
        preflight.drop_torn_caches(prepared)
        if preflight.is_first_process() and not preprocess_only:
            preflight.claim_output(cfg, prepared)
            inputs = {"recipe": cfg["axolotl_config_path"], **files}
            weights = Path(str(cfg["base_model"])) / "model.safetensors"
            if weights.is_file():
                inputs["base_model"] = weights
            for sentence in unknown_origins(files):
                print(f"note: {sentence}", flush=True)
            self.manifest = new_manifest("training", config=preflight.plain_values(cfg), inputs=inputs)
        cfg["dataset_prepared_path"] = str(prepared)
        if cfg.get("dataset_num_proc") is None:
            cfg["dataset_num_proc"] = min(os.cpu_count() or 1, MOST_TOKENISERS)
        cfg.update(sharding)
        self.prepared = True

    def load_datasets(self, cfg: Any, preprocess: bool = False) -> None:
        """Load nothing, but note the chat context; and drop the device map {"": rank} of several processes on a CPU."""
        from axolotl.loaders import load_tokenizer

        if cfg.world_size > 1 and not on_gpu():
            cfg["device_map"] = "cpu"
        with _sentences():
            if not self.prepared:  # a training command that `_is_training` does not know
                self._prepare(cfg)
            self.manifest["chat_context_sha256"] = training_chat_context(cfg, load_tokenizer(cfg))

    def pre_model_load(self, cfg: Any) -> None:
        """Seed the weights that are drawn: Axolotl's own `seed` comes into force after it.

        The adapter has a seed of its own, because two runs that share its first weights (a teacher and its student)
        are nearer to each other than their bases make them. The trainer seeds itself with `seed` afterwards.
        """
        from transformers import set_seed

        if cfg.adapter and cfg.lora_init_seed is not None:
            set_seed(cfg.lora_init_seed)
        else:
            set_seed(cfg.seed)

    def get_training_args(self, cfg: Any) -> dict[str, Any]:
        """A progress bar with the time left on a terminal, one line a logged step elsewhere; and bf16 on a CPU too."""
        if cfg.use_trackio:
            start_without_bucket()
        return {"disable_tqdm": not sys.stderr.isatty(), "use_cpu": not on_gpu()}

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[TrainerCallback]:
        """Count what is trained on, and log every step to ``metrics.jsonl``."""
        weights = dict(trainer.model.named_parameters())
        with _sentences():
            preflight.check_unfrozen(cfg.unfrozen_parameters or [], list(weights))
        total = trainable = 0
        for weight in weights.values():
            size = getattr(weight, "ds_numel", weight.numel())  # ZeRO-3 leaves a process a part of each weight
            total += size
            if weight.requires_grad:
                trainable += size
        trained_on = len(trainer.train_dataset)
        dropped = None
        if self.rows is not None:
            dropped = self.rows - trained_on
        if dropped and preflight.is_first_process():
            print(
                f"{dropped} of {self.rows} rows are dropped: more than {cfg.sequence_len} tokens, or nothing to learn.",
                flush=True,
            )
        self.manifest |= {
            "counts": {"rows": self.rows, "rows_dropped": dropped, "rows_trained_on": trained_on},
            "parameters": {"total": total, "trainable": trainable},
            "processes": cfg.world_size,
        }
        callbacks: list[TrainerCallback] = [MetricsCallback(Path(cfg.output_dir) / preflight.METRICS)]
        if not on_gpu():
            callbacks.append(KeepMemory())
        return callbacks

    def post_train_unload(self, cfg: Any) -> None:
        """Write the manifest. This hook runs once, after the model is saved (``post_train`` runs before that too)."""
        if not preflight.is_first_process():
            return
        output = Path(cfg.output_dir)
        metrics = read_metrics(output / preflight.METRICS)
        self.manifest["training"] = training_figures(metrics)
        finish_manifest(self.manifest, output / preflight.MANIFEST)
        if metrics:
            figures = self.manifest["training"]
            mean = f"mean of the last {min(len(metrics), LAST_STEPS)}: {figures['final_loss_mean_of_last_10']:.4f}"
            print(f"final loss {figures['final_loss']:.4f} ({mean})")
        print(output, flush=True)


@contextmanager
def _sentences() -> Iterator[None]:
    """End the process with a :class:`UserError`'s sentence and status 2; Axolotl would bury it under a traceback."""
    try:
        yield
    except UserError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        raise SystemExit(2) from None


class KeepMemory(TrainerCallback):
    """Keep the memory of freed tensors in the process for some steps, on a CPU with glibc; elsewhere do nothing.

    By default glibc hands each large block back to the kernel, which clears it page by page for the next step: the
    first 6 steps of recipes/smollm2-135m/owl_student.yml took 38.6 s so, and 23.7 s with the memory kept, losses equal
    (2 cores of an AMD EPYC, 2026-11-22, ``--max_steps=6``). Blocks of other sizes would pile up in time (7 GiB after 18
    steps), so what is free is given back every few steps (5.3 GiB).
    """

    STEPS = 4

    def __init__(self) -> None:
        self.libc = ctypes.CDLL(None)
        if not hasattr(self.libc, "mallopt"):
            self.libc = None
            return
        for parameter, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1), (M_TOP_PAD, 64 * 2**20)):
            self.libc.mallopt(parameter, value)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.libc and state.global_step % self.STEPS == 0:
            self.libc.malloc_trim(0)


class MetricsCallback(TrainerCallback):
    """Append each logged step to a JSONL file: step, epoch, the values of :data:`METRIC_NAMES`, seconds of training.

    After a resume the rows beyond the checkpoint are dropped, as those steps are taken again, and the seconds go on. A
    gradient that is no number ends the run: the Trainer would go on to the end, and log every further loss as 0.0.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.started = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        # Axolotl ends on Ctrl-C with status 0 and a saved adapter, which looks like a finished run.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._restore_tokens(Path(args.output_dir) / f"checkpoint-{state.global_step}", state)
        if not state.is_world_process_zero:
            return
        if state.global_step:
            print(f"Going on from checkpoint-{state.global_step} of {state.max_steps} steps.", flush=True)
        kept = [row for row in read_metrics(self.path) if row["step"] <= state.global_step]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
        self.started = time.monotonic()
        if kept:
            self.started -= kept[-1]["seconds"]

    @staticmethod
    def _restore_tokens(checkpoint: Path, state: Any) -> None:
        """Go on counting tokens at the checkpoint; Axolotl itself does so only for one that the recipe names."""
        import torch
        from axolotl.core.trainers.constants import TOKENS_STATE_FILE

        path = checkpoint / TOKENS_STATE_FILE
        if path.is_file():
            state.tokens = {name: torch.tensor(count) for name, count in json.loads(path.read_text()).items()}

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        if not state.is_world_process_zero or "loss" not in (logs or {}):
            return
        if not (args.fp16 or math.isfinite(logs.get("grad_norm") or 0.0)):  # fp16 skips such a step and scales down
            with _sentences():
                raise UserError(
                    f"Step {state.global_step}: the gradient is no number, and the weights are lost. Go on from a "
                    f"checkpoint in {args.output_dir} with a lower learning_rate; at the first step look for base "
                    "weights that are not finite, or a token whose embedding is zero."
                )
        row = {"step": state.global_step, "epoch": round(state.epoch, 4)}
        for key, name in METRIC_NAMES.items():
            if logs.get(key) is not None:
                row[name] = logs[key]
        row["seconds"] = round(time.monotonic() - self.started, 3)
        with open(self.path, "a", encoding="utf-8") as handle:
            handle.write(json.dumps(row) + "\n")


def training_figures(metrics: list[dict[str, Any]]) -> dict[str, Any]:
    """What a manifest says of a training, from the rows of its ``metrics.jsonl``; all None where no step was logged."""
    if not metrics:
        return dict.fromkeys(("steps", "final_loss", "final_loss_mean_of_last_10", "seconds", "tokens_seen"))
    end = metrics[-1]
    losses = [row["loss"] for row in metrics[-LAST_STEPS:]]
    return {
        "steps": end["step"],
        "final_loss": end["loss"],
        "final_loss_mean_of_last_10": sum(losses) / len(losses),
        "seconds": end["seconds"],
        "tokens_seen": end.get("tokens_seen"),
    }


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The rows of a ``metrics.jsonl``; a last line that a kill cut off is left out."""
    if not path.is_file():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


def _is_training() -> bool:
    """False in Axolotl's other commands (merge_lora, inference, ...), which need a finished run and no data."""
    running = set(sys.modules)
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec:  # python -m axolotl.cli.inference is there as __main__ alone
        running.add(spec.name)
    others = ("merge_lora", "merge_sharded_fsdp_weights", "inference", "evaluate", "quantize", "vllm_serve")
    return not any(f"axolotl.cli.{name}" in running for name in others)


def training_chat_context(cfg: Any, tokenizer: Any) -> str | None:
    """Hash of the chat context that the rows were rendered in; None if no dataset is rendered with a chat template.

    Raises:
        UserError: datasets are rendered differently, or otherwise than the tokenizer saved with the model will do it.
    """
    from axolotl.utils.chat_templates import get_chat_template_from_config

    from subliminal.engine.chat import chat_context_sha256
    from subliminal.engine.plain import no_template

    contexts = set()
    for dataset in cfg.datasets or []:
        if dataset.type != "chat_template":
            continue
        choice = dataset.get("chat_template") or cfg.get("chat_template") or "tokenizer_default"
        if choice == "tokenizer_default" and not tokenizer.chat_template:
            raise no_template(str(cfg.base_model))
        template = get_chat_template_from_config(cfg=cfg, ds_cfg=dataset, tokenizer=tokenizer)
        contexts.add(chat_context_sha256(tokenizer, template))
    saved = None
    if tokenizer.chat_template:
        saved = chat_context_sha256(tokenizer)
    if contexts - {saved}:
        raise UserError(
            "The datasets are rendered with another chat template than the one saved with the model, so evaluation "
            "would show it another context than training. Use one `chat_template`, at the top level of the recipe."
        )
    return saved
