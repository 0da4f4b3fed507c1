"""The competitors of bench/engine.py. Each continues a prompt greedily, by a given number of ids."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

import torch

from git_copilot.assistant.backend.cache_slots import CacheSlots, common_prefix_length
from git_copilot.assistant.decoding.engine import Engine
from git_copilot.assistant.decoding.generation import GenerationRequest, Sampling
from git_copilot.assistant.prompt.tokenizer import TextTokenizer

CHILD = Path(__file__).with_name("llama_child.py")


# Tokens of a line.
LINE = 16


class Written(NamedTuple):
    """Ids, and the milliseconds until the first, the last of a line and the last of all is there;
    ``line`` is ``total`` where there are fewer."""

    ids: list[int]
    first: float
    line: float
    total: float


class Rival(Protocol):
    name: str

    def write(self, prompt: list[int], tokens: int, *, reset: bool) -> Written:
        """:param reset: forget all that was read before."""


class Endless(TextTokenizer):
    """Without end tokens, so that all write equally much."""

    @property
    def end_ids(self) -> frozenset[int]:
        return frozenset()


class Ours:
    def __init__(self, name: str, engine: Engine, *, guess: bool = True) -> None:
        self.name, self._engine, self._guess = name, engine, guess

    def write(self, prompt: list[int], tokens: int, *, reset: bool) -> Written:
        engine = self._engine
        if reset:
            engine.slots = CacheSlots(engine.backend.new_cache)
        engine.speculative = self._guess
        moments: list[float] = []

        def note(text: str) -> bool:
            moments.append(time.perf_counter())
            return False

        begun = time.perf_counter()
        found = engine.generate(
            GenerationRequest(prompt, Sampling(max_tokens=tokens), should_stop=note)
        )
        total = (time.perf_counter() - begun) * 1000
        # The first token is chosen as soon as the prompt is read.
        return Written(list(found.ids), found.prefill_ms, _line(moments, begun, total), total)


class Transformers:
    """`generate()` with its own growing cache, the weights in bf16 or float32."""

    def __init__(self, name: str, model: Any) -> None:
        self.name, self._model = name, model
        self._cache: Any = None
        self._read: list[int] = []

    @torch.inference_mode()
    def write(self, prompt: list[int], tokens: int, *, reset: bool) -> Written:
        from transformers import DynamicCache

        known = 0 if reset else common_prefix_length(self._read, prompt[:-1])
        if known:
            self._cache.crop(known - self._cache.get_seq_length())
        else:
            self._cache = DynamicCache()
        moments: list[float] = []
        begun = time.perf_counter()
        found = self._model.generate(
            torch.tensor([prompt]),
            past_key_values=self._cache,
            max_new_tokens=tokens,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
            logits_processor=[_Clock(moments)],
        )[0].tolist()
        total = (time.perf_counter() - begun) * 1000
        self._read = found[: self._cache.get_seq_length()]
        first = (moments[0] - begun) * 1000
        return Written(found[len(prompt) :], first, _line(moments, begun, total), total)


def _line(moments: list[float], begun: float, total: float) -> float:
    return (moments[LINE - 1] - begun) * 1000 if len(moments) >= LINE else total


class _Clock:
    """Notes when each token's logits are there."""

    def __init__(self, moments: list[float]) -> None:
        self._moments = moments

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self._moments.append(time.perf_counter())
        return scores


class Llama:
    """llama.cpp in a process of its own; see llama_child.py."""

    FORMS = ("Q4_1", "Q8_0", "F16")

    def __init__(self, python: Path, gguf: Path, threads: int, folder: Path) -> None:
        self._process = subprocess.Popen(
            [str(python), str(CHILD), str(gguf), str(threads), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.version = str(self._answer()["version"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate()

    def rivals(self) -> list[Rival]:
        return [_LlamaForm(self, form) for form in self.FORMS]

    def ask(self, **request: object) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("llama-cpp-python did not answer; try llama_child.py by hand")
        return dict(json.loads(line))


class _LlamaForm:
    def __init__(self, llama: Llama, form: str) -> None:
        self.name, self._llama, self._form = f"llama.cpp {form}", llama, form

    def write(self, prompt: list[int], tokens: int, *, reset: bool) -> Written:
        found = self._llama.ask(
            form=self._form, prompt=prompt, tokens=tokens, line=LINE, reset=reset
        )
        times = (found[key] * 1000 for key in ("first", "line", "total"))
        return Written(found["ids"], *times)
