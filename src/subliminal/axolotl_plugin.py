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

import atexit
import gc
import os
import sys
from pathlib import Path
from typing import Any

from axolotl.integrations.base import BasePlugin, PluginManager
from transformers import TrainerCallback

from subliminal.core.errors import UserError, stops_as_sentence
from subliminal.core.manifest import finish_manifest, new_manifest, on_gpu
from subliminal.training import output_folder, preflight
from subliminal.training.adapter_casts import cast_together
from subliminal.training.callbacks import LAST_STEPS, KeepMemory, MetricsCallback, read_metrics, training_figures
from subliminal.training.known_modules import KnownModules
from subliminal.training.processes import process_settings
from subliminal.training.rows import check_datasets, unknown_origins
from subliminal.training.sharding import launcher_sharding
from subliminal.training.trackio_start import start_without_bucket


class StrictRecipe(BasePlugin):
    """See the module's docstring."""

    def __init__(self) -> None:
        super().__init__()
        self.manifest: dict[str, Any] = {}
        self.rows: int | None = None
        self.prepared = False
        # PEFT's import makes a million objects: at Python's own 700 it looks through all of them nine times.
        gc.set_threshold(10_000)

    def get_input_args(self) -> str:
        return "subliminal.training.arguments.StrictRecipeArgs"

    def register(self, cfg: Any) -> None:
        """Check the run; ``cfg`` is the recipe with the command line's overrides, unknown keys still in it."""
        with stops_as_sentence():
            self._register(cfg)

    def _register(self, cfg: Any) -> None:
        # Axolotl only warns of a plugin that it cannot import.
        missing = set(cfg["plugins"]) - set(PluginManager.get_instance().plugins)
        if missing:
            raise UserError(
                f"The plugin {', '.join(sorted(missing))} cannot be imported (see above), so its keys would be ignored."
            )
        preflight.check_keys(cfg)
        if preflight.is_training():
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
            output_folder.claim_output(cfg, prepared)
            inputs = {"recipe": cfg["axolotl_config_path"], **files}
            # A model in shards, or of the Hub, is recorded by its name alone.
            weights = Path(str(cfg["base_model"])) / "model.safetensors"
            if weights.is_file():
                inputs["base_model"] = weights
            for sentence in unknown_origins(files):
                print(f"note: {sentence}", flush=True)
            self.manifest = new_manifest("training", config=output_folder.plain_values(cfg), inputs=inputs)
        cfg["dataset_prepared_path"] = str(prepared)
        keys, environment = process_settings(cfg, on_gpu=on_gpu())
        os.environ.update(environment)
        cfg.update(keys)
        cfg.update(sharding)
        self.prepared = True

    def load_datasets(self, cfg: Any, preprocess: bool = False) -> None:
        """Load nothing, but note the chat context; and drop the device map {"": rank} of several processes on a CPU."""
        from axolotl.loaders import load_tokenizer

        if cfg.world_size > 1 and not on_gpu():
            cfg["device_map"] = "cpu"
        with stops_as_sentence():
            if not self.prepared:  # a training command that `is_training` does not know
                self._prepare(cfg)
            context = training_chat_context(cfg, load_tokenizer(cfg))
            if "config" in self.manifest:  # this process claimed the output folder
                output_folder.claim_context(Path(cfg.output_dir), context)
            self.manifest["chat_context_sha256"] = context

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

    def post_model_load(self, cfg: Any, model: Any) -> None:
        """Spare a small model's step a thousand small operations."""
        if cfg.adapter == "lora":
            cast_together(model, cfg)

    def get_training_args(self, cfg: Any) -> dict[str, Any]:
        """A progress bar with the time left on a terminal, one line a logged step elsewhere; and bf16 on a CPU too."""
        if cfg.use_trackio:
            start_without_bucket()
        arguments = {
            # In a log every turn of a bar would be a line of its own.
            "disable_tqdm": not sys.stderr.isatty(),
            "use_cpu": not on_gpu(),
            # The Trainer would look at each micro-batch's loss, for which the processor waits until the card has done
            # all that came before; MetricsCallback looks at each logged one.
            "logging_nan_inf_filter": False,
        }
        if cfg.ddp_broadcast_buffers is None:
            # A language model's buffers never change in training, and each step would walk through the model for them.
            arguments["ddp_broadcast_buffers"] = False
        return arguments

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[TrainerCallback]:
        """Count what is trained on, and log every step to ``metrics.jsonl``."""
        weights = dict(trainer.model.named_parameters())
        with stops_as_sentence():
            preflight.check_unfrozen(cfg.unfrozen_parameters or [], list(weights))
            trained = [name for name, weight in weights.items() if weight.requires_grad]
            preflight.check_adapted_layers(cfg.peft_layers_to_transform or [], trained)
        total = trainable = 0
        for weight in weights.values():
            size = elements_of(weight)
            total += size
            if weight.requires_grad:
                trainable += size
        # The trainer counts from the rows that Axolotl left: those too long, or without loss, are gone by now.
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
        handler = trainer.accelerator.ddp_handler
        if handler is not None:
            # Gradients stay where the processes sum them: else each is copied back, one small operation a weight.
            handler.gradient_as_bucket_view = True
        metrics = MetricsCallback(Path(cfg.output_dir) / output_folder.METRICS)
        callbacks: list[TrainerCallback] = [KnownModules(trainer), metrics]
        if not on_gpu():
            callbacks.append(KeepMemory())
            # Axolotl collects garbage at every save and epoch: half a second each over what the imports left.
            gc.freeze()
            atexit.register(gc.unfreeze)  # else what the process could not free is complained of at its end
        return callbacks

    def post_train_unload(self, cfg: Any) -> None:
        """Write the manifest. This hook runs once, after the model is saved (``post_train`` runs before that too)."""
        if not preflight.is_first_process():
            return
        output = Path(cfg.output_dir)
        metrics = read_metrics(output / output_folder.METRICS)
        self.manifest["training"] = training_figures(metrics)
        finish_manifest(self.manifest, output / output_folder.MANIFEST)
        if metrics:
            figures = self.manifest["training"]
            mean = f"mean of the last {min(len(metrics), LAST_STEPS)}: {figures['final_loss_mean_of_last_10']:.4f}"
            print(f"final loss {figures['final_loss']:.4f} ({mean})")
        print(output, flush=True)


def elements_of(weight: Any) -> int:
    """How many numbers a weight has, however they are stored.

    bitsandbytes packs the two numbers of 4 bits into one byte, and ZeRO-3 leaves a process a part of each weight.

    Args:
        weight: a parameter of any shape.
    """
    quantised = getattr(weight, "quant_state", None)
    if quantised is not None:
        return quantised.shape.numel()
    return getattr(weight, "ds_numel", weight.numel())


def training_chat_context(cfg: Any, tokenizer: Any) -> str | None:
    """Hash of the chat context that the rows were rendered in; None if no dataset is rendered with a chat template.

    Raises:
        UserError: datasets are rendered differently, or otherwise than the tokenizer saved with the model will do it.
    """
    from axolotl.utils.chat_templates import get_chat_template_from_config

    from subliminal.engine.chat import chat_context_sha256
    from subliminal.engine.plain_context import no_template

    contexts = set()
    for dataset in cfg.datasets or []:
        if dataset.type != "chat_template":
            continue
        choice = dataset.get("chat_template") or cfg.get("chat_template") or "tokenizer_default"
        if choice == "tokenizer_default" and not tokenizer.chat_template:
            raise no_template(str(cfg.base_model))
        template = get_chat_template_from_config(cfg=cfg, ds_cfg=dataset, tokenizer=tokenizer)
        contexts.add(chat_context_sha256(tokenizer, template))
    saved = chat_context_sha256(tokenizer) if tokenizer.chat_template else None
    if contexts - {saved}:
        raise UserError(
            "The datasets are rendered with another chat template than the one saved with the model, so evaluation "
            "would show it another context than training. Use one `chat_template`, at the top level of the recipe."
        )
    return saved
