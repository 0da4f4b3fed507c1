"""What generating text takes and gives, for every engine. Nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from git_copilot.assistant.prompt.builder import Prompt, Tokenizer
from git_copilot.index.core.types import Hit

REPLACEMENT = "\ufffd"  # what an unfinished UTF-8 character decodes to


@dataclass(frozen=True, slots=True)
class Sampling:
    """Greedy at ``temperature`` 0, else nucleus sampling with a fixed ``seed``.

    ``time_limit_ms`` bounds the whole of reading the prompt and writing (0: no bound).
    ``alternatives`` are tokens that may be read for a likelier line once one was written greedily
    (0: none), see best_first_search.py.
    """

    max_tokens: int = 64
    temperature: float = 0.0
    top_p: float = 0.95
    seed: int = 0
    time_limit_ms: int = 0
    alternatives: int = 0


@dataclass(frozen=True, slots=True)
class CopyContext:
    """Text that may be copied from, see copy_model.py: the file before and behind the cursor but for
    the ``shown`` characters of each that the prompt has, and snippets of other files that it has
    not, with their paths, best first."""

    path: str
    prefix: str
    suffix: str
    nearby: tuple[tuple[str, str], ...] = ()
    shown: tuple[int, int] = (0, 0)

    @classmethod
    def of(
        cls, path: str, prefix: str, suffix: str, hits: Sequence[Hit], prompt: Prompt
    ) -> CopyContext:
        """A file cut at the cursor, what the search found for it, and the prompt made of both."""
        used = {(hit.path, hit.blob, hit.start_line) for hit, _ in prompt.snippets}
        nearby = (
            (hit.path, hit.text.replace("\r\n", "\n"))
            for hit in hits
            if (hit.path, hit.blob, hit.start_line) not in used
        )
        return cls(path, prefix, suffix, tuple(nearby), prompt.shown)


@dataclass(frozen=True, slots=True)
class Generation:
    """Generated text and what it took; times are in milliseconds.

    ``finish`` is ``"stop"`` (the model ended), ``"trimmed"`` (the caller had enough) or
    ``"length"`` (the tokens or the time ran out, or the caller cancelled). ``drafted`` tokens were
    guessed by prompt look-up, and ``accepted`` of them were right. ``ids`` are what was written,
    the lead's included, where the engine knows them. ``copied`` are the paths from which tokens
    came that the model alone would not have written, one for each. ``tried`` tokens were read
    for likelier lines; ``instead_of`` is the greedy text where one was found. ``doubt`` is by how many
    nats it is likelier to end at once than to write the first line of the text (``None``: unknown).
    """

    text: str
    finish: str
    tokens: int
    cached_tokens: int
    prefill_ms: float
    decode_ms: float
    drafted: int = 0
    accepted: int = 0
    ids: tuple[int, ...] = ()
    copied: tuple[str, ...] = ()
    tried: int = 0
    instead_of: str | None = None
    doubt: float | None = None


class Generator(Protocol):
    """A model that continues prompts: in this process (engine.py) or on a server."""

    @property
    def tokenizer(self) -> Tokenizer: ...

    @property
    def prefill_rate(self) -> float | None:
        """Tokens of a new prompt that it reads in a second, as measured; ``None``: unknown."""

    def generate(
        self,
        prompt: Sequence[int],
        sampling: Sampling,
        *,
        lead: str = "",
        around: CopyContext | None = None,
        enough: Callable[[str], bool] = lambda text: False,
        cancelled: Callable[[], bool] = lambda: False,
        on_text: Callable[[str], None] = lambda text: None,
    ) -> Generation:
        """Continue ``prompt`` until the model ends, ``enough`` says so, or tokens or time run out.

        Called again with the same prompt it reads nothing again, so that several candidates
        cost one prefill.

        :param lead: text with which the generated text must begin (the prompt was cut short by
            the tokens that write it: token healing). It is in no text that the caller sees, its
            tokens count.
        :param around: what to copy from, where the engine's model is one that copies.
        :param enough: gets the text so far after every token.
        :param cancelled: asked before every token and every part of the prompt; a true answer
            ends with what there is.
        :param on_text: gets the text so far whenever it grew, in whole characters.
        """
