"""Scores one example with the engine that serves, in one pass over its prompt.

The likelihood of the middle is taken first. Its logits also show what the model would have written
as long as it agrees with the middle: where greedy decoding clearly reproduces the whole middle and
ends there, nothing is decoded. Elsewhere the engine decodes from the same cache, with the middle
as the draft of speculative decoding, which changes the speed and not the text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from git_copilot.assistant.dataset.examples import Example
from git_copilot.assistant.decoding.engine import Engine
from git_copilot.assistant.decoding.generation import Generation, GenerationRequest, Sampling
from git_copilot.assistant.evaluation.batched_scoring import (
    Completion,
    indentation_for,
    trimmer_for,
)

# Many rows at once are rounded differently from one row. A choice counts as known only where the
# next best token is less likely by more than this many nats; bf16 logits differ by less than 0.1.
CLEAR_NATS = 0.5


class OnePassScorer:
    """Scores examples with one engine, one after the other. No result depends on earlier ones."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @torch.inference_mode()
    def score(
        self,
        example: Example,
        forced_prefix: str,
        sampling: Sampling,
        *,
        stop_early: bool = True,
        draft: Sequence[int] = (),
    ) -> tuple[list[float], Completion | None]:
        """The negative log-likelihood, in nats, of each token of the middle, and the completion
        (``None`` without ``sampling.max_tokens``).

        :param stop_early: stop as soon as a trim rule cuts the text.
        :param draft: what the completion may be, by default the middle.
        """
        request = GenerationRequest(
            example.prompt_ids,
            sampling,
            forced_prefix,
            example.copy_context,
            draft=(*example.prompt_ids, *(draft or example.middle_ids[:-1])),
        )
        rows = self._logits(example)
        likelihoods = self.engine.likelihood_of(
            rows, example.middle_ids, self.engine.copy_source(request)
        )
        completion = None
        if sampling.max_tokens:
            completion = self._read_off(rows, example, request, stop_early)
            if completion is None:
                ending = Ending(example, stop_early)
                completion = ending.completion(self.engine.generate(ending.added_to(request)))
        self._forget(example)
        return likelihoods, completion

    def time_decoding(
        self, example: Example, tokens: int, now: Callable[[], float]
    ) -> tuple[int, float]:
        """How many tokens the model writes by itself, at most ``tokens``, and in how many seconds
        without those of reading the prompt."""
        prompt = example.prompt_ids
        self.engine.generate(GenerationRequest(prompt, Sampling(max_tokens=0)))
        begun = now()
        made = self.engine.generate(GenerationRequest(prompt, Sampling(max_tokens=tokens)))
        seconds = now() - begun
        self._forget(example)
        return made.tokens, seconds

    def _forget(self, example: Example) -> None:
        """Let the next example begin with an empty cache: its result is the same in any order."""
        self.engine.slots.drop(self.engine.slots.take(example.prompt_ids))

    def _logits(self, example: Example) -> torch.Tensor:
        """The model's float32 logits (middle, vocabulary) before each token of the middle; the
        cache then holds the prompt, if it can be cropped."""
        prompt, ids = example.prompt_ids, example.middle_ids
        # Reads the prompt, and nothing more.
        self.engine.generate(GenerationRequest(prompt, Sampling(max_tokens=0)))
        slot, backend = self.engine.slots.take(prompt), self.engine.backend
        rows = [slot.known_logits[1][None]]
        if len(ids) > 1:
            # `forward` takes no account of the slot: only its cache grows, until it is cropped.
            rows.append(backend.forward(slot.cache, list(ids[:-1]), len(ids) - 1))
            slot.crop(len(prompt))
        return torch.cat(rows).float()

    def _read_off(
        self, rows: torch.Tensor, example: Example, request: GenerationRequest, stop_early: bool
    ) -> Completion | None:
        """What the engine would write, where ``rows`` show it clearly, else ``None``."""
        source = self.engine.copy_source(request)
        if request.sampling.alternatives > 0 and source is not None and source.reward is not None:
            return None  # the search may find a likelier line than the greedy one
        handicapped = rows.clone()
        handicapped[torch.arange(len(rows)), list(example.middle_ids)] -= CLEAR_NATS
        if self._followed(handicapped, example, request, stop_early) is None:
            return None
        return self._followed(rows, example, request, stop_early)

    def _followed(
        self, rows: torch.Tensor, example: Example, request: GenerationRequest, stop_early: bool
    ) -> Completion | None:
        """The completion by greedy decoding, if it ends without leaving the middle."""
        ending = Ending(example, stop_early)
        state = self.engine.decoding_state(
            ending.added_to(request), self.engine.copy_source(request)
        )
        for row, token in zip(rows, example.middle_ids, strict=True):
            going_on = state.add(row)
            if state.finish != "stop" and state.ids[-1] != token:
                return None
            if not going_on:
                return ending.completion(state.generation(0, 0.0, 0.0))
        return None


class Ending:
    """The rules that stop and trim one completion. They remember the text so far, so every attempt
    at it has its own."""

    def __init__(self, example: Example, stop_early: bool) -> None:
        self._trimmer, self._indentation = trimmer_for(example), indentation_for(example)
        self._stop_early, self._cut = stop_early, example.cut

    def added_to(self, request: GenerationRequest) -> GenerationRequest:
        """The request with these rules."""
        if not self._stop_early:
            return request
        return replace(request, should_stop=self._indentation.until(self._trimmer.finished))

    def completion(self, written: Generation) -> Completion:
        """The answer of serving for a generated text."""
        kept = self._trimmer.trim(
            self._indentation.apply(written.text),
            written.finish,
            empty_margin=written.empty_margin,
        )
        return Completion(
            self._cut.inside(kept.text),
            written.text,
            written.finish,
            kept.rule,
            written.tokens,
            written.ids,
        )
