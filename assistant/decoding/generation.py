"""The request and the result of generating text, for every engine. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from git_copilot.assistant.decoding.confidence import ConfidenceWeights, LineCost
from git_copilot.assistant.prompt.builder import Prompt, Tokenizer
from git_copilot.index.core.types import Hit

REPLACEMENT = "\ufffd"  # what an unfinished UTF-8 character decodes to


@dataclass(frozen=True, slots=True)
class Sampling:
    """Greedy at ``temperature`` 0, else nucleus sampling with a fixed ``seed``.

    ``time_limit_ms`` bounds prefill and decoding together (0: no bound). ``alternatives`` is the
    number of tokens that the search for a likelier line may read after greedy decoding (0: no
    search), see best_first_search.py. ``first_lines``: search for other first lines of a block as
    well; they replace nothing.
    """

    max_tokens: int = 64
    temperature: float = 0.0
    top_p: float = 0.95
    seed: int = 0
    time_limit_ms: int = 0
    alternatives: int = 0
    first_lines: bool = False


@dataclass(frozen=True, slots=True)
class Members:
    """The names that a module or a class has; ``begun`` is what of the wanted one stands before the
    cursor."""

    names: tuple[str, ...]
    begun: str = ""


@dataclass(frozen=True, slots=True)
class CopyContext:
    """Text that may be copied from, see copy_model.py: the file before and behind the cursor, and
    ``nearby`` snippets of other files, best first, as (path, text). The ``shown`` characters before
    and behind the cursor are in the prompt and left out; so are the prompt's snippets. Where a
    member of something known is asked for, ``members`` are the names that it has."""

    path: str
    prefix: str
    suffix: str
    nearby: tuple[tuple[str, str], ...] = ()
    shown: tuple[int, int] = (0, 0)
    members: Members | None = None

    @classmethod
    def of(
        cls,
        path: str,
        prefix: str,
        suffix: str,
        hits: Sequence[Hit],
        prompt: Prompt,
        members: Members | None = None,
    ) -> CopyContext:
        """A file cut at the cursor, the search hits for it, the prompt made of both, and the names
        that may stand at the cursor."""
        used = {(hit.path, hit.blob, hit.start_line) for hit, _ in prompt.snippets}
        nearby = (
            (hit.path, hit.text.replace("\r\n", "\n"))
            for hit in hits
            if (hit.path, hit.blob, hit.start_line) not in used
        )
        return cls(path, prefix, suffix, tuple(nearby), prompt.shown, members)


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """A prompt to continue, and when to stop.

    :ivar prompt: token ids.
    :ivar forced_prefix: text with which the generated text must begin, because the prompt leaves
        out the tokens that write it (token healing). Callbacks and the result do not show it; its
        tokens count.
    :ivar copy_context: what to copy from, where the engine's model copies.
    :ivar draft: token ids in which guesses are looked up, instead of the prompt. The text does not
        depend on it.
    :ivar should_stop: gets the text so far after each token; true ends the generation.
    :ivar is_cancelled: called before each token and each part of the prompt; true ends the
        generation with the text so far.
    :ivar on_text: gets the text so far whenever it grew, in whole characters.
    """

    prompt: Sequence[int]
    sampling: Sampling
    forced_prefix: str = ""
    copy_context: CopyContext | None = None
    draft: Sequence[int] = ()
    should_stop: Callable[[str], bool] = lambda text: False
    is_cancelled: Callable[[], bool] = lambda: False
    on_text: Callable[[str], None] = lambda text: None


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another line that could be written, with the nats of its tokens and of the end behind it, the
    number of these tokens, and paths as in :attr:`Generation.copied`."""

    text: str
    nats: float
    tokens: int
    copied: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Generation:
    """Generated text and its cost; times are in milliseconds.

    ``finish`` is ``"stop"`` (the model ended), ``"trimmed"`` (``should_stop`` said so) or
    ``"length"`` (out of tokens or time, or cancelled). ``drafted`` tokens were guessed by prompt
    look-up, and ``accepted`` of them were right. ``ids`` are the generated tokens, those of the
    forced prefix included, where the engine knows them. ``copied`` has a path for each token that
    the model alone would not have written. ``tried`` tokens were read in the search for a likelier
    line; ``instead_of`` is the greedy text that it replaced. ``empty_margin`` is by how many nats
    ending at once is likelier than the first line of the text (``None``: unknown). ``lines`` has the
    cost of each line that was written (empty: unknown). ``alternatives`` are lines that the search
    found besides, best first.
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
    empty_margin: float | None = None
    lines: tuple[LineCost, ...] = ()
    alternatives: tuple[Alternative, ...] = ()


class Generator(Protocol):
    """A model that continues prompts: in this process (engine.py) or on a server."""

    @property
    def tokenizer(self) -> Tokenizer: ...

    @property
    def confidence(self) -> ConfidenceWeights | None:
        """Weights that say how sure its texts are; ``None``: unknown."""

    @property
    def prefill_rate(self) -> float | None:
        """Measured prefill speed, in tokens per second; ``None``: unknown."""

    def generate(self, request: GenerationRequest) -> Generation:
        """Continue the prompt until the model ends, the request says so, or tokens or time run out.

        A second call with the same prompt reads none of it again, so that several candidates cost
        one prefill.
        """

    def unread(self, prompt: Sequence[int]) -> int:
        """How many tokens of ``prompt`` no cache holds."""

    def read_ahead(self, prompt: Sequence[int], is_cancelled: Callable[[], bool]) -> bool:
        """Read a prompt that is likely to come. What was read until ``is_cancelled`` is kept.

        :return: whether all of it was read.
        """
