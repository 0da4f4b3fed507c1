"""The candidates for one place: written, trimmed, all different, and in time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from git_copilot.assistant.completion.choice import Choice, Proposal, choose, proposals_of
from git_copilot.assistant.completion.task import NOTHING, Retrieved
from git_copilot.assistant.decoding.generation import (
    CopyContext,
    Generation,
    GenerationRequest,
    Sampling,
)
from git_copilot.assistant.postprocess.indentation import Indentation
from git_copilot.assistant.postprocess.pairs import ClosedPairs
from git_copilot.assistant.postprocess.plausibility import Plausibility
from git_copilot.assistant.postprocess.trim import TrimmedText, Trimmer

if TYPE_CHECKING:
    from git_copilot.assistant.completion.request import Place
    from git_copilot.assistant.decoding.generation import Generator
    from git_copilot.assistant.prompt.builder import Prompt

# Further candidates are sampled; the first never is.
TEMPERATURE = 0.6
# What an answer is cut by that is another line or fewer lines than the model wrote.
CHOICE = "choice"
# Texts that are written side by side; more are written in turns.
MOST_AT_ONCE = 8

OnText = Callable[[str], None]


@runtime_checkable
class SideBySide(Protocol):
    """An engine that can write several texts in the time of little more than one."""

    @property
    def side_by_side(self) -> bool:
        """Whether it does with the model that it has."""

    def generate_many(self, requests: Sequence[GenerationRequest]) -> list[Generation]:
        """One generation for each of ``requests``, which differ in nothing but their sampling and
        ``should_stop``; else as
        :meth:`~git_copilot.assistant.decoding.generation.Generator.generate`, without ``on_text``.
        The first one's time limit counts for all together."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A generation, its trimmed text with the file's line ends, and the rule that cut it.

    ``text`` fits between the cursor and the closers right of it; ``whole_line`` is the text that
    replaces these closers as well, where more was written behind them. ``choice`` is how the text
    was chosen; sampled texts have none.
    """

    generation: Generation
    text: str
    rule: str | None
    whole_line: str | None = None
    choice: Choice | None = None

    @property
    def confidence(self) -> float | None:
        """Of what is shown, or of the best that is not."""
        if self.choice is None or not self.choice.proposals:
            return None
        return (self.choice.shown or self.choice.proposals[0]).confidence


class Writer:
    """Writes candidates for one prompt at one place within a time limit."""

    def __init__(
        self,
        engine: Generator,
        prompt: Prompt,
        forced_prefix: str,
        place: Place,
        *,
        found: Retrieved = NOTHING,
        threshold: float = 0.0,
        time_limit_ms: int = 0,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        """:param forced_prefix: see
            :class:`~git_copilot.assistant.decoding.generation.GenerationRequest`.
        :param found: what may be copied from, and what names exist.
        :param threshold: the least confidence at which the first candidate is shown.
        :param time_limit_ms: for all candidates together, from now; 0: none."""
        self._engine, self._prompt, self._place = engine, prompt, place
        self._forced_prefix = forced_prefix
        document = self._document = place.open_document
        behind = place.document.suffix
        self._pairs = ClosedPairs(document.prefix, behind, place.path) if place.closers else None
        self._copy_context = CopyContext.of(
            place.path, document.prefix, document.suffix, found.hits, prompt, found.members
        )
        self._names, self._threshold = found.names, threshold
        self._cancelled = cancelled
        self._end = time.perf_counter() + time_limit_ms / 1000 if time_limit_ms else None

    def write(
        self, sampling: Sampling, count: int, on_text: OnText | None = None
    ) -> list[Candidate]:
        """The candidate that one alone would be, and behind it up to ``count - 1`` others that
        say something and differ from it and from each other once they are trimmed: the other lines
        of the search, the likeliest first, then sampled ones.

        When time runs out there may be fewer, and the last may be short; one there always is.

        :param sampling: of the first candidate; the others have its limit and later seeds.
        :param on_text: gets what of the first candidate can be shown while it is written.
        """
        # Who asks for several candidates looks at them all the same.
        threshold = self._threshold if count == 1 else 0.0
        found = [self._first(sampling, on_text, threshold)]
        if count > 1:
            found += self._further(found[0], count - 1)
        others = [
            replace(sampling, temperature=TEMPERATURE, seed=sampling.seed + number)
            for number in range(1, count - len(found) + 1)
        ]
        for start in range(0, len(others), MOST_AT_ONCE):
            if self._late() or self._cancelled():
                break
            found += self._sampled(others[start : start + MOST_AT_ONCE])
        different = {found[0].text: found[0]}
        for candidate in found[1:]:
            if candidate.text:
                different.setdefault(candidate.text, candidate)
        return list(different.values())

    def _first(self, sampling: Sampling, on_text: OnText | None, threshold: float) -> Candidate:
        trimmer = self._trimmer()
        indentation = self._indentation()
        weights = self._engine.confidence
        # Where there is a choice, nothing is shown before it is made.
        shows = on_text is not None and weights is None
        show = self._shower(trimmer, indentation, on_text) if shows and on_text else _ignore
        should_stop = self._ending(trimmer, indentation)
        generation = self._engine.generate(self._request(sampling, should_stop, show))
        written = self._trimmed(trimmer, generation)
        if weights is None:
            return written
        main = TrimmedText(_plain(written.text), written.rule)
        proposals = proposals_of(generation, main, self._trim_alternative)
        choice = choose(proposals, weights, self._plausibility(), threshold)
        shown = choice.shown
        if shown is None:
            return replace(written, text="", whole_line=None, choice=choice)
        if shown.text == main.text:
            return replace(written, choice=choice)
        text = self._in_file(shown.text)
        return Candidate(generation, text, shown.rule or CHOICE, None, choice)

    def _further(self, first: Candidate, count: int) -> list[Candidate]:
        """Proposals that were not chosen and break no rule, the most useful first, none of which is
        the beginning of another one."""
        if first.choice is None:
            return []
        found: list[Candidate] = []
        shown = [first.text.rstrip()]
        for each in first.choice.proposals:
            text = self._in_file(each.text)
            alike = any(text.startswith(other) or other.startswith(text) for other in shown)
            if alike or not text.strip() or self._faulty(each):
                continue
            shown.append(text)
            choice = Choice(each, first.choice.proposals)
            found.append(Candidate(first.generation, text, each.rule or CHOICE, None, choice))
            if len(found) == count:
                break
        return found

    def _faulty(self, proposal: Proposal) -> bool:
        if proposal.faults is not None:
            return bool(proposal.faults)
        return bool(self._plausibility().faults(proposal.text))

    def _plausibility(self) -> Plausibility:
        document = self._place.document
        return Plausibility(document.prefix, document.suffix, self._place.path, self._names)

    def _trim_alternative(self, text: str) -> TrimmedText:
        trimmed = self._trimmer().trim(self._indentation().apply(_plain(text)))
        inside = trimmed.text if self._pairs is None else self._pairs.inside(trimmed.text)
        return TrimmedText(inside, trimmed.rule)

    def _request(
        self, sampling: Sampling, should_stop: Callable[[str], bool], on_text: OnText
    ) -> GenerationRequest:
        """A request that may take what is left of the time."""
        return GenerationRequest(
            self._prompt.ids,
            self._limited(sampling),
            forced_prefix=self._forced_prefix,
            copy_context=self._copy_context,
            should_stop=should_stop,
            is_cancelled=self._cancelled,
            on_text=on_text,
        )

    def _sampled(self, samplings: Sequence[Sampling]) -> list[Candidate]:
        trimmers = [self._trimmer() for _ in samplings]
        endings = [self._ending(trimmer, self._indentation()) for trimmer in trimmers]
        pairs = list(zip(samplings, endings, strict=True))
        if isinstance(self._engine, SideBySide) and self._engine.side_by_side:
            made = self._engine.generate_many([self._request(*pair, _ignore) for pair in pairs])
        else:
            made = [
                self._engine.generate(self._request(*pair, _ignore))
                for pair in pairs
                if not self._late() and not self._cancelled()
            ]
        return [self._trimmed(*pair) for pair in zip(trimmers, made, strict=False)]

    def _trimmer(self) -> Trimmer:
        document = self._document
        return Trimmer(
            document.prefix,
            document.suffix,
            path=self._place.path,
            left_to_right=self._prompt.left_to_right,
        )

    def _indentation(self) -> Indentation:
        document = self._document
        return Indentation(document.prefix, document.suffix, self._place.path)

    def _ending(self, trimmer: Trimmer, indentation: Indentation) -> Callable[[str], bool]:
        """Whether a text that is being written is enough."""
        enough = indentation.until(trimmer.finished)
        return lambda text: enough(_plain(text)) or self._leaves_line(text)

    def _leaves_line(self, text: str) -> bool:
        """Whether the pair at the cursor is closed and its line complete."""
        end = None if self._pairs is None or "\n" not in text else self._pairs.end(text)
        return end is not None and "\n" in text[end:]

    def _trimmed(self, trimmer: Trimmer, generation: Generation) -> Candidate:
        indented = self._indentation().apply(_plain(generation.text))
        trimmed = trimmer.trim(indented, generation.finish, empty_margin=generation.empty_margin)
        if self._pairs is None:
            return Candidate(generation, self._in_file(trimmed.text), trimmed.rule)
        inside = self._pairs.inside(trimmed.text)
        line = trimmed.text[: len(inside)] + trimmed.text[len(inside) :].partition("\n")[0]
        more = line[len(inside) :].removeprefix(self._place.closers)
        whole = self._in_file(line) if more else None
        return Candidate(generation, self._in_file(inside), trimmed.rule, whole)

    def _in_file(self, text: str) -> str:
        """``text`` with the line ends of the file."""
        return text.replace("\n", self._document.newline)

    def _shower(self, trimmer: Trimmer, indentation: Indentation, on_text: OnText) -> OnText:
        """Hands on the whole lines that no rule has ended: half a line could be half a secret,
        which only the whole one gives away."""
        shown = 0

        def show(text: str) -> None:
            nonlocal shown
            text = indentation.apply_to_whole_lines(_plain(text))
            lines = text.rpartition("\n")[0]
            closed = self._pairs is not None and self._pairs.end(lines) is not None
            if len(lines) > shown and not closed and not trimmer.finished(text):
                shown = len(lines)
                on_text(self._in_file(lines))

        return show

    def _limited(self, sampling: Sampling) -> Sampling:
        """With what is left of the time, at least a millisecond."""
        if self._end is None:
            return sampling
        left = int((self._end - time.perf_counter()) * 1000)
        return replace(sampling, time_limit_ms=max(left, 1))

    def _late(self) -> bool:
        return self._end is not None and time.perf_counter() >= self._end


def _ignore(text: str) -> None:
    pass


def _plain(text: str) -> str:
    """Line ends as the prompt has them; the file's own are put in last."""
    return text.replace("\r", "")
