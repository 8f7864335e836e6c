"""The in-process engine: a transformers model, optionally with a LoRA adapter, one sampling seed per row.

Rows of a batch must not share a random stream, or a row's answer would depend on its neighbours. Sampling is therefore
done with the Gumbel-max trick: every row adds its own noise to its log-probabilities and takes the largest, which draws
exactly from the softmax.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from safetensors import SafetensorError

from subliminal.core.errors import UserError, one_line
from subliminal.core.hub import folder_or_hub_id
from subliminal.core.weights import model_shapes
from subliminal.engine import Completion, Request, Sampling
from subliminal.engine.adapters import check_adapter
from subliminal.engine.chat import PROBE, chat_context_sha256, render_prompt
from subliminal.engine.plain_context import cut, no_template, stop_texts

SORT_WINDOW = 8
"""Batches whose rows are sorted by prompt length together, so that little padding is computed."""


LOADING_FAILED = (
    *(OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, ImportError),
    SafetensorError,  # of a file that was cut off: an Exception of its own kind
)
"""What transformers, PEFT and their readers raise over files that are missing, torn or of another kind."""


class TransformersEngine:
    """Answers chat requests with a model held in this process.

    Args:
        model: folder or Hub id of the base model (safetensors).
        adapter: folder or Hub id of a LoRA adapter, or None.
        batch_size: rows decoded together.

    Raises:
        UserError: the model or adapter cannot be loaded, or the adapter changes nothing.
    """

    def __init__(self, model: str, adapter: str | None = None, batch_size: int = 64):
        _check_folders(model, adapter)
        from transformers import GenerationConfig

        self.model_name, self.adapter, self.batch_size = model, adapter, batch_size
        self.tokenizer, self.model, self.device = _load(model)
        if not self.tokenizer.chat_template:
            raise no_template(model)
        self.stop_ids = stop_ids(self.tokenizer, self.model.generation_config)
        if not self.stop_ids:
            raise UserError(
                f"Neither the tokenizer nor the generation_config.json of {model} names a token that ends an answer. "
                "Add `eos_token` to its tokenizer_config.json."
            )
        if self.tokenizer.pad_token is None:  # Llama 3 and Mistral have none; padding is masked, so any token will do
            self.tokenizer.pad_token = self.tokenizer.convert_ids_to_tokens(self.stop_ids[0])
        # The model's own sampling defaults would otherwise fill in whatever a request leaves out.
        self.model.generation_config = GenerationConfig(eos_token_id=self.stop_ids, pad_token_id=self.stop_ids[0])
        self.adapter_effect = None
        if adapter:
            prompt = self.tokenizer(render_prompt(self.tokenizer, PROBE), add_special_tokens=False)["input_ids"]
            self.model, effect = with_adapter(self.model, adapter, model, prompt)
            self.adapter_effect = round(effect, 4)

    def check(self, messages: list[dict[str, str]]) -> None:
        """Raise :class:`UserError` for a conversation that the chat template refuses, before anything is begun."""
        render_prompt(self.tokenizer, messages)

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
        """Answer every request; rows come back batch by batch, sorted by prompt length within a window of batches."""
        window = self.batch_size * SORT_WINDOW
        for start in range(0, len(requests), window):
            rows = [
                (request, render_prompt(self.tokenizer, request.messages))
                for request in requests[start : start + window]
            ]
            # By characters, which go with tokens closely enough and cost nothing.
            rows.sort(key=lambda row: len(row[1]))
            for first in range(0, len(rows), self.batch_size):
                yield from self._generate_batch(rows[first : first + self.batch_size], sampling)

    def describe(self) -> dict[str, Any]:
        """Engine, model, adapter, the adapter's measured effect on the logits, precision and chat context."""
        return {
            "engine": "transformers",
            "model": self.model_name,
            "adapter": self.adapter,
            "adapter_max_logit_difference": self.adapter_effect,
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "batch_size": self.batch_size,
            "chat_context_sha256": chat_context_sha256(self.tokenizer),
        }

    def close(self) -> None:
        self.model = None

    def _generate_batch(self, rows: list[tuple[Request, str]], sampling: Sampling) -> Iterator[Completion]:
        import torch

        prompts = [prompt for _, prompt in rows]
        stops = stop_texts(prompts[0])  # one chat template, so the same for all
        inputs = self.tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False).to(self.device)
        with torch.inference_mode():
            output = self.model.generate(
                **inputs,
                # The largest score is taken: with the noise of `samplers` that is a sample.
                do_sample=False,
                max_new_tokens=sampling.max_tokens,
                logits_processor=samplers(sampling, generators([request.seed for request, _ in rows], self.device)),
                stopping_criteria=stoppers(self.tokenizer, stops, inputs["input_ids"].shape[1]),
            )
        answers = output[:, inputs["input_ids"].shape[1] :].tolist()
        for (request, _), tokens in zip(rows, answers, strict=True):
            end = next((i for i, token in enumerate(tokens) if token in self.stop_ids), None)
            text = self.tokenizer.decode(tokens[:end], skip_special_tokens=True, clean_up_tokenization_spaces=False)
            whole = cut(text, stops)
            ended = end is not None or whole != text
            name = self.adapter or self.model_name
            yield Completion(request.id, whole, "stop" if ended else "length", request.seed, name)


def with_adapter(model: Any, adapter: str, base: str, prompt: list[int]) -> tuple[Any, float]:
    """Load a LoRA adapter on a model and prove that it is in use.

    Args:
        model: of transformers.
        adapter: folder or Hub id.
        base: the model's name, for the sentences.
        prompt: token ids that the adapted model and its base are compared on.

    Returns:
        The model with the adapter, and the largest change that it makes to a logit of the prompt.

    Raises:
        UserError: the adapter cannot be loaded, or changes nothing.
    """
    from peft import PeftModel

    try:
        # Only safetensors: loading a .bin file can run code.
        adapted = PeftModel.from_pretrained(model, adapter, use_safetensors=True).eval()
    except LOADING_FAILED as error:
        raise UserError(
            f"The adapter {adapter} cannot be loaded on {base}: {one_line(error)}. Use the base of its training, or "
            "train it again."
        ) from None
    tuned = prompt_logits(adapted, prompt)
    with adapted.disable_adapter():
        plain = prompt_logits(adapted, prompt)
    effect = (tuned - plain).abs().max().item()
    if effect == 0:
        adapted.unload()  # the caller's model is as it was
        raise UserError(
            f"The adapter {adapter} changes nothing: its logits equal those of {base}. It may be untrained, or made "
            "for another base."
        )
    return adapted, effect


def prompt_logits(model: Any, prompt: list[int]) -> Any:
    """Logits of a prompt of token ids, float32 of shape (1, tokens, vocabulary)."""
    import torch

    with torch.inference_mode():
        return model(torch.tensor([prompt], device=model.device)).logits.float()


def generators(seeds: Sequence[int], device: str) -> list[Any]:
    """A torch generator for each seed; its noise goes to ``device``."""
    import torch

    return [torch.Generator(device).manual_seed(seed) for seed in seeds]


def samplers(sampling: Sampling, generators: Sequence[Any]) -> Any:
    """The logits processors, in the order that vLLM and transformers apply them, with seeded Gumbel noise last.

    Args:
        sampling: temperature and truncation.
        generators: one a row of the batch; they stand behind the noise of the tokens sampled so far, from where an
            answer can go on in another batch.
    """
    import torch
    from transformers import (
        LogitsProcessor,
        LogitsProcessorList,
        RepetitionPenaltyLogitsProcessor,
        TemperatureLogitsWarper,
        TopKLogitsWarper,
        TopPLogitsWarper,
    )

    class GumbelNoise(LogitsProcessor):
        """Adds -log(-log(U)) noise, one generator a row: the argmax is then a sample of the softmax."""

        def __init__(self) -> None:
            self.noise: torch.Tensor | None = None

        def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
            if self.noise is None:
                self.noise = torch.empty_like(scores, dtype=torch.float32)
            for row, generator in zip(self.noise, generators, strict=True):
                row.uniform_(generator=generator)
            # In place: the buffer is filled anew for every token.
            return scores.float() - self.noise.log_().neg_().log_()

    processors = LogitsProcessorList()
    if sampling.repetition_penalty != 1:
        processors.append(RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty))
    # Greedy: no noise, and truncation changes nothing.
    if sampling.temperature == 0:
        return processors
    if not math.isclose(sampling.temperature, 1):
        processors.append(TemperatureLogitsWarper(sampling.temperature))
    if sampling.top_k:
        processors.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        processors.append(TopPLogitsWarper(sampling.top_p))
    processors.append(GumbelNoise())
    return processors


def stoppers(tokenizer: Any, stops: Sequence[str], prompt_length: int) -> Any:
    """What ends a row of a batch at the first of the stop texts; nothing where there are none.

    Args:
        tokenizer: of the model.
        stops: texts.
        prompt_length: tokens before the answers, padding included.
    """
    import torch
    from transformers import StoppingCriteria, StoppingCriteriaList

    class EndsAtText(StoppingCriteria):
        """Looks at the last tokens of each row; a token is one character at least, so the longest text fits in."""

        def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: Any) -> torch.Tensor:
            first = max(prompt_length, input_ids.shape[1] - max(map(len, stops)) - 1)
            tails = tokenizer.batch_decode(input_ids[:, first:], clean_up_tokenization_spaces=False)
            ended = [any(stop in tail for stop in stops) for tail in tails]
            return torch.tensor(ended, device=input_ids.device)

    return StoppingCriteriaList([EndsAtText()] if stops else [])


def _check_folders(model: str, adapter: str | None) -> None:
    """Refuse folders that are none, before torch is imported and memory is filled."""
    folder = folder_or_hub_id(model, "model", "config.json")
    if folder:
        model_shapes(folder)
    adapter_folder = adapter and folder_or_hub_id(adapter, "adapter", "adapter_config.json")
    if adapter_folder:
        check_adapter(adapter_folder, model)


def _load(model: str) -> tuple[Any, Any, str]:
    """Tokenizer, model and device.

    Raises:
        UserError: one of the two cannot be loaded.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    if not sys.stderr.isatty():
        logging.disable_progress_bar()
    # Decoding a token of 64 rows (135M, 2 CPU cores) takes 157 ms with eager attention, 308 ms with sdpa.
    device, attention = "cpu", "eager"
    if torch.cuda.is_available():
        device, attention = "cuda", "sdpa"
    try:
        # On the left: an answer goes on at the right end of its row.
        tokenizer = AutoTokenizer.from_pretrained(model, padding_side="left")
        loaded = AutoModelForCausalLM.from_pretrained(
            model,
            dtype="auto",  # as the model was saved
            use_safetensors=True,
            device_map=device,
            attn_implementation=attention,
        ).eval()
    except LOADING_FAILED as error:
        raise UserError(f"The model {model} cannot be loaded: {one_line(error)}.") from None
    if device == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        loaded.float()  # such a card (T4) has no bfloat16, and what is saved so may overflow in float16
    return tokenizer, loaded, device


def stop_ids(tokenizer: Any, generation_config: Any) -> list[int]:
    """The tokens that end an answer: the tokenizer's end token and those of the model's generation settings, sorted."""
    own = generation_config.eos_token_id
    ids = [tokenizer.eos_token_id, *(own if isinstance(own, list) else [own])]
    return sorted({token for token in ids if token is not None})
