"""``hf-shared-prefix``: lm-eval's own ``hf`` model, made fast for many short continuations of one prompt.

``animal_preference_logprob`` scores about a hundred forms after each question. lm-eval's ``hf`` runs the whole prompt
again for each; this class runs it once, keeps its keys and values, and runs the tree of all forms in one pass. The
numbers are the same up to rounding. Sampled answers have a seed each, so that they do not depend on the batch size. One
base model serves any number of LoRA adapters in turn, and each must prove that it is in use.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from lm_eval.api.registry import register_model
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils_hf import stop_sequences_criteria
from tqdm import tqdm

from subliminal.core.errors import UserError
from subliminal.engine import Sampling
from subliminal.engine.chat import render
from subliminal.engine.local import samplers, stop_ids, with_adapter
from subliminal.engine.plain_context import cut
from subliminal.evaluation.requests import Ask, gather, in_order, with_system

_WORTH_SHARING = 8
"""Share prompts if each has at least this many continuations on average; below that lm-eval's batches are faster."""


@register_model("hf-shared-prefix")
class SharedPrefixLM(HFLM):
    """See the module. Takes the arguments of lm-eval's ``hf``.

    Attributes:
        adapter_effect: largest change that the adapter makes to a logit of a probe; None without an adapter.

    Raises:
        UserError: the adapter cannot be loaded or changes nothing.
    """

    adapter_effect: float | None = None

    def __init__(self, *args: Any, peft: str | None = None, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        from transformers import GenerationConfig

        self.stop_ids = stop_ids(self.tokenizer, self._model.generation_config)
        # The model's own sampling defaults would otherwise fill in whatever a task leaves out.
        self._model.generation_config = GenerationConfig(eos_token_id=self.stop_ids, pad_token_id=self.eot_token_id)
        self.prepare(peft, seed=seed)

    def prepare(self, adapter: str | None, *, seed: int, system_prompt: str | None = None) -> None:
        """Be the base model with this adapter from now on.

        Args:
            adapter: folder or Hub id of a LoRA adapter; None for the base model itself.
            seed: of the sampling.
            system_prompt: put before every chat; None leaves the system message to the chat template.

        Raises:
            UserError: the adapter cannot be loaded or changes nothing.
        """
        self.seed, self.system_prompt = seed, system_prompt
        if self.peft == adapter:
            return
        if self.peft:
            self._model = self._model.unload()
        self.peft, self.adapter_effect = None, None
        if adapter:
            prompt = self.tok_encode("Name one thing that you like.")
            self._model, self.adapter_effect = with_adapter(self._model, adapter, self.pretrained, prompt)
            self.peft = adapter

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The rendered chat, after the system prompt if there is one.

        Raises:
            UserError: the chat template refuses the system prompt; lm-eval would leave it out and say nothing.
        """
        if self.system_prompt is None:
            return super().apply_chat_template(chat_history, add_generation_prompt)
        return render(
            self.tokenizer,
            with_system(chat_history, self.system_prompt),
            add_generation_prompt=add_generation_prompt,
            continue_final_message=not add_generation_prompt,
        )

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        """An answer to each request, with a seed for each that does not depend on the batch."""
        asks = gather(requests, self.seed)
        answers = [[""] * len(ask.seeds) for ask in asks]
        # A batch has one way of sampling, and prompts that are alike in length, so that little padding is computed.
        kinds: dict[tuple[Sampling, tuple[str, ...]], list[tuple[int, int]]] = defaultdict(list)
        longest_first = sorted(range(len(asks)), key=lambda number: -len(asks[number].prompt))
        for number in longest_first:
            ask = asks[number]
            kinds[ask.sampling, ask.until] += [(number, index) for index in range(len(ask.seeds))]
        with tqdm(total=sum(map(len, answers)), desc="Answering", disable=disable_tqdm) as progress:
            for kind in kinds.values():
                for start in range(0, len(kind), self.batch_size):
                    batch = kind[start : start + self.batch_size]
                    texts = self._answer([(asks[number], asks[number].seeds[index]) for number, index in batch])
                    for (number, index), text in zip(batch, texts, strict=True):
                        answers[number][index] = text
                    progress.update(len(batch))
        return in_order(asks, answers)

    @torch.inference_mode()
    def _answer(self, rows: Sequence[tuple[Ask, int]]) -> list[str]:
        """One answer for each (ask, seed); the asks have one sampling.

        Raises:
            UserError: a prompt and its answer are longer than the model's context.
        """
        sampling, until = rows[0][0].sampling, rows[0][0].until
        ids, mask = self.tok_batch_encode([ask.prompt for ask, _ in rows])
        if ids.shape[1] + sampling.max_tokens > self.max_length:
            raise UserError(
                f"A prompt of {ids.shape[1]} tokens and an answer of up to {sampling.max_tokens} do not fit into the "
                f"{self.max_length} tokens of {self.pretrained}. Score this task on a model with a longer context."
            )
        stops: list[str] = []
        if until:
            stops = [*until, self.tok_decode(self.eot_token_id, skip_special_tokens=False)]
        output = self.model.generate(
            input_ids=ids.to(self.device),
            attention_mask=mask.to(self.device),
            do_sample=False,  # the seeded noise below makes the largest value a sample
            max_new_tokens=sampling.max_tokens,
            logits_processor=samplers(sampling, [seed for _, seed in rows], str(self.device)),
            stopping_criteria=stop_sequences_criteria(self.tokenizer, stops, ids.shape[1], len(rows)),
        )
        texts = []
        for tokens in output[:, ids.shape[1] :].tolist():
            answer = itertools.takewhile(lambda token: token not in self.stop_ids, tokens)
            text = self.tokenizer.decode(list(answer), skip_special_tokens=True, clean_up_tokenization_spaces=False)
            texts.append(cut(text, until))
        return texts

    def _loglikelihood_tokens(
        self,
        requests: list[tuple[Any, list[int], list[int]]],
        disable_tqdm: bool = False,
        override_bs: int | None = None,
    ) -> list[tuple[float, bool]]:
        groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for index, (_, context, _) in enumerate(requests):
            groups[tuple(context)].append(index)
        longest = max((len(context) + len(continuation) for _, context, continuation in requests), default=0)
        too_long = longest > self.max_length  # lm-eval cuts such a prompt on the left, and a shared one cannot be cut
        if too_long or len(requests) < _WORTH_SHARING * len(groups):
            return super()._loglikelihood_tokens(requests, disable_tqdm=disable_tqdm, override_bs=override_bs)
        results: list[tuple[float, bool]] = [(0.0, False)] * len(requests)
        for context, indices in tqdm(groups.items(), desc="Scoring continuations, by prompt", disable=disable_tqdm):
            scores = self._score_after(list(context), [requests[index][2] for index in indices])
            for index, score in zip(indices, scores, strict=True):
                results[index] = score
                self.cache_hook.add_partial("loglikelihood", requests[index][0], score)
        return results

    @torch.no_grad()
    def _score_after(self, context: list[int], continuations: list[list[int]]) -> list[tuple[float, bool]]:
        """(log-probability, is greedy) of each continuation (token ids, at least one each) of one context."""
        shared = _common_start(continuations)
        prompt = torch.tensor([context + shared], device=self.device)
        output = self.model(prompt, use_cache=True, logits_to_keep=len(shared) + 1)
        # [len(shared) + 1, vocabulary]: what follows the context, the context and shared[:1], ... and shared[:2], ...
        logits = output.logits[0].float()
        tails = [tuple(ids[len(shared) :]) for ids in continuations]
        nodes = _inner_nodes(tails)
        if nodes:
            logits = torch.cat([logits, self._run_tree(nodes, prompt.shape[1], output.past_key_values)])
        row_of = {node: len(shared) + 1 + index for index, node in enumerate(nodes)}
        totals, best = logits.logsumexp(dim=1).tolist(), logits.argmax(dim=1).tolist()
        scores = []
        for ids, tail in zip(continuations, tails, strict=True):
            # The row of logits that predicts each token: behind the context, within the shared start, then in the tree.
            rows = list(range(len(shared) + 1))
            rows += [row_of[tail[:end]] for end in range(1, len(tail))]
            rows = rows[: len(ids)]  # a continuation that ends with the shared start has one row more than tokens
            picked = logits[rows, ids].tolist()
            logprob = sum(picked) - sum(totals[row] for row in rows)
            is_greedy = [best[row] for row in rows] == ids
            scores.append((logprob, is_greedy))
        return scores

    def _run_tree(self, nodes: list[tuple[int, ...]], prompt_length: int, cache: Any) -> torch.Tensor:
        """Logits [node, vocabulary] after each node of a tree of continuations, in one pass.

        Every node (the token ids from the prompt to it) is one position, which sees the prompt and the nodes above it.
        """
        column_of = {node: prompt_length + index for index, node in enumerate(nodes)}
        # What a node must not see gets the least number that the type has: a weight of 0 after softmax.
        mask = torch.full((len(nodes), prompt_length + len(nodes)), torch.finfo(self.model.dtype).min)
        mask[:, :prompt_length] = 0
        for row, node in enumerate(nodes):
            for end in range(1, len(node) + 1):
                mask[row, column_of[node[:end]]] = 0
        last_tokens = [node[-1] for node in nodes]
        # Siblings stand at one position: each is what comes next after its parent.
        positions = [prompt_length + len(node) - 1 for node in nodes]
        output = self.model(
            input_ids=torch.tensor([last_tokens], device=self.device),
            position_ids=torch.tensor([positions], device=self.device),
            attention_mask=mask[None, None].to(self.device, self.model.dtype),
            past_key_values=cache,
        )
        return output.logits[0].float()


def _common_start(sequences: list[list[int]]) -> list[int]:
    """The tokens that all sequences begin with."""
    shared = []
    for tokens in zip(*sequences, strict=False):
        if len(set(tokens)) > 1:
            break
        shared.append(tokens[0])
    return shared


def _inner_nodes(tails: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """The nodes of the tree of tails that another token follows, the shortest first: what is after them is asked."""
    nodes = set()
    for tail in tails:
        for end in range(1, len(tail)):
            nodes.add(tail[:end])
    return sorted(nodes, key=len)
