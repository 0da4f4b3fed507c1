"""Runs a causal language model on torch: token ids in, text out, one key/value cache kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from git_copilot.assistant.tokens import TextTokenizer
from git_copilot.index.errors import ModelError

REPLACEMENT = "�"  # what an unfinished UTF-8 character decodes to


@dataclass(frozen=True, slots=True)
class Sampling:
    """Greedy at ``temperature`` 0, else nucleus sampling with a fixed ``seed``."""

    max_tokens: int = 64
    temperature: float = 0.0
    top_p: float = 0.95
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Generation:
    """Generated text and what it took. ``finish`` is ``"stop"`` (the model ended),
    ``"trimmed"`` (the caller had enough) or ``"length"``; times are in milliseconds."""

    text: str
    finish: str
    tokens: int
    cached_tokens: int
    prefill_ms: float
    decode_ms: float


def choose_device() -> str:
    """CUDA or Apple's GPU where there is one."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def load_model(folder: Path, *, device: str = "cpu", dtype: torch.dtype | None = None) -> Any:
    """Load a model's weights (bf16 unless told otherwise) for inference.

    :raises ModelError: the folder holds no readable model, or memory does not suffice.
    """
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging as hf_logging

    quiet: Any = hf_logging
    quiet.disable_progress_bar()
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype or torch.bfloat16,
            trust_remote_code=False,
            use_safetensors=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError) as exc:
        raise ModelError(
            f"the model in {folder} cannot be loaded ({str(exc).strip().splitlines()[0][:160]})",
            "pull it again, or choose another with `git copilot model use`",
        ) from exc
    return model.to(device).eval()


def apply_adapter(model: Any, folder: Path) -> Any:
    """Merge a LoRA adapter into a freshly loaded model.

    :raises ModelError: the adapter is damaged or was made for another model.
    """
    from peft import PeftModel

    try:
        return PeftModel.from_pretrained(model, str(folder)).merge_and_unload().eval()
    except Exception as exc:  # safetensors, peft and torch each raise their own
        raise ModelError(
            f"the adapter {folder.name} cannot be loaded ({str(exc).splitlines()[0][:160]})",
            "take another with `git copilot adapter rollback`",
        ) from exc


class Engine:
    """A loaded model. Not safe for several threads at once."""

    def __init__(self, model: Any, tokenizer: TextTokenizer) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self._cache: Any = None
        self._cached_ids: list[int] = []

    @classmethod
    def load(cls, folder: Path, adapter: Path | None = None, *, name: str = "") -> Engine:
        """Load a model with an optional adapter onto the best device."""
        tokenizer = TextTokenizer.load(folder, name)
        model = load_model(folder)
        if adapter is not None:
            model = apply_adapter(model, adapter)
        return cls(model.to(choose_device()), tokenizer)

    @torch.inference_mode()
    def generate(
        self,
        prompt: list[int],
        sampling: Sampling,
        *,
        enough: Callable[[str], bool] = lambda text: False,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Generation:
        """Continue ``prompt`` until the model ends, ``enough`` says so, or tokens run out.

        The cache of the last call is reused as far as the prompts agree.

        :param enough: gets the text so far after every token.
        :param cancelled: asked before every token; a true answer ends with what there is.
        """
        begun = time.perf_counter()
        reused = self._reuse(prompt)
        logits = self._forward(prompt[reused:])
        prefilled = time.perf_counter()
        pick = self._picker(sampling)
        generated: list[int] = []
        text, finish = "", "length"
        while len(generated) < sampling.max_tokens and not cancelled():
            token = pick(logits)
            if token in self.tokenizer.end_ids:
                finish = "stop"
                break
            generated.append(token)
            text = self.tokenizer.decode(generated)
            if not text.endswith(REPLACEMENT) and enough(text):
                finish = "trimmed"
                break
            if len(generated) < sampling.max_tokens:
                logits = self._forward([token])
        return Generation(
            text=text.removesuffix(REPLACEMENT),
            finish=finish,
            tokens=len(generated),
            cached_tokens=reused,
            prefill_ms=(prefilled - begun) * 1000,
            decode_ms=(time.perf_counter() - prefilled) * 1000,
        )

    def _reuse(self, prompt: list[int]) -> int:
        """Crop the cache to what it shares with ``prompt``; at least one token is left to run."""
        shared = 0
        for ours, theirs in zip(self._cached_ids, prompt[:-1], strict=False):
            if ours != theirs:
                break
            shared += 1
        if shared and self._cache is not None:
            surplus = self._cache.get_seq_length() - shared
            if surplus > 0:
                self._cache.crop(-surplus)
        else:
            from transformers import DynamicCache

            shared, self._cache = 0, DynamicCache()
        self._cached_ids = prompt[:shared]
        return shared

    def _forward(self, ids: list[int]) -> torch.Tensor:
        """Run new tokens over the cache; return the logits after the last, in float32."""
        inputs = torch.tensor([ids], device=self.model.device)
        try:
            output = self.model(inputs, past_key_values=self._cache, logits_to_keep=1)
        except BaseException:
            self._cache, self._cached_ids = None, []  # its length is unknown now
            raise
        self._cached_ids += ids
        logits: torch.Tensor = output.logits[0, -1].float()
        return logits

    @staticmethod
    def _picker(sampling: Sampling) -> Callable[[torch.Tensor], int]:
        if sampling.temperature <= 0:
            return lambda logits: int(logits.argmax())
        generator = torch.Generator().manual_seed(sampling.seed)

        def sample(logits: torch.Tensor) -> int:
            probabilities = torch.softmax(logits.cpu() / sampling.temperature, dim=-1)
            ordered, ids = probabilities.sort(descending=True)
            # Keep the smallest set whose mass reaches top_p.
            ordered[ordered.cumsum(0) - ordered > sampling.top_p] = 0
            return int(ids[torch.multinomial(ordered, 1, generator=generator)])

        return sample
