"""One base, and one LoRA adapter at a time on it.

Adapters of one experiment differ in their weights alone, as a rule. The weights of the next one are then written into
the layers that the last one left in the base: to take out and put in 168 layers takes ten times as long. Every adapter
must prove that it is in use, however it came there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import SAFETENSORS_WEIGHTS_NAME, AuxiliaryTrainingWrapper, get_peft_model_state_dict
from safetensors.torch import load_file

from subliminal.core.errors import UserError
from subliminal.engine.local import LOADING_FAILED, prompt_logits, with_adapter

_SAY_NOTHING_OF_LAYERS = ("base_model_name_or_path", "revision", "inference_mode", "task_type", "auto_mapping")
"""Settings of an adapter that neither its layers nor what they compute depend on."""

_FIRST_WEIGHTS_OF_ITS_OWN = (True, False, "gaussian", "orthogonal", "eva")
"""Values of ``init_lora_weights`` with which PEFT draws an adapter's weights and leaves the base's as they are."""


class AdapterSlot:
    """A base that adapters take turns on.

    Args:
        base: a causal language model of transformers.
        name: of the base, for sentences.
        prompt: token ids that an adapted model and its base are compared on.

    Attributes:
        base: the base; an adapter's layers are within it.
        effect: largest change that the adapter makes to a logit of the prompt; None without an adapter.
    """

    def __init__(self, base: Any, name: str, prompt: list[int]) -> None:
        self.effect: float | None = None
        self.base = base
        self._name = name
        self._prompt = prompt
        self._adapted: Any = None
        self._settings: dict[str, Any] = {}
        self._weights: dict[str, torch.Tensor] = {}
        self._plain_logits: torch.Tensor | None = None
        self._base_weights: dict[str, torch.Tensor] = {}

    def put_on(self, adapter: str) -> Any:
        """The base with an adapter in the place of the last one.

        Args:
            adapter: folder or Hub id.

        Raises:
            UserError: the adapter cannot be loaded, or changes nothing; the base is without one then.
        """
        if self._write_over(adapter):
            effect = self._measure()
            # Zero is left to the ordinary way, which says what is wrong.
            if effect != 0:
                self.effect = effect
                return self._adapted
        self.take_off()
        try:
            # As saved: PEFT writes into the settings that it works with.
            settings = _settings_of(adapter)
        except LOADING_FAILED:
            settings = {}  # what is wrong is said by what loads the adapter
        if _changes_base(settings):
            for name, weight in self.base.state_dict().items():
                self._base_weights[name] = weight.to("cpu", copy=True)  # a card may have no room for both
        try:
            self._adapted, self.effect = with_adapter(self.base, adapter, self._name, self._prompt)
        except UserError:
            # One that does not fit is refused when its layers are in the base already, some of them with its weights.
            _take_out_layers(self.base)
            self._restore_base()
            raise
        self._settings = settings
        # The layers' own tensors, under the names that they have in a file.
        self._weights = get_peft_model_state_dict(self._adapted, save_embedding_layers=False)
        return self._adapted

    def take_off(self) -> Any:
        """The base alone."""
        if self._adapted is not None:
            self._adapted.unload()
            self._restore_base()
        self._adapted, self.effect = None, None
        return self.base

    def _restore_base(self) -> None:
        """Give the base its own weights again: PEFT leaves in it what an adapter has beside its layers."""
        if self._base_weights:
            self.base.load_state_dict(self._base_weights)
            self._base_weights = {}

    def _write_over(self, adapter: str) -> bool:
        """Write an adapter's weights over those of the last one, if both have the same layers; whether that was done.

        One on the Hub and one that does not fit or cannot be read are left to the ordinary way, which has the sentences
        about them.
        """
        file = Path(adapter) / SAFETENSORS_WEIGHTS_NAME
        if self._adapted is None or not file.is_file():
            return False
        try:
            settings = _settings_of(adapter)
            weights = load_file(file)
        except LOADING_FAILED:
            return False
        if settings != self._settings or _shapes(weights) != _shapes(self._weights):
            return False
        with torch.no_grad():
            for name, weight in weights.items():
                self._weights[name].copy_(weight)
        return True

    def _measure(self) -> float:
        """The largest change that the adapter makes to a logit of the prompt."""
        if self._plain_logits is None:
            with self._adapted.disable_adapter():
                self._plain_logits = prompt_logits(self._adapted, self._prompt)
        return (prompt_logits(self._adapted, self._prompt) - self._plain_logits).abs().max().item()


def _settings_of(adapter: str) -> dict[str, Any]:
    """What layers a saved adapter has, and what they compute with its weights."""
    settings = PeftConfig.from_pretrained(adapter).to_dict()
    for name in _SAY_NOTHING_OF_LAYERS:
        settings.pop(name, None)
    return settings


def _take_out_layers(base: Any) -> None:
    """Put the modules back that an adapter's layers, and what it has beside them, stand in the place of."""
    for name, module in list(base.named_modules()):
        if isinstance(module, BaseTunerLayer):
            own = module.get_base_layer()
        elif isinstance(module, AuxiliaryTrainingWrapper):
            own = module.original_module
        else:
            continue
        parent, _, child = name.rpartition(".")
        setattr(base.get_submodule(parent), child, own)


def _changes_base(settings: dict[str, Any]) -> bool:
    """Whether an adapter has weights of the base's own modules, or changes them when its layers are put in."""
    if settings.get("modules_to_save") or settings.get("bias", "none") != "none":
        return True
    return settings.get("init_lora_weights", True) not in _FIRST_WEIGHTS_OF_ITS_OWN


def _shapes(weights: dict[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: weight.shape for name, weight in weights.items()}
