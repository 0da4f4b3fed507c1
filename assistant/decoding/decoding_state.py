"""The state of one text while it is decoded, and the conditions that end it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch

from git_copilot.assistant.decoding.best_first_search import BestFirstSearch, Hypothesis
from git_copilot.assistant.decoding.confidence import LineCost
from git_copilot.assistant.decoding.copy_source import CopySource
from git_copilot.assistant.decoding.empty_answer import EmptyMargin
from git_copilot.assistant.decoding.generation import (
    REPLACEMENT,
    Alternative,
    Generation,
    GenerationRequest,
)
from git_copilot.assistant.decoding.prompt_lookup import MAX_DRAFT, PromptLookup
from git_copilot.assistant.decoding.sampling import PrefixIndex, make_sampler, sample_among
from git_copilot.assistant.prompt.tokenizer import TextTokenizer

# Lines that the search found and that are offered besides the best.
MAX_ALTERNATIVES = 8


class DecodingState:
    """Chooses tokens from logits, one after the other, until the text is finished.

    ``text`` is what the caller may see: without the forced prefix and without half a character.
    ``finish`` is that of :class:`~git_copilot.assistant.decoding.generation.Generation`.
    """

    def __init__(
        self,
        tokenizer: TextTokenizer,
        prefix_index: PrefixIndex,
        request: GenerationRequest,
        source: CopySource | None = None,
    ) -> None:
        """:param source: where to copy from."""
        sampling = request.sampling
        self.ids: list[int] = []
        self.text, self.finish = "", "length"
        self.done = sampling.max_tokens <= 0
        self.drafted = self.accepted = 0
        self.copied: list[str] = []
        self._tokenizer, self._prefix_index = tokenizer, prefix_index
        self._end_ids = tokenizer.end_ids
        self._sample, self._max_tokens = make_sampler(sampling), sampling.max_tokens
        self._forced_prefix = request.forced_prefix
        self._should_stop, self._on_text = request.should_stop, request.on_text
        self._source = source
        # Sampled texts, and those with a forced prefix, are no choice of the model.
        greedy = sampling.temperature <= 0
        self._empty_margin = (
            EmptyMargin(self._end_ids) if greedy and not request.forced_prefix else None
        )
        self._written = ""
        self._nats: list[float] = []
        self._allowed: torch.Tensor | None = None
        self._lines: list[LineCost] = []
        self._alternatives: tuple[Alternative, ...] = ()
        self._forced_ids: list[int] = []  # the rest of a character that is written byte by byte
        self._lookup: PromptLookup | None = None
        # The last draft was of the forced prefix: nothing is learnt from it.
        self._drafted_prefix = False
        self._search: BestFirstSearch | None = None
        self._hypothesis = Hypothesis()
        self._search_tokens, self._tried = sampling.alternatives, 0
        self._instead_of: str | None = None
        reward = source.reward if source else None
        # Whether a likelier line is the answer, or an alternative to its first line.
        self._replaces = reward is not None
        if source and reward is None and sampling.first_lines:
            reward = source.reward_of_first_line
        if source and reward is not None and self._search_tokens > 0 and greedy:
            self._search = BestFirstSearch(source, reward)

    def enable_lookup(self, prompt: Sequence[int], draft: Sequence[int]) -> None:
        """Draft from ``draft``, or from ``prompt`` when that is empty."""
        self._lookup = PromptLookup(draft, prompt) if draft else PromptLookup(prompt)

    def add(self, logits: torch.Tensor) -> bool:
        """Choose the next token from logits (vocabulary,); false once the text is finished."""
        token = self._choose(logits)
        if token in self._end_ids:
            self._end_line()
            self.finish, self.done = "stop", True
            return False
        self.ids.append(token)
        self._written = self._tokenizer.decode(self.ids)
        self.done = len(self.ids) >= self._max_tokens
        text = self._written[len(self._forced_prefix) :]
        if text.count("\n") > len(self._lines):
            self._end_line()
        grew = not text.endswith(REPLACEMENT) and len(text) > len(self.text)
        self.text = text.removesuffix(REPLACEMENT)
        if grew:
            self._on_text(text)
            if self._should_stop(text):
                self.finish, self.done = "trimmed", True
        return not self.done

    def _end_line(self) -> None:
        self._lines.append(LineCost(sum(self._nats), len(self.ids)))

    def _choose(self, logits: torch.Tensor) -> int:
        """The model's choice; while some of the forced prefix is missing, among its tokens only."""
        if self._forced_ids:
            self._nats.append(0.0)
            return self._forced_ids.pop(0)
        if self._source is not None:
            return self._choose_mixed(logits, self._source)
        token = self._sample_allowed(logits)
        self._update_margin(token, logits)
        return token

    def _update_margin(self, token: int, logits: torch.Tensor) -> None:
        # What had to be written costs nothing: only tokens that write it were possible.
        possible = logits if self._allowed is None else logits[self._allowed.to(logits.device)]
        self._nats.append(float(torch.logsumexp(possible, dim=0) - logits[token]))
        if self._empty_margin is not None:
            self._empty_margin.add(token, logits, self._written)

    def _choose_mixed(self, logits: torch.Tensor, source: CopySource) -> int:
        """The choice with copying; notes the origin of what the model would not have written."""
        mixed = source.mix(logits, self._written)
        token = self._sample_allowed(mixed)
        self._update_margin(token, mixed)
        self._expand(token, logits, mixed)
        if source.ends_line(token, mixed, self._written):
            return next(iter(self._end_ids))  # a line end has the nats of an end
        origin = source.origin(token)
        visible = len(self._written) >= len(self._forced_prefix)
        if origin and visible and token != int(logits.argmax()):
            self.copied.append(origin)
        return token

    def _expand(self, token: int, logits: torch.Tensor, mixed: torch.Tensor) -> None:
        """Give the search the alternatives to ``token``, as long as the first line is written."""
        if self._search is None or tuple(self.ids) != self._hypothesis.ids:
            return
        self._hypothesis = self._search.expand(self._hypothesis, logits, mixed, self._written)
        if token != self._hypothesis.ids[-1]:
            self._search.push(self._hypothesis)

    def search_likelier_line(
        self,
        forward: Callable[[list[tuple[int, ...]]], torch.Tensor],
        expired: Callable[[], bool],
    ) -> None:
        """Replace the greedy line by the likeliest one that the search finds; before a block, find
        other first lines.

        :param forward: gives the logits (texts, vocabulary) behind the tokens of some lines.
        """
        if self._search is None or not self.text:
            return
        replaces = self._replaces and self.finish == "stop" and "\n" not in self.text
        if not replaces and self._replaces:
            return
        decode = self._tokenizer.decode
        self._tried = self._search.run(
            forward, decode, self._search_tokens, expired, self._max_tokens
        )
        best = self._search.best
        text = decode(list(best.ids)) if replaces else self.text.partition("\n")[0]
        found = sorted(self._search.whole)[: MAX_ALTERNATIVES + 1]
        lines = (Alternative(decode(list(h.ids)), sum(h.nats), len(h.ids), h.copied) for h in found)
        self._alternatives = tuple(
            line for line in lines if line.text != text and REPLACEMENT not in line.text
        )[:MAX_ALTERNATIVES]
        if replaces and best.ids and text != self.text and REPLACEMENT not in text:
            self._instead_of, self.text = self.text, text
            self.ids, self.copied = list(best.ids), list(best.copied)
            self._nats = list(best.nats)
            self._lines = []
            self._end_line()
            if self._empty_margin is not None:
                self._empty_margin.replace_line(self._search.cost(best))

    def _sample_allowed(self, logits: torch.Tensor) -> int:
        missing = self._forced_prefix[len(self._written) :]
        self._allowed = None
        if not missing:
            return self._sample(logits)
        allowed = self._prefix_index.tokens_for(missing, len(logits))
        if len(allowed):
            self._allowed = allowed
            return sample_among(self._sample, logits, allowed)
        first, *self._forced_ids = self._tokenizer.encode(missing[0])
        return first

    def draft(self) -> list[int]:
        """Tokens that may come next, at most as many as can still be used."""
        limit = min(MAX_DRAFT, self._max_tokens - len(self.ids) - 1)
        if self._lookup is None or limit <= 0:
            return []
        missing = self._forced_prefix[len(self._written) :]
        self._drafted_prefix = bool(missing)
        if missing:
            return self._tokenizer.encode(missing)[:limit]
        copied = []
        if self._source is not None:
            copied = self._source.draft(self._written, min(limit, self._lookup.limit))
        return copied or self._lookup.draft(limit)

    def verified(self, draft: Sequence[int], accepted: int, new: int) -> None:
        """Note how many tokens of a draft were accepted, and that ``new`` tokens were written."""
        if self._lookup is None:
            return
        if draft and not self._drafted_prefix:
            self.drafted += len(draft)
            self.accepted += accepted
            self._lookup.adapt(len(draft), accepted)
        self._lookup.extend(self.ids[len(self.ids) - new :])

    def generation(self, reused: int, begun: float, prefilled: float) -> Generation:
        """The result.

        :param reused: tokens of the prompt that came from a cache.
        :param begun: when the prefill began, and ``prefilled`` when it ended, in seconds of
            ``time.perf_counter``.
        """
        if self.finish != "stop" and self._nats and self.text.count("\n") >= len(self._lines):
            self._end_line()  # the last line has no end
        return Generation(
            text=self.text,
            finish=self.finish,
            tokens=len(self.ids),
            cached_tokens=reused,
            prefill_ms=(prefilled - begun) * 1000,
            decode_ms=(time.perf_counter() - prefilled) * 1000,
            drafted=self.drafted,
            accepted=self.accepted,
            ids=tuple(self.ids),
            copied=tuple(self.copied),
            tried=self._tried,
            instead_of=self._instead_of,
            empty_margin=self._empty_margin.value if self._empty_margin else None,
            lines=tuple(self._lines),
            alternatives=self._alternatives,
        )
