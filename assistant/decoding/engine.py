"""Runs a causal language model on torch: token ids in, text out, key/value caches kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from git_copilot.assistant.backend.cache_slots import Backend, CacheSlot, CacheSlots
from git_copilot.assistant.backend.devices import choose_device, choose_precision
from git_copilot.assistant.backend.llama import LlamaDecoder, supports
from git_copilot.assistant.backend.loading import apply_adapter, load_model
from git_copilot.assistant.backend.safetensors_loader import read_model
from git_copilot.assistant.backend.transformers_backend import TransformersBackend
from git_copilot.assistant.decoding.batched_decoding import decode_batch, improve
from git_copilot.assistant.decoding.copy_model import CopyModel, CopySource
from git_copilot.assistant.decoding.copy_weights import CopyWeights, read_copy_weights
from git_copilot.assistant.decoding.decoding_state import DecodingState
from git_copilot.assistant.decoding.generation import CopyContext, Generation, Sampling
from git_copilot.assistant.decoding.limits import PrefillRate, out_of_time
from git_copilot.assistant.decoding.sampling import PrefixIndex
from git_copilot.assistant.prompt.tokenizer import TextTokenizer

# A prompt is read in parts of these sizes, so that a caller who has gone is noticed, and so that
# oneDNN, which keeps what it prepared for each shape, meets few of them.
PARTS = (256, 128, 64, 32)
# Reads shorter than this say little about the speed of reading.
MEASURED = 64


class Engine:
    """A loaded model. Not safe for several threads at once."""

    def __init__(
        self,
        model: Any,
        tokenizer: TextTokenizer,
        precision: str = "",
        copying: CopyWeights | None = None,
    ) -> None:
        """:param model: a causal model of transformers.
        :param precision: as for :func:`choose_precision`; empty: the type of the model's weights.
        :param copying: how far to trust what stands around; by default nothing is copied.
        """
        self.tokenizer = tokenizer
        self.backend: Backend
        own = {torch.float32: "fp32", torch.bfloat16: "bf16"}.get(model.dtype)
        chosen = choose_precision(precision) if precision else own
        self.precision = chosen or "fp16"
        if chosen and supports(model):
            self.backend = LlamaDecoder(model, chosen)
        else:
            self.backend = TransformersBackend(model)
            self.precision = own or "fp16"
        self.slots = CacheSlots(self.backend.new_cache)
        # Guess tokens by look-up; what is written is the same without, only later.
        self.speculative = self.backend.croppable
        self._spellings = PrefixIndex(tokenizer)
        self._copier = CopyModel(tokenizer, copying, self._spellings) if copying else None
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

        :param copying: let it copy, if its folder has weights for that.
        :raises ModelError: the model or the adapter cannot be loaded, or not in ``precision``.
        """
        tokenizer = TextTokenizer.load(folder, name, fim)
        device = choose_device()
        fp32 = device == "cpu" and choose_precision(precision) == "fp32"
        dtype = torch.float32 if fp32 else torch.bfloat16
        model = read_model(folder, dtype, adapter) if device == "cpu" else None
        if model is None:
            model = load_model(folder, dtype=dtype)
            model = (apply_adapter(model, adapter) if adapter else model).to(device)
        weights = read_copy_weights(folder) if copying else None
        engine = cls(model, tokenizer, precision if device == "cpu" else "", weights)
        engine.warm_up()
        return engine

    @property
    def prefill_rate(self) -> float | None:
        """Tokens of a new prompt that are read in a second; ``None`` before anything was read."""
        return self._rate.tokens_per_second

    @torch.inference_mode()
    def warm_up(self) -> None:
        """Let the kernels be prepared, and measure how fast a prompt is read."""
        ids = [i % 128 for i in range(PARTS[1])]
        for _ in range(2):
            self._rate = PrefillRate()  # the first time the kernels are prepared
            slot = CacheSlot(self.backend.new_cache())
            logits = self._read(slot, ids, lambda: False)
        if logits is not None:
            self._spellings.prepare(len(logits))

    @torch.inference_mode()
    def generate(
        self,
        prompt: Sequence[int],
        sampling: Sampling,
        *,
        lead: str = "",
        around: CopyContext | None = None,
        draft: Sequence[int] = (),
        enough: Callable[[str], bool] = lambda text: False,
        cancelled: Callable[[], bool] = lambda: False,
        on_text: Callable[[str], None] = lambda text: None,
    ) -> Generation:
        """See :meth:`git_copilot.assistant.decoding.generation.Generator.generate`.

        Of the caches of earlier calls the one that agrees most is used.

        :param draft: ids in which to look up guesses of what comes next; the prompt when empty.
            What is written does not depend on it.
        """
        begun = time.perf_counter()
        over = out_of_time(begun, sampling.time_limit_ms, cancelled)
        writing = self._writing(sampling, lead, enough, self._source(around, lead), on_text)
        slot, reused = self._take(prompt)
        try:
            logits = self._read(slot, prompt, over)
            prefilled = time.perf_counter()
            if logits is not None and not writing.done:
                if self.speculative:
                    writing.look_up(prompt, draft)
                self._write(slot, logits, writing, over)
                if self.backend.croppable:
                    improve(self.backend, slot, len(prompt), writing, over)
        except BaseException:
            self.slots.drop(slot)  # what its cache holds is unknown now
            raise
        self.slots.tidy()
        return writing.generation(reused, begun, prefilled)

    @property
    def side_by_side(self) -> bool:
        """Whether :meth:`generate_many` can be called."""
        return isinstance(self.backend, LlamaDecoder)

    @torch.inference_mode()
    def generate_many(
        self,
        prompt: Sequence[int],
        samplings: Sequence[Sampling],
        *,
        lead: str = "",
        around: CopyContext | None = None,
        enough: Sequence[Callable[[str], bool]],
        cancelled: Callable[[], bool] = lambda: False,
    ) -> list[Generation]:
        """See :meth:`git_copilot.assistant.completion.candidates.SideBySide.generate_many`.

        Nothing is guessed. What is written is the same for the same ``samplings``, all of them.
        """
        assert isinstance(self.backend, LlamaDecoder)
        begun = time.perf_counter()
        over = out_of_time(begun, samplings[0].time_limit_ms, cancelled)
        source = self._source(around, lead)
        writings = [
            self._writing(each, lead, own, source)
            for each, own in zip(samplings, enough, strict=True)
        ]
        slot, reused = self._take(prompt)
        try:
            logits = self._read(slot, prompt, over)
            prefilled = time.perf_counter()
            if logits is not None:
                most = sum(each.max_tokens for each in samplings)
                decode_batch(self.backend, slot, logits, writings, over, most)
        except BaseException:
            self.slots.drop(slot)
            raise
        self.slots.tidy()
        return [writing.generation(reused, begun, prefilled) for writing in writings]

    @torch.inference_mode()
    def logits(self, prompt: Sequence[int], ids: Sequence[int]) -> torch.Tensor:
        """The float32 logits (ids, vocabulary) before each of ``ids`` behind ``prompt``, without
        what is copied. What was read for the prompt is forgotten: the next one's figures do not
        depend on it."""
        slot, _ = self._take(prompt)
        first = self._read(slot, prompt, lambda: False)
        assert first is not None
        rows = [first[None]]
        if len(ids) > 1:
            rows.append(self.backend.run(slot.cache, list(ids[:-1]), len(ids) - 1))
        self.slots.drop(slot)
        return torch.cat(rows).float()

    @torch.inference_mode()
    def likelihood(
        self,
        prompt: Sequence[int],
        ids: Sequence[int],
        *,
        lead: str = "",
        around: CopyContext | None = None,
    ) -> list[float]:
        """The negative log-likelihood, in nats, of each of ``ids`` behind ``prompt``."""
        rows, source = self.logits(prompt, ids), self._source(around, lead)
        if source is not None:
            written = [self.tokenizer.decode(list(ids[:i])) for i in range(len(ids))]
            rows = torch.stack([source.mix(*pair) for pair in zip(rows, written, strict=True)])
        found = torch.log_softmax(rows, dim=-1)
        return [-value for value in found[torch.arange(len(ids)), list(ids)].tolist()]

    def _writing(
        self,
        sampling: Sampling,
        lead: str,
        enough: Callable[[str], bool],
        source: CopySource | None,
        on_text: Callable[[str], None] = lambda text: None,
    ) -> DecodingState:
        return DecodingState(
            self.tokenizer, self._spellings, sampling, lead=lead, enough=enough, on_text=on_text,
            source=source,
        )  # fmt: skip

    def _source(self, around: CopyContext | None, lead: str) -> CopySource | None:
        return CopySource(self._copier, around, lead) if self._copier and around else None

    def _take(self, prompt: Sequence[int]) -> tuple[CacheSlot, int]:
        """A slot for ``prompt``, and how much of it need not be read."""
        slot = self.slots.take(prompt)
        # The logits after the last token are needed, and only sometimes known.
        return slot, min(len(slot.ids), max(len(prompt) - 1, slot.ahead[0]))

    def _read(
        self, slot: CacheSlot, prompt: Sequence[int], over: Callable[[], bool]
    ) -> torch.Tensor | None:
        """Read what of ``prompt`` the slot lacks.

        :return: the logits after it (vocabulary,), or ``None`` when ``over`` said so before.
        """
        if slot.ahead[0] == len(prompt) == len(slot.ids):
            known: torch.Tensor = slot.ahead[1]
            return known
        if len(slot.ids) == len(prompt):
            slot.keep(len(prompt) - 1)
        start, begun = len(slot.ids), time.perf_counter()
        logits = torch.empty(0)
        while len(slot.ids) < len(prompt):
            if over():
                return None
            left = len(prompt) - len(slot.ids)
            size = next((part for part in PARTS if part <= left), left)
            ids = list(prompt[len(slot.ids) : len(slot.ids) + size])
            logits = self.backend.run(slot.cache, ids, int(size == left))[0]
            slot.ids += ids
        slot.ahead = (len(prompt), logits)
        if len(prompt) - start >= MEASURED:
            self._rate.note((len(prompt) - start) / (time.perf_counter() - begun))
        return logits

    def _write(
        self,
        slot: CacheSlot,
        logits: torch.Tensor,
        writing: DecodingState,
        over: Callable[[], bool],
    ) -> None:
        """Write until it is finished. Each forward reads the token written last and a guess of
        those that follow; of the guess that much is kept as the model itself would have written.
        """
        rows, guess = logits[None], list[int]()
        while not over():
            known, before, right = len(slot.ids) - len(guess), len(writing.ids), 0
            while writing.add(rows[right]):
                if right == len(guess) or writing.ids[-1] != guess[right]:
                    break
                right += 1
            writing.judged(guess, right, len(writing.ids) - before)
            if writing.done:
                return
            if right < len(guess):
                slot.keep(known + right)
            guess = writing.guess()
            ids = [writing.ids[-1], *guess]
            rows = self.backend.run(slot.cache, ids, len(ids))
            slot.ids += ids
