"""Runs a causal language model on torch: token ids in, text out, key/value caches kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from git_copilot.assistant.beside import write_beside
from git_copilot.assistant.decoder import Decoder, supports
from git_copilot.assistant.generation import Generation, Sampling
from git_copilot.assistant.linear import int8_is_exact
from git_copilot.assistant.loading import apply_adapter, load_model
from git_copilot.assistant.picking import Spellings
from git_copilot.assistant.reference import Reference
from git_copilot.assistant.slots import Cache, Slot, Slots
from git_copilot.assistant.tokens import TextTokenizer
from git_copilot.assistant.writing import Writing
from git_copilot.index.errors import ModelError

PRECISIONS = ("auto", "int8", "bf16", "fp32")
# A prompt is read in parts of these sizes, so that a caller who has gone is noticed, and so that
# oneDNN, which keeps what it prepared for each shape, meets few of them.
PARTS = (256, 128, 64, 32)
# Reads shorter than this say little about the speed of reading.
MEASURED = 64
_WEIGHT = 0.3  # of the newest measurement in the mean
# A rate stays as it was said until it is wrong by this: prompts are cut by it, and should stay too.
_STEADY = 0.25


class Backend(Protocol):
    """A forward pass with caches."""

    @property
    def croppable(self) -> bool: ...
    @property
    def bytes(self) -> int: ...
    def new_cache(self) -> Cache: ...
    def run(self, cache: Any, ids: list[int], wanted: int) -> torch.Tensor: ...


def choose_device() -> str:
    """CUDA or Apple's GPU where there is one."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def choose_precision(wanted: str = "auto") -> str:
    """The precision in which this machine's CPU decodes: int8 weights where they are exact to
    compute with, else what its instructions are made for."""
    if wanted not in PRECISIONS:
        raise ModelError(f"there is no precision {wanted!r}", f"take one of {PRECISIONS}")
    if wanted == "int8" and not int8_is_exact():
        raise ModelError("this machine lacks int8 instructions", "set copilot.precision to auto")
    if wanted != "auto":
        return wanted
    if int8_is_exact():
        return "int8"
    return "bf16" if torch.cpu._is_avx512_bf16_supported() else "fp32"


class Engine:
    """A loaded model. Not safe for several threads at once."""

    def __init__(self, model: Any, tokenizer: TextTokenizer, precision: str = "") -> None:
        """:param model: a causal model of transformers.
        :param precision: as for :func:`choose_precision`; empty: the type of the model's weights.
        """
        self.tokenizer = tokenizer
        self.backend: Backend
        own = {torch.float32: "fp32", torch.bfloat16: "bf16"}.get(model.dtype)
        chosen = choose_precision(precision) if precision else own
        self.precision = chosen or "fp16"
        if chosen and supports(model):
            self.backend = Decoder(model, chosen)
        else:
            self.backend = Reference(model)
            self.precision = own or "fp16"
        self.slots = Slots(self.backend.new_cache)
        # Guess tokens by look-up; what is written is the same without, only later.
        self.speculative = self.backend.croppable
        self._spellings = Spellings(tokenizer)
        self._mean = 0.0  # tokens a second, as measured last and before
        self._rate: float | None = None  # as said

    @classmethod
    def load(
        cls,
        folder: Path,
        adapter: Path | None = None,
        *,
        name: str = "",
        fim: str = "auto",
        precision: str = "auto",
    ) -> Engine:
        """Load a model with an optional adapter onto the best device, ready to answer.

        :raises ModelError: the model or the adapter cannot be loaded, or not in ``precision``.
        """
        tokenizer = TextTokenizer.load(folder, name, fim)
        device = choose_device()
        fp32 = device == "cpu" and choose_precision(precision) == "fp32"
        model = load_model(folder, dtype=torch.float32 if fp32 else None)
        if adapter is not None:
            model = apply_adapter(model, adapter)
        engine = cls(model.to(device), tokenizer, precision if device == "cpu" else "")
        engine.warm_up()
        return engine

    @property
    def prefill_rate(self) -> float | None:
        """Tokens of a new prompt that are read in a second; ``None`` before anything was read."""
        return self._rate

    @torch.inference_mode()
    def warm_up(self) -> None:
        """Let the kernels be prepared, and measure how fast a prompt is read."""
        ids = [i % 128 for i in range(PARTS[1])]
        for _ in range(2):
            self._rate = None  # the first time the kernels are prepared
            slot = Slot(self.backend.new_cache())
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
        draft: Sequence[int] = (),
        enough: Callable[[str], bool] = lambda text: False,
        cancelled: Callable[[], bool] = lambda: False,
        on_text: Callable[[str], None] = lambda text: None,
    ) -> Generation:
        """See :meth:`git_copilot.assistant.generation.Generator.generate`.

        Of the caches of earlier calls the one that agrees most is used.
        """
        begun = time.perf_counter()
        over = _bounded(begun, sampling.time_limit_ms, cancelled)
        writing = Writing(
            self.tokenizer, self._spellings, sampling, lead=lead, enough=enough, on_text=on_text
        )
        slot, reused = self._take(prompt)
        try:
            logits = self._read(slot, prompt, over)
            prefilled = time.perf_counter()
            if logits is not None and not writing.done:
                if self.speculative:
                    writing.look_up(prompt, draft)
                self._write(slot, logits, writing, over)
        except BaseException:
            self.slots.drop(slot)  # what its cache holds is unknown now
            raise
        self.slots.tidy()
        return _generation(writing, reused, begun, prefilled)

    @property
    def side_by_side(self) -> bool:
        """Whether :meth:`generate_many` can be called."""
        return isinstance(self.backend, Decoder)

    @torch.inference_mode()
    def generate_many(
        self,
        prompt: Sequence[int],
        samplings: Sequence[Sampling],
        *,
        lead: str = "",
        enough: Sequence[Callable[[str], bool]],
        cancelled: Callable[[], bool] = lambda: False,
    ) -> list[Generation]:
        """See :meth:`git_copilot.assistant.candidates.SideBySide.generate_many`.

        Nothing is guessed. What is written is the same for the same ``samplings``, all of them.
        """
        assert isinstance(self.backend, Decoder)
        begun = time.perf_counter()
        over = _bounded(begun, samplings[0].time_limit_ms, cancelled)
        writings = [
            Writing(self.tokenizer, self._spellings, each, lead=lead, enough=own, on_text=_ignore)
            for each, own in zip(samplings, enough, strict=True)
        ]
        slot, reused = self._take(prompt)
        try:
            logits = self._read(slot, prompt, over)
            prefilled = time.perf_counter()
            if logits is not None:
                most = sum(each.max_tokens for each in samplings)
                write_beside(self.backend, slot, logits, writings, over, most)
        except BaseException:
            self.slots.drop(slot)
            raise
        self.slots.tidy()
        return [_generation(writing, reused, begun, prefilled) for writing in writings]

    @torch.inference_mode()
    def likelihood(self, prompt: Sequence[int], ids: Sequence[int]) -> list[float]:
        """The negative log-likelihood, in nats, of each of ``ids`` behind ``prompt``. What was
        read for the prompt is forgotten: the next one's figures do not depend on it.
        """
        slot, _ = self._take(prompt)
        first = self._read(slot, prompt, lambda: False)
        assert first is not None
        rows = [first[None]]
        if len(ids) > 1:
            rows.append(self.backend.run(slot.cache, list(ids[:-1]), len(ids) - 1))
        self.slots.drop(slot)
        found = torch.log_softmax(torch.cat(rows).float(), dim=-1)
        return [-value for value in found[torch.arange(len(ids)), list(ids)].tolist()]

    def _take(self, prompt: Sequence[int]) -> tuple[Slot, int]:
        """A slot for ``prompt``, and how much of it need not be read."""
        slot = self.slots.take(prompt)
        # The logits after the last token are needed, and only sometimes known.
        return slot, min(len(slot.ids), max(len(prompt) - 1, slot.ahead[0]))

    def _read(
        self, slot: Slot, prompt: Sequence[int], over: Callable[[], bool]
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
            self._note_rate((len(prompt) - start) / (time.perf_counter() - begun))
        return logits

    def _note_rate(self, rate: float) -> None:
        """Take a measurement, in tokens a second, into the mean."""
        self._mean = rate if self._rate is None else self._mean + _WEIGHT * (rate - self._mean)
        if self._rate is None or abs(self._mean / self._rate - 1) > _STEADY:
            self._rate = self._mean

    def _write(
        self, slot: Slot, logits: torch.Tensor, writing: Writing, over: Callable[[], bool]
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


def _bounded(begun: float, limit_ms: int, cancelled: Callable[[], bool]) -> Callable[[], bool]:
    """Whether to end: the time since ``begun`` is over, or the caller has gone."""

    def over() -> bool:
        late = limit_ms > 0 and (time.perf_counter() - begun) * 1000 >= limit_ms
        return late or cancelled()

    return over


def _generation(writing: Writing, reused: int, begun: float, prefilled: float) -> Generation:
    return Generation(
        text=writing.text,
        finish=writing.finish,
        tokens=len(writing.ids),
        cached_tokens=reused,
        prefill_ms=(prefilled - begun) * 1000,
        decode_ms=(time.perf_counter() - prefilled) * 1000,
        drafted=writing.drafted,
        accepted=writing.accepted,
        ids=tuple(writing.ids),
    )


def _ignore(text: str) -> None:
    pass
