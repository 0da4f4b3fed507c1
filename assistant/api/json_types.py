"""The JSON of requests' answers, for type checkers: the contract that scripts rely on.

Importing this costs as much as `typing` does; the thin client imports it for checks only.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict


class IndexJson(TypedDict):
    """The tree that the index stands for, and whether that is all of the worktree."""

    tree: str
    fresh: bool


class HitJson(TypedDict):
    """A chunk that was found. Lines are 1-based, the last one is in it."""

    path: str
    blob: str
    start_line: int
    end_line: int
    score: float
    sources: list[str]


class SnippetJson(HitJson):
    """A chunk in a prompt, and the number of tokens that it takes there."""

    tokens: int


class TimingsJson(TypedDict):
    """Milliseconds."""

    retrieve: float
    prefill: float
    decode: float
    total: float


class ProposalJson(TypedDict):
    """A text that could have been shown, and the rules that it breaks."""

    text: str
    confidence: float | None
    faults: list[str] | None
    nats: float | None
    tokens: int | None
    alternative: bool


class WholeLineJson(TypedDict):
    """A completion that takes the place of so many characters right of the cursor."""

    completion: str
    replaces: int


class CompletionJson(TypedDict):
    """``git copilot complete --json``."""

    id: str
    completion: str
    file: str
    line: int
    column: int
    model: str
    adapter: str | None
    index: IndexJson
    snippets: list[SnippetJson]
    prompt_tokens: int
    finish_reason: str
    cached_tokens: int
    completion_tokens: int
    timings_ms: TimingsJson
    confidence: float | None
    reason: NotRequired[str]
    from_cache: NotRequired[bool]
    whole_line: NotRequired[WholeLineJson]
    candidates: NotRequired[list[str]]
    confidences: NotRequired[list[float | None]]
    explain: NotRequired[ExplanationJson]


class ExplanationJson(TypedDict):
    """``explain`` of ``git copilot complete --json --explain``."""

    found: int
    seed: int
    prompt_budget: list[int]
    left_out: int
    mode: str
    healed: str
    trim_rule: str | None
    out_of_time: bool
    copied: dict[str, int]
    tried: int
    instead_of: str | None
    prompt: str
    proposals: list[ProposalJson]


class SearchJson(TypedDict):
    """``git copilot search --json``."""

    hits: list[HitJson]
    index: IndexJson


class ErrorJson(TypedDict):
    """A failure; ``log`` is the report of a bug."""

    message: str
    hint: str
    exit_code: int
    log: NotRequired[str]
