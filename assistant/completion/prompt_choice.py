"""The prompt for a place: whole where it is read in time, else its part that is, with the rest read
in the background once the answer has gone out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from git_copilot.assistant.completion.redaction import told
from git_copilot.assistant.decoding.token_healing import heal_if_useful, may_heal
from git_copilot.assistant.prompt.builder import Budget, Prompt, build_prompt
from git_copilot.assistant.prompt.latency import fit_budget
from git_copilot.index.text.classify import language_of

if TYPE_CHECKING:
    from git_copilot.assistant.completion.request import Place
    from git_copilot.assistant.completion.session import IdleWork
    from git_copilot.assistant.core.config import Settings
    from git_copilot.assistant.decoding.generation import Generator
    from git_copilot.assistant.prompt.builder import Tokenizer
    from git_copilot.index.core.types import Hit

# A whole prompt is read at once where that takes longer by no more than this share of the limit.
QUICK = 1 / 4


@dataclass(frozen=True, slots=True)
class ChosenPrompt:
    """A prompt and its budget; ``forced_prefix`` is what must be written first. ``whole`` is the
    prompt (token ids) that there was no time to read, else empty."""

    prompt: Prompt
    forced_prefix: str
    budget: Budget
    whole: tuple[int, ...] = ()

    @property
    def left_out(self) -> int:
        """Tokens of the whole prompt that this one lacks."""
        return max(0, len(self.whole) - len(self.prompt.ids))

    def reading_ahead(self, engine: Generator) -> IdleWork | None:
        """Reads the whole prompt, for the next request; returns whether it came to its end."""
        if not self.whole:
            return None

        def read_ahead(interrupted: Callable[[], bool]) -> bool:
            return engine.read_ahead(self.whole, interrupted)

        return read_ahead


def choose_prompt(
    engine: Generator, place: Place, hits: list[Hit], settings: Settings
) -> ChosenPrompt:
    """The prompt that is read within ``copilot.latencyMs``, without secrets where it goes to a
    server.

    :param hits: the snippets, best first.
    """
    most = Budget(settings.prompt_tokens, settings.context_tokens, settings.suffix_tokens)
    rate = engine.prefill_rate
    budget = fit_budget(most, rate, settings.latency_ms)
    whole = render(engine.tokenizer, told(place, settings), hits, most, settings)
    if rate is None or budget == most:
        return whole
    unread = engine.unread(whole.prompt.ids)
    quick = rate * QUICK * settings.latency_ms / 1000
    if unread <= quick:
        return whole
    part = render(engine.tokenizer, told(place, settings), hits, budget, settings)
    if unread <= engine.unread(part.prompt.ids) + quick:
        return whole
    return ChosenPrompt(part.prompt, part.forced_prefix, budget, whole.prompt.ids)


def render(
    tokenizer: Tokenizer, place: Place, hits: list[Hit], budget: Budget, settings: Settings
) -> ChosenPrompt:
    """The prompt for a place within a budget.

    :param hits: the snippets, best first.
    """
    document = place.open_document
    prompt = build_prompt(
        tokenizer,
        path=place.path,
        language=language_of(place.path),
        prefix=document.prefix,
        suffix=document.suffix,
        snippets=hits,
        budget=budget,
        repository=place.repo.name if place.repo else "",
        healing=may_heal(settings),
    )
    healed = heal_if_useful(tokenizer, prompt, document.prefix, settings)
    return ChosenPrompt(*healed, budget)
