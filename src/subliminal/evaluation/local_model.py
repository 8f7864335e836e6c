"""``hf-shared-prefix``: lm-eval's own ``hf`` model, made fast for many short continuations of one prompt.

``animal_preference_logprob`` scores about a hundred forms after each question. lm-eval's ``hf`` runs the whole prompt
again for each; this class computes prompts and forms once each, and many questions in one pass
(:mod:`subliminal.evaluation.continuations`). The numbers are the same up to rounding. A question that is answered a
thousand times is computed once in each batch, too. Sampled answers have a seed each, so that they do not depend on the
batch size. One base model serves any number of LoRA adapters in turn, and each must
prove that it is in use.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, takewhile
from pathlib import Path
from typing import Any

import torch
from lm_eval.api.registry import register_model
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils_hf import stop_sequences_criteria
from tqdm import tqdm
from transformers import Cache

from subliminal.core.errors import UserError
from subliminal.engine import Sampling
from subliminal.engine.local import generators, samplers, stop_ids
from subliminal.engine.plain_context import cut
from subliminal.evaluation.adapter_slot import AdapterSlot
from subliminal.evaluation.continuations import can_score, passes, score_pass, token_tree
from subliminal.evaluation.requests import Ask, gather, in_order, rendered

_FIRST, _SHORT = 4, 64
"""Where an answer has at most the second number of tokens, a first round writes the first: most answers are one word,
and those that go on do so together, not each with the finished rest of its batch."""
_MOST_AFTER = 2**10
"""Tokens of all continuations of a prompt that are scored in one pass; texts that are longer are left to lm-eval."""
_MOST_TOKENS = 2**20
"""Tokens kept of prompts and continuations, some 40 MB: animal_preference_logprob has 300,000."""


@dataclass
class Draft:
    """An answer that is being written.

    Attributes:
        ask: what it answers.
        seed: of its sampling.
        generator: of its noise, from its first token to its end.
        tokens: so far, without the end of the model's turn.
        text: of these tokens, up to the first stop text.
    """

    ask: Ask
    seed: int
    generator: torch.Generator | None = None
    tokens: list[int] = field(default_factory=list)
    text: str = ""


@register_model("hf-shared-prefix")
class SharedPrefixLM(HFLM):
    """See the module. Takes the arguments of lm-eval's ``hf``.

    Raises:
        UserError: the adapter cannot be loaded or changes nothing.
    """

    def __init__(self, *args: Any, peft: str | None = None, seed: int = 0, **kwargs: Any) -> None:
        self._encoded: dict[str, list[int]] = {}
        super().__init__(*args, **kwargs)
        from transformers import GenerationConfig

        self._pairs: dict[tuple[str, str], tuple[list[int], list[int]]] = {}
        self._tokens_kept = 0
        self.stop_ids = stop_ids(self.tokenizer, self._model.generation_config)
        # The model's own sampling defaults would otherwise fill in whatever a task leaves out.
        self._model.generation_config = GenerationConfig(eos_token_id=self.stop_ids, pad_token_id=self.eot_token_id)
        prompt = self.tok_encode("Name one thing that you like.")
        self._slot = AdapterSlot(self._model, self.pretrained, prompt)
        self.prepare(peft, seed=seed)

    @property
    def adapter_effect(self) -> float | None:
        """Largest change that the adapter makes to a logit of a prompt; None without an adapter."""
        return self._slot.effect

    def prepare(self, adapter: str | None, *, seed: int, system_prompt: str | None = None) -> None:
        """Be the base model with this adapter from now on.

        Args:
            adapter: folder or Hub id of a LoRA adapter; None for the base model itself.
            seed: of the sampling.
            system_prompt: put before every chat; None leaves the system message to the chat template.

        Raises:
            UserError: the adapter cannot be loaded or changes nothing.
        """
        self.seed = seed
        self.system_prompt = system_prompt
        if self.peft == adapter:
            return
        self.peft = None
        if adapter is None:
            self._model = self._slot.take_off()
            return
        self._model = self._slot.base  # what it is if the adapter is refused
        self._model = self._slot.put_on(adapter)
        self.peft = adapter

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The rendered chat, after the system prompt if there is one.

        Raises:
            UserError: the chat template refuses the system prompt; lm-eval would leave it out and say nothing.
        """
        if self.system_prompt is None:
            return super().apply_chat_template(chat_history, add_generation_prompt)
        return rendered(self.tokenizer, chat_history, self.system_prompt, to_answer=add_generation_prompt)

    def get_model_info(self) -> dict[str, Any]:
        """lm-eval's own, but for a folder: it would ask the Hub about the names of folders, after every task."""
        if not Path(self.pretrained).is_dir():
            return super().get_model_info()
        info = {
            "model_num_parameters": self._model.num_parameters(),
            "model_dtype": self._model.dtype,
            "model_revision": self.revision,
            "model_sha": "",
        }
        if self.peft:
            info["peft_sha"] = ""
        return info

    def loglikelihood(self, requests: list[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """lm-eval's own, with all texts made into tokens in one call: one at a time they take five times as long."""
        texts: set[str] = set()
        if self.add_bos_token is False:  # else some texts get special tokens, and others none
            for request in requests:
                context, continuation = request.args
                if request.args not in self._pairs:
                    texts |= {context.rstrip(), context + continuation}
        if texts:
            ordered = sorted(texts)
            encoded = self.tokenizer(ordered, add_special_tokens=False, return_attention_mask=False)["input_ids"]
            self._encoded = dict(zip(ordered, encoded, strict=True))
        try:
            return super().loglikelihood(requests, disable_tqdm=disable_tqdm)
        finally:
            self._encoded = {}

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, *args: Any, **kwargs: Any) -> list[int]:
        if add_special_tokens is None and not args and not kwargs and string in self._encoded:
            return self._encoded[string]
        return super().tok_encode(string, add_special_tokens, *args, **kwargs)

    def _encode_pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        """lm-eval's own, once for each pair: every adapter is asked the same."""
        pair = self._pairs.get((context, continuation))
        if pair is None:
            pair = super()._encode_pair(context, continuation)
            if self._tokens_kept < _MOST_TOKENS:
                self._pairs[context, continuation] = pair
                self._tokens_kept += len(pair[0]) + len(pair[1])
        return pair

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        """An answer to each request, with a seed for each that does not depend on the batch."""
        asks = gather(requests, self.seed)
        drafts = {ask: [Draft(ask, seed) for seed in ask.seeds] for ask in asks}
        # A batch has one way of sampling, and prompts that are alike in length, so that little padding is computed.
        kinds: dict[tuple[Sampling, tuple[str, ...]], list[Draft]] = defaultdict(list)
        for ask in sorted(asks, key=lambda ask: -len(ask.prompt)):
            kinds[ask.sampling, ask.until] += drafts[ask]
        with tqdm(total=sum(map(len, drafts.values())), desc="Answering", disable=disable_tqdm) as progress:
            for (sampling, _), going_on in kinds.items():
                rounds = [sampling.max_tokens]
                if _FIRST < sampling.max_tokens <= _SHORT:
                    rounds = [_FIRST, sampling.max_tokens - _FIRST]
                for tokens in rounds:
                    going_on = self._write_all(going_on, tokens, progress)
                progress.update(len(going_on))  # as long as an answer may be
        return in_order(asks, [[draft.text for draft in drafts[ask]] for ask in asks])

    def _write_all(self, drafts: Sequence[Draft], most: int, progress: tqdm) -> list[Draft]:
        """Write drafts on, a batch at a time; see :meth:`_write`."""
        left = []
        for start in range(0, len(drafts), self.batch_size):
            batch = drafts[start : start + self.batch_size]
            unfinished = self._write(batch, most)
            progress.update(len(batch) - len(unfinished))
            left += unfinished
        return left

    @torch.inference_mode()
    def _write(self, drafts: Sequence[Draft], most: int) -> list[Draft]:
        """Write drafts on in one batch.

        Args:
            drafts: of one sampling, with as many tokens each so far.
            most: tokens that are written.

        Returns:
            Those that have as many tokens as were allowed, and no end.

        Raises:
            UserError: a prompt and its answer are longer than the model's context.
        """
        sampling = drafts[0].ask.sampling  # alike for all drafts of a batch
        until = drafts[0].ask.until
        prompts = list(dict.fromkeys(draft.ask.prompt for draft in drafts))
        ids, mask = self.tok_batch_encode(prompts)
        if ids.shape[1] + sampling.max_tokens > self.max_length:
            raise UserError(
                f"A prompt of {ids.shape[1]} tokens and an answer of up to {sampling.max_tokens} do not fit into the "
                f"{self.max_length} tokens of {self.pretrained}. Score this task on a model with a longer context."
            )
        row_of = {prompt: row for row, prompt in enumerate(prompts)}
        rows = torch.tensor([row_of[draft.ask.prompt] for draft in drafts])
        computed = None
        # Where each prompt has one answer, generate computes it, and there is nothing to share.
        if len(prompts) < len(drafts):
            computed = self._computed_prompts(ids, mask, rows)
        begun = torch.tensor([draft.tokens for draft in drafts], dtype=ids.dtype)
        ids = torch.cat([ids[rows], begun], dim=1)
        mask = torch.cat([mask[rows], torch.ones_like(begun)], dim=1)
        stops: list[str] = []
        if until:
            stops = [*until, self.tok_decode(self.eot_token_id, skip_special_tokens=False)]
        for draft in drafts:
            if draft.generator is None:
                (draft.generator,) = generators([draft.seed], str(self.device))
        output = self.model.generate(
            input_ids=ids.to(self.device),
            attention_mask=mask.to(self.device),
            past_key_values=computed,
            do_sample=False,  # the seeded noise below makes the largest value a sample
            max_new_tokens=most,
            logits_processor=samplers(sampling, [draft.generator for draft in drafts]),
            stopping_criteria=stop_sequences_criteria(self.tokenizer, stops, ids.shape[1], len(drafts)),
        )
        unfinished = []
        for draft, written in zip(drafts, output[:, ids.shape[1] :].tolist(), strict=True):
            new = list(takewhile(lambda token: token not in self.stop_ids, written))
            draft.tokens += new
            text = self.tokenizer.decode(draft.tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            draft.text = cut(text, until)
            if len(new) < most or self._has_stop(draft, stops):
                draft.generator = None  # its state is some kB, and a task may have 50,000 answers
            else:
                unfinished.append(draft)
        return unfinished

    def _computed_prompts(self, ids: torch.Tensor, mask: torch.Tensor, rows: torch.Tensor) -> Cache | None:
        """Keys and values of prompts, each computed once however many answers it has.

        Args:
            ids: token ids [prompt, column], padded on the left.
            mask: [prompt, column], 0 where there is padding.
            rows: the prompt of each answer.

        Returns:
            Those of each answer's prompt but for its last token, after which the answer begins; None where the model
            keeps more of a prompt than keys and values, or the prompts have one token.
        """
        base = self.model.get_base_model() if self.peft else self.model
        if ids.shape[1] == 1 or not can_score(base):
            return None
        before, device = mask[:, :-1], self.device
        output = self.model(
            input_ids=ids[:, :-1].to(device),
            attention_mask=before.to(device),
            position_ids=(before.cumsum(dim=1) - 1).clamp(min=0).to(device),
            logits_to_keep=1,
            use_cache=True,
        )
        output.past_key_values.batch_select_indices(rows.to(device))
        return output.past_key_values

    def _has_stop(self, draft: Draft, stops: Sequence[str]) -> bool:
        """Whether a stop text ended the answer although it has all the tokens that it was allowed."""
        if not stops:
            return False
        with_special = self.tok_decode(draft.tokens, skip_special_tokens=False)
        return any(stop in with_special for stop in stops)

    def _loglikelihood_tokens(
        self,
        requests: list[tuple[Any, list[int], list[int]]],
        disable_tqdm: bool = False,
        override_bs: int | None = None,
    ) -> list[tuple[float, bool]]:
        groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for index, (_, context, _) in enumerate(requests):
            # lm-eval asks about one prompt many times: each different one is computed once.
            groups[tuple(context)].append(index)
        prompts = list(groups)
        places = list(groups.values())
        if not self._can_share(requests, places):
            return super()._loglikelihood_tokens(requests, disable_tqdm=disable_tqdm, override_bs=override_bs)
        trees = []
        for indices in places:
            trees.append(token_tree(tuple(tuple(requests[index][2]) for index in indices)))
        most = self.batch_size
        if most == "auto":  # of lm-eval's own command
            most = len(prompts)
        results: list[tuple[float, bool]] = [(0.0, False)] * len(requests)
        with tqdm(total=len(prompts), desc="Scoring continuations, by prompt", disable=disable_tqdm) as progress:
            for batch in passes(prompts, trees, self.model, most):
                scored = score_pass(self.model, [prompts[one] for one in batch], [trees[one] for one in batch])
                indices = chain.from_iterable(places[one] for one in batch)
                for index, score in zip(indices, chain.from_iterable(scored), strict=True):
                    results[index] = score
                    pair = requests[index][0]
                    if pair is not None:  # else a window of a long text: lm-eval keeps the whole text's score
                        self.cache_hook.add_partial("loglikelihood", pair, score)
                progress.update(len(batch))
        return results

    def _can_share(self, requests: Sequence[tuple[Any, list[int], list[int]]], places: Sequence[list[int]]) -> bool:
        """Whether every token can see all before it, and the continuations of each prompt fit into one pass.

        Args:
            requests: of lm-eval.
            places: the indices of the requests of each prompt.
        """
        base = self.model.get_base_model() if self.peft else self.model
        if not can_score(base):
            return False
        # lm-eval cuts what is longer than the context on the left, and layers with a sliding window see a part of it.
        window = getattr(self.model.config.get_text_config(), "sliding_window", None)
        most_seen = min(self.max_length, window or self.max_length)
        for indices in places:
            lengths = [len(requests[index][2]) for index in indices]
            if sum(lengths) > _MOST_AFTER or len(requests[indices[0]][1]) + max(lengths) > most_seen:
                return False
        return True
