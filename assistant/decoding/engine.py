"""Runs a causal language model on torch: token ids in, text out, key/value caches reused."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from git_copilot.assistant.backend.allocator import return_freed_memory
from git_copilot.assistant.backend.cache_slots import CacheSlot, CacheSlots
from git_copilot.assistant.backend.choice import choose_backend
from git_copilot.assistant.backend.devices import choose_device
from git_copilot.assistant.backend.formats import check_precision
from git_copilot.assistant.backend.llama import LlamaDecoder
from git_copilot.assistant.backend.llama_weights import LlamaWeights
from git_copilot.assistant.backend.loading import apply_adapter, load_model
from git_copilot.assistant.backend.precision import (
    load_dtype,
)
from git_copilot.assistant.core.config import cache_dir
from git_copilot.assistant.decoding.batched_decoding import decode_batch, search_likelier_line
from git_copilot.assistant.decoding.copy_model import CopyModel
from git_copilot.assistant.decoding.copy_source import CopySource
from git_copilot.assistant.decoding.copy_weights import CopyWeights, read_copy_weights
from git_copilot.assistant.decoding.decoding_state import DecodingState
from git_copilot.assistant.decoding.generation import (
    CopyContext,
    Generation,
    GenerationRequest,
    Sampling,
)
from git_copilot.assistant.decoding.limits import PrefillRate, stop_condition
from git_copilot.assistant.decoding.sampling import PrefixIndex
from git_copilot.assistant.prompt.tokenizer import TextTokenizer

# Prompts to begin with: one to prepare, one to measure.
WARM_UP_TOKENS = (32, 128)
# A shorter prefill says little about its speed.
MIN_MEASURED_TOKENS = 64


class Engine:
    """A loaded model. Not safe for several threads at once."""

    def __init__(
        self,
        model: Any,
        tokenizer: TextTokenizer,
        precision: str = "",
        copying: CopyWeights | None = None,
    ) -> None:
        """:param model: a causal transformers model, or weights that were read without it.
        :param precision: as for :func:`~git_copilot.assistant.backend.precision.choose_formats`;
            empty: that of the model's weights.
        :param copying: how much to copy from the text around the cursor; by default nothing.
        """
        self.tokenizer = tokenizer
        self.backend, self.precision = choose_backend(model, precision, cache_dir())
        self.confidence = copying.confidence if copying else None
        self.slots = CacheSlots(self.backend.new_cache)
        # Draft tokens by prompt look-up: the text is the same without it, only slower.
        self.speculative = self.backend.croppable
        self._prefix_index = PrefixIndex(tokenizer)
        self._copy_model = CopyModel(tokenizer, copying, self._prefix_index) if copying else None
        self._rate = PrefillRate()

    @classmethod
    def load(
        cls,
        folder: Path,
        adapter: Path | None = None,
        *,
        name: str = "",
        fim: str = "auto",
        precision: str = "auto",
        copying: bool = True,
    ) -> Engine:
        """Load a model with an optional adapter onto the best device, ready to answer.

        :param copying: copy, if the model's folder has copy weights.
        :raises ModelError: the model or the adapter cannot be loaded, or not in ``precision``.
        """
        tokenizer = TextTokenizer.load(folder, name, fim)
        device = choose_device()
        check_precision(precision)
        model: Any = None
        if device == "cpu":
            model = LlamaWeights.from_files(folder, adapter=adapter)
        if model is None:
            model = load_model(folder, dtype=load_dtype(device, precision, cache_dir()))
            model = (apply_adapter(model, adapter) if adapter else model).to(device)
        weights = read_copy_weights(folder) if copying else None
        engine = cls(model, tokenizer, precision if device == "cpu" else "", weights)
        del model  # the kernels have forms of their own; what was made on the way is free as well
        return_freed_memory()
        engine.warm_up()
        return engine

    @property
    def prefill_rate(self) -> float | None:
        """Prompt tokens read per second; ``None`` before the first prompt."""
        return self._rate.tokens_per_second

    @torch.inference_mode()
    def warm_up(self) -> None:
        """Let torch prepare its kernels, and measure the speed of prefill."""
        logits = None
        for count in WARM_UP_TOKENS:
            self._rate = PrefillRate()  # the first pass includes the preparation of kernels
            slot = CacheSlot(self.backend.new_cache())
            logits = self._prefill(slot, [i % 128 for i in range(count)], lambda: False)
        if logits is not None:
            self._prefix_index.prepare(len(logits))

    @torch.inference_mode()
    def generate(self, request: GenerationRequest) -> Generation:
        """See :meth:`git_copilot.assistant.decoding.generation.Generator.generate`.

        The cache of an earlier call that shares the longest prefix is reused.
        """
        begun, prompt = time.perf_counter(), request.prompt
        expired = stop_condition(begun, request.sampling.time_limit_ms, request.is_cancelled)
        state = self.decoding_state(request, self.copy_source(request))
        with self._slot_for(prompt) as (slot, reused):
            logits = self._prefill(slot, prompt, expired)
            prefilled = time.perf_counter()
            if logits is not None and not state.done:
                if self.speculative:
                    state.enable_lookup(prompt, request.draft)
                self._decode(slot, logits, state, expired)
                if self.backend.croppable:
                    search_likelier_line(self.backend, slot, len(prompt), state, expired)
        return state.generation(reused, begun, prefilled)

    def unread(self, prompt: Sequence[int]) -> int:
        """See :meth:`git_copilot.assistant.decoding.generation.Generator.unread`."""
        return len(prompt) - self.slots.longest_prefix(prompt)

    @torch.inference_mode()
    def read_ahead(self, prompt: Sequence[int], is_cancelled: Callable[[], bool]) -> bool:
        """See :meth:`git_copilot.assistant.decoding.generation.Generator.read_ahead`."""
        with self._slot_for(prompt) as (slot, _):
            return self._prefill(slot, prompt, is_cancelled) is not None

    @property
    def side_by_side(self) -> bool:
        """Whether :meth:`generate_many` can be called."""
        return isinstance(self.backend, LlamaDecoder)

    @torch.inference_mode()
    def generate_many(self, requests: Sequence[GenerationRequest]) -> list[Generation]:
        """See :meth:`git_copilot.assistant.completion.candidates.SideBySide.generate_many`.

        Without speculative decoding. The same requests, all of them, give the same texts.
        """
        assert isinstance(self.backend, LlamaDecoder)
        begun, first = time.perf_counter(), requests[0]
        expired = stop_condition(begun, first.sampling.time_limit_ms, first.is_cancelled)
        source = self.copy_source(first)
        states = [self.decoding_state(request, source) for request in requests]
        with self._slot_for(first.prompt) as (slot, reused):
            logits = self._prefill(slot, first.prompt, expired)
            prefilled = time.perf_counter()
            if logits is not None:
                max_tokens = sum(request.sampling.max_tokens for request in requests)
                decode_batch(self.backend, slot, logits, states, expired, max_tokens)
        return [state.generation(reused, begun, prefilled) for state in states]

    @torch.inference_mode()
    def logits(self, prompt: Sequence[int], ids: Sequence[int]) -> torch.Tensor:
        """The float32 logits (ids, vocabulary) before each of ``ids`` behind ``prompt``, without
        copying. The prompt's cache is dropped: the next result does not depend on it."""
        slot, _ = self._take_slot(prompt)
        first = self._prefill(slot, prompt, lambda: False)
        assert first is not None
        rows = [first[None]]
        if len(ids) > 1:
            rows.append(self.backend.forward(slot.cache, list(ids[:-1]), len(ids) - 1))
        self.slots.drop(slot)
        return torch.cat(rows).float()

    @torch.inference_mode()
    def likelihood(
        self,
        prompt: Sequence[int],
        ids: Sequence[int],
        *,
        forced_prefix: str = "",
        copy_context: CopyContext | None = None,
    ) -> list[float]:
        """The negative log-likelihood, in nats, of each of ``ids`` behind ``prompt``."""
        request = GenerationRequest(prompt, Sampling(), forced_prefix, copy_context)
        return self.likelihood_of(self.logits(prompt, ids), ids, self.copy_source(request))

    def likelihood_of(
        self, rows: torch.Tensor, ids: Sequence[int], source: CopySource | None
    ) -> list[float]:
        """The same from ``rows`` of :meth:`logits`."""
        if source is not None:
            written = [self.tokenizer.decode(list(ids[:i])) for i in range(len(ids))]
            rows = torch.stack([source.mix(*pair) for pair in zip(rows, written, strict=True)])
        found = torch.log_softmax(rows, dim=-1)
        return [-value for value in found[torch.arange(len(ids)), list(ids)].tolist()]

    def decoding_state(
        self, request: GenerationRequest, source: CopySource | None
    ) -> DecodingState:
        """The state of a completion before its first token."""
        return DecodingState(self.tokenizer, self._prefix_index, request, source)

    def copy_source(self, request: GenerationRequest) -> CopySource | None:
        """What the request may be copied from, if the model copies."""
        if self._copy_model is None or request.copy_context is None:
            return None
        return CopySource(self._copy_model, request.copy_context, request.forced_prefix)

    def _take_slot(self, prompt: Sequence[int]) -> tuple[CacheSlot, int]:
        """A slot for ``prompt``, and how many of its tokens need no forward pass."""
        slot = self.slots.take(prompt)
        # The logits after the last token are needed, and only sometimes known.
        return slot, min(len(slot.ids), max(len(prompt) - 1, slot.known_logits[0]))

    @contextmanager
    def _slot_for(self, prompt: Sequence[int]) -> Iterator[tuple[CacheSlot, int]]:
        """The same while it is used: dropped where that fails, since the contents of its cache are
        unknown then; others may be evicted after that."""
        slot, reused = self._take_slot(prompt)
        try:
            yield slot, reused
        except BaseException:
            self.slots.drop(slot)
            raise
        self.slots.evict()

    def _prefill(
        self, slot: CacheSlot, prompt: Sequence[int], expired: Callable[[], bool]
    ) -> torch.Tensor | None:
        """Read the part of ``prompt`` that the slot lacks.

        :return: the logits after it (vocabulary,), or ``None`` when ``expired`` came first.
        """
        if slot.known_logits[0] == len(prompt) == len(slot.ids):
            known: torch.Tensor = slot.known_logits[1]
            return known
        if len(slot.ids) == len(prompt):
            slot.crop(len(prompt) - 1)
        start, begun = len(slot.ids), time.perf_counter()
        resumed = bool(slot.cache.unfinished_ids)  # says nothing about the speed
        slot.cache.reserve(len(prompt))
        logits = torch.empty(0)
        while len(slot.ids) < len(prompt):
            if expired():
                return None
            rest = prompt[len(slot.ids) :]
            count, logits = self.backend.read(slot.cache, rest, expired)
            if not count:
                return None
            slot.ids += rest[:count]
        slot.known_logits = (len(prompt), logits)
        if len(prompt) - start >= MIN_MEASURED_TOKENS and not resumed:
            self._rate.add((len(prompt) - start) / (time.perf_counter() - begun))
        return logits

    def _decode(
        self,
        slot: CacheSlot,
        logits: torch.Tensor,
        state: DecodingState,
        expired: Callable[[], bool],
    ) -> None:
        """Decode until finished. Each forward pass reads the newest token and a draft of the next
        ones; the part of the draft that the model itself would have written is kept.
        """
        rows, draft = logits[None], list[int]()
        while not expired():
            known, before, accepted = len(slot.ids) - len(draft), len(state.ids), 0
            while state.add(rows[accepted]):
                if accepted == len(draft) or state.ids[-1] != draft[accepted]:
                    break
                accepted += 1
            state.verified(draft, accepted, len(state.ids) - before)
            if state.done:
                return
            if accepted < len(draft):
                slot.crop(known + accepted)
            draft = state.draft()
            ids = [state.ids[-1], *draft]
            rows = self.backend.forward(slot.cache, ids, len(ids))
            slot.ids += ids
