"""One text as a model writes it, and what ends it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch

from git_copilot.assistant.decoding.best_first_search import BestFirstSearch, Hypothesis
from git_copilot.assistant.decoding.copy_model import CopySource
from git_copilot.assistant.decoding.empty_answer import EmptyAnswerScore
from git_copilot.assistant.decoding.generation import REPLACEMENT, Generation, Sampling
from git_copilot.assistant.decoding.prompt_lookup import MAX_GUESS, PromptLookup
from git_copilot.assistant.decoding.sampling import PrefixIndex, make_sampler, sample_among
from git_copilot.assistant.prompt.tokenizer import TextTokenizer


class DecodingState:
    """Chooses tokens from logits, one after the other, until the text is finished.

    ``text`` is what the caller may see: without the lead and without half a character. ``finish``
    is that of :class:`~git_copilot.assistant.decoding.generation.Generation`.
    """

    def __init__(
        self,
        tokenizer: TextTokenizer,
        spellings: PrefixIndex,
        sampling: Sampling,
        *,
        lead: str,
        enough: Callable[[str], bool],
        on_text: Callable[[str], None],
        source: CopySource | None = None,
    ) -> None:
        """See :meth:`git_copilot.assistant.decoding.generation.Generator.generate`."""
        self.ids: list[int] = []
        self.text, self.finish = "", "length"
        self.done = sampling.max_tokens <= 0
        self.drafted = self.accepted = 0
        self.copied: list[str] = []
        self._tokenizer, self._spellings, self._ends = tokenizer, spellings, tokenizer.end_ids
        self._pick, self._most = make_sampler(sampling), sampling.max_tokens
        self._lead, self._enough, self._on_text = lead, enough, on_text
        self._source = source
        # Sampled texts, and those that must begin with a lead, are no choice of the model.
        greedy = sampling.temperature <= 0 and not lead
        self._doubt = EmptyAnswerScore(tokenizer.end_ids) if greedy else None
        self._written = ""
        self._forced: list[int] = []  # the rest of a character that is written byte by byte
        self._lookup: PromptLookup | None = None
        self._leading = False  # the last guess was of the lead: nothing is learnt from it
        self._lines: BestFirstSearch | None = None
        self._line = Hypothesis()
        self._effort, self._tried = sampling.alternatives, 0
        self._instead_of: str | None = None
        reward = source.reward if source else None
        if source and reward is not None and self._effort > 0 and sampling.temperature <= 0:
            self._lines = BestFirstSearch(source, reward)

    def look_up(self, prompt: Sequence[int], draft: Sequence[int]) -> None:
        """Guess from ``draft``, or from ``prompt`` when that is empty."""
        self._lookup = PromptLookup(draft, prompt) if draft else PromptLookup(prompt)

    def add(self, logits: torch.Tensor) -> bool:
        """Choose the next token from logits (vocabulary,); false once the text is finished."""
        token = self._choose(logits)
        if token in self._ends:
            self.finish, self.done = "stop", True
            return False
        self.ids.append(token)
        self._written = self._tokenizer.decode(self.ids)
        self.done = len(self.ids) >= self._most
        text = self._written[len(self._lead) :]
        grew = not text.endswith(REPLACEMENT) and len(text) > len(self.text)
        self.text = text.removesuffix(REPLACEMENT)
        if grew:
            self._on_text(text)
            if self._enough(text):
                self.finish, self.done = "trimmed", True
        return not self.done

    def _choose(self, logits: torch.Tensor) -> int:
        """The next token: the model's choice, of those alone that write the lead while some of it
        is missing."""
        if self._forced:
            return self._forced.pop(0)
        if self._source is not None:
            return self._chosen_beside(logits, self._source)
        token = self._chosen(logits)
        self._weigh(token, logits)
        return token

    def _weigh(self, token: int, logits: torch.Tensor) -> None:
        if self._doubt is not None:
            self._doubt.note(token, logits, self._written)

    def _chosen_beside(self, logits: torch.Tensor, source: CopySource) -> int:
        """The same where there is something to copy; notes what the model would not have written."""
        mixed = source.mix(logits, self._written)
        token = self._chosen(mixed)
        self._weigh(token, mixed)
        self._note(token, logits, mixed)
        if source.ends_line(token, mixed, self._written):
            return next(iter(self._ends))
        origin = source.origin(token)
        shown = len(self._written) >= len(self._lead)
        if origin and shown and token != int(logits.argmax()):
            self.copied.append(origin)
        return token

    def _note(self, token: int, logits: torch.Tensor, mixed: torch.Tensor) -> None:
        """Note what else could have come than ``token``, as long as the first line is written."""
        if self._lines is None or tuple(self.ids) != self._line.ids:
            return
        self._line = self._lines.note(self._line, logits, mixed, self._written)
        if token != self._line.ids[-1]:
            self._lines.leave(self._line)

    def improve(
        self, follow: Callable[[list[tuple[int, ...]]], torch.Tensor], over: Callable[[], bool]
    ) -> None:
        """Put the likeliest line that is found in the place of a greedy one.

        :param follow: gives the logits (texts, vocabulary) behind the tokens of some lines.
        """
        if self._lines is None or self.finish != "stop" or "\n" in self.text or not self.text:
            return
        decode = self._tokenizer.decode
        self._tried = self._lines.search(follow, decode, self._effort, over, self._most)
        best = self._lines.best
        text = decode(list(best.ids))
        if best.ids and text != self.text and REPLACEMENT not in text:
            self._instead_of, self.text = self.text, text
            self.ids, self.copied = list(best.ids), list(best.copied)
            if self._doubt is not None:
                self._doubt.instead(self._lines.nats(best))

    def _chosen(self, logits: torch.Tensor) -> int:
        wanted = self._lead[len(self._written) :]
        if not wanted:
            return self._pick(logits)
        allowed = self._spellings.fit(wanted, len(logits))
        if len(allowed):
            return sample_among(self._pick, logits, allowed)
        first, *self._forced = self._tokenizer.encode(wanted[0])
        return first

    def guess(self) -> list[int]:
        """Tokens that may come next, as many as are still of use."""
        most = min(MAX_GUESS, self._most - len(self.ids) - 1)
        if self._lookup is None or most <= 0:
            return []
        wanted = self._lead[len(self._written) :]
        self._leading = bool(wanted)
        if wanted:
            return self._tokenizer.encode(wanted)[:most]
        copied = []
        if self._source is not None:
            copied = self._source.follow(self._written, min(most, self._lookup.limit))
        return copied or self._lookup.guess(most)

    def judged(self, guess: Sequence[int], right: int, new: int) -> None:
        """Note how many tokens of a guess were right, and that ``new`` tokens were written."""
        if self._lookup is None:
            return
        if guess and not self._leading:
            self.drafted += len(guess)
            self.accepted += right
            self._lookup.learn(len(guess), right)
        self._lookup.extend(self.ids[len(self.ids) - new :])

    def generation(self, reused: int, begun: float, prefilled: float) -> Generation:
        """What was written.

        :param reused: tokens of the prompt that were not read anew.
        :param begun: when reading began, and ``prefilled`` when it ended, by the performance
            counter.
        """
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
            doubt=self._doubt.value if self._doubt else None,
        )
