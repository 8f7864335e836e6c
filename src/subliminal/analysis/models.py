"""A base and its teachers in one process: adapters share the base's weights, whole models lie beside it.

Hidden states and output embedding are handed out apart, so that logits are computed where they are needed and a block
at a time: of a batch of 32 rows of 150 tokens and a vocabulary of 152,000 they would take 3 GB.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

from subliminal.core.errors import UserError
from subliminal.engine.plain_context import no_template

TOLERANCE = 0.01
"""How far logits from hidden states and output embedding may be from the model's own, as a share of the largest."""


class Models:
    """The base and its teachers.

    Args:
        base: folder or Hub id.
        teachers: name -> folder of a LoRA adapter on the base, or folder or Hub id of a whole model.
        dtype: ``float32``, ``bfloat16``, or ``auto``: bfloat16 on a GPU that has it, else float32.

    Raises:
        UserError: a model cannot be loaded, an adapter is no LoRA or lacks weights, a teacher has another vocabulary.
    """

    def __init__(self, base: str, teachers: dict[str, str], dtype: str = "auto") -> None:
        from peft.tuners.tuners_utils import BaseTunerLayer
        from peft.utils.other import AuxiliaryTrainingWrapper
        from transformers import AutoTokenizer
        from transformers.utils import logging

        if not sys.stderr.isatty():
            logging.disable_progress_bar()
        self.device = "cpu"
        if torch.cuda.is_available():
            self.device = "cuda"
        self.dtype = self._dtype(dtype)
        self.teachers = tuple(teachers)
        self.adapters = {name: path for name, path in teachers.items() if is_adapter(path)}
        self._base = self._load(base)
        self.tokenizer = AutoTokenizer.from_pretrained(base)
        if not self.tokenizer.chat_template:
            raise no_template(base)
        self._whole = {}
        for name, path in teachers.items():
            if name not in self.adapters:
                self._whole[name] = self._load(path)
                self._check_vocabulary(path, self._whole[name])
        self._peft: Any = None
        self._switched: list[Any] = []
        self._active: str | None = None
        self._is_on = True  # as PEFT puts adapters on
        for name, path in self.adapters.items():
            self._add_adapter(name, path)
        if self._peft is not None:
            kinds = (BaseTunerLayer, AuxiliaryTrainingWrapper)
            self._switched = [module for module in self._peft.modules() if isinstance(module, kinds)]

    @property
    def vocabulary(self) -> int:
        """Number of logits at a position."""
        return self._base.get_output_embeddings().weight.shape[0]

    @property
    def longest(self) -> int:
        """Tokens that a row may have."""
        return self._base.config.max_position_embeddings

    def hidden(self, name: str | None, tokens: torch.Tensor) -> torch.Tensor:
        """Last hidden states ``[rows, length, width]`` of a teacher, or of the base (None).

        Args:
            name: the teacher's.
            tokens: ids ``[rows, length]``, filled up on the right. No position sees what lies to its right, so filling
                needs no mask, and attention without one is faster.
        """
        # The decoder without its head: logits of all positions would not fit.
        return self._model(name).get_decoder()(input_ids=tokens, use_cache=False).last_hidden_state

    def head(self, name: str | None) -> Any:
        """What turns hidden states into the logits of a teacher, or of the base (None); adapters leave it alone."""
        return self._whole.get(name, self._base).get_output_embeddings()

    def layers(self, name: str | None) -> Any:
        """The layers of a teacher or of the base (None), a list of modules; adapters share the base's.

        Raises:
            UserError: the model keeps its layers elsewhere than in its decoder's ``layers``.
        """
        found = getattr(self._model(name).get_decoder(), "layers", None)
        if found is None:
            raise UserError(f"{name or 'The base'} has no list of layers in its decoder, so that none can be steered.")
        return found

    def weights(self, name: str | None = None) -> dict[str, torch.nn.Parameter]:
        """The weights of a whole teacher, or the base's own (None), by their names; those of adapters are left out."""
        found = {}
        for place, weight in self._whole.get(name, self._base).named_parameters():
            if "lora_" not in place:
                # PEFT puts the base's own weight behind this name where an adapter sits on it.
                found[place.replace(".base_layer", "")] = weight
        return found

    def train_only(self, names: list[str]) -> None:
        """Have these weights of the base, and no others of any model, take part in gradients."""
        for model in (self._base, *self._whole.values()):
            model.requires_grad_(False)
        weights = self.weights()
        for name in names:
            weights[name].requires_grad_(True)

    def prove_heads(self, tokens: torch.Tensor) -> None:
        """Compare the logits of one row with those that each model computes itself.

        Raises:
            UserError: they differ: the model does something to its logits (a soft cap, a scale) that is left out here.
        """
        for name in (None, *self._whole):
            ours = self.head(name)(self.hidden(name, tokens))
            own = self._model(name)(input_ids=tokens, use_cache=False).logits
            if (ours - own).abs().max() > TOLERANCE * own.abs().max():
                raise UserError(
                    f"{name or 'The base'} does more to its logits than its output embedding (a soft cap or a scale), "
                    "which this analysis leaves out. Use another model."
                )

    def _model(self, name: str | None) -> Any:
        """The whole model of a teacher, or the base with the adapter that the name asks for (None: with none)."""
        if name in self._whole:
            return self._whole[name]
        # PEFT's own disable_adapter looks at every module of the model: 6 ms each time on the pocket model. Layers are
        # told only what is new to them: 168 of them take 2 ms of a core for each word, and a pass of a GPU some 40.
        is_on = name is not None
        if is_on and name != self._active:
            for layer in self._switched:
                layer.set_adapter(_inner(name))
            self._active = name
        if is_on != self._is_on:
            for layer in self._switched:
                layer.enable_adapters(is_on)
            self._is_on = is_on
        return self._base

    def _dtype(self, name: str) -> torch.dtype:
        if name != "auto":
            return getattr(torch, name)
        # Only where the card computes in it: elsewhere it rounds more and gains no time.
        if self.device == "cuda" and torch.cuda.is_bf16_supported():
            return torch.bfloat16
        return torch.float32

    def _load(self, path: str) -> Any:
        from transformers import AutoModelForCausalLM

        try:
            # Weights in other formats can run code when they are loaded.
            model = AutoModelForCausalLM.from_pretrained(
                path, dtype=self.dtype, use_safetensors=True, device_map=self.device, attn_implementation="sdpa"
            )
        except (OSError, ValueError) as error:
            raise UserError(f"The model {path} cannot be loaded: {str(error).strip().splitlines()[0]}") from None
        # Without dropout, so that a row has the same scores each time.
        return model.eval()

    def _check_vocabulary(self, path: str, model: Any) -> None:
        from transformers import AutoTokenizer

        own = model.get_output_embeddings().weight.shape[0]
        # The same words at the same ids, and not their number alone.
        if own != self.vocabulary or AutoTokenizer.from_pretrained(path).get_vocab() != self.tokenizer.get_vocab():
            raise UserError(f"{path} has another vocabulary than the base, so their predictions cannot be compared.")

    def _add_adapter(self, name: str, path: str) -> None:
        from peft import LoraConfig, PeftConfig, PeftModel
        from peft.utils import get_peft_model_state_dict
        from safetensors import safe_open

        if not isinstance(PeftConfig.from_pretrained(path), LoraConfig):
            raise UserError(
                f"{path} is no LoRA adapter. Merge it into the base and name the folder of the whole model."
            )
        try:
            if self._peft is None:
                self._peft = PeftModel.from_pretrained(self._base, path, adapter_name=_inner(name))
            else:
                self._peft.load_adapter(path, adapter_name=_inner(name))
        except (OSError, ValueError, RuntimeError) as error:
            raise UserError(f"The adapter {path} cannot be loaded: {str(error).strip().splitlines()[0]}") from None
        self._peft.eval()
        # load_adapter says nothing of weights that the file lacks or has beyond the model's.
        with safe_open(Path(path) / "adapter_model.safetensors", "pt") as file:
            stored = set(file.keys())
        loaded = set(get_peft_model_state_dict(self._peft, adapter_name=_inner(name)))
        if stored != loaded:
            raise UserError(
                f"The adapter {path} does not fit the base: {len(stored - loaded)} of its weights have no place in it, "
                f"and {len(loaded - stored)} places have no weights."
            )
        if type(self._base.get_output_embeddings()) is not torch.nn.Linear:
            raise UserError(
                f"The adapter {path} changes the output embedding, which all models share here. Merge it into the base "
                "and name the folder of the whole model."
            )


def is_adapter(path: str) -> bool:
    """Whether a folder holds an adapter."""
    return (Path(path) / "adapter_config.json").is_file()


def _inner(name: str) -> str:
    """The name of an adapter inside PEFT, where some names ("lora") and characters (".") do harm."""
    return "teacher_" + name.encode().hex()
